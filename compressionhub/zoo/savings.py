"""Entries joined with workloads: every figure is the engine's, this module says which and for whom."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import date
from functools import cached_property

from compressionhub.accounts.models import Team
from compressionhub.estimates import tables
from compressionhub.estimates.assumptions import Assumptions, every_input
from compressionhub.estimates.models import Workload
from compressionhub.zoo.compare.estimated import Estimated
from compressionhub.zoo.compare.evidence import evidence
from compressionhub.zoo.models import Entry, EntryQuerySet
from workers.errors import YoursToFix
from workers.estimate import Amount, InputFact, NotKnown
from workers.estimates.right_sizing import RightSizing, Sizing
from workers.serving import shown
from workers.serving.candidates import Candidate
from workers.serving.figures import Figures
from workers.serving.figures import figures as estimate
from workers.serving.jobs import JobRun
from workers.serving.machine import machine
from workers.serving.service import ServiceTime

BASELINE, VARIANT = 0, 1
BILLS = (("cost-autoscaled", "Autoscaled"), ("cost-static", "Static"), ("cost-serverless", "Serverless"))
MORE = (
    ("cost-per-million", "Cost per million"), ("energy-per-inference", "Energy per inference"),
    ("sci", "CO₂e per 1,000, SCI"), ("carbon-market", "CO₂e a month, market-based"),
    ("storage", "Storage a month"), ("transfer", "Transfer a month"),
)  # fmt: skip
MOST_RANKED = 40  # entries among which the best is looked for when nobody named one
IN_FORCE = (
    "baseline_service_time_s", "service_time_s", "price_usd_per_hour", "usd_per_kwh", "target_utilisation", "ha_floor",
    "workers_per_instance", "watts_per_vcpu", "idle_w", "active_w", "pue", "grid_g_per_kwh", "embodied_kg_per_month",
)  # fmt: skip
SHOWN = ("energy", "carbon", "latency-at-peak", "cost-per-million", "payback-cost", "payback-carbon")


@dataclass(frozen=True)
class Pair:
    """One figure of baseline and variant, and what is saved of it."""

    title: str
    slug: str
    before: Amount
    after: Amount
    saved: Amount
    share: Amount


@dataclass(frozen=True)
class Savings:
    """What one entry saves under some assumptions. ``unknown`` says why nothing can be said, if so."""

    entry: Entry
    assumed: Assumptions
    figures: Figures | None
    unknown: str = ""

    @property
    def is_known(self) -> bool:
        return self.figures is not None

    @cached_property
    def _figures(self) -> Figures:
        assert self.figures is not None, "asked for figures that are not known"
        return self.figures

    @property
    def headline(self) -> str:
        return shown.headline(self._figures, VARIANT)

    @cached_property
    def bill(self) -> Pair:
        return self.pair(self._figures.bill_slug, "Bill a month")

    @cached_property
    def energy(self) -> Pair:
        return self.pair("energy", "Energy a month")

    @cached_property
    def carbon(self) -> Pair:
        return self.pair("carbon", "CO₂e a month")

    @cached_property
    def wait(self) -> Pair:
        return self.pair("latency-at-peak", "Waiting, p95 at peak")

    @cached_property
    def bills(self) -> list[Pair]:
        return [self.pair(slug, title) for slug, title in BILLS]

    @cached_property
    def more(self) -> list[Pair]:
        """What is asked for less often: per prediction, by contract, and what keeping and sending the file costs."""
        return [self.pair(slug, title) for slug, title in MORE]

    @property
    def net(self) -> Amount:
        """What is saved over the horizon once the job is paid."""
        return self.after("net-saving")

    def pair(self, slug: str, title: str) -> Pair:
        found = self._figures
        return Pair(
            title=title, slug=slug, before=self._money(found.amount(slug, BASELINE)),
            after=self._money(found.amount(slug, VARIANT)), saved=self._money(found.saving_amount(slug, VARIANT)),
            share=found.relative_saving_amount(slug, VARIANT),
        )  # fmt: skip

    def after(self, slug: str) -> Amount:
        return self._money(self._figures.amount(slug, VARIANT))

    def before(self, slug: str) -> Amount:
        return self._money(self._figures.amount(slug, BASELINE))

    @property
    def market(self) -> Pair:
        """Carbon by the contract's factor: a second line, never netted with the first."""
        return self.pair("carbon-market", "CO₂e by your contract")

    @property
    def is_owned(self) -> bool:
        return self.assumed.workload.on_premises is not None

    @property
    def peaks(self) -> tuple[Amount, Amount]:
        return self.before("instances-at-peak"), self.after("instances-at-peak")

    @property
    def headrooms(self) -> tuple[Amount, Amount]:
        return self.before("headroom"), self.after("headroom")

    @property
    def paybacks(self) -> list[tuple[str, str, Amount, Amount, Amount, Amount]]:
        """What, key, cost of the job, saving a month, predictions and hours until it is even."""
        rows = (("Money", "cost", "job-cost", self.bill), ("CO₂e", "carbon", "job-carbon", self.carbon))
        found = []
        for title, key, job, pair in rows:
            even = self.after(f"payback-{key}")
            found.append((title, key, self.after(job), pair.saved, even, shown.as_hours(even, self.assumed.workload)))
        return found

    @property
    def payback_gaps(self) -> tuple[str, ...]:
        """Why a payback or the cost of the job is not known, a sentence each."""
        asked = (each for row in self.paybacks for each in (row[2], row[4]) if each.state == "unknown")
        return tuple(dict.fromkeys(each.reason for each in asked))

    @property
    def inputs(self) -> tuple[InputFact, ...]:
        """Everything the page's figures rest on, each once."""
        amounts = [self.bill.after, *(self.after(slug) for slug in SHOWN)]
        return every_input([each.inputs for each in amounts])

    @property
    def in_force(self) -> tuple[InputFact, ...]:
        """The assumptions that weigh most, as they stand: each with its class or its author."""
        facts = {each.name: each for each in self.inputs}
        return tuple(facts[name] for name in IN_FORCE if name in facts)

    @property
    def stale(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(said for each in self.inputs if (said := each.stale(date.today()))))  # noqa: DTZ011

    @property
    def tables_version(self) -> str:
        return self._figures.tables_version

    def _money(self, amount: Amount) -> Amount:
        return shown.in_currency(amount, self.assumed.workload.currency)


