"""How long a battery lasts with a feature off, with the network before, and with the one after."""

from __future__ import annotations

from itertools import product
from typing import ClassVar

from workers.errors import Frozen, YoursToFix
from workers.estimate import AboutEstimate, Amount, Estimate, Grade, InputFact


class BatteryLife(Frozen):
    """Hours, and the network's share of what the battery gives (0 to 1). ``gain`` is relative: 0.4 is 40 % longer."""

    off: Amount
    before: Amount
    after: Amount
    gain: Amount
    share_before: Amount
    share_after: Amount
    sentence: str


class BatteryUse(Frozen):
    """A device and its feature. ``usable`` is what age and cut-off leave, usually 0.8 to 0.9.

    Units: Wh, share, W, inferences per second, J per inference.
    """

    capacity_wh: InputFact
    usable: InputFact
    base_w: InputFact
    rate_per_s: InputFact
    before_j: InputFact
    after_j: InputFact


class Battery(Estimate):
    """How long a battery lasts with a feature off, with the network before, and with the one after.

    Halving the energy of an inference lengthens life by less than double: the device draws its base power all along.
    """

    about: ClassVar[AboutEstimate] = AboutEstimate(
        title="Battery life", unit="h",
        formula="Wh * eta / (P_base + r * E_inf)",
        legend="Wh capacity, eta usable share, P_base watts without the network, r inferences/s, E_inf J per inference",
        source="Published board energies, or predicted latency times the profile's power",
        example="Keyword spotting on an STM32U575 with a CR2032: 464 h, 649 h when the inference takes half",
        lower_is_better=False, compares=False,
    )  # fmt: skip

    @classmethod
    def lasts(cls, use: BatteryUse) -> BatteryLife:
        """Hours before and after, from the same battery, device and traffic.

        Raises:
            YoursToFix: if nothing draws any power.
        """
        if use.base_w.low <= 0:
            raise YoursToFix(
                "Expected a device that draws power without the network, found 0 W.",
                hint="Type in the watts of the device with the feature off.", code="estimate.base-power",
            )  # fmt: skip
        before, after = cls._hours(use, use.before_j), cls._hours(use, use.after_j)
        gain = cls._gain(use)
        return BatteryLife(
            off=cls._hours(use, None), before=before, after=after, gain=gain,
            share_before=cls._share(use, use.before_j), share_after=cls._share(use, use.after_j),
            sentence=_sentence(before, after, gain),
        )  # fmt: skip

    @classmethod
    def _hours(cls, use: BatteryUse, energy: InputFact | None) -> Amount:
        wh, eta, base, rate = use.capacity_wh, use.usable, use.base_w, use.rate_per_s
        low = wh.low * eta.low / (base.high + (rate.high * energy.high if energy else 0))
        value = wh.value * eta.value / (base.value + (rate.value * energy.value if energy else 0))
        high = wh.high * eta.high / (base.low + (rate.low * energy.low if energy else 0))
        inputs = (wh, eta, base, rate, energy) if energy else (wh, eta, base)
        return Amount.of(value, low, high, "h", method=cls.about.formula, inputs=inputs)

    @classmethod
    def _gain(cls, use: BatteryUse) -> Amount:
        """Capacity and usable share stand on both sides and cancel; the two energies lie at the same end together."""
        values = [
            (base + rate * before) / (base + rate * after) - 1
            for (before, after), base, rate in product(
                zip(_three(use.before_j), _three(use.after_j), strict=True), _three(use.base_w), _three(use.rate_per_s)
            )
        ]
        middle = values[len(values) // 2]
        return Amount.of(
            middle, min(values), max(values), "share", method="(P_base + r * E_before) / (P_base + r * E_after) - 1",
            inputs=(use.base_w, use.rate_per_s, use.before_j, use.after_j),
        )  # fmt: skip

    @classmethod
    def _share(cls, use: BatteryUse, energy: InputFact) -> Amount:
        base, rate = use.base_w, use.rate_per_s
        low, value, high = (
            drawn / (drawn + rest)
            for drawn, rest in (
                (rate.low * energy.low, base.high),
                (rate.value * energy.value, base.value),
                (rate.high * energy.high, base.low),
            )
        )
        method = "r * E_inf / (P_base + r * E_inf)"
        return Amount.of(value, low, high, "share", method=method, inputs=(base, rate, energy))

    @classmethod
    def example(cls) -> Amount:
        return cls.lasts(keyword_spotting()).after


def _three(fact: InputFact) -> tuple[float, float, float]:
    return fact.low, fact.value, fact.high


def _sentence(before: Amount, after: Amount, gain: Amount) -> str:
    hours, longer = f"{_time(before.value or 0)} to {_time(after.value or 0)}", 100 * (gain.value or 0)
    if abs(longer) < 2:
        return f"{hours}: {longer:+.1f} %, which no one will notice."
    return f"{hours}: {longer:+.0f} %."


def _time(hours: float) -> str:
    """Whole hours, below ten with a decimal, below one in minutes."""
    if hours < 1:
        return f"{60 * hours:.0f} min"
    return f"{hours:,.0f} h" if hours >= 10 else f"{hours:.1f} h"


def keyword_spotting() -> BatteryUse:
    """The worked example: one inference a second on a microcontroller with a coin cell."""

    def exact(name: str, title: str, value: float, unit: str, grade: Grade | None, source: str) -> InputFact:
        return InputFact(
            name=name, title=title, value=value, low=value, high=value, unit=unit, grade=grade, source=source,
            author="" if grade else "worked example",
        )  # fmt: skip

    energy = exact("before_j", "Energy of an inference", 664e-6, "J", Grade.TABLE, "MLPerf Tiny, STM32U575")
    return BatteryUse(
        capacity_wh=exact("capacity_wh", "Battery", 0.675, "Wh", Grade.ASSUMED, "CR2032: 225 mAh at 3 V"),
        usable=exact("usable", "Usable share", 0.8, "share", Grade.ASSUMED, "age and cut-off"),
        base_w=exact("base_w", "Watts without the network", 0.5e-3, "W", Grade.ASSUMED, "example value"),
        rate_per_s=exact("rate_per_s", "Inferences a second", 1, "1/s", None, "example value"),
        before_j=energy,
        after_j=exact("after_j", "Energy of an inference, after", 332e-6, "J", Grade.ASSUMED, "half, for example"),
    )
