"""Comparing variants: each against its own baseline, the engine's figures, the limits, and who may see what."""

import html
import json
import re
from collections.abc import Callable
from uuid import uuid4

import pytest

from compressionhub.estimates import actions
from compressionhub.estimates.forms import starting
from compressionhub.estimates.uses import OnDevice
from compressionhub.zoo import savings
from compressionhub.zoo.actions import publish
from compressionhub.zoo.approvals.actions import ask as ask_for
from compressionhub.zoo.compare.evidence import forget
from compressionhub.zoo.compare.limits import Kind, limit
from compressionhub.zoo.models import Entry
from compressionhub.zoo.reports.actions import make
from tests.compressionhub.zoo.records import report_of
from workers.report import ChangedSample, Changes, ClassShift, Interval, Ratio
from workers.serving.figures import figures
from workers.serving.service import Factor, ServiceTime

KIND = Kind("bill", "Bill at most", "budget", lambda value: f"${value:g}")


@pytest.fixture(autouse=True)
def fresh_records() -> None:
    forget()


@pytest.fixture
def variant(entry: Entry) -> Callable[..., Entry]:
    """Publish a copy of Alice's entry with other ms and points: ``variant("int8", 16.0, drop=0.4)``."""
    made: list[str] = []

    def make(name: str, after_ms: float, *, drop: float = 0.1, model: str = "shelf", noise: bool = False) -> Entry:
        record = json.loads(json.dumps(entry.record_json))
        report = record["report"]
        report["environment"]["device"] = "c6i-xlarge-1t"
        ratio = Ratio(value=40 / after_ms, low=40 / after_ms, high=40 / after_ms).model_dump()
        report["delta"]["speedup"] = {"1": ratio, "32": ratio}
        report["baseline"]["service"] = {"workers": 4, "mean_ms": 40, "p95_ms": 46, "cv2": 0.05}
        report["result"]["service"] = {"workers": 4, "mean_ms": after_ms, "p95_ms": after_ms * 1.1875, "cv2": 0.05}
        report["delta"]["metrics"]["accuracy"] = {
            "value": -drop / 100, "low": -drop / 100 - 0.003, "high": -drop / 100 + 0.003, "distinguishable": not noise,
        }  # fmt: skip
        record["origin"] |= {"model": model, "baseline_sha256": model, "job": len(made) + 10}
        made.append(name)
        return Entry.objects.create(
            team=entry.team, name=name, record_json=record, task="classification", families=["quantization"],
            device="c6i", verdict="faster", drop_points=drop, speedup=40 / after_ms, size_ratio=4, size_bytes=360_000,
        )  # fmt: skip

    return make


@pytest.fixture
def shelf(entry, variant) -> list[Entry]:
    """The worked example's variant and three others of one model; the entry they were copied from is withdrawn."""
    found = [
        variant("prune20-int8", 16.0, drop=0.42),
        variant("int8-static", 19.6, drop=0.15, noise=True),
        variant("prune60-int8", 8.0, drop=1.6),
        variant("fp16", 48.0, drop=0.0, noise=True),
    ]
    Entry.objects.filter(pk=entry.pk).update(standing="withdrawn")
    return found


@pytest.fixture
def ask(client, vera):
    client.force_login(vera)

    def page(query: str = "") -> str:
        answer = client.get(f"/compare/{query}")
        assert answer.status_code == 200
        return answer.content.decode()

    return page


def text_of(markup: str) -> str:
    plain = re.sub(r"<script.*?</script>|<template.*?</template>", " ", markup, flags=re.DOTALL)
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", " ", plain)))


def data_of(markup: str) -> dict:
    return json.loads(re.search(r'<script id="compare-data" type="application/json">(.*?)</script>', markup)[1])


def names_of(markup: str) -> list[str]:
    body = markup.split("data-rows>")[1].split("</tbody>")[0]
    return re.findall(r"data-name>([^<]+)<", body)


def test_the_page_chooses_the_variant_that_saves_most_within_the_limits(ask, shelf, workload):
    text = text_of(ask())

    assert "Choose prune20-int8: it saves 51.7 % of the bill ($465 a month)." in text
    assert "−0.42 points (0.12 to 0.72), more than noise" in text
    assert "p95 at peak falls from 65.7 to 26.9 ms" in text
    assert "over accuracy limit" in text and "3 of 4 within limits" in text


