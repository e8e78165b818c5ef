"""What a variant does beside the bill: CPUs in place of a GPU that serves now, and the life of a device's battery."""

from __future__ import annotations

from dataclasses import dataclass

from compressionhub.estimates import tables
from compressionhub.estimates.assumptions import Assumptions, every_input
from compressionhub.estimates.uses import OnDevice
from compressionhub.zoo.models import Entry
from workers import device
from workers.device import DeviceProfile
from workers.estimate import Grade, InputFact, NotKnown, worst
from workers.estimates.battery import Battery, BatteryLife, BatteryUse
from workers.estimates.gpu_to_cpu import GpuToCpu, Replacement
from workers.serving.candidates import Candidate
from workers.serving.machine import machine
from workers.serving.service import ServiceTime
from workers.serving.workload import DAYS

SECONDS_A_DAY = 86_400


@dataclass(frozen=True)
class OnBattery:
    """How long a device lasts, or why nobody knows."""

    profile: DeviceProfile
    life: BatteryLife | None
    unknown: str = ""
    services: tuple[ServiceTime, ...] = ()

    @property
    def inputs(self) -> tuple[InputFact, ...]:
        """Everything the hours rest on, each once."""
        return every_input([self.life.before.inputs, self.life.after.inputs]) if self.life else ()


def replaced(entry: Entry, assumed: Assumptions, candidates: list[Candidate]) -> Replacement | None:
    """Whether CPUs can take over from the GPU that serves the baseline now; None where nobody named one.

    Args:
        candidates: instances of the region for the variant, GPUs among them.
    """
    now, data = assumed.gpu, tables.of(assumed)
    if now is None:
        return None
    there = assumed.workload.model_copy(update={"instance": now.instance, "workers_per_instance": None})
    workers = machine(there, data).workers
    cpus = [each for each in candidates if not data.instances[assumed.workload.provider, each.instance].gpu]
    gpu = Candidate(instance=now.instance, service=now.service(workers=workers))
    return GpuToCpu.replace(assumed.workload, gpu, cpus, data=data)


def on_battery(entry: Entry, assumed: Assumptions) -> OnBattery | None:
    """Hours with the feature off, before and after; None for a workload that runs on instances."""
    used = assumed.device
    if used is None:
        return None
    profile = device.profiles().get(used.device)
    if profile is None:
        return OnBattery(DeviceProfile(key=used.device, title=used.device), None, "That device is no longer on file.")
    try:
        services = _services(entry, used, profile)
        before, after = (
            _energy(name, title, typed, service, used, profile)
            for name, title, typed, service in (
                ("before_j", "Energy of an inference, baseline", used.before_mj, services[0] if services else None),
                ("after_j", "Energy of an inference, variant", used.after_mj, services[1] if services else None),
            )
        )
    except NotKnown as missing:
        return OnBattery(profile, None, missing.reason)
    return OnBattery(profile, Battery.lasts(_use(used, assumed, profile, before, after)), services=services)


def _services(entry: Entry, used: OnDevice, profile: DeviceProfile) -> tuple[ServiceTime, ...]:
    """Both times on the device; nothing where both energies were typed in."""
    if used.before_mj is not None and used.after_mj is not None:
        return ()
    return entry.timed.on_profile(profile)


def _energy(
    name: str, title: str, typed_mj: float | None, service: ServiceTime | None, used: OnDevice, profile: DeviceProfile
) -> InputFact:
    """Joules of one inference: typed in, or the time on the device at its power while it works."""
    if typed_mj is not None:
        joules = typed_mj / 1000
        return InputFact(
            name=name, title=title, value=joules, low=joules, high=joules, unit="J", grade=Grade.ASSUMED,
            author=used.author, source="typed in",
        )  # fmt: skip
    if service is None or profile.power_w is None:
        raise NotKnown(f"The power of {profile.title} is not known. Type in the energy of an inference.")
    power = Grade.ASSUMED if "power_w" in profile.unverified else Grade.TABLE
    low, high = profile.power_low_w or profile.power_w, profile.power_high_w or profile.power_w
    fact = service.fact()
    return InputFact(
        name=name, title=title, value=fact.value * profile.power_w, low=fact.low * low, high=fact.high * high, unit="J",
        grade=worst((service.grade, power)), as_of=service.as_of,
        source=f"{fact.source}; at {low:g} / {profile.power_w:g} / {high:g} W: {profile.sources.get('power_w', '')}",
    )  # fmt: skip


def _use(
    used: OnDevice, assumed: Assumptions, profile: DeviceProfile, before: InputFact, after: InputFact
) -> BatteryUse:
    def typed(name: str, title: str, value: float, unit: str) -> InputFact:
        return InputFact(
            name=name, title=title, value=value, low=value, high=value, unit=unit, grade=Grade.ASSUMED,
            author=used.author, source="typed in",
        )  # fmt: skip

    per_s = assumed.workload.monthly / DAYS / SECONDS_A_DAY
    return BatteryUse(
        capacity_wh=typed("capacity_wh", "Battery", used.battery_wh, "Wh"),
        usable=typed("usable", "Usable share: age and cut-off", used.usable, "share"),
        base_w=typed("base_w", f"{profile.title} without the network", used.base_mw / 1000, "W"),
        rate_per_s=assumed.workload.traffic()[0].model_copy(
            update={"name": "rate_per_s", "title": "Inferences a second", "value": per_s, "low": per_s, "high": per_s,
                    "unit": "1/s"}
        ),
        before_j=before, after_j=after,
    )  # fmt: skip
