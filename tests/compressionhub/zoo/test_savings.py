"""The savings page: the engine's figures, unchanged, for the entry and the assumptions that were asked for."""

import html
import re

import pytest

from compressionhub.estimates import actions
from compressionhub.estimates.assumptions import JobRates
from compressionhub.estimates.forms import initial, starting
from compressionhub.estimates.models import Workload
from compressionhub.estimates.uses import OnDevice
from compressionhub.zoo import elsewhere, savings
from compressionhub.zoo.models import Entry
from tests.compressionhub.zoo.records import report_of
from tests.compressionhub.zoo.timed_hosts import fit_of, told
from workers.device import profiles
from workers.estimate import Grade


@pytest.fixture
def ask(client, vera, workload):
    """Ask for the page, with some assumptions changed: its text and its markup."""
    client.force_login(vera)

    def page(entry: Entry, **changes: object) -> tuple[str, str]:
        typed = {
            name: value
            for name, value in initial(workload.assumed).items()
            if value not in (None, "") and value is not False
        }
        query = {"entry": str(entry.pk), **({**typed, **changes} if changes else {})}
        answer = client.get(f"/savings/{workload.pk}/", query, headers={"HX-Request": "true"})
        assert answer.status_code == 200
        markup = answer.content.decode()
        return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", " ", markup))), markup

    return page


def test_the_page_holds_the_worked_example(ask, priced):
    text, _ = ask(priced)

    for figure in ("51.7 %", "$465", "$434", "$900", "26.9 ms", "65.7", "36.1 kWh", "83.8", "$2,482", "$993", "$661"):
        assert figure in text, figure


def test_what_is_shown_is_what_the_engine_says(priced, workload):
    found = savings.savings(priced, workload.assumed)

    assert found.bill.after.value == found.figures.column("cost-autoscaled").value[1]
    assert found.bill.share.value == found.figures.relative_saving("cost-autoscaled").value[1]
    assert found.bill.after.value == pytest.approx(434.35, rel=1e-3)
    assert found.carbon.saved.value == pytest.approx(19.8, rel=5e-3)


@pytest.mark.parametrize(
    ("change", "figure"),
    [
        ({"volume": "50000000"}, "Saves nothing of the bill: 2 instances, the least you keep, carry both"),
        ({"volume": "200000000"}, "12.7 %"),
        ({"volume": "10000000000"}, "59.2 %"),
        ({"billing": "static"}, "60.0 % of the bill"),
        ({"billing": "serverless"}, "51.1 % of the bill"),
        ({"price_usd_per_hour": "0.34"}, "$869"),
        ({"sla_p95_ms": "10"}, "no number of instances meets it"),
        ({"currency_code": "EUR", "currency_per_usd": "2", "currency_as_of": "2026-11-01"}, "931 EUR a month"),
        ({"job_usd_per_hour": "1.006"}, "job #1"),
    ],
)
def test_a_changed_assumption_changes_the_figures_and_is_not_kept(ask, priced, workload, change, figure):
    before = workload.assumed_json

    text, _ = ask(priced, **change)

    assert figure in text and "not saved" in text
    workload.refresh_from_db()
    assert workload.assumed_json == before


def test_a_saving_of_zero_never_pays_back(ask, priced, workload):
    text, _ = ask(priced, volume="50000000", job_usd_per_hour="1", job_watts="300")

    small = workload.assumed.workload.model_copy(update={"predictions_per_month": 5e7})
    rates = JobRates(usd_per_hour=1, watts=300, author="Vera")
    found = savings.savings(priced, workload.assumed.model_copy(update={"workload": small, "job": rates}))
    even = {title: predictions for title, _, _, _, predictions, _ in found.paybacks}
    assert "saves $0" in text and "Even after: never" in text.replace("even after: never", "Even after: never")
    assert even["Money"].is_never and even["CO₂e"].is_known


def test_a_wrong_number_is_said_instead_of_figures(ask, priced):
    text, _ = ask(priced, peak_factor="0.1")

    assert "Peak to mean" in text and "$434" not in text


def test_measured_elsewhere_is_not_known_until_somebody_answers_for_it(ask, entry):
    text, _ = ask(entry)
    assert "What it saves is not known" in text and "host-1t" in text and "$" not in text

    text, _ = ask(entry, same_machine="on")
    assert "What it saves is not known" not in text and "Vera assumes the same time on c6i.xlarge" in text


def test_figures_on_a_claim_are_assumed(entry, workload):
    claim = workload.assumed.model_copy(update={"same_machine": "Vera"})

    found = savings.savings(entry, claim)

    pairs = (found.bill, found.energy, found.wait)
    assert {amount.grade for pair in pairs for amount in (pair.before, pair.after, pair.share)} == {Grade.ASSUMED}


