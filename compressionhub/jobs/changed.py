"""What a page says about the answers that changed: four figures, and the rows. No queries, no HTML."""

from __future__ import annotations

from collections.abc import Sequence

from compressionhub.ui import units
from workers.contract import Contract, Task
from workers.errors import Frozen
from workers.report import ChangedSample, Changes, ClassShift

SHOWN_AT_FIRST = 8
SURE_FROM = 6  # McNemar's exact test cannot reject below six answers that all changed one way: 2 × 0.5^5 > 0.05
SAME = {
    Task.CLASSIFICATION: "same answer as the baseline",
    Task.REGRESSION: "within 5 % of the spread of the baseline's answers",
    Task.EMBEDDING: "same nearest neighbour as the baseline's",
    Task.CAUSAL_LM: "passages whose losses moved by at most 5 %",
    Task.OTHER: "output within 5 % of the baseline's length",
}
MOVED = {
    Task.CAUSAL_LM: "mean change of the losses, relative to their length",
}


class Figure(Frozen):
    value: str
    text: str


class ChangedRow(Frozen):
    """One changed row. ``word``: what became of it; empty where no answer is right or wrong."""

    row: int
    label: str
    text: str
    before: str
    after: str
    word: str = ""
    tone: str = ""
    icon: str = ""


class ClassRow(Frozen):
    """One class: its shares before and after, their difference in points, and what they rest on."""

    name: str
    before: str
    after: str
    change: str
    n: str


class Changed(Frozen):
    """The card. ``rows`` are shown at once, ``more`` and ``classes`` on demand; ``share`` says what shares are of."""

    headline: str
    figures: tuple[Figure, ...]
    labelled: bool
    rows: tuple[ChangedRow, ...]
    more: tuple[ChangedRow, ...]
    classes: tuple[ClassRow, ...]
    share: str


def described(changes: Changes, contract: Contract | None) -> Changed:
    """The changes of a result in words."""
    task = contract.task if contract else Task.OTHER
    classes = contract is not None and task is Task.CLASSIFICATION and contract.outputs[0].per == "sample"
    whole = changes.broken is not None and classes
    rows = tuple(_row(sample, one_answer=whole) for sample in changes.samples)
    return Changed(
        headline=_headline(changes, len(rows)),
        figures=tuple(_figures(changes, task)),
        labelled=any(row.label for row in rows),
        rows=rows[:SHOWN_AT_FIRST],
        more=rows[SHOWN_AT_FIRST:],
        classes=tuple(map(_class_row, sorted(changes.classes, key=lambda one: one.after - one.before))),
        share="right answers" if changes.broken is not None else "answers that name it",
    )


def _class_row(shift: ClassShift) -> ClassRow:
    shares = {"before": units.percent(shift.before), "after": units.percent(shift.after)}
    return ClassRow(name=shift.name, change=f"{_points(shift)} points", n=units.count(shift.n), **shares)


def _headline(changes: Changes, listed: int) -> str:
    flips = changes.compared - round(changes.agreement.value * changes.compared)
    said = f"{units.count(flips)} of {units.count(changes.compared)} test answers"
    return f"{said}, {units.count(listed)} rows listed" if listed < flips else said


def _figures(changes: Changes, task: Task) -> list[Figure]:
    agreement = changes.agreement
    figures = [
        Figure(
            value=units.percent(agreement.value),
            text=f"{_same(changes, task)} ({units.span(100 * agreement.low, 100 * agreement.high, 2)} %)",
        )
    ]
    if changes.broken is not None and changes.fixed is not None:
        right, wrong = ("found first", "not") if task is Task.EMBEDDING else ("right", "wrong")
        figures.append(Figure(value=units.count(changes.broken), text=f"{right} before, {wrong} now"))
        figures.append(Figure(value=units.count(changes.fixed), text=f"{wrong} before, {right} now"))
    else:
        moved = changes.distance
        figures.append(
            Figure(
                value=units.percent(moved.value),
                text=f"{MOVED.get(task, 'mean change of the output, relative to its length')} "
                f"({units.span(100 * moved.low, 100 * moved.high, 2)} %)",
            )
        )
    shift = worst_class(changes.classes, labelled=changes.broken is not None)
    return [*figures, shift] if shift else figures


def _same(changes: Changes, task: Task) -> str:
    if task is Task.EMBEDDING and changes.broken is not None:
        return "document at the same place as by the baseline"
    return SAME[task]


def worst_class(classes: Sequence[ClassShift], *, labelled: bool) -> Figure | None:
    """The class that lost most, or without labels the one that is named more or less often."""
    if not classes:
        return None
    if not labelled:
        most = max(classes, key=lambda one: abs(one.after - one.before))
        if most.after == most.before:
            return Figure(value="none", text="of the classes is named more or less often")
        word = "more often" if most.after > most.before else "less often"
        text = f"{most.name} is named {word} than by the baseline; of all classes it moved most"
        return Figure(value=f"{_points(most)} points", text=text)
    worst = min(classes, key=lambda one: one.after - one.before)
    if worst.after >= worst.before:
        return Figure(value="none", text="of the classes lost right answers")
    lost = round((worst.before - worst.after) * worst.n)
    unsure = "; too few to be sure" if lost < SURE_FROM else ""
    text = f"worst class: {worst.name}, {units.count(lost)} of {units.count(worst.n)} fewer right{unsure}"
    return Figure(value=f"{_points(worst)} points", text=text)


def _points(shift: ClassShift) -> str:
    return units.number(100 * (shift.after - shift.before), 1, signed=True)


def _row(sample: ChangedSample, *, one_answer: bool) -> ChangedRow:
    """``one_answer``: the sample has one answer that is right or wrong."""
    plain = ChangedRow(row=sample.row, label=sample.label, text=sample.text, before=sample.before, after=sample.after)
    if not one_answer:
        return plain
    if sample.before == sample.label:
        return plain.model_copy(update={"word": "now wrong", "tone": "no", "icon": "x"})
    if sample.after == sample.label:
        return plain.model_copy(update={"word": "now right", "tone": "ok", "icon": "check"})
    return plain.model_copy(update={"word": "still wrong", "icon": "minus"})
