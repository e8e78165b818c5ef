"""The pages of money in a real browser: every assumption that is changed there gives the engine's figures."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import pytest
from django.utils import timezone
from playwright.sync_api import Page, expect

from compressionhub.estimates import actions, said
from compressionhub.estimates.assumptions import Assumptions, JobRates
from compressionhub.estimates.forms import WorkloadForm, starting
from compressionhub.estimates.models import Workload as Kept
from compressionhub.estimates.uses import OnDevice
from compressionhub.zoo.compare.evidence import forget
from compressionhub.zoo.deploying import record_deployment
from compressionhub.zoo.models import Entry
from compressionhub.zoo.savings import candidates
from tests.compressionhub.conftest import (
    adam,
    alice,
    bob,
    contract,
    dataset,
    dataset_facts,
    hub_folders,
    model_facts,
    person,
    team,
    version,
)
from tests.compressionhub.zoo.conftest import entry, finished
from tests.journeys.conftest import enter
from workers import device
from workers.estimate import Amount, Grade
from workers.estimates.gpu_to_cpu import GpuToCpu
from workers.serving.candidates import Candidate
from workers.serving.figures import figures
from workers.serving.presets import OFFICE_DAY
from workers.serving.service import ServiceTime
from workers.serving.shown import in_currency
from workers.serving.workload import Currency, OnPremises, Override, Triple, Workload

__all__ = [
    "adam", "alice", "bob", "contract", "dataset", "dataset_facts", "entry", "finished", "hub_folders",
    "model_facts", "person", "team", "version",
]  # fmt: skip

BEFORE = ServiceTime(mean_s=0.040, p95_s=0.046, cs2=0.05, workers=4, device="c6i-xlarge-1t", source="a test",
                     size_bytes=1_400_000)  # fmt: skip
AFTER = BEFORE.model_copy(update={"mean_s": 0.016, "p95_s": 0.019, "size_bytes": 360_000})
ADMIN = "Adam"
HOURS = 2.0


# --- the engine's side: the same changes, made to the engine's own values


@dataclass
class Engine:
    """A workload that is changed step by step beside the page."""

    workload: Workload
    job: JobRates = field(default_factory=JobRates)

    def change(self, **fields: Any) -> None:
        self.workload = Workload.model_validate({**self.workload.model_dump(), **fields})

    def override(self, name: str, value: float, **more: Any) -> None:
        kept = tuple(each for each in self.workload.overrides if each.name != name)
        made = Override.model_validate({"name": name, "value": value, "author": ADMIN, **more})
        self.change(overrides=tuple(each.model_dump() for each in (*kept, made)))

    def amount(self, what: str) -> Amount:
        """``saving:carbon``, or ``energy`` for the variant's own; ``bill`` is the one the workload is paid by."""
        view, _, slug = what.rpartition(":")
        found = figures(self.workload, BEFORE, [AFTER], jobs=[self.job.run(title="the job", hours=HOURS)])
        slug = found.bill_slug if slug == "bill" else slug
        made = found.saving_amount(slug, 1) if view == "saving" else found.amount(slug, 1)
        return in_currency(made, self.workload.currency)


@dataclass(frozen=True)
class Step:
    """One assumption, what is typed, what that means to the engine, and where its figure stands on the page."""

    name: str
    typed: str
    apply: Callable[[Engine], None]
    key: str
    what: str
    letter: str = ""


def changed(name: str, value: Any) -> Callable[[Engine], None]:
    return lambda engine: engine.change(**{name: value})


def overridden(name: str, value: float, **more: Any) -> Callable[[Engine], None]:
    return lambda engine: engine.override(name, value, **more)


def rated(**rates: float) -> Callable[[Engine], None]:
    def apply(engine: Engine) -> None:
        engine.job = engine.job.model_copy(update={**rates, "author": ADMIN})

    return apply


def daily(engine: Engine) -> None:
    engine.change(requests_per_day=2e8, predictions_per_month=None)


def euros(engine: Engine) -> None:
    engine.change(currency=Currency(code="EUR", per_usd=0.9, as_of=date(2026, 11, 2), author=ADMIN).model_dump())


def exactly(value: float) -> Triple:
    return Triple(low=value, value=value, high=value)


