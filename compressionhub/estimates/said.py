"""How an estimated figure is written: value, range, never, or why it is not known."""

from __future__ import annotations

from compressionhub.ui import units
from workers.estimate import Amount, InputFact

NEVER = "never"


def value(amount: Amount) -> str:
    """The figure with its unit: ``$434``, ``36.1 kWh``, ``never``."""
    if not amount.is_known:
        return NEVER if amount.is_never else units.UNKNOWN
    return figure(amount.value, amount.unit)


def bare(amount: Amount) -> str:
    """The figure beside another one of its unit."""
    return figure(amount.value, amount.unit, bare=True) if amount.is_known else value(amount)


def span(amount: Amount) -> str:
    """Low to high, empty for a figure without width; an open end is said as such."""
    if not amount.is_known or amount.low == amount.high:
        return ""
    low = "no lower end" if amount.low is None else figure(amount.low, amount.unit, bare=True)
    high = "no upper end" if amount.high is None else figure(amount.high, amount.unit)
    return f"{low} to {high}"


def figure(number: float | None, unit: str, *, bare: bool = False) -> str:
    """A number in a unit of the engine. Per month is said by the heading; ``bare`` leaves a written unit away."""
    if number is None:
        return units.UNKNOWN
    short = unit.removesuffix("/month")
    if short == "share":
        return f"{units.number(100 * number, 1)} %"
    if short.startswith("$"):
        return _dollars(number, short)
    if short == "h":
        return units.duration(number * 3600) if number * 3600 >= 1 else "under 1 s"
    if short == "kg CO2e" and 0 < abs(number) < 0.01:
        return figure(number * 1000, "g CO2e", bare=bare)
    if short == "kWh" and 0 < abs(number) < 0.01:
        return figure(number * 1000, "Wh", bare=bare)
    if short == "predictions":
        return units.short_number(number) if bare else f"{units.short_number(number)} predictions"
    if short == "instances":
        return units.number(number, 0 if float(number).is_integer() else 2)
    text = _digits(number)
    return text if bare or short in ("ratio", "workers") else f"{text} {short.replace(' CO2e', '')}"


def _dollars(number: float, unit: str) -> str:
    if unit == "$" and 0 < abs(number) < 0.005:
        return "under $0.01"
    return (units.MINUS if number < 0 else "") + "$" + _digits(abs(number)) + unit[1:]


def _digits(number: float) -> str:
    return units.number(number) if abs(number) >= 100 else units.significant(number)


def input_value(fact: InputFact) -> str:
    """An input with its band: ``1.08 / 1.15 / 1.2``."""
    short = "" if fact.unit in ("ratio", "share") else f" {fact.unit.replace('CO2e', 'CO₂e')}"
    if fact.unit == "s":
        return _band(fact, 1000, " ms")
    return _band(fact, 100, " %") if fact.unit == "share" else _band(fact, 1, short)


def _band(fact: InputFact, by: float, unit: str) -> str:
    ends = (fact.value,) if fact.low == fact.high else (fact.low, fact.value, fact.high)
    return " / ".join(_plain(each * by) for each in ends) + unit


def _plain(number: float) -> str:
    return f"{number:,.0f}" if abs(number) >= 1000 else f"{number:.4g}".replace("-", "−")


def rests_on(fact: InputFact) -> str:
    """Who or what answers for an input: source, region, licence, or whose choice it is."""
    if fact.is_choice:
        return f"chosen by {fact.author}"
    source = "" if fact.author and fact.source == "typed in" else fact.source
    parts = [source, fact.region, fact.licence, f"typed in by {fact.author}" if fact.author else ""]
    return "; ".join(part for part in parts if part)


def dated(fact: InputFact) -> str:
    """Of which day or year an input is; empty where no date applies."""
    if fact.as_of is not None:
        return units.day(fact.as_of)
    return str(fact.year) if fact.year is not None else ""
