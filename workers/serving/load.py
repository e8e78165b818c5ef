"""What a workload makes of a machine and some networks: instances, utilisation, watts, bills, energy and carbon.

Everything is computed for all networks at once. Arrays have the shape (networks, sides, own): ``sides`` are the
low, central and high end of what all networks share (watts, overhead of the building, grid, a device's prediction),
``own`` those of what a network is off by alone. An axis on which nothing varies has length 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from workers.errors import YoursToFix
from workers.estimate import Grade, InputFact, NotKnown, worst
from workers.numerics.queueing import Floats, fewest_instances, p95_response
from workers.serving.jobs import JobRun, job_cost_facts, job_energy_facts
from workers.serving.machine import Machine
from workers.serving.service import EXACT, Factor, ServiceTime
from workers.serving.workload import HOURS, HOURS_A_YEAR, Workload

MB_A_GB = 1024


@dataclass(frozen=True)
class Load:
    """Networks that serve one workload on one machine type, the baseline first.

    ``jobs`` holds what it took to make each of them; None for a baseline. ``baselines`` holds the position of what
    each network is compared with, its own for a baseline; without it that is the first for all.
    """

    workload: Workload
    machine: Machine
    services: tuple[ServiceTime, ...]
    jobs: tuple[JobRun | None, ...] = field(default=())
    baselines: tuple[int, ...] = field(default=())

    def __post_init__(self) -> None:
        count = len(self.services)
        if not count or any(each and len(each) != count for each in (self.jobs, self.baselines)):
            raise YoursToFix(
                f"Expected a service time for every network, found {count} for {len(self.jobs)} jobs and "
                f"{len(self.baselines)} baselines.",
                hint="Measure the baseline first.", code="estimate.services",
            )  # fmt: skip
        for service, at in zip(self.services, self.baseline_at, strict=True):
            _check_the_same_way(service, self.services[at])

    @cached_property
    def baseline_at(self) -> tuple[int, ...]:
        """The position of each network's baseline."""
        return self.baselines or (0,) * len(self.services)

    def is_baseline(self, position: int) -> bool:
        return self.baseline_at[position] == position

    # --- service times

    @cached_property
    def _bands(self) -> Floats:
        """(n, sides, own): factors on the service times."""
        shared = _ends([each.shared for each in self.services])  # (n, 1 or 3)
        own = _ends([each.own for each in self.services])  # (n, 1 or 3)
        return shared[:, :, None] * own[:, None, :]

    @cached_property
    def mean_s(self) -> Floats:
        return self._column([each.mean_s for each in self.services]) * self._bands

    @cached_property
    def p95_s(self) -> Floats:
        return self._column([each.p95_s for each in self.services]) * self._bands

    @cached_property
    def cs2(self) -> Floats:
        return self._column([each.cs2 for each in self.services])

    @staticmethod
    def _column(values: Sequence[float]) -> Floats:
        return np.array(values, dtype=np.float64)[:, None, None]

    # --- instances

    @cached_property
    def hourly_instances(self) -> Floats:
        """(n, sides, own, 24) whole instances; not-a-number where the limit cannot be met."""
        return fewest_instances(
            rate=self.workload.hourly_rates(), mean_s=self.mean_s[..., None], p95_s=self.p95_s[..., None],
            cs2=self.cs2[..., None], workers=self.machine.workers, busy=self.workload.target_utilisation,
            floor=self.workload.ha_floor, limit_s=self.workload.sla_p95_s,
        )  # fmt: skip

    @cached_property
    def peak_instances(self) -> Floats:
        return np.asarray(self.hourly_instances.max(axis=-1))

    @cached_property
    def mean_instances(self) -> Floats:
        return np.asarray(self.hourly_instances.mean(axis=-1))

    @cached_property
    def running_instances(self) -> Floats:
        """Those that are paid for and powered in the mean: all of the peak's where nothing scales down."""
        return self.peak_instances if self.workload.billing == "static" else self.mean_instances

    @cached_property
    def used(self) -> Floats:
        """Utilisation of the running instances in the mean, 0 to 1."""
        busy = self.workload.rate_per_s * self.mean_s / self.machine.workers
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(self.running_instances == 0, 0.0, busy / self.running_instances)

    @cached_property
    def peak_p95_s(self) -> Floats:
        """95th percentile of the response time in the busiest hour."""
        rate = self.workload.hourly_rates().max()
        with np.errstate(divide="ignore", invalid="ignore"):
            each = np.where(self.peak_instances == 0, 0.0, rate / self.peak_instances)
        return p95_response(rate=each, mean_s=self.mean_s, p95_s=self.p95_s, cs2=self.cs2, workers=self.machine.workers)

    # --- energy and carbon

    @cached_property
    def watts(self) -> Floats:
        """(n, 3, own) IT power of one instance."""
        count, _, own = self.used.shape
        return self.machine.power.watts(np.broadcast_to(self.used, (count, 3, own)))

    @cached_property
    def energy_kwh(self) -> Floats:
        """kWh a month, with the overhead of the building and instances that wait for work."""
        return self.watts * self.running_instances * HOURS / 1000 * self.sides("pue")

    @cached_property
    def use_kg(self) -> Floats:
        """kg CO2e a month from electricity, by the grid where it is drawn."""
        return self.energy_kwh * self.sides("grid_g_per_kwh") / 1000

    @cached_property
    def embodied_kg(self) -> Floats:
        """kg CO2e a month of the hardware's making."""
        return self.sides("embodied_kg_per_month") * self.running_instances

    @property
    def carbon_kg(self) -> Floats:
        return self.use_kg + self.embodied_kg

    # --- bills, in dollars a month

    def static_bill(self) -> Floats:
        return self.sides("price_usd_per_hour") * self.peak_instances * HOURS

    def autoscaled_bill(self) -> Floats:
        return self.sides("price_usd_per_hour") * self.mean_instances * HOURS

    def serverless_bill(self) -> Floats:
        """Whole milliseconds are billed; free tier and cold starts are left out."""
        billed_s = np.ceil(self.mean_s * 1000 - 1e-9) / 1000
        gb = self.workload.serverless_memory_mb / MB_A_GB
        second, request = self.sides("serverless_usd_per_gb_s"), self.sides("serverless_usd_per_request")
        return self.workload.monthly * (billed_s * gb * second + request)

    def owned_bill(self) -> Floats:
        """Hardware by the hour it is used, electricity, and operations."""
        owned = self.machine.on_premises
        if owned is None:
            raise NotKnown("This machine is rented; a bill of an owned one is never mixed with it.")
        hour = owned.hardware_usd / (owned.life_years * HOURS_A_YEAR * owned.used_share)
        power = self.energy_kwh * self.sides("usd_per_kwh")
        return hour * self.mean_instances * HOURS + power + owned.operations_usd_per_month

    def bill(self) -> Floats:
        """The bill in the way the workload is paid for."""
        ways = {
            "static": self.static_bill, "autoscaled": self.autoscaled_bill, "serverless": self.serverless_bill,
            "on-premises": self.owned_bill,
        }  # fmt: skip
        return ways[self.workload.billing]()

    def bill_facts(self) -> tuple[InputFact, ...]:
        """What the bill rests on beside service times."""
        workload, machine = self.workload, self.machine
        if workload.billing == "serverless":
            rates = (machine.need("serverless_usd_per_gb_s"), machine.need("serverless_usd_per_request"))
            memory = workload.choice("serverless_memory_mb", "Memory of a function", "MB")
            return (*workload.traffic()[:1], memory, *rates)
        if workload.billing == "on-premises":
            return self.owned_facts()
        return (*workload.sizing(), self.workers_fact(), machine.need("price_usd_per_hour"))

    def owned_facts(self) -> tuple[InputFact, ...]:
        owned, choice = self.machine.on_premises, self.workload.choice
        if owned is None:
            raise NotKnown("This machine is rented; a bill of an owned one is never mixed with it.")
        return (
            *self.energy_facts(),
            self.machine.need("usd_per_kwh"),
            choice("on_premises", "Price of the machine", "$", value=owned.hardware_usd),
            choice("on_premises", "Life of the machine", "years", value=owned.life_years),
            choice("on_premises", "Share of its life in use", "share", value=owned.used_share),
            choice("on_premises", "Operations", "$/month", value=owned.operations_usd_per_month),
        )

    def energy_facts(self) -> tuple[InputFact, ...]:
        facts = self.machine.power_facts()
        if self.workload.billing == "serverless":
            facts = (*facts, self._stand_in())
        return (*self.workload.sizing(), self.workers_fact(), *facts, self.machine.need("pue"))

    def _stand_in(self) -> InputFact:
        """Nobody publishes what functions draw."""
        return InputFact(
            name="function_machine", title=f"Functions taken to draw what {self.machine.name} would", value=1, low=1,
            high=1, unit="ratio", grade=Grade.ASSUMED, source="no provider publishes the power of its functions",
        )  # fmt: skip

    def use_facts(self) -> tuple[InputFact, ...]:
        return (*self.energy_facts(), self.machine.need("grid_g_per_kwh"))

    def carbon_facts(self) -> tuple[InputFact, ...]:
        return (*self.use_facts(), self.machine.need("embodied_kg_per_month"))

    def workers_fact(self) -> InputFact:
        count = float(self.machine.workers)
        return self.workload.choice("workers_per_instance", "Requests at a time per instance", "workers", value=count)

    # --- help for estimates

    @cached_property
    def service_facts(self) -> tuple[InputFact, ...]:
        return tuple(each.fact() for each in self.services)

    def job(self, position: int) -> JobRun | None:
        return self.jobs[position] if self.jobs else None

    @cached_property
    def job_energy_grades(self) -> tuple[Grade | None, ...]:
        return tuple(_worst_of(job_energy_facts(self.job(at))) for at in range(len(self.services)))

    @cached_property
    def job_cost_grades(self) -> tuple[Grade | None, ...]:
        return tuple(_worst_of(job_cost_facts(self.job(at))) for at in range(len(self.services)))

    @cached_property
    def job_kwh(self) -> Floats:
        """(n, 3, 1) IT energy of each network's job; not-a-number where it is not known."""
        return np.array([_job_kwh(self.job(at)) for at in range(len(self.services))])[:, :, None]

    @cached_property
    def job_usd(self) -> Floats:
        """(n, 1, 1) what each network's job cost; not-a-number where it is not known."""
        return self._column([_job_usd(self.job(at)) for at in range(len(self.services))])

    @cached_property
    def job_energy_kwh(self) -> Floats:
        """(n, 3, 1) with the overhead of the building."""
        return self.job_kwh * self.sides("pue")

    @cached_property
    def job_carbon_kg(self) -> Floats:
        """(n, 3, 1), by the grid of the workload's place."""
        return self.job_energy_kwh * self.sides("grid_g_per_kwh") / 1000

    def why_no_job(self, position: int, *, money: bool) -> str:
        """Why nothing is known of a network's job, as a sentence."""
        job = self.job(position)
        if job is None:
            return (
                "The baseline was not made by a job."
                if self.is_baseline(position)
                else "No job is on record that made it."
            )
        try:
            _ = job.usd() if money else job.kwh()
        except NotKnown as missing:
            return missing.reason
        return self.why_no_pair(position)

    def saved(self, monthly: Floats) -> Floats:
        """The baseline's figure minus each network's, side by side: the same watts, prices and factors stand in both.

        Returns:
            (n, sides, pairs): every own end of the baseline with every own end of the network, the middles in the
            middle.
        """
        with np.errstate(invalid="ignore"):
            pairs = self.of_baselines(monthly)[:, :, :, None] - monthly[:, :, None, :]
        return pairs.reshape(*monthly.shape[:2], -1)

    def of_baselines(self, monthly: Floats) -> Floats:
        """Each network's baseline's figure, in the network's place."""
        return monthly[:1] if not self.baselines else monthly[np.array(self.baselines)]

    def for_all(self, band: Floats) -> Floats:
        """A band with a row for every network."""
        return np.broadcast_to(band, (len(self.services), *band.shape[1:]))

    def payback(self, spent: Floats, monthly: Floats) -> Floats:
        """Predictions until what was spent once is saved; infinite where nothing is saved.

        Args:
            spent: (n, sides, 1), once.
            monthly: (n, sides, own), what each network takes in a month.
        """
        saved = self.per_prediction(self.saved(self.for_all(monthly)))
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(saved <= 0, np.where(np.isnan(spent), np.nan, np.inf), spent / saved)

    def pair_facts(self, position: int) -> tuple[InputFact, ...]:
        """The service times of the baseline and of a network, told apart."""
        first = self.service_facts[self.baseline_at[position]]
        before = first.model_copy(update={"name": f"baseline_{first.name}", "title": f"{first.title}, baseline"})
        return before, self.service_facts[position]

    def pair_grade(self, position: int) -> Grade | None:
        """The class of those two."""
        return worst((self.services[self.baseline_at[position]].grade, self.services[position].grade))

    def why_no_pair(self, position: int) -> str:
        """Why a network cannot be compared with the baseline: because of the one of them that misses the limit."""
        limit, first = self.workload.sla_p95_s, self.baseline_at[position]
        if first != position and limit is not None and self.services[first].p95_s >= limit:
            return f"Baseline: {self.why_not(first)}"
        return self.why_not(position)

    def why_not(self, position: int) -> str:
        """Why a network cannot keep the limit, as a sentence."""
        tail, limit = self.services[position].p95_s * 1000, self.workload.sla_p95_ms or 0.0
        return (
            f"One request alone takes {tail:.3g} ms at the 95th percentile and the limit is {limit:.3g} ms: "
            f"no number of instances meets it."
        )

    def sides(self, name: str) -> Floats:
        """(3, 1): an input of the machine at its low, central and high end.

        Raises:
            NotKnown: with the reason why it is missing.
        """
        each = self.machine.need(name)
        return np.array([each.low, each.value, each.high])[:, None]

    def per_prediction(self, monthly: Floats) -> Floats:
        """A monthly figure divided by the predictions of a month.

        Raises:
            NotKnown: if there are none.
        """
        if self.workload.monthly == 0:
            raise NotKnown("Without traffic there is no figure per prediction.")
        return monthly / self.workload.monthly