def test_a_looser_limit_lets_a_riskier_variant_win_and_a_tighter_one_the_safer(ask, shelf, workload):
    assert names_of(ask("?loss=2"))[0] == "prune60-int8"
    assert names_of(ask("?loss=0.2"))[0] == "int8-static"
    assert names_of(ask("?loss=any&bill=500&p95=30"))[:2] == ["prune60-int8", "prune20-int8"]


def test_a_variant_that_adds_to_the_bill_is_never_simply_chosen(ask, shelf, workload):
    text = text_of(ask("?loss=0.05&p95=any"))

    assert "No variant within these limits saves money. The nearest is fp16: it adds" in text


def test_limits_nobody_holds_name_the_nearest_miss(ask, shelf, workload):
    markup = ask("?loss=any&bill=1")

    cheapest = min(data_of(markup)["rows"], key=lambda row: row["spots"]["bill"][0])
    told = f"The nearest miss is {cheapest['name']}, over budget at {cheapest['texts']['bill'][0]}."
    assert cheapest["name"] == "prune60-int8" and f"No variant holds all limits. {told}" in text_of(markup)


@pytest.mark.parametrize("order", ["saves", "safest", "fastest", "waits", "smallest"])
def test_every_order_ranks_all_of_them(ask, shelf, workload, order):
    ranks = sorted(row["ranks"][order] for row in data_of(ask(f"?order={order}"))["rows"])

    assert ranks == [0, 1, 2, 3]


def test_the_figures_are_the_engines_for_each_pair_alone(ask, shelf, workload):
    rows = {row["name"]: row for row in data_of(ask())["rows"]}

    for entry in shelf:
        report = entry.record.report
        before, after = ServiceTime.pair(report, device="c6i-xlarge-1t", source="a test")
        alone = figures(workload.assumed.workload, before, [after.model_copy(update={"own": Factor()})])
        row = rows[entry.name]
        for key, slug in (("p95", "latency-at-peak"), ("bill", "cost-autoscaled"), ("kg", "carbon")):
            value, low, high, base = row["spots"][key]
            assert value == pytest.approx(alone.amount(slug, 1).value), (entry.name, key)
            assert (low, high) == pytest.approx((alone.amount(slug, 1).low, alone.amount(slug, 1).high))
            assert base == pytest.approx(alone.amount(slug, 0).value)
        assert row["share"] == pytest.approx(alone.relative_saving_amount("cost-autoscaled", 1).value)


def test_the_figures_are_those_of_the_savings_page(ask, shelf, workload):
    row = data_of(ask())["rows"][0]
    entry = Entry.objects.get(pk=row["id"])

    found = savings.savings(entry, workload.assumed)

    assert row["spots"]["bill"][0] == pytest.approx(found.bill.after.value)
    assert row["spots"]["kg"][1:3] == pytest.approx([found.carbon.after.low, found.carbon.after.high])


def test_a_pressed_class_tells_what_the_figure_of_its_cell_rests_on(ask, client, shelf, workload):
    row = next(each for each in data_of(ask())["rows"] if each["name"] == "prune20-int8")

    def told(figure: str, side: str = "variant", **query: str) -> str:
        answer = client.get(f"/compare/why/{row['id']}/{side}/{figure}/", query)
        assert answer.status_code == 200
        return text_of(answer.content.decode())

    for key, title in (("p95", "p95 at peak"), ("bill", "Bill a month"), ("kg", "CO₂e a month")):
        assert f"{title}: {row['texts'][key][0]}" in told(key)
    bill = told("bill")
    assert "p * T * mean_h(N_h)" in bill and "Service time, baseline 40 ms" in bill and "job #10" in bill
    assert "$0.17/hour" in bill or "0.17 $/h" in bill
    assert "Share of the bill saved: 51.7 %" in bill
    assert "Bill a month, baseline: $900" in told("bill", "baseline")
    assert "Top-1 accuracy: 97.6 %" in told("change") and "counted from the file" in told("size")
    assert "Size, baseline: 1,400,000 bytes" in told("size", "baseline")
    assert told("bill", volume="50000000") != bill
    for address in ("variant/else", "else/bill"):
        assert client.get(f"/compare/why/{row['id']}/{address}/").status_code == 404


def test_nobody_is_told_what_the_figures_of_a_foreign_entry_rest_on(client, charlie, shelf, workload):
    client.force_login(charlie)

    assert client.get(f"/compare/why/{shelf[0].pk}/variant/bill/").status_code == 404


