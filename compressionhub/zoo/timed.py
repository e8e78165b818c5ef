"""How long a published variant and its baseline took where they were measured, and how that leads to a machine."""

from __future__ import annotations

from dataclasses import dataclass, field

from compressionhub.estimates.assumptions import Assumptions, claimed
from compressionhub.zoo.record import Record
from workers import device
from workers.device import DeviceProfile
from workers.emulation import Layer, predicted_ratio
from workers.estimate import Grade, NotKnown
from workers.report import Environment, Report
from workers.serving.carry import Carriage, Network, carried, on_machine
from workers.serving.machine import Machine
from workers.serving.service import ServiceTime

RUNTIME = "onnxruntime"


@dataclass(frozen=True)
class Timed:
    """Baseline and variant on the device that measured them, and the work of the baseline's layers."""

    here: DeviceProfile
    before: Network
    after: Network
    layers: tuple[Layer, ...] = ()
    _carriages: dict[str, Carriage | None] = field(default_factory=dict, compare=False, repr=False)

    def on(self, there: Machine, assumed: Assumptions) -> tuple[ServiceTime, ...]:
        """Both on a machine: measured there, carried there, or claimed to be the same.

        Raises:
            NotKnown: if nothing leads from the measurement to the machine.
        """
        if assumed.device is not None:
            raise NotKnown("This workload runs on a device with a battery: there is no bill of instances.")
        target = device.profiles().get(there.profile or there.processor_profile)
        pair = (self.before, self.after)
        try:
            return on_machine(pair, here=self.here, machine=there, there=target, by=self._carriage(target))
        except NotKnown:
            if not assumed.same_machine:
                raise
        services = (self.before.service, self.after.service)
        return claimed(services, machine=there.name, by=assumed.same_machine)

    def on_profile(self, target: DeviceProfile) -> tuple[ServiceTime, ...]:
        """Both on a device that answers one request at a time.

        Raises:
            NotKnown: if nothing was measured there and nothing can be predicted.
        """
        pair = (self.before, self.after)
        return carried(pair, here=self.here, there=target, workers=1, by=self._carriage(target))

    def _carriage(self, target: DeviceProfile | None) -> Carriage | None:
        """The predicted ratio of times; the same for both, from the baseline's layers; predicted once a target."""
        if target is None or not self.layers:
            return None
        if target.key not in self._carriages:
            self._carriages[target.key] = self._predicted(target)
        return self._carriages[target.key]

    def _predicted(self, target: DeviceProfile) -> Carriage | None:
        found = predicted_ratio(self.layers, self.here, target, runtime=RUNTIME)
        if found is None:
            return None
        return Carriage(ratio=found.ratio, grade=Grade(found.grade), said="; ".join(found.notes))


def timed(record: Record) -> Timed:
    """Read it from a record."""
    return timed_in(record.report, job=record.origin.job)


def timed_in(report: Report, *, job: int) -> Timed:
    """Read it from the report of a job."""
    here, day = measured_on(report.environment), report.environment.started_on
    before, after = ServiceTime.pair(report, device=here.key, source=f"job #{job}", as_of=day)
    baseline, result = (report.work.get(side) for side in ("baseline", "result"))
    is_int8 = result is not None and result.precision == "int8"
    layers = tuple(Layer.model_validate(each.model_dump()) for each in baseline.layers) if baseline else ()
    return Timed(here, Network(service=before), Network(service=after, is_int8=is_int8), layers)


def measured_on(environment: Environment) -> DeviceProfile:
    """The profile that the node declared to be, else its own host with the fit of its own times."""
    declared = device.profiles().get(environment.profile) if environment.profile else None
    if declared is not None:
        return declared.model_copy(update={"fit": declared.fit or environment.fit})
    return DeviceProfile(
        key=environment.device, title=environment.cpu, arch=environment.arch, isa=environment.isa, fit=environment.fit
    )
