"""Predict how long a network takes on a device that was not there: ``sum(cost * macs) / G + bytes / B + layers * c``.

The three parameters of a profile are fitted to published times (``workers.emulation.fit``); the costs by kind of
layer are shared. A prediction is class C, or D where its fit is weak, and always has a band. Nothing here is ever a
measurement.
"""

import math
from collections.abc import Callable, Sequence
from typing import Literal

from pydantic import Field

from workers import device
from workers.device import DeviceProfile, Fit
from workers.emulation.layers import KINDS, Kind, Layer, OpCosts, Work, op_costs, work_by_kind
from workers.errors import Frozen
from workers.report import Band, Ratio

LEAST_BAND = {"C": 0.15, "D": 0.50}
TAIL = 0.05
UNSEEN_KIND = 2.0
OTHER_RUNTIME = 1.5
HOST_SHARE, HOST_FAR = 0.4, 0.3  # of a host's residual, and from where on it no longer counts by its size
# How many times weigh as much as having none.
DOUBT_SAME_RUNTIME, DOUBT_OTHER_RUNTIME, DOUBT_OTHER_PRECISION = 9.0, 0.25, 1.0
LEAST_PAIRS = 3
OTHER_TABLE = math.log(2)
UPLOAD = "Measure it there, or upload a latency file."

Precision = Literal["float32", "int8"]


class HostTime(Frozen):
    """The same network's median time on a profile, measured."""

    device: str
    p50_ms: float = Field(gt=0, le=1e9)


class Anchor(Frozen):
    """A network's median time on the very device asked about, measured under a runtime; with its range, if known."""

    layers: tuple[Layer, ...] = Field(min_length=1, max_length=100_000)
    p50_ms: float = Field(gt=0, le=1e9)
    low_ms: float | None = Field(default=None, gt=0, le=1e9)
    high_ms: float | None = Field(default=None, gt=0, le=1e9)
    runtime: str
    precision: Precision = "float32"
    sha256: str = ""
    source: str = ""


class Ask(Frozen):
    """What to predict. ``runtime`` is the one it will run under; the profile's own where it is not given.

    ``anchors`` come from latency files of the device; with them ``host`` is not needed and not looked at. ``sha256``
    names the network's file, where it is known.
    """

    layers: tuple[Layer, ...] = Field(min_length=1, max_length=100_000)
    host: HostTime | None = None
    anchors: tuple[Anchor, ...] = Field(default=(), max_length=1000)
    precision: Precision = "float32"
    runtime: str = ""
    sha256: str = ""


class Prediction(Frozen):
    """A time with its band and what it rests on, or the reason why there is none."""

    device: str
    latency_ms: Band | None
    why: str = ""
    notes: tuple[str, ...] = ()
    source: str = ""

    @property
    def sentence(self) -> str:
        """The answer in a line."""
        if self.latency_ms is None:
            return self.why
        band = self.latency_ms
        how = "measured there" if band.grade == "A" else "predicted"
        return f"{band.value:.3g} ms ({band.low:.3g} to {band.high:.3g}), {how}, class {band.grade}"


class Foretold(Frozen):
    """A ratio of predicted times, how firm it is, and what its band comes from."""

    ratio: Ratio
    grade: Literal["C", "D"]
    notes: tuple[str, ...]


class _Spread(Frozen):
    """How far a measurement may lie below and above a prediction, in natural logarithms (low <= 0 <= high)."""

    low: float
    high: float

    def at_least(self, share: float) -> "_Spread":
        return _Spread(low=min(self.low, math.log(1 - share)), high=max(self.high, math.log(1 + share)))

    def times(self, factor: float) -> "_Spread":
        return _Spread(low=self.low * factor, high=self.high * factor)

    def turned(self) -> "_Spread":
        """That of one over the time."""
        return _Spread(low=-self.high, high=-self.low)

    def beside(self, other: "_Spread") -> "_Spread":
        """Both uncertainties at once, independent of each other."""
        return _Spread(low=-math.hypot(self.low, other.low), high=math.hypot(self.high, other.high))