def test_a_figure_that_is_not_known_tells_why_when_pressed(ask, client, shelf):
    ask()

    markup = client.get(f"/compare/why/{shelf[0].pk}/variant/bill/").content.decode()

    assert "Bill a month: not known" in text_of(markup) and "No workload is set." in text_of(markup)


def test_one_model_has_one_baseline_row_and_several_have_none(ask, shelf, variant, workload):
    assert "shelf v1" in ask().split("data-rows")[0] and "data-baseline" in ask()

    variant("other-int8", 10.0, model="visual-search")

    markup = ask()
    assert "data-baseline" not in markup
    assert "Of 2 models, each against its own baseline" in text_of(markup)
    assert "98.00 %" not in text_of(markup), "accuracy across tasks is only ever a change"


def test_the_address_holds_the_selection(ask, shelf, workload):
    chosen = f"?v={shelf[0].pk}&v={shelf[3].pk}"

    markup = ask(chosen)

    assert sorted(names_of(markup)) == ["fp16", "prune20-int8"]
    assert "Compare 2 variants" in markup and markup.count('name="v"') == 2


def test_what_is_gone_or_foreign_is_counted_and_not_named(ask, shelf, workload):
    text = text_of(ask(f"?v={shelf[0].pk},{uuid4()}"))

    assert "1 of the chosen variants is not listed any more, or not yours to see." in text


def test_a_changed_assumption_gives_other_figures_and_keeps_the_workload(client, vera, shelf, workload):
    client.force_login(vera)
    before = workload.assumed_json

    found = client.get("/compare/figures/", {"volume": "200000000", "loss": "0.5"}).json()

    rows = {row["name"]: row for row in found["rows"]}
    assert rows["prune20-int8"]["share"] == pytest.approx(0.127, abs=0.001)
    assert "200 M predictions a month" in found["says"]
    loss = next(each for each in found["limits"] if each["key"] == "loss")
    assert loss["stops"][loss["at"]][0] == 0.5
    workload.refresh_from_db()
    assert workload.assumed_json == before


def test_at_the_floor_nothing_is_saved_and_it_is_said_why(client, vera, shelf, workload):
    client.force_login(vera)

    rows = client.get("/compare/figures/", {"volume": "50000000"}).json()["rows"]

    says = {row["name"]: row["says"] for row in rows}
    assert says["prune20-int8"].startswith("saves nothing of the bill (2 instances, the least you keep, carry both).")


def test_a_wrong_assumption_is_said_instead(client, vera, shelf, workload):
    client.force_login(vera)

    assert "Peak to mean" in client.get("/compare/figures/", {"peak_factor": "0.1"}).json()["problem"]


def test_money_nobody_knows_is_grey_with_its_reason(ask, entry, shelf, workload):
    Entry.objects.filter(pk=entry.pk).update(standing="listed")  # measured on host-1t, which is no c6i.xlarge

    markup = ask()

    assert names_of(markup)[-1] == "digits-int8"
    row = next(each for each in data_of(markup)["rows"] if each["name"] == "digits-int8")
    assert row["share"] is None and row["limited"]["bill"] is None and "Measure it there" in row["reason"]
    assert markup.count("Measure it there") >= 2


def test_where_no_money_is_known_at_all_the_fastest_is_chosen_and_the_way_out_is_named(ask, entry, workload):
    text = text_of(ask())

    assert "Bill, wait and CO₂e are not known: Nothing is measured on c6i.xlarge" in text
    assert "Choose digits-int8: it runs 2.00× as fast at batch 1." in text


def test_without_a_workload_the_measured_figures_still_compare(ask, shelf):
    text = text_of(ask())

    assert "No workload is set" in text and "Choose prune20-int8: it runs 2.50× as fast" in text


def test_speed_of_a_language_model_is_said_to_be_that_of_the_next_token(ask, shelf):
    writer = shelf[0]
    writer.record_json["report"]["result"]["past_tokens"] = 64
    Entry.objects.filter(pk=writer.pk).update(record_json=writer.record_json)

    text = text_of(ask())

    assert text.count("next token · 2.50× at 32") == 1
    assert "writes the next token 2.50× as fast at batch 1" in text.lower()
    assert "runs 2.04× as fast at batch 1" in text.lower()


