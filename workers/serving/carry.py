"""From where networks were measured to where somebody would run them: one way for a baseline and all its variants."""

from __future__ import annotations

from collections.abc import Sequence

from workers.device import DeviceProfile
from workers.errors import Frozen
from workers.estimate import Grade, NotKnown
from workers.report import Ratio
from workers.serving.machine import Machine
from workers.serving.service import Factor, ServiceTime

INT8_ON_CPUS = Ratio(low=0.56, value=1.09, high=1.53)
INT8_ON_NPUS = Ratio(low=1.23, value=2.64, high=5.24)
PUBLISHED = "published float to int8 pairs on one device: 10th, 50th and 90th percentile of {n}"


class Carriage(Frozen):
    """A predicted ratio of times, there ÷ here, with its band, how firm it is, and what is to be said of it."""

    ratio: Ratio
    grade: Grade = Grade.TABLE
    said: str = ""


class Network(Frozen):
    """A network's time where it was measured, and whether it computes in int8."""

    service: ServiceTime
    is_int8: bool = False


def carried(
    networks: Sequence[Network],
    *,
    here: DeviceProfile,
    there: DeviceProfile,
    workers: int,
    by: Carriage | None = None,
) -> tuple[ServiceTime, ...]:
    """Service times on another profile, the baseline (in floating point) first.

    On the same profile they are taken as measured. Elsewhere each is scaled by one predicted ratio; an int8
    network only where both profiles have the same int8 instructions, else the baseline's prediction is divided
    by the published distribution of int8 speed-ups, which goes both ways.

    Args:
        by: the predicted ratio of times; None where a profile has no fit.
        workers: requests at a time on a machine there.

    Raises:
        NotKnown: if the profiles differ and there is no prediction.
    """
    if here.key == there.key:
        return tuple(each.service for each in networks)
    if by is None:
        raise NotKnown(f"Nothing is measured on {there.title} and no prediction fits it. Measure it there or upload a "
                       f"latency file.")  # fmt: skip
    source = f"predicted for {there.title}, {by.ratio.value:.3g} times as long" + (f" ({by.said})" if by.said else "")
    same = here.arch == there.arch and here.has_int8_dot_product == there.has_int8_dot_product
    moved = [
        each.service.predicted_on(there.key, by.ratio, source=source, workers=workers, grade=by.grade)
        for each in networks
    ]
    return tuple(
        _from_the_distribution(each.service, moved[0], there) if each.is_int8 and not same else there_too
        for each, there_too in zip(networks, moved, strict=True)
    )


def on_machine(
    networks: Sequence[Network], *, here: DeviceProfile, machine: Machine, there: DeviceProfile | None = None,
    by: Carriage | None = None,
) -> tuple[ServiceTime, ...]:  # fmt: skip
    """Service times on a machine type, the baseline first.

    Measured on the machine's own profile they stand as they are. Measured on its processor in another size they
    are taken over, class C. Elsewhere they are carried over by a prediction.

    Args:
        here: the profile the measuring node declares.
        there: the machine's profile, for a prediction ``by`` a ratio of times.

    Raises:
        NotKnown: if there is neither a measurement nor a prediction.
    """
    if here.key and here.key == machine.profile:
        return tuple(each.service for each in networks)
    if here.key and here.key == machine.processor_profile:
        note = f"taken over unchanged from {here.key}, the same processor in another size"
        same = Ratio(value=1, low=1, high=1)
        workers, device = machine.workers, machine.name
        return tuple(each.service.predicted_on(device, same, source=note, workers=workers) for each in networks)
    if there is None or by is None:
        raise NotKnown(f"Nothing is measured on {machine.name} and no prediction fits it. Measure it there or upload "
                       f"a latency file.")  # fmt: skip
    return carried(networks, here=here, there=there, workers=machine.workers, by=by)


def _from_the_distribution(measured: ServiceTime, baseline: ServiceTime, there: DeviceProfile) -> ServiceTime:
    speedup, count = (INT8_ON_NPUS, 1559) if there.kind.endswith("npu") else (INT8_ON_CPUS, 1612)
    return baseline.model_copy(
        update={
            "mean_s": baseline.mean_s / speedup.value, "p95_s": baseline.p95_s / speedup.value,
            "own": Factor(low=speedup.value / speedup.high, high=speedup.value / speedup.low),
            "source": f"{baseline.source}; {PUBLISHED.format(n=count)}",
            "peak_memory_bytes": measured.peak_memory_bytes, "size_bytes": measured.size_bytes,
        }
    )  # fmt: skip
