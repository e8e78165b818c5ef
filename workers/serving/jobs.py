"""What it took to compress a network: energy, carbon and money of the job itself, metered where there is a meter."""

from __future__ import annotations

from datetime import date
from typing import Self

from pydantic import Field, model_validator

from workers.errors import Frozen
from workers.estimate import Grade, InputFact, NotKnown
from workers.serving.workload import Triple


class Metered(Frozen):
    """A counter's difference over the job: gross, and net of what the host draws at rest where that is known.

    Not ``firm`` where other jobs ran meanwhile, or for less than ten seconds: then it is modelled and not measured.
    """

    gross_kwh: float = Field(ge=0)
    net_kwh: float | None = Field(default=None, ge=0)
    meter: str = Field(min_length=1, description="Such as RAPL or NVML's energy counter.")
    firm: bool = True

    @model_validator(mode="after")
    def _net_within_gross(self) -> Self:
        if self.net_kwh is not None and self.net_kwh > self.gross_kwh:
            raise ValueError(f"expected net <= gross, found {self.net_kwh} > {self.gross_kwh} kWh")
        return self


class JobRun(Frozen):
    """One job as it ran. Energy is metered, or its hours times assumed watts.

    ``price`` is what an hour of its host costs; where ``usd`` is given, that is the whole cost.
    """

    title: str
    hours: float = Field(ge=0)
    metered: Metered | None = None
    watts: Triple | None = None
    watts_source: str = ""
    usd_per_hour: float | None = Field(default=None, ge=0)
    price_source: str = ""
    price_as_of: date | None = None
    author: str = Field(default="", description="Who typed the price or the watts in, where somebody did.")

    def kwh(self) -> Triple:
        """IT energy, gross.

        Raises:
            NotKnown: if the job was not metered and no watts of its host are known.
        """
        if self.metered is not None:
            return Triple(low=self.metered.gross_kwh, value=self.metered.gross_kwh, high=self.metered.gross_kwh)
        if self.watts is None:
            raise NotKnown(f"{self.title} ran without a meter, and the watts of its host are not known.")
        low, value, high = (watts * self.hours / 1000 for watts in (self.watts.low, self.watts.value, self.watts.high))
        return Triple(low=low, value=value, high=high)

    def energy_fact(self) -> InputFact:
        """The energy as an input: class A by a meter, C from hours and watts, D if somebody typed those in."""
        kwh = self.kwh()
        if self.metered is not None:
            net = self.metered.net_kwh
            rest = "what the host draws at rest is not known" if net is None else f"net of rest {net:.4g} kWh"
            grade = Grade.MEASURED if self.metered.firm else Grade.MODELLED
            source = f"{self.metered.meter}, not the rest of the server; gross, {rest}"
            return _fact("job_kwh", f"Energy of {self.title}, metered", "kWh", kwh, grade, source)
        grade = Grade.ASSUMED if self.author else Grade.TABLE
        source = f"{self.hours:g} h at {self.watts.value if self.watts else 0:g} W, {self.watts_source or 'no meter'}"
        return _fact("job_kwh", f"Energy of {self.title}", "kWh", kwh, grade, source, author=self.author)

    def usd(self) -> float:
        """What the job cost.

        Raises:
            NotKnown: if the price of its host is not known.
        """
        if self.usd_per_hour is None:
            raise NotKnown(f"The price of an hour of the host of {self.title} is not known. Type in $/h.")
        return self.hours * self.usd_per_hour

    def price_fact(self) -> InputFact:
        price = self.usd_per_hour
        if price is None:
            raise NotKnown(f"The price of an hour of the host of {self.title} is not known. Type in $/h.")
        exact = Triple(low=price, value=price, high=price)
        fact = _fact(
            "job_usd_per_hour", f"Price of the host of {self.title}", "$/h", exact,
            Grade.ASSUMED if self.author and not self.price_source else Grade.TABLE, self.price_source or "typed in",
            author=self.author,
        )  # fmt: skip
        return fact.model_copy(update={"as_of": self.price_as_of, "ages": "price" if self.price_as_of else "no"})

    def hours_fact(self) -> InputFact:
        exact = Triple(low=self.hours, value=self.hours, high=self.hours)
        return _fact("job_hours", f"Duration of {self.title}", "h", exact, Grade.MEASURED, "wall clock")


def job_energy_facts(job: JobRun | None) -> tuple[InputFact, ...]:
    """What a job's energy rests on; nothing where it is not known."""
    return () if job is None or (job.metered is None and job.watts is None) else (job.energy_fact(),)


def job_cost_facts(job: JobRun | None) -> tuple[InputFact, ...]:
    """What a job's cost rests on; nothing where it is not known."""
    return () if job is None or job.usd_per_hour is None else (job.price_fact(), job.hours_fact())


def _fact(name: str, title: str, unit: str, band: Triple, grade: Grade, source: str, *, author: str = "") -> InputFact:
    return InputFact(
        name=name, title=title, value=band.value, low=band.low, high=band.high, unit=unit, grade=grade,
        source=source, author=author,
    )  # fmt: skip
