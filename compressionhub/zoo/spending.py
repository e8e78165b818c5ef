"""What compression itself took: the team's compress jobs, at the rates somebody typed in."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from django.db.models import Count, Max

from compressionhub.accounts.models import Team
from compressionhub.errors import HubError
from compressionhub.estimates import tables
from compressionhub.estimates.assumptions import Assumptions
from compressionhub.estimates.models import Workload
from compressionhub.jobs.models import Job
from compressionhub.jobs.queries import JobQuerySet
from compressionhub.jobs.states import Kind
from compressionhub.ui.units import counted
from workers.errors import YoursToFix
from workers.estimate import Amount
from workers.report import Metering
from workers.serving import shown
from workers.serving.jobs import JobRun
from workers.serving.totals import Part, Parts, spent, total

NO_RATES = "No workload says what an hour of the host costs and what it draws. There is no default: type both in."


@dataclass(frozen=True)
class Spending:
    """All compress jobs that ended, whatever came of them."""

    jobs: int
    hours: float
    since: date | None
    metered: int
    cost: Amount
    energy: Amount
    carbon: Amount

    @property
    def seconds(self) -> float:
        return self.hours * 3600

    @property
    def is_known(self) -> bool:
        """Whether anything of it is."""
        return self.cost.is_known or self.energy.is_known

    @property
    def gaps(self) -> tuple[str, ...]:
        """Why a figure is not known, each reason once."""
        asked = (self.cost, self.energy, self.carbon)
        return tuple(dict.fromkeys(each.reason for each in asked if not each.is_known))


def spending(team: Team, usual: Workload | None) -> Spending:
    """Add up the team's jobs: hours at the rates of its usual workload, energy by a meter where a job had one."""
    told = _told(team)
    units = ("$", "kWh", "kg CO2e")
    found = [Amount.unknown(unit, NO_RATES) for unit in units]
    if usual is not None and told.jobs:
        try:
            found = _estimated(told, usual.assumed)
        except (YoursToFix, HubError) as fault:
            found = [Amount.unknown(unit, fault.message) for unit in units]
    currency = usual.assumed.workload.currency if usual else None
    cost, energy, carbon = (shown.in_currency(each, currency) for each in found)
    since = told.first and told.first.date()
    return Spending(told.jobs, told.hours, since, told.metered, cost, energy, carbon)


@dataclass(frozen=True)
class _Told:
    """What jobs say of themselves: hours in all, and of those with a meter what it read."""

    jobs: int = 0
    hours: float = 0.0
    first: datetime | None = None
    last: datetime | None = None
    metered: int = 0
    metered_hours: float = 0.0
    gross_wh: float = 0.0
    shared: bool = False

    def is_of(self, *, jobs: int, last: datetime | None) -> bool:
        """Whether it tells of so many jobs, the last of which ended then."""
        return (self.jobs, self.last) == (jobs, last)


def _estimated(told: _Told, assumed: Assumptions) -> list[Amount]:
    """Cost over all hours; energy and carbon of jobs with a meter and of those without, added."""
    work, data = assumed.workload, tables.of(assumed)
    cost = spent(work, assumed.job.run(title=counted(told.jobs, "job"), hours=told.hours), data=data).cost
    runs = []
    if told.metered:
        read = Metering(
            meter="meters of their hosts", gross_wh=told.gross_wh, net_wh=None, seconds=told.metered_hours * 3600,
            shared=told.shared,
        )  # fmt: skip
        title = f"{counted(told.metered, 'job')} with a meter"
        runs.append(assumed.job.run(title=title, hours=told.metered_hours, metering=read))
    if rest := told.jobs - told.metered:
        title = f"{counted(rest, 'job')}{' without a meter' if told.metered else ''}"
        runs.append(assumed.job.run(title=title, hours=told.hours - told.metered_hours))
    parts = [spent(work, run, data=data) for run in runs]
    return [cost, _added([each.energy for each in parts], runs), _added([each.carbon for each in parts], runs)]


def _added(amounts: list[Amount], runs: list[JobRun]) -> Amount:
    """One amount as it is; two as their sum, in which one that is not known is said to be left out."""
    if len(amounts) == 1:
        return amounts[0]
    parts = [
        Part(run.title, each.value, each.low, each.high, each.grade) for run, each in zip(runs, amounts, strict=True)
    ]
    return total(Parts.of(parts), amounts[0].unit, nothing=NO_RATES)


def _told(team: Team) -> _Told:
    """What the team's jobs say; only those that ended since a page last asked are read."""
    ended = _ended(team.pk)
    found = ended.aggregate(jobs=Count("*"), last=Max("finished_at"))
    told = _kept.get(team.pk, _Told())
    if not told.is_of(**found):
        told = _with(told, ended.filter(finished_at__gt=told.last) if told.last else ended)
    if not told.is_of(**found):  # one is gone, or came in late
        told = _with(_Told(), ended)
    _kept[team.pk] = told
    return told


_kept: dict[UUID, _Told] = {}


def _with(told: _Told, jobs: JobQuerySet) -> _Told:
    """What is known with more jobs."""
    rows: list[Any] = list(jobs.values_list("started_at", "finished_at", "report__energy"))
    if not rows:
        return told
    metered = [(_hours(started, finished), energy) for started, finished, energy in rows if energy]
    return _Told(
        jobs=told.jobs + len(rows),
        hours=told.hours + sum(_hours(started, finished) for started, finished, _ in rows),
        first=min(each for each in (told.first, *(row[0] for row in rows)) if each),
        last=max(each for each in (told.last, *(row[1] for row in rows)) if each),
        metered=told.metered + len(metered),
        metered_hours=told.metered_hours + sum(hours for hours, _ in metered),
        gross_wh=told.gross_wh + sum(energy["gross_wh"] for _, energy in metered),
        shared=told.shared or any(energy["shared"] for _, energy in metered),
    )


def _hours(started: datetime, finished: datetime) -> float:
    return (finished - started).total_seconds() / 3600


def _ended(team: UUID) -> JobQuerySet:
    return (
        Job.objects.filter(team=team, kind=Kind.COMPRESS)
        .ended()
        .filter(started_at__isnull=False, finished_at__isnull=False)
    )