def test_every_figure_of_the_page_has_a_class_and_its_reasons(ask, priced):
    _, markup = ask(priced)

    opened = re.findall(r'popovertarget="(why-[^"]+)"(?! popovertargetaction)', markup)
    assert len(opened) == len(set(opened)) > 15
    assert all(f'id="{name}"' in markup for name in opened)
    assert "20 Jul 2026" in markup and "chosen by Vera" in markup and "mean_h(N_h)" in markup


def test_an_old_input_is_badged(ask, priced):
    text, _ = ask(priced, grid_g_per_kwh="300", grid_g_per_kwh_as_of="2019-01-01")

    assert "of 2019, 7 calendar years old" in text


@pytest.mark.parametrize("name", ["<script>alert(1)</script>", "{{ 7|add:7 }}", '=HYPERLINK("x")'])
def test_a_name_stays_text(client, vera, team, workload, priced, name):
    Entry.objects.filter(pk=priced.pk).update(name=name)
    assumed = workload.assumed
    renamed = assumed.model_copy(update={"workload": assumed.workload.model_copy(update={"name": name})})
    actions.change(workload=workload, by=vera, assumed=renamed)
    client.force_login(vera)

    markup = client.get(f"/savings/{workload.pk}/").content.decode()

    assert "<script>alert" not in markup
    assert html.escape(name) in markup


def test_a_stranger_finds_neither_page_nor_entry(client, charlie, workload, priced):
    client.force_login(charlie)

    assert client.get(f"/savings/{workload.pk}/").status_code == 404
    for act in ("change", "usual", "delete"):
        assert client.post(f"/workloads/{workload.pk}/{act}/").status_code == 404


def test_an_entry_of_another_team_is_not_taken_from_the_address(client, charlie, other_team, priced):
    own = actions.create(team=other_team, by=charlie, assumed=starting(slug="chat", author="Charlie"))
    client.force_login(charlie)

    markup = client.get(f"/savings/{own.pk}/", {"entry": str(priced.pk)}).content.decode()

    assert priced.name not in markup and "Nothing published yet" in markup


def test_the_empty_page_asks_and_leads_to_figures(client, vera, priced):
    client.force_login(vera)
    assert "How many predictions a month?" in client.get("/savings/").content.decode()

    made = client.post("/workloads/new/", {"preset": "retail-camera", "monthly": "1,000,000,000"}, follow=True)

    assert made.status_code == 200 and "$465" in made.content.decode()


def test_the_best_entry_is_shown_where_none_is_named(client, vera, workload, priced, finished, adam):
    from compressionhub.zoo import actions as zoo

    zoo.publish(job=finished(), by=adam, name="newer-elsewhere", summary="")
    client.force_login(vera)

    assert "$465" in client.get(f"/savings/{workload.pk}/").content.decode()


def test_the_entry_page_says_what_the_usual_workload_saves(client, vera, workload, priced):
    client.force_login(vera)

    page = client.get(f"/zoo/{priced.pk}/").content.decode()

    assert "What it saves" in page and "Cheaper" in page and "51.7 %" in page and workload.name in page


def test_without_a_workload_the_entry_page_claims_no_saving(client, vera, priced):
    client.force_login(vera)

    assert "What it saves" not in client.get(f"/zoo/{priced.pk}/").content.decode()


def test_another_instance_is_proposed_by_measurement_and_never_by_a_claim(priced, entry, workload):
    sizing = savings.right_size(priced, workload.assumed)
    assert sizing is not None and sizing.chosen is not None
    fitting = [sizing.chosen, *(each for each in sizing.others if each.fits)]
    assert sizing.chosen.bill.value == min(each.bill.value for each in fitting)

    claim = workload.assumed.model_copy(update={"same_machine": "Vera"})
    with report_of(entry) as report:
        report["environment"]["device"] = "host-1t"
    claimed = savings.right_size(Entry.objects.get(pk=entry.pk), claim)
    assert claimed is not None
    known = [each.instance for each in (claimed.chosen, *claimed.others) if each and each.bill.is_known]
    assert known == ["c6i.xlarge"]


def test_a_typed_price_is_not_taken_for_other_instances(ask, priced):
    text, _ = ask(priced, price_usd_per_hour="0.34")

    assert "The right instance" not in text


def test_a_metered_job_is_measured_and_says_gross_and_net(entry, workload):
    energy = {"meter": "package-0, dram", "gross_wh": 12.0, "net_wh": 9.0, "seconds": 600, "shared": False}
    for changes, grade in (({}, Grade.MEASURED), ({"shared": True}, Grade.MODELLED), ({"seconds": 5}, Grade.MODELLED)):
        with report_of(entry) as report:
            report["energy"] = {**energy, **changes}

        job = savings.job_of(Entry.objects.get(pk=entry.pk), workload.assumed)

        assert job.kwh().value == 0.012 and job.energy_fact().grade is grade
        assert "net of rest 0.009 kWh" in job.energy_fact().source