@dataclass(frozen=True)
class Usual:
    """What an entry saves under a team's usual workload."""

    workload: Workload
    found: Savings

    @property
    def rows(self) -> list[tuple[str, Pair]]:
        """What the entry is, in a word, with the figures behind it; nothing where they are not known."""
        if not self.found.is_known:
            return []
        pairs = (("cheaper", self.found.bill), ("less energy", self.found.energy), ("less CO₂e", self.found.carbon))
        return [(word[0].upper() + word[1:] if _saves(pair) else f"Not {word}", pair) for word, pair in pairs]


def _saves(pair: Pair) -> bool:
    return pair.share.value is not None and pair.share.value > shown.NOTHING


def savings(entry: Entry, assumed: Assumptions) -> Savings:
    """Estimate an entry's baseline and variant under some assumptions.

    Raises:
        YoursToFix: if the workload's instance is in no table.
    """
    try:
        services = service_times(entry, assumed)
    except NotKnown as missing:
        return Savings(entry, assumed, None, missing.reason)
    data, job = tables.of(assumed), job_of(entry, assumed)
    return Savings(entry, assumed, estimate(assumed.workload, services[0], services[1:], data=data, jobs=[job]))


def savings_or_why(entry: Entry, assumed: Assumptions) -> Savings:
    """The same, where an instance that is in no table is one more reason why nothing is known."""
    try:
        return savings(entry, assumed)
    except YoursToFix as fault:
        return Savings(entry, assumed, None, fault.message)


def service_times(entry: Entry, assumed: Assumptions) -> tuple[ServiceTime, ...]:
    """Baseline and variant on the workload's machine.

    Raises:
        NotKnown: if nothing leads from the measurement to the machine.
    """
    return entry.timed.on(machine(assumed.workload, tables.of(assumed)), assumed)


