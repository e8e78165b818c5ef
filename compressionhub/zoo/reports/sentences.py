"""What a report says in words, written once when it is frozen."""

from __future__ import annotations

from collections.abc import Sequence

from compressionhub.estimates import said
from compressionhub.estimates.assumptions import Assumptions
from compressionhub.jobs.gate import is_relative
from compressionhub.ui import units
from compressionhub.ui.templatetags.figures import metric_word
from compressionhub.ui.words import VERDICTS
from compressionhub.zoo.record import Record
from compressionhub.zoo.reports.evidence import Variant
from compressionhub.zoo.savings import Savings
from workers.estimate import Amount


def title(variants: Sequence[Variant]) -> str:
    """What is compared, in one line."""
    first = variants[0]
    if len(variants) == 1:
        return f"{first.model}: v{first.model_version} baseline against {first.name}"
    models = list(dict.fromkeys(one.model for one in variants))
    return f"{', '.join(models[:2])}{' and others' if len(models) > 2 else ''}: {len(variants)} variants compared"


def question(variants: Sequence[Variant], workload: str) -> str:
    """The question in plain words, where nobody typed one."""
    if len(variants) == 1:
        return f"What does {variants[0].name} save at {workload}, and at what risk?"
    return f"Which of these {len(variants)} variants saves most at {workload}, and at what risk?"


def setting(assumed: Assumptions) -> str:
    """The traffic and the machine, as the line under the title."""
    work = assumed.workload
    if work.on_premises is not None:
        place = f"on premises, {work.on_premises.title}"
    else:
        place = f"{work.region}, {'serverless' if work.billing == 'serverless' else f'{work.instance}, {work.billing}'}"
    return f"{units.short_number(work.monthly)} predictions a month, {place}."


def answer(variants: Sequence[Variant]) -> str:
    """The answer in one sentence: of several, the one that saves the largest share of the bill."""
    if len(variants) == 1:
        return variants[0].headline
    known = [(share, one) for one in variants if (share := _share(one)) is not None]
    if not known:
        return "What these variants save is not known."
    best = max(known, key=lambda pair: pair[0])[1]
    return f"{best.name}: {best.headline[0].lower()}{best.headline[1:]}"


def _share(variant: Variant) -> float | None:
    row = variant.row("bill")
    return row.share.value if row and row.share else None


def says(found: Savings) -> tuple[str, ...]:
    """Speed, accuracy and what making it cost: gain and loss in the same breath."""
    record = found.entry.record
    told = [_speed(found), _accuracy(record)]
    return (*told, _made(found)) if found.is_known else tuple(told)


def _speed(found: Savings) -> str:
    record, word = found.entry.record, found.entry.verdict
    speed = f"{record.speedup.value:.2f} times ({record.speedup.low:.2f} to {record.speedup.high:.2f})"
    if word == "faster":
        first = f"Measured in turns, the variant answers {speed} as fast as its baseline at batch 1"
    elif word == "slower":
        first = f"The variant is slower: {speed} the speed of its baseline at batch 1"
    else:
        first = f"The verdict is {VERDICTS[word].text}: {speed} the speed of its baseline at batch 1"
    return f"{first}{_machines(found)}. {_smaller(record)}"


def _machines(found: Savings) -> str:
    """How many instances at peak do the work of how many, where the workload pays for instances."""
    if not found.is_known or found.assumed.workload.billing == "serverless":
        return ""
    before, after = found.peaks
    if before.value is None or after.value is None:
        return ""
    if after.value < before.value:
        return f", so {after.value:.0f} instances at peak do the work of {before.value:.0f}"
    return f"; it takes {after.value:.0f} instances at peak, as before" if after.value == before.value else ""


def _smaller(record: Record) -> str:
    before, after = record.report.baseline.size_bytes, record.report.result.size_bytes
    return f"The file is {record.size_ratio:.1f} times smaller ({units.file_size(before)} to {units.file_size(after)})."


def _accuracy(record: Record) -> str:
    middle, worst, best = record.change
    span = f"{units.number(worst, 2, signed=True)} to {units.number(best, 2, signed=True)}"
    noise = "more than noise" if record.delta.distinguishable else "within noise"
    risk = "; the interval crosses the limit" if record.gate_result.at_risk else ""
    unit = "% of the baseline" if is_relative(record.headline) else "points"
    return (
        f"{metric_word(record.headline)} {units.number(middle, 2, signed=True)} {unit} ({span}), {noise}. "
        f"Its gate, {record.gate.summary}, is passed{risk}."
    )


def _made(found: Savings) -> str:
    (_, _, money, _, even_money, hours_money), (_, _, carbon, _, even_carbon, hours_carbon) = found.paybacks
    if not money.is_known and not carbon.is_known:
        return f"What making it cost is not known. {money.reason}"
    cost = " and ".join(said.value(each) for each in (money, carbon) if each.is_known)
    ends = (("money", even_money, hours_money), ("carbon", even_carbon, hours_carbon))
    return f"Making it cost {cost}; {' and '.join(_even(*each) for each in ends)}."


def _even(what: str, payback: Amount, hours: Amount) -> str:
    if payback.is_never:
        return f"in {what} it never pays back at this traffic"
    if not payback.is_known:
        return f"when it pays back in {what} is not known"
    return f"in {what} earned back after {said.value(hours)} of traffic"