def predict(ask: Ask, profile: DeviceProfile, *, find: Callable[[str], DeviceProfile] | None = None) -> Prediction:
    """Predict the time of one sample on a profile.

    Args:
        find: looks up the profile that ``ask.host`` names; among those on file where it is not given.

    Returns:
        The time with its band and notes; or no time and the reason, where the profile has no fitted parameters,
        no int8 pairs for an int8 network, or there is no work to time. Where an anchor is of this very network, its
        time is the answer and nothing is predicted.

    Raises:
        YoursToFix: if ``ask.host`` names no known profile.
    """
    host = None if ask.host is None else (find or device.profile)(ask.host.device)
    anchors = _anchors(ask, profile)
    if (own := _own_time(ask, anchors)) is not None:
        return _measured(own, ask, profile)
    fit = profile.fit
    if fit is None:
        return _nothing(
            profile, f"No published times are fitted for {profile.title}, so nothing is predicted. {UPLOAD}"
        )
    value = float_ms(ask.layers, fit)
    if not 0 < value < math.inf:
        return _nothing(profile, "The layers given hold no work that could be timed.")
    notes = [f"calibrated on {fit.runtime}, {len(fit.models)} networks"]
    factor, said = _anchor_factor(anchors, fit, ask.precision) if anchors else _host_factor(ask, fit, host)
    notes += said
    spread = spread_of(fit)
    if ask.precision == "int8":
        if len(fit.int8_speedups) < LEAST_PAIRS:
            return _nothing(profile, f"No int8 times are published for {profile.title}. {UPLOAD}")
        median, pairs = _int8(fit)
        value, spread = value / median, spread.beside(pairs)
        notes.append(
            f"int8: the float prediction divided by {median:.2f}, the median of {len(fit.int8_speedups)} pairs"
        )
    widened, said = _widened(ask, profile, fit)
    return Prediction(
        device=profile.key,
        latency_ms=_band(value * factor, spread.times(widened), fit),
        notes=(*notes, *said),
        source=fit.source,
    )


def predicted_ratio(
    layers: Sequence[Layer], here: DeviceProfile, there: DeviceProfile, *, runtime: str = ""
) -> Foretold | None:
    """Predicted float time ``there`` ÷ predicted float time ``here``, with the band of both; None without two fits.

    Both sides take the costs of layers under which ``here`` was fitted, so that they compare machines and not
    runtimes. Where the two fits come from different runtimes the band is at least a factor of two each way: as far
    as published tables of one chip lie apart.

    Args:
        runtime: the one that the time carried over was measured under; the profile's own where it is not given.
    """
    if here.fit is None or there.fit is None:
        return None
    costs = costs_of(here.fit)
    first, second = (sum(_times(layers, fit, costs).values()) for fit in (here.fit, there.fit))
    if not (0 < first < math.inf and 0 < second < math.inf):
        return None
    ask = Ask(layers=tuple(layers), runtime=runtime)
    (near, _), (far, said) = _widened(ask, here, here.fit), _widened(ask, there, there.fit)
    spread = spread_of(there.fit).times(far).beside(spread_of(here.fit).times(near).turned())
    if here.fit.runtime != there.fit.runtime:
        spread = _Spread(low=min(spread.low, -OTHER_TABLE), high=max(spread.high, OTHER_TABLE))
        said = [*said, f"band ×2 at least: {here.title} was timed under {here.fit.runtime}"]
    value = second / first
    return Foretold(
        ratio=Ratio(value=value, low=value * math.exp(spread.low), high=value * math.exp(spread.high)),
        grade=max(here.fit.grade, there.fit.grade), notes=(f"calibrated on {there.fit.runtime}", *said),
    )  # fmt: skip


def speedup(before: Ask, after: Ask, profile: DeviceProfile) -> Band | None:
    """Predicted time before ÷ after on one device; above one is faster. None without both.

    The same layers in float and in 8 bits differ by the profile's published speed-ups alone: how far the float
    prediction is off stands on both sides. Else both bands count.
    """
    first, second = predict(before, profile).latency_ms, predict(after, profile).latency_ms
    if first is None or second is None:
        return None
    value = first.value / second.value
    fit = profile.fit
    if fit is not None and before.layers == after.layers and {first.grade, second.grade} <= {"C", "D"}:
        alike = before.precision == after.precision
        spread = _Spread(low=0.0, high=0.0) if alike else _int8(fit)[1].times(_widened(after, profile, fit)[0])
        return Band(
            value=value, low=value * math.exp(-spread.high), high=value * math.exp(-spread.low), grade=second.grade
        )
    below = math.hypot(math.log(first.value / first.low), math.log(second.high / second.value))
    above = math.hypot(math.log(first.high / first.value), math.log(second.value / second.low))
    grade = max(first.grade, second.grade)
    return Band(value=value, low=value * math.exp(-below), high=value * math.exp(above), grade=grade)