STORED, SENT, FUNCTION = "storage-more-after", "transfer-more-after", "cost-serverless-after"
STEPS = (
    Step("volume", "200000000", changed("predictions_per_month", 2e8), "bill", "bill"),
    Step("per", "day", daily, "bill", "bill"),
    Step("peak_factor", "4", changed("peak_factor", 4), "wait", "latency-at-peak"),
    Step("target_percent", "50", changed("target_utilisation", 0.5), "bill", "bill"),
    Step("sla_p95_ms", "47", changed("sla_p95_ms", 47), "bill-saved", "saving:bill"),
    Step("ha_floor", "30", changed("ha_floor", 30), "bill", "bill"),
    Step("day", "office", changed("shape", OFFICE_DAY), "energy", "energy"),
    Step("place", "aws/us-east-1/c6i.2xlarge", changed("instance", "c6i.2xlarge"), "bill", "bill"),
    Step("workers_per_instance", "3", changed("workers_per_instance", 3), "bill", "bill"),
    Step("billing", "static", changed("billing", "static"), "bill", "bill"),
    Step("price_usd_per_hour", "0.5", overridden("price_usd_per_hour", 0.5), "bill", "bill", "D"),
    Step("price_usd_per_hour_source", "x", overridden("price_usd_per_hour", 0.5, source="x"), "bill", "bill", "C"),
    Step("pue", "1.5", overridden("pue", 1.5), "energy", "energy"),
    Step("grid_g_per_kwh", "100", overridden("grid_g_per_kwh", 100), "carbon", "saving:carbon"),
    Step("embodied_kg_per_month", "2", overridden("embodied_kg_per_month", 2), "carbon", "saving:carbon"),
    Step("market_g_per_kwh", "20", overridden("market_g_per_kwh", 20), "carbon-market-more-after", "carbon-market"),
    Step("storage_usd_per_gb_month", "0.05", overridden("storage_usd_per_gb_month", 0.05), STORED, "storage"),
    Step("stored_copies", "5000", changed("stored_copies", 5000), STORED, "storage"),
    Step("transfer_usd_per_gb", "0.1", overridden("transfer_usd_per_gb", 0.1), SENT, "transfer"),
    Step("downloads_per_month", "7000", changed("downloads_per_month", 7000), SENT, "transfer"),
    Step("job_usd_per_hour", "1.5", rated(usd_per_hour=1.5), "job-cost", "job-cost"),
    Step("job_watts", "300", rated(watts=300), "job-carbon", "job-carbon"),
    Step("horizon_months", "24", changed("horizon_months", 24), "net-saving", "net-saving"),
    Step("serverless_memory_mb", "512", changed("serverless_memory_mb", 512), FUNCTION, "cost-serverless"),
    Step("serverless_usd_per_gb_s", "2e-5", overridden("serverless_usd_per_gb_s", 2e-5), FUNCTION, "cost-serverless"),
    Step("serverless_usd_per_request", "3e-6", overridden("serverless_usd_per_request", 3e-6), FUNCTION,
         "cost-serverless"),
)  # fmt: skip
# A currency is three fields that only hold together; dates and sources of other rates are the same field again.
CURRENCY = {"currency_code": "EUR", "currency_per_usd": "0.9", "currency_as_of": "2026-11-02"}
GPU = {"gpu_instance", "gpu_mean_ms", "gpu_p95_ms"}
# Two names and the memory of an own machine, which says whether a network fits and enters no figure.
WITHOUT_FIGURES = {"name", "own_title", "own_memory_gb"}
BY_OTHER_MEANS = {*WITHOUT_FIGURES, "same_machine", "own_device", "dev_key", *GPU, *CURRENCY}

OWN = OnPremises(
    title="Server in the shop", workers=8, memory_gb=64, idle_w=exactly(80), active_w=exactly(200), hardware_usd=6000,
    life_years=5, used_share=0.5, operations_usd_per_month=400, embodied_kg=exactly(900), grid_zone="DEU",
    device=BEFORE.device,
)  # fmt: skip


def owned(name: str, value: Any) -> Callable[[Engine], None]:
    def apply(engine: Engine) -> None:
        assert engine.workload.on_premises is not None
        engine.change(on_premises=engine.workload.on_premises.model_copy(update={name: value}).model_dump())

    return apply


OWN_STEPS = (
    Step("own_workers", "6", owned("workers", 6), "bill", "bill"),
    Step("own_hardware_usd", "9000", owned("hardware_usd", 9000), "bill", "bill"),
    Step("own_life_years", "4", owned("life_years", 4), "bill", "bill"),
    Step("own_used_percent", "80", owned("used_share", 0.8), "bill", "bill"),
    Step("own_operations_usd", "150", owned("operations_usd_per_month", 150), "bill", "bill"),
    Step("usd_per_kwh", "0.31", overridden("usd_per_kwh", 0.31), "bill", "bill"),
    Step("own_idle_w", "95", owned("idle_w", exactly(95)), "energy", "energy"),
    Step("own_active_w", "260", owned("active_w", exactly(260)), "energy", "energy"),
    Step("own_embodied_kg", "1400", owned("embodied_kg", exactly(1400)), "carbon", "saving:carbon"),
    Step("own_grid_zone", "FRA", owned("grid_zone", "FRA"), "carbon", "saving:carbon"),
)
BATTERY_STEPS: tuple[tuple[str, str, dict[str, float]], ...] = (
    ("dev_battery_wh", "1.35", {"battery_wh": 1.35}),
    ("dev_usable_percent", "85", {"usable": 0.85}),
    ("dev_base_mw", "0.7", {"base_mw": 0.7}),
    ("dev_before_mj", "0.9", {"before_mj": 0.9}),
    ("dev_after_mj", "0.4", {"after_mj": 0.4}),
    ("volume", str(3 * 86_400), {}),
)


