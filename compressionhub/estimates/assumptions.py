"""Everything a team assumed about one use: the engine's workload, and what its estimates need beside that."""

from __future__ import annotations

from typing import TypeVar

from pydantic import Field

from compressionhub.estimates.uses import OnDevice, OnGpuNow
from workers.errors import Frozen
from workers.estimate import Grade, InputFact
from workers.report import Metering
from workers.serving.jobs import JobRun, Metered
from workers.serving.service import ServiceTime
from workers.serving.workload import Override, Triple, Workload

FIRM_SECONDS = 10.0
UNSIGNED = frozenset({"author", "authors", "name", "overrides"})


class JobRates(Frozen):
    """What an hour of the host that compresses costs, and what it draws; typed in by ``author``."""

    usd_per_hour: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    watts: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    author: str = ""

    def run(self, *, title: str, hours: float, metering: Metering | None = None) -> JobRun:
        """One job under these rates; its energy by the host's meter where there was one."""
        metered = None if metering is None else _metered(metering)
        drawn = None if self.watts is None else Triple(low=self.watts, value=self.watts, high=self.watts)
        return JobRun(
            title=title,
            hours=hours,
            metered=metered,
            watts=drawn,
            watts_source="typed in",
            usd_per_hour=self.usd_per_hour,
            author=self.author,
        )


def _metered(told: Metering) -> Metered:
    return Metered(
        gross_kwh=told.gross_wh / 1000,
        net_kwh=None if told.net_wh is None else told.net_wh / 1000,
        meter=told.meter,
        firm=not told.shared and told.seconds >= FIRM_SECONDS,
    )


class Assumptions(Frozen):
    """What one workload assumes.

    ``same_machine`` names who claims that what was measured elsewhere took as long as it would on the instance;
    empty where nobody does. Figures that rest on the claim are class D. ``tables`` is the version of the tables that
    figures are made with; empty for the packaged ones of the day. ``device`` runs the network in place of instances.
    """

    workload: Workload
    job: JobRates = JobRates()
    same_machine: str = ""
    tables: str = ""
    gpu: OnGpuNow | None = None
    device: OnDevice | None = None

    def differing(self, other: Assumptions) -> tuple[str, ...]:
        """The names of the assumptions that are not the same in the other."""
        mine, theirs = _flat(self), _flat(other)
        return tuple(name for name in sorted(mine.keys() | theirs.keys()) if mine.get(name) != theirs.get(name))

    def count(self) -> int:
        return len(_flat(self))


def claimed(services: tuple[ServiceTime, ...], *, machine: str, by: str) -> tuple[ServiceTime, ...]:
    """Service times taken over to a machine because somebody says so: class D, with their name."""
    return tuple(
        each.model_copy(
            update={
                "device": machine,
                "grade": Grade.ASSUMED,
                "source": f"{each.source}, on {each.device}; {by} assumes the same time on {machine}",
            }
        )
        for each in services
    )


def signed(new: Assumptions, old: Assumptions | None, *, by: str) -> Assumptions:
    """The new assumptions; ``by`` is the author of what differs from the old ones, whose authors keep the rest."""
    if old is None:
        return new
    before = old.workload
    names = Workload.model_fields.keys() - UNSIGNED
    kept = {name for name in names if getattr(new.workload, name) == getattr(before, name)}
    authors = {name: before.authors.get(name, before.author) if name in kept else by for name in names}
    workload = new.workload.model_copy(
        update={
            "author": before.author,
            "authors": {name: author for name, author in sorted(authors.items()) if author != before.author},
            "overrides": tuple(_older(each, before.overrides) for each in new.workload.overrides),
        }
    )
    parts = {name: _kept(getattr(new, name), getattr(old, name)) for name in ("job", "gpu", "device")}
    same = new.same_machine and (old.same_machine or by)
    return new.model_copy(update={"workload": workload, **parts, "same_machine": same})


Part = TypeVar("Part", JobRates, OnGpuNow | None, OnDevice | None)


def _kept(new: Part, old: Part) -> Part:
    """The older one, with its author, where nothing else differs."""
    if new is None or old is None:
        return new
    return old if new.model_copy(update={"author": old.author}) == old else new


def _older(override: Override, before: tuple[Override, ...]) -> Override:
    """The override of that name as it stood, if only its author or its band would change."""
    return next(
        (
            each
            for each in before
            if (each.name, each.value, each.source, each.as_of)
            == (override.name, override.value, override.source, override.as_of)
        ),
        override,
    )


def _flat(assumed: Assumptions) -> dict[str, object]:
    """Every assumption by name, without its author."""
    work = assumed.workload
    plain = {name: getattr(work, name) for name in Workload.model_fields.keys() - UNSIGNED - {"requests_per_day"}}
    plain["predictions_per_month"] = round(work.monthly, 3)
    plain["currency"] = work.currency and (work.currency.code, work.currency.per_usd, work.currency.as_of)
    typed: dict[str, object] = {each.name: (each.value, each.source, each.as_of) for each in work.overrides}
    rates: dict[str, object] = {"job_usd_per_hour": assumed.job.usd_per_hour, "job_watts": assumed.job.watts}
    for name, part in (("gpu", assumed.gpu), ("device", assumed.device)):
        rates[name] = part and part.model_dump(exclude={"author"})
    return {**plain, **typed, **rates, "same_machine": bool(assumed.same_machine), "tables": assumed.tables}


def every_input(amounts: list[tuple[InputFact, ...]]) -> tuple[InputFact, ...]:
    """The inputs of several figures, each once, by name and value."""
    found = {(each.name, each.value): each for facts in amounts for each in facts}
    return tuple(found.values())
