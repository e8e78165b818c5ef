"""What the savings page draws from figures: the ladder by volume, bars of carbon, and what is said beside them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from compressionhub.estimates import said
from compressionhub.ui import units
from compressionhub.zoo.savings import BASELINE, VARIANT, Savings, ladder
from workers.estimate import Amount

Step = tuple[float, Amount, Amount, Amount]
LOGS = {"type": "log", "splitLine": {"show": False}}


@dataclass(frozen=True)
class Ladder:
    """The chart of bills by volume, the same in words, and where the variant starts to save."""

    option: dict[str, Any]
    label: str
    title: str
    note: str


def drawn(found: Savings) -> Ladder | None:
    """The ladder of an entry; None where no volume has a bill."""
    steps = [step for step in ladder(found.entry, found.assumed) if step[1].value and step[2].value]
    if not steps:
        return None
    return Ladder(
        option=_option(found, steps), label=_label(found, steps), title=_title(steps), note=_note(found, steps)
    )


def _title(steps: list[Step]) -> str:
    shares = [step[3].value for step in steps if step[3].value is not None]
    if not shares:
        return "The bill, depending on traffic"
    low, high = (f"{100 * each:.0f}".replace("-", "−") for each in (min(shares), max(shares)))
    return f"The same speed-up saves {low} to {high} %, depending on traffic"


def _label(found: Savings, steps: list[Step]) -> str:
    marks = "; ".join(
        f"{units.short_number(step[0])} a month: {said.value(step[1])} to {said.value(step[2])}"
        for step in _marks(steps)
    )
    return f"Bill by predictions a month on log axes, baseline and {found.entry.name}. {marks}."


def _marks(steps: list[Step]) -> list[Step]:
    """Four steps from the first to the last."""
    last = len(steps) - 1
    return [steps[at] for at in sorted({0, last // 3, 2 * last // 3, last})]


def _note(found: Savings, steps: list[Step]) -> str:
    work = found.assumed.workload
    saving = next((step[0] for step in steps if (step[3].value or 0) > 0.0005), None)
    if work.billing == "serverless":
        return "Serverless is paid by the millisecond: no whole machines, no floor."
    floor = f"Steps are whole instances; flat parts are the {work.ha_floor} that always run."
    if saving is None:
        return f"{floor} At none of these volumes does this variant save money; its payback is never."
    if saving > steps[0][0]:
        low = f"Below about {units.short_number(saving)} predictions a month"
        return f"{floor} {low} this variant saves waiting, not money; its payback there is never."
    return floor


def _option(found: Savings, steps: list[Step]) -> dict[str, Any]:
    name = found.entry.name
    here = [step for step in steps if step[0] == found.assumed.workload.monthly]
    money = [each for step in steps for each in (step[1].value, step[2].value) if each]
    return {
        "grid": {"left": 66, "right": 120, "top": 20, "bottom": 44},
        "narrow": {"plain": True, "grid": {"left": 56, "right": 20, "top": 16, "bottom": 44}},
        "tooltip": {"trigger": "item", "formatter": "$fmt:tip"},
        "xAxis": {
            **LOGS, "min": steps[0][0], "max": steps[-1][0], "name": "predictions a month (log)",
            "nameLocation": "middle", "nameGap": 28, "axisLabel": {"formatter": "$fmt:short", "hideOverlap": True},
        },
        "yAxis": {"type": "log", "min": _decade(min(money), down=True), "max": _decade(max(money), down=False),
                  "axisLine": {"show": False}, "axisLabel": {"formatter": "$fmt:short"}},
        "series": [
            _line("baseline", "$base", steps, 1), _line(name, "$accent", steps, 2),
            *[_here(step) for step in here],
        ],
    }  # fmt: skip


def _decade(value: float, *, down: bool) -> float:
    decade = 1.0
    while decade > value:
        decade /= 10
    while decade * 10 <= value:
        decade *= 10
    return decade if down or decade == value else decade * 10


def _line(name: str, colour: str, steps: list[Step], at: int) -> dict[str, Any]:
    last = said.value(steps[-1][at])  # type: ignore[arg-type]
    return {
        "type": "line", "name": name, "labelLayout": {"moveOverlap": "shiftY"},
        "symbol": "circle", "showSymbol": False, "symbolSize": 6,
        "lineStyle": {"color": colour, "width": 2}, "itemStyle": {"color": colour},
        "endLabel": {"show": True, "formatter": f"{_short(name)}\n{last}", "color": "$ink-2", "lineHeight": 15},
        "data": [_point(name, step[0], step[at]) for step in steps],  # type: ignore[arg-type]
    }  # fmt: skip


def _point(name: str, volume: float, bill: Amount) -> dict[str, Any]:
    tip = f"{name}, {units.short_number(volume)} a month: {said.value(bill)}"
    return {"value": [volume, bill.value], "tip": tip}


def _short(name: str) -> str:
    return name if len(name) < 17 else f"{name[:15]}…"


def _here(step: Step) -> dict[str, Any]:
    saved = said.value(step[3])
    return {
        "type": "scatter", "symbolSize": 10,
        "itemStyle": {"color": "$surface", "borderColor": "$accent", "borderWidth": 2},
        "label": {
            "show": True, "position": "right", "offset": [4, 12], "color": "$ink-2",
            "formatter": f"yours: saves {saved}",
        },
        "data": [{"value": [step[0], step[2].value], "tip": f"Your traffic: saves {saved}"}],
    }  # fmt: skip


@dataclass(frozen=True)
class CarbonBar:
    """One bar in a box 660 wide: use, then hardware, and the whisker from low to high."""

    name: str
    css: str
    total: Amount
    y: int
    use: float
    embodied: float
    low: float
    high: float

    @property
    def text_x(self) -> float:
        return max(118 + self.use + self.embodied, self.high) + 8

    @property
    def embodied_x(self) -> float:
        return 120 + self.use


def carbon_bars(found: Savings) -> list[CarbonBar]:
    """Baseline and variant on one axis from zero; nothing where carbon is not known."""
    totals = [found.before("carbon"), found.after("carbon")]
    if not all(each.is_known for each in totals):
        return []
    scale = 380 / max([each.high or each.value or 0 for each in totals] + [1e-12])
    return [
        _bar(found, at, name, css, scale)
        for at, name, css in ((BASELINE, "baseline", "useb"), (VARIANT, found.entry.name, "use"))
    ]


def _bar(found: Savings, at: int, name: str, css: str, scale: float) -> CarbonBar:
    ask = found.before if at == BASELINE else found.after
    total, use, embodied = ask("carbon"), ask("carbon-use"), ask("carbon-embodied")
    low, high = (total.low or 0.0), (total.high or total.value or 0.0)
    return CarbonBar(
        name=_short(name), css=css, total=total, y=8 + 52 * at, use=(use.value or 0) * scale,
        embodied=(embodied.value or 0) * scale, low=118 + low * scale, high=118 + high * scale,
    )  # fmt: skip