def float_ms(layers: Sequence[Layer], fit: Fit) -> float:
    """The formula alone, in milliseconds."""
    return sum(times_by_kind(layers, fit).values())


def times_by_kind(layers: Sequence[Layer], fit: Fit) -> dict[Kind, float]:
    """Milliseconds that each kind of layer takes."""
    return _times(layers, fit, costs_of(fit))


def costs_of(fit: Fit) -> OpCosts:
    """The costs under which a fit was made."""
    return op_costs("onnxruntime" if fit.runtime == "onnxruntime" else fit.processor)


def _times(layers: Sequence[Layer], fit: Fit, costs: OpCosts) -> dict[Kind, float]:
    parts = work_by_kind(layers, costs)
    return {kind: 1e3 * _seconds(part, fit) for kind, part in parts.items()}


def dominant(times: dict[Kind, float]) -> Kind | None:
    """The kind of layer that takes over half of the time, if one does."""
    whole = sum(times.values())
    return next((kind for kind, time in times.items() if time > whole / 2), None)


def spread_of(fit: Fit) -> _Spread:
    """The 5th to 95th percentile of the residuals of unseen models, which may lie to one side of zero."""
    ordered = sorted(fit.log_residuals)
    low, high = quantile(ordered, TAIL), quantile(ordered, 1 - TAIL)
    return _Spread(low=min(low, 0.0), high=max(high, 0.0)).at_least(LEAST_BAND[fit.grade])


def quantile(ordered: Sequence[float], share: float) -> float:
    """The quantile at ``share`` of the sorted sample, at Weibull's plotting positions k / (n + 1).

    With a dozen values the usual interpolation puts the 5th percentile inside the sample and so covers too little;
    here it is the smallest value until there are nineteen.
    """
    place = min(max(share * (len(ordered) + 1) - 1, 0.0), len(ordered) - 1.0)
    under = int(place)
    above = min(under + 1, len(ordered) - 1)
    return ordered[under] + (place - under) * (ordered[above] - ordered[under])


def _seconds(part: Work, fit: Fit) -> float:
    return (
        part.macs / fit.effective_macs_per_s
        + part.bytes / fit.effective_bytes_per_s
        + part.layers * fit.effective_layer_s
    )


def _anchors(ask: Ask, profile: DeviceProfile) -> list[Anchor]:
    """The times under the runtime asked about, in the number format asked about where there are any."""
    fitting = [anchor for anchor in ask.anchors if anchor.runtime == (ask.runtime or profile.runtime)]
    return [anchor for anchor in fitting if anchor.precision == ask.precision] or fitting


def _own_time(ask: Ask, anchors: Sequence[Anchor]) -> Anchor | None:
    """The time of the network itself: of its very file, or of one with the same layers in the same numbers."""
    same = [anchor for anchor in anchors if anchor.layers == ask.layers and anchor.precision == ask.precision]
    exact = [anchor for anchor in anchors if ask.sha256 and anchor.sha256 == ask.sha256]
    return next(iter((*exact, *same)), None)


def _measured(own: Anchor, ask: Ask, profile: DeviceProfile) -> Prediction:
    """A time as its file states it; one of the same layers with other weights is modelled, as firm as a good fit."""
    exact = bool(ask.sha256) and own.sha256 == ask.sha256
    least = LEAST_BAND["C"] if not exact else 0.0
    low = min(own.low_ms or own.p50_ms, own.p50_ms * (1 - least))
    high = max(own.high_ms or own.p50_ms, own.p50_ms * (1 + least))
    said = "measured on this device" if exact else "measured on this device with the same layers and other weights"
    return Prediction(
        device=profile.key,
        latency_ms=Band(value=own.p50_ms, low=low, high=high, grade="A" if exact else "B"),
        notes=(f"{said}, under {own.runtime}",),
        source=own.source,
    )