def test_a_workload_on_a_device_has_no_bill_to_compare(ask, shelf, team, vera):
    on = OnDevice(device="stm32u575", battery_wh=0.675, base_mw=0.5, author="Vera")
    assumed = starting(slug="keyword-on-a-wearable", author="Vera").model_copy(update={"device": on})
    actions.create(team=team, by=vera, assumed=assumed)

    text = text_of(ask())

    assert "runs on a device with a battery" in text and "$" not in text.split("Variants")[1]


def test_without_an_entry_the_page_says_where_to_begin(ask):
    assert "Choose two variants in the zoo." in ask()


CHANGES = Changes(
    compared=10_000, agreement=Interval(value=0.971, low=0.967, high=0.974, n=10_000), broken=131, fixed=89,
    distance=Interval(value=0.1, low=0.1, high=0.1, n=10_000),
    classes=(
        ClassShift(name="shelf", before=0.92, after=0.88, n=50), ClassShift(name="box", before=0.9, after=0.9, n=50),
    ),
    samples=(ChangedSample(row=17, before="shelf", after="box", label="shelf"),),
)  # fmt: skip


def test_what_changed_is_counted_where_it_was_recorded(ask, client, shelf, workload):
    assert "Not recorded" in text_of(ask())
    with report_of(shelf[0]) as told:
        told["changes"] = CHANGES.model_dump(mode="json")
    forget()

    text = text_of(ask())

    assert "Not recorded" not in text
    for line in (
        "Right before, wrong now 131",
        "Wrong before, right now 89",
        "Same answer 97.1 %",
        "−4.0 points shelf, 2 of 50",
    ):
        assert line in text, line
    entry = text_of(client.get(f"/zoo/{shelf[0].pk}/").content.decode())
    assert "What changed" in entry and "now wrong" in entry


def test_a_result_without_labels_is_published_and_compared_by_its_agreement(client, adam, finished):
    job = finished()
    report = job.report
    for part in ("baseline", "result", "delta"):
        report[part]["metrics"] = {}
    same = Interval(value=0.995, low=0.99, high=0.998, n=1000)
    changes = CHANGES.model_copy(update={"broken": None, "fixed": None, "agreement": same})
    report["changes"] = changes.model_dump(mode="json")
    job.save()

    made = publish(job=job, by=adam, name="unlabelled")

    assert made.drop_points == pytest.approx(0.5)
    client.force_login(adam)
    for address in ("/zoo/", made.get_absolute_url(), "/"):
        assert client.get(address).status_code == 200
    assert "99.50 % of the answers stay the same (99.00 to 99.80)" in text_of(client.get("/compare/").content.decode())


def test_the_chosen_one_leads_to_its_report_and_to_a_waiting_request(ask, client, adam, shelf, workload):
    markup = ask()
    assert f"/reports/new/?workload={workload.pk}&amp;entry={shelf[0].pk}" in markup and "Ask for approval" in markup

    report = make(team=shelf[0].team, by=adam, entries=[shelf[0]], workload=workload, question="Which one?")
    request = ask_for(report=report, by=adam, why="It saves.")

    assert request.get_absolute_url() in ask() and "See the request" in ask()
    client.force_login(adam)
    assert "Approve or reject" in client.get("/compare/").content.decode()


def test_a_stranger_sees_nothing_of_it(client, charlie, shelf, workload):
    client.force_login(charlie)

    markup = client.get(f"/compare/?v={shelf[0].pk}&workload={workload.pk}").content.decode()

    assert "prune20" not in markup and workload.name not in markup
    assert client.get(f"/compare/figures/?v={shelf[0].pk}").json()["rows"] == []


def test_a_name_stays_text(ask, variant, workload):
    variant("</script><script>alert(1)</script>", 16.0)

    assert "<script>alert" not in ask()


def test_stops_hold_the_least_the_most_and_what_was_asked():
    for figures_, wanted in (([434, 522, 900], "700"), ([0.2, 90_000.0, None], "12.5"), ([0.0, 0.0], None), ([], "3")):
        found = limit(KIND, figures_, wanted)
        values = [stop.value for stop in found.stops[:-1]]
        known = [each for each in figures_ if each is not None]
        assert values == sorted(set(values)) and found.stops[-1].value is None and len(values) < 80
        assert not known or (values[-1] >= max(known) and values[0] <= max(min(known), 0.2))
        assert found.value == (float(wanted) if wanted else None)


@pytest.mark.parametrize("asked", ["any", "x", "-1", "nan", "inf", ""])
def test_what_is_no_limit_is_any(asked):
    assert limit(KIND, [1, 2], asked).value is None
