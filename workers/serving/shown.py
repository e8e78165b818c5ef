"""Figures in other words: payback as a time, dollars in another currency, savings as a sentence."""

from __future__ import annotations

from workers.estimate import Amount
from workers.serving.figures import Figures
from workers.serving.workload import HOURS, Currency, Workload

NOTHING = 0.0005  # of the bill: what is shown as 0.0 %


def as_hours(payback: Amount, workload: Workload) -> Amount:
    """Predictions as hours of the workload's traffic; never stays never."""
    inputs = (*payback.inputs, *(each for each in workload.traffic()[:1] if each not in payback.inputs))
    if payback.state == "unknown" or workload.monthly == 0:
        reason = payback.reason or "Without traffic nothing is ever paid back."
        return Amount.unknown("h", reason, method=payback.method, inputs=inputs)
    scale = HOURS / workload.monthly
    return _scaled(payback, scale).model_copy(
        update={"unit": "h", "method": f"({payback.method}) * T / V", "inputs": inputs}
    )


def in_currency(amount: Amount, currency: Currency | None) -> Amount:
    """Dollars in another currency at a rate somebody typed in; other units and no currency leave it as it is."""
    if currency is None or "$" not in amount.unit:
        return amount
    unit = amount.unit.replace("$", currency.code)
    return _scaled(amount, currency.per_usd).model_copy(
        update={"unit": unit, "inputs": (*amount.inputs, currency.fact())}
    )


def headline(figures: Figures, position: int) -> str:
    """What a network saves of the bill, as a sentence; saving nothing is said as such."""
    share = figures.relative_saving_amount(figures.bill_slug, position)
    saved = in_currency(figures.saving_amount(figures.bill_slug, position), figures.load.workload.currency)
    if share.value is None or saved.value is None:
        return share.reason or saved.reason
    code = saved.unit.split("/")[0]
    money = f"${abs(saved.value):,.0f}" if code == "$" else f"{abs(saved.value):,.0f} {code}"
    if abs(share.value) < NOTHING:
        return f"Saves nothing of the bill{_because_of_the_floor(figures, position)}."
    verb = "Saves" if share.value > 0 else "Adds"
    return f"{verb} {100 * abs(share.value):.1f} % {'of' if share.value > 0 else 'to'} the bill: {money} a month."


def on_the_floor(figures: Figures, position: int) -> bool:
    """Whether the least number of instances carries both a network and its baseline, so that money cannot move."""
    work, peaks = figures.load.workload, figures.column("instances-at-peak").value
    first = figures.load.baseline_at[position]
    return bool(work.ha_floor and work.billing != "serverless" and peaks[first] == peaks[position] == work.ha_floor)


def _because_of_the_floor(figures: Figures, position: int) -> str:
    if not on_the_floor(figures, position):
        return ""
    return f": {figures.load.workload.ha_floor} instances, the least you keep, carry both"


def _scaled(amount: Amount, by: float) -> Amount:
    ends = {name: None if (end := getattr(amount, name)) is None else end * by for name in ("value", "low", "high")}
    return amount.model_copy(update=ends)