def _anchor_factor(anchors: Sequence[Anchor], fit: Fit, precision: Precision) -> tuple[float, list[str]]:
    """How far times of other networks on the device itself move a prediction: their geometric mean, drawn towards 1.

    How firmly depends on what a time can tell. On published tables, with fit and anchor under one runtime, it tells
    hardly anything of another network (best exponent 0.1 for one time). A runtime of its own shifts all networks; by
    how much in another number format is a guess, so half of it is taken.
    """
    off = [math.log(anchor.p50_ms / expected) for anchor in anchors if (expected := _expected_ms(anchor, fit))]
    if not off:
        return 1.0, []
    doubt = DOUBT_OTHER_RUNTIME if anchors[0].runtime != fit.runtime else DOUBT_SAME_RUNTIME
    if anchors[0].precision != precision:
        doubt = max(doubt, DOUBT_OTHER_PRECISION)
    exponent = len(off) / (len(off) + doubt)
    apart = math.exp(sum(off) / len(off))
    times = "1 time" if len(off) == 1 else f"{len(off)} times"
    note = f"anchored on {times} of this device, {apart:.2f} times the prediction, to the power {exponent:.2f}"
    return apart**exponent, [note]


def _expected_ms(anchor: Anchor, fit: Fit) -> float:
    quantized = anchor.precision == "int8" and len(fit.int8_speedups) >= LEAST_PAIRS
    return float_ms(anchor.layers, fit) / (_int8(fit)[0] if quantized else 1.0)


def _host_factor(ask: Ask, fit: Fit, host: DeviceProfile | None) -> tuple[float, list[str]]:
    """How far the network's own time on a host moves its prediction elsewhere."""
    if ask.host is None or host is None:
        return 1.0, []
    if host.fit is None:
        return 1.0, [f"the time on {host.title} is left out: no published times are fitted for it"]
    expected = float_ms(ask.layers, host.fit) / (_int8(host.fit)[0] if _is_int8(ask, host.fit) else 1.0)
    if not expected:
        return 1.0, []
    off = math.log(ask.host.p50_ms / expected)
    factor = math.exp(carried(off))
    return factor, [f"times {factor:.2f}: the time on {host.title} is {math.exp(off):.2f} times its prediction"]


def carried(off: float) -> float:
    """What a residual ln(measured / predicted) on one device leads one to expect on another for the same network.

    Part of it is the network's own and seen everywhere, part belongs to the device that was timed: a far one rather
    to the device, so that no time there moves a prediction by more than 13 %.
    """
    return HOST_SHARE * off / math.hypot(1, off / HOST_FAR)


def _is_int8(ask: Ask, fit: Fit) -> bool:
    return ask.precision == "int8" and len(fit.int8_speedups) >= LEAST_PAIRS


def _int8(fit: Fit) -> tuple[float, _Spread]:
    """The median speed-up of a profile's published pairs, and what their spread does to a time."""
    ordered = sorted(fit.int8_speedups)
    median = quantile(ordered, 0.5)
    slow, fast = quantile(ordered, TAIL), quantile(ordered, 1 - TAIL)
    return median, _Spread(low=math.log(median / fast), high=math.log(median / slow))


def _widened(ask: Ask, profile: DeviceProfile, fit: Fit) -> tuple[float, list[str]]:
    """By how much the band grows, and why; times of this device under this runtime stand for its calibration."""
    factor, said = 1.0, []
    main = dominant(times_by_kind(ask.layers, fit))
    if main is not None and main not in fit.dominated_by:
        factor *= UNSEEN_KIND
        said.append(f"band ×2: {KINDS[main]} take over half of the time, and no calibration network was like that")
    runtime = ask.runtime or profile.runtime
    if runtime != fit.runtime and not _anchors(ask, profile):
        factor *= OTHER_RUNTIME
        said.append(f"band ×1.5: for {runtime}, but calibrated on {fit.runtime}")
    return factor, said


def _band(value: float, spread: _Spread, fit: Fit) -> Band:
    low, high = value * math.exp(spread.low), value * math.exp(spread.high)
    return Band(value=value, low=low, high=high, grade=fit.grade)


def _nothing(profile: DeviceProfile, why: str) -> Prediction:
    return Prediction(device=profile.key, latency_ms=None, why=why)