@pytest.fixture
def priced(entry: Entry) -> Entry:
    """The worked example's times, published."""
    found = entry.record_json
    report = found["report"]
    report["environment"]["device"] = BEFORE.device
    report["delta"]["speedup"]["1"] = {"value": 2.5, "low": 2.5, "high": 2.5}
    for side, times in (("baseline", BEFORE), ("result", AFTER)):
        report[side]["service"] = {
            "workers": 4, "mean_ms": times.mean_s * 1000, "p95_ms": times.p95_s * 1000, "cv2": times.cs2
        }  # fmt: skip
        report[side]["size_bytes"] = times.size_bytes
    report["steps"][0]["seconds"] = HOURS * 3600
    Entry.objects.filter(pk=entry.pk).update(record_json=found, job=None)
    forget()
    return Entry.objects.get(pk=entry.pk)


@pytest.fixture
def hub(page: Page, live_server: Any, adam: Any, complaints: list[str]) -> Iterator[Page]:
    """Adam, signed in on the hub that runs in this process, with his test's own rows."""
    enter(page, live_server.url, adam)
    page.hub = live_server.url  # type: ignore[attr-defined]
    yield page
    assert complaints == []


def shown(page: Page, key: str) -> tuple[str, str]:
    """A figure as it stands in its explanation, and its class."""
    box = page.locator(f"#why-{key}")
    value = (box.locator("strong").first.text_content() or "").rpartition(": ")[2]
    letter = box.locator(".cls b").first
    return value, (letter.text_content() or "") if letter.count() else ""


SETTLED = (
    "void (window.settled = new Promise((done) => addEventListener('htmx:afterSettle', () => done(), {once: true})))"
)


def change(page: Page, name: str, typed: str) -> None:
    """Change one field as a person would, and wait until the figures were swapped."""
    found = page.locator(f'#savings [name="{name}"]')
    page.evaluate(SETTLED)
    if found.evaluate("one => one.tagName") == "SELECT":
        found.select_option(typed)
    elif found.get_attribute("type") == "checkbox":
        found.check()
    else:
        found.fill(typed)
    page.evaluate("window.settled")


def open_all(page: Page) -> None:
    page.evaluate("document.querySelectorAll('#savings details').forEach((one) => { one.open = true; })")


def opened(page: Page, team: Any, by: Any, assumed: Assumptions, priced: Entry) -> Kept:
    """Keep a workload and open its page, with every field in reach."""
    kept = actions.create(team=team, by=by, assumed=assumed)
    page.goto(f"{page.hub}/savings/{kept.pk}/?entry={priced.pk}")  # type: ignore[attr-defined]
    open_all(page)
    return kept


def walk(page: Page, engine: Engine, steps: tuple[Step, ...]) -> None:
    """Change one assumption after the other, on both sides."""
    for step in steps:
        before = shown(page, step.key)
        step.apply(engine)
        change(page, step.name, step.typed)
        expected = engine.amount(step.what)
        assert expected.is_known, (step.name, expected.reason)
        value, letter = shown(page, step.key)
        assert value == said.value(expected), step.name
        assert letter == str(expected.grade) and step.letter in ("", letter), step.name
        assert (value, letter) != before, f"{step.name} was to change what is shown"


def test_every_assumption_changed_in_the_browser_gives_the_engines_figures(
    hub: Page, adam: Any, team: Any, priced: Entry
) -> None:
    page, assumed = hub, starting(slug="retail-camera", author=ADMIN, monthly=1e9)
    kept, engine = opened(page, team, adam, assumed, priced), Engine(assumed.workload)
    assert shown(page, "bill")[0] == said.value(engine.amount("bill"))

    walk(page, engine, STEPS)

    euros(engine)
    for name, typed in CURRENCY.items():
        page.locator(f'#savings [name="{name}"]').evaluate("(one, typed) => { one.value = typed; }", typed)
    change(page, "currency_as_of", CURRENCY["currency_as_of"])
    assert shown(page, "bill")[0] == said.value(engine.amount("bill")) and "EUR" in shown(page, "bill")[0]
    kept.refresh_from_db()
    assert kept.assumed.differing(assumed) in ((), ("tables",)), "nothing is kept until it is saved"


