"""How long a published variant and its baseline took where they were measured, and how that leads to a machine."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

from compressionhub.estimates.assumptions import Assumptions, claimed
from compressionhub.zoo.record import Record
from workers.device import DeviceProfile
from workers.estimate import NotKnown
from workers.serving.carry import Network, on_machine
from workers.serving.machine import Machine
from workers.serving.service import ServiceTime
from workers.technique import Family


@dataclass(frozen=True)
class Timed:
    """Baseline and variant on the device that measured them."""

    here: DeviceProfile
    before: Network
    after: Network

    def on(self, there: Machine, assumed: Assumptions) -> tuple[ServiceTime, ...]:
        """Both on a machine: measured there, carried there, or claimed to be the same.

        Raises:
            NotKnown: if nothing leads from the measurement to the machine.
        """
        try:
            return on_machine((self.before, self.after), here=self.here, machine=there)
        except NotKnown:
            if not assumed.same_machine:
                raise
        return claimed((self.before.service, self.after.service), machine=there.name, by=assumed.same_machine)


def timed(record: Record) -> Timed:
    """Read it from a record."""
    report, environment = record.report, record.report.environment
    before, after = ServiceTime.pair(
        report, device=environment.device, source=f"job #{record.origin.job}", as_of=_day(environment.started_at)
    )
    is_int8 = any(step.family == Family.QUANTIZATION for step in record.steps)
    here = DeviceProfile(key=environment.device, title=environment.cpu, isa=environment.isa)
    return Timed(here, Network(service=before), Network(service=after, is_int8=is_int8))


def _day(started_at: str) -> date | None:
    try:
        return datetime.fromisoformat(started_at).date()
    except ValueError:
        return None