def job_of(entry: Entry, assumed: Assumptions) -> JobRun:
    """What making the variant took, at the rates somebody typed in; its steps alone where the job is gone."""
    whole = entry.job.seconds_so_far() if entry.job is not None and entry.job.finished_at is not None else None
    hours = (whole or sum(step.seconds for step in entry.record.report.steps)) / 3600
    metering = entry.record.report.energy
    return assumed.job.run(title=f"job #{entry.record.origin.job}", hours=hours, metering=metering)


def right_size(entry: Entry, assumed: Assumptions) -> Sizing | None:
    """The cheapest instance of the region that serves the variant within the limit, and why not the others.

    None where no instances are rented, or one's price was typed in: it is not the price of another.
    """
    work = assumed.workload
    rented = work.billing in ("autoscaled", "static") and assumed.device is None
    if not rented or work.override("price_usd_per_hour") is not None:
        return None
    return RightSizing.choose(work, candidates(entry, assumed), data=tables.of(assumed))


def candidates(entry: Entry, assumed: Assumptions) -> list[Candidate]:
    """Every instance with a price in the workload's region, and how long the variant takes there."""
    places = tables.of(assumed).priced(assumed.workload.provider, assumed.workload.region)
    return [_candidate(entry, assumed, place.instance) for place in places]


def _candidate(entry: Entry, assumed: Assumptions, instance: str) -> Candidate:
    """A claim about one machine is no claim about another: elsewhere only measurements count."""
    there = assumed.workload.model_copy(update={"instance": instance, "workers_per_instance": None})
    same = assumed.same_machine if instance == assumed.workload.instance else ""
    try:
        service = service_times(entry, assumed.model_copy(update={"workload": there, "same_machine": same}))[VARIANT]
    except NotKnown as missing:
        return Candidate(instance=instance, service=None, why_not=missing.reason)
    return Candidate(instance=instance, service=service)


def ladder(entry: Entry, assumed: Assumptions) -> list[tuple[float, Amount, Amount, Amount]]:
    """Predictions a month with both bills and the share saved, from a hundredth of the workload's to ten times it."""
    services = service_times(entry, assumed)
    return [(volume, *_bills(assumed, services, volume)) for volume in volumes(assumed.workload.monthly)]


def volumes(monthly: float) -> list[float]:
    """About twenty volumes on a log scale over whole decades, the workload's own among them."""
    middle = math.log10(max(monthly, 1.0))
    first, last = max(0, math.floor(middle) - 2), math.ceil(middle) + 1
    steps = max(1, round(21 / (last - first)))
    grid = [10 ** (first + at / steps) for at in range((last - first) * steps + 1)]
    return sorted({*grid, monthly} if monthly > 0 else grid)


def _bills(assumed: Assumptions, services: tuple[ServiceTime, ...], volume: float) -> tuple[Amount, Amount, Amount]:
    work = assumed.workload.model_copy(update={"requests_per_day": None, "predictions_per_month": volume})
    found = estimate(work, services[0], services[1:], data=tables.of(assumed))
    slug, currency = found.bill_slug, work.currency
    bills = (shown.in_currency(found.amount(slug, at), currency) for at in (BASELINE, VARIANT))
    return (*bills, found.relative_saving_amount(slug, VARIANT))  # type: ignore[return-value]


def best(entries: EntryQuerySet, assumed: Assumptions) -> Entry | None:
    """The entry that saves the largest share of the bill among the newest; the newest where nothing is known.

    Raises:
        YoursToFix: if the workload's instance is in no table.
    """
    newest = list(entries.values_list("pk", flat=True)[:MOST_RANKED])
    estimated = Estimated(evidence(newest), assumed)
    known = [(share, -at) for at in range(len(newest)) if (share := estimated.saved(at).share) is not None]
    return entries.filter(pk=newest[-max(known)[1] if known else 0]).first() if newest else None


def usual(team: Team, entry: Entry) -> Usual | None:
    """What an entry saves under the team's usual workload; None where the team has no workload."""
    workload = Workload.objects.filter(team=team, is_usual=True).first()
    return None if workload is None else Usual(workload, savings_or_why(entry, workload.assumed))