# --- beside the bill, and other ways of running

OWN = {
    "billing": "on-premises", "own_workers": "4", "own_memory_gb": "64", "own_idle_w": "80", "own_active_w": "200",
    "own_hardware_usd": "6000", "own_life_years": "5", "own_used_percent": "50", "own_operations_usd": "400",
    "own_grid_zone": "DEU", "own_device": "c6i-xlarge-1t",
}  # fmt: skip


def test_storage_and_transfer_are_bytes_times_typed_rates(ask, priced):
    text, _ = ask(
        priced, stored_copies="100", downloads_per_month="10000", storage_usd_per_gb_month="0.5",
        transfer_usd_per_gb="0.1",
    )  # fmt: skip

    assert f"${0.0014 * 100 * 0.5:.2g}" in text and f"${0.0014 * 10_000 * 0.1:.1f}" in text


def test_market_based_carbon_is_a_line_of_its_own(ask, priced):
    text, _ = ask(priced)
    assert "once you type in the factor of your contract" in text

    text, _ = ask(priced, market_g_per_kwh="50")
    assert "Market-based, by the factor of your contract" in text and "35.0 kg" in text


def test_machines_of_ones_own_cost_hardware_power_and_operations(ask, priced):
    text, _ = ask(priced, **OWN)
    assert "There is no default: type in $/kWh" in text

    text, _ = ask(priced, **OWN, usd_per_kwh="0.2", pue="1.5")
    mean, used = 7.25, 380.518 * 0.040 / 4 / 7.25
    power = (80 + 120 * used) * mean * 730 / 1000 * 1.5 * 0.2
    bill = 6000 / (5 * 8760 * 0.5) * mean * 730 + power + 400
    assert f"was ${bill:,.0f}" in text and "Other ways to pay" not in text


WEARABLE = {
    "billing": "device", "per": "day", "volume": "86400", "dev_key": "stm32u575", "dev_battery_wh": "0.675",
    "dev_usable_percent": "80", "dev_base_mw": "0.5",
}  # fmt: skip


def test_a_battery_lasts_as_long_as_the_worked_example_says(ask, entry):
    text, _ = ask(entry, **WEARABLE, dev_before_mj="0.664", dev_after_mj="0.332")

    assert "464 h to 649 h: +40 %." in text and "57.0 %" in text
    assert "Bill a month" not in text


def test_without_a_time_on_the_device_a_battery_is_not_known(ask, entry):
    text, _ = ask(entry, **WEARABLE)

    assert "How long the battery lasts is not known" in text and "upload a latency file" in text


def test_a_batterys_energy_is_the_predicted_time_at_the_devices_power(entry, workload):
    known = told(entry, fit=fit_of(1e11))
    used = OnDevice(device="sd888-cpu", battery_wh=15, base_mw=1000, author="Vera")
    assumed = workload.assumed.model_copy(update={"device": used})

    found = elsewhere.on_battery(known, assumed)

    before, after = found.life.before.inputs[-1], found.life.after.inputs[-1]
    profile = profiles()["sd888-cpu"]
    assert before.value == pytest.approx(found.services[0].mean_s * profile.power_w)
    assert before.high == pytest.approx(found.services[0].high_s * profile.power_high_w)
    assert before.grade is Grade.ASSUMED and after.value < before.value
    assert not savings.savings(known, assumed).is_known


def test_a_gpu_that_serves_now_is_replaced_in_a_sentence_of_its_own(ask, priced):
    text, _ = ask(priced, gpu_instance="g4dn.xlarge", gpu_mean_ms="6", gpu_p95_ms="7")

    assert "A GPU replaced by CPUs" in text and "keeps the limit of 100 ms that" in text
    assert "typed in by Vera" in text

    text, _ = ask(priced, gpu_instance="g4dn.xlarge", gpu_mean_ms="6", gpu_p95_ms="7", sla_p95_ms="12")
    assert "No CPU instance keeps the limit of 12 ms that g4dn.xlarge keeps." in text


def test_what_waits_at_peak_stands_beside_the_money(ask, priced):
    text, _ = ask(priced)

    assert "At peak, 95 of 100 answers come within 26.9 ms, before 65.7 ms." in text


def test_the_wearable_is_a_starting_point_like_the_others(client, vera, entry):
    client.force_login(vera)

    made = client.post("/workloads/new/", {"preset": "keyword-on-a-wearable", "monthly": ""}, follow=True)

    assert "How long the battery lasts is not known" in made.content.decode()
    assert Workload.objects.get().assumed.device.author == "Vera"


def test_the_assumptions_in_force_are_swapped_with_the_figures(ask, priced):
    _, markup = ask(priced, pue="1.3")

    shown = markup[markup.index('id="in-force" hx-swap-oob') : markup.index('id="savings-results"')]
    assert "typed in by Vera" in shown and "1.3" in shown and "chosen by Vera" in shown