def test_a_pressed_class_on_home_tells_what_the_figure_rests_on(hub: Page, adam: Any, team: Any, priced: Entry) -> None:
    kept = actions.create(team=team, by=adam, assumed=starting(slug="retail-camera", author=ADMIN, monthly=1e9))
    record_deployment(team=team, by=adam, served=priced, workload=kept, since=timezone.localdate())
    page = hub
    page.goto(f"{page.hub}/?order=spend")  # type: ignore[attr-defined]
    cell = page.locator(".in-use tbody td[data-l='Spend a month']").first

    cell.locator(".why").click()

    popover = page.locator("#asked-pop")
    expect(popover.locator("strong").first).to_have_text("Bill a month, now: $434")
    expect(popover.locator(".formula")).to_contain_text("mean_h(N_h)")


def test_a_machine_of_ones_own_gives_the_engines_figures(hub: Page, adam: Any, team: Any, priced: Entry) -> None:
    started = starting(slug="retail-camera", author=ADMIN, monthly=1e9)
    engine = Engine(started.workload)
    engine.change(billing="on-premises", on_premises=OWN.model_dump())
    engine.override("usd_per_kwh", 0.2)
    page = hub
    opened(page, team, adam, started.model_copy(update={"workload": engine.workload}), priced)

    walk(page, engine, OWN_STEPS)

    change(page, "own_device", "rpi5")
    expect(page.locator("#savings-results")).to_contain_text("not known")


def test_a_battery_lasts_as_long_as_the_formula_says(hub: Page, adam: Any, team: Any, priced: Entry) -> None:
    used = {
        "battery_wh": 0.675,
        "usable": 0.8,
        "base_mw": 0.5,
        "before_mj": 0.664,
        "after_mj": 0.332,
    }
    started = starting(slug="keyword-on-a-wearable", author=ADMIN)
    rate = (started.workload.requests_per_day or 0) / 86_400
    page = hub
    opened(
        page,
        team,
        adam,
        started.model_copy(update={"device": OnDevice(device="stm32u575", **used, author=ADMIN)}),
        priced,
    )

    for name, typed, changes in BATTERY_STEPS:
        used |= changes
        rate = rate * 3 if name == "volume" else rate
        change(page, name, typed)
        for key in ("before", "after"):
            hours = used["battery_wh"] * used["usable"] / ((used["base_mw"] + rate * used[f"{key}_mj"]) / 1000)
            assert shown(page, key)[0] == said.figure(hours, "h"), (name, key)

    change(page, "dev_key", "stm32h7a3")
    expect(page.locator("#savings-results .lead-s")).to_contain_text(device.profiles()["stm32h7a3"].title)


def test_a_gpu_that_serves_now_is_held_against_the_engines_answer(
    hub: Page, adam: Any, team: Any, priced: Entry
) -> None:
    page, assumed = hub, starting(slug="retail-camera", author=ADMIN, monthly=1e9)
    opened(page, team, adam, assumed, priced)
    page.locator('#savings [name="gpu_instance"]').select_option("g4dn.xlarge")

    for name, typed, mean_ms, p95_ms in (
        ("gpu_mean_ms", "6", 6, 6),
        ("gpu_p95_ms", "8", 6, 8),
        ("gpu_mean_ms", "5", 5, 8),
    ):
        change(page, name, typed)
        now = AFTER.model_copy(update={"mean_s": mean_ms / 1000, "p95_s": p95_ms / 1000, "cs2": 0, "workers": 1})
        gpu = Candidate(instance="g4dn.xlarge", service=now.model_copy(update={"grade": Grade.ASSUMED}))
        answer = GpuToCpu.replace(assumed.workload, gpu, candidates(priced, assumed))
        assert answer.saving.is_known and shown(page, "gpu")[0] == said.value(answer.saving), (name, typed)


def test_a_claim_about_the_machine_gives_figures_of_class_d(hub: Page, adam: Any, team: Any, priced: Entry) -> None:
    found = priced.record_json
    found["report"]["environment"]["device"] = "host-1t"
    Entry.objects.filter(pk=priced.pk).update(record_json=found)
    page, assumed = hub, starting(slug="retail-camera", author=ADMIN, monthly=1e9)
    opened(page, team, adam, assumed, priced)
    expect(page.locator("#savings-results")).to_contain_text("What it saves is not known")

    change(page, "same_machine", "on")

    assert shown(page, "bill") == (said.value(Engine(assumed.workload).amount("bill")), "D")


def test_no_assumption_of_the_page_is_left_out() -> None:
    asked = {name for name in WorkloadForm().fields if not name.endswith(("_as_of", "_source"))}
    walked = {step.name for step in (*STEPS, *OWN_STEPS)} | {name for name, _, _ in BATTERY_STEPS}

    assert asked - walked == BY_OTHER_MEANS - {"currency_as_of"}