def _check_the_same_way(service: ServiceTime, baseline: ServiceTime) -> None:
    """A variant's time and its baseline's must be measured, or predicted, on one device."""
    ways = {(each.device, each.is_predicted) for each in (service, baseline)}
    if len(ways) > 1:
        found = ", ".join(sorted(f"{device} ({'predicted' if how else 'measured'})" for device, how in ways))
        raise YoursToFix(
            f"Expected service times that came about in one way, found {found}.",
            hint="Measure, or predict, a baseline and its variants on the same device.", code="estimate.mixed",
        )  # fmt: skip


def _ends(factors: list[Factor]) -> Floats:
    """(n, 1) if all are exact, else (n, 3)."""
    if all(each == EXACT for each in factors):
        return np.ones((len(factors), 1))
    return np.array([(each.low, 1.0, each.high) for each in factors])


def _worst_of(facts: tuple[InputFact, ...]) -> Grade | None:
    return worst(each.grade for each in facts)


def _job_kwh(job: JobRun | None) -> tuple[float, float, float]:
    if job is None or (job.metered is None and job.watts is None):
        return (np.nan, np.nan, np.nan)
    kwh = job.kwh()
    return kwh.low, kwh.value, kwh.high


def _job_usd(job: JobRun | None) -> float:
    return np.nan if job is None or job.usd_per_hour is None else job.usd()
