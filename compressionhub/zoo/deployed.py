"""What deployments cost, save and could still save: which networks are asked about; every figure is the engine's."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

from compressionhub.errors import HubError
from compressionhub.estimates import tables
from compressionhub.estimates.assumptions import Assumptions
from compressionhub.jobs.models import Job
from compressionhub.jobs.states import Kind, State
from compressionhub.zoo.models import Deployment, Entry
from compressionhub.zoo.numbers import QUANTITIES, VIEWS
from compressionhub.zoo.timed import Timed, timed_in
from compressionhub.zoo.times import times
from workers.errors import YoursToFix
from workers.estimate import Amount, InputFact, NotKnown
from workers.serving.figures import Figures, figures_of_pairs
from workers.serving.machine import Machine, machine
from workers.serving.service import EXACT, ServiceTime
from workers.serving.shown import NOTHING

MOST_CANDIDATES = 200
UNITS: Final = {"bill": "$/month", "energy": "kWh/month", "carbon": "kg CO2e/month", "wait": "ms"}
NO_VARIANT = "No variant of it is listed in the zoo."
ENDED = "It has ended."


@dataclass(frozen=True)
class Counted:
    """Figures of one deployment by ``quantity.view``, and the variant that could still save most.

    Views: *before* (what the untouched baseline would take), *paid*, *saved* and its *share*, and what the *best*
    listed variant *could* still save of what is paid.
    """

    amounts: dict[str, Amount]
    best: UUID | None = None
    says: str = ""


@dataclass(frozen=True)
class _Variant:
    """A listed entry with how long it and its baseline took."""

    pk: UUID
    timed: Timed


Listed = Mapping[tuple[UUID, UUID], Sequence[_Variant]]


@dataclass
class _Question:
    """What the engine is asked at once: pairs of networks on one machine, of all deployments that assume the same."""

    assumed: Assumptions
    there: Machine
    pairs: list[tuple[ServiceTime, ServiceTime]] = field(default_factory=list)


@dataclass
class _Asked:
    """A deployment's pairs in the question. ``live`` is the place of what serves, beside its baseline; ``stay`` that
    of what serves beside itself, which saves nothing; ``others`` those of the variants that could take its place."""

    question: _Question
    others: dict[int, UUID] = field(default_factory=dict)
    live: int = 0
    stay: int = 0
    why_not: str = NO_VARIANT

    def add(self, before: ServiceTime, after: ServiceTime) -> int:
        self.question.pairs.append((before, after))
        return len(self.question.pairs) - 1


def count(deployments: Sequence[Deployment]) -> list[Counted]:
    """Ask the engine about deployments, each under its own assumptions: once about all that assume the same."""
    alike: dict[tuple[object, ...], list[Deployment]] = defaultdict(list)
    for each in deployments:
        alike[each.assumes].append(each)
    listed = _listed(deployments)
    found = {key: one for some in alike.values() for key, one in _count(some, listed).items()}
    return [found[each.pk] for each in deployments]


def _count(alike: Sequence[Deployment], listed: Listed) -> dict[UUID, Counted]:
    """Those of one set of assumptions, by key."""
    assumed = alike[0].assumed
    asked: dict[UUID, _Asked] = {}
    counted: dict[UUID, Counted] = {}
    try:
        data = tables.of(assumed)
        question = _Question(assumed, machine(assumed.workload, data))
        for each in alike:
            try:
                asked[each.pk] = _asked(each, question, listed)
            except NotKnown as missing:
                counted[each.pk] = _unknown(missing.reason)
        if asked:
            found = figures_of_pairs(assumed.workload, question.pairs, data=data)
            counted |= {each.pk: _counted(each, found, asked[each.pk]) for each in alike if each.pk in asked}
    except (YoursToFix, HubError) as fault:
        return {each.pk: _unknown(fault.message) for each in alike}
    return counted


def _counted(deployment: Deployment, found: Figures, asked: _Asked) -> Counted:
    """The figures of one of them out of the answer."""
    slugs = {"bill": found.bill_slug, "energy": "energy", "carbon": "carbon"}
    best = _best(found, slugs, asked)
    at = asked.live if best is None or deployment.entry_id is not None else best
    return Counted(
        amounts={
            "wait.before": found.amount("latency-at-peak", 2 * at),
            "wait.paid": found.amount("latency-at-peak", _paid_at(deployment, at)),
            **_served(deployment, found, slugs, at, asked),
            **_could(deployment, found, slugs, asked, best),
        },
        best=None if best is None else asked.others[best],
        says=_says(deployment, found, asked, best),
    )


def _asked(deployment: Deployment, question: _Question, listed: Listed) -> _Asked:
    """Which pairs to ask about.

    A baseline is compared in the job that made each variant; a variant that serves with others whose times came
    about in the same way.

    Raises:
        NotKnown: if nothing was measured of what serves, or nothing leads from there to the machine.
    """
    asked = _Asked(question)
    found = list(_variants(_candidates(deployment, listed), asked))
    before, serving = _live(deployment, question, found)
    asked.live = asked.add(before, serving)
    exact = serving.model_copy(update={"own": EXACT})
    asked.stay = asked.add(exact, exact)
    for pk, first, after in found if deployment.is_running else ():
        if deployment.entry_id is None:
            asked.others[asked.add(first, after)] = pk
        elif (after.device, after.is_predicted) == (serving.device, serving.is_predicted):
            asked.others[asked.add(serving, after)] = pk
    return asked


def _variants(candidates: Sequence[_Variant], asked: _Asked) -> Iterator[tuple[UUID, ServiceTime, ServiceTime]]:
    """Those that could serve instead, each with its baseline's time and its own on the machine."""
    for one in candidates:
        try:
            before, after = one.timed.on(asked.question.there, asked.question.assumed)
        except NotKnown as missing:
            asked.why_not = missing.reason
            continue
        yield one.pk, before, after


def _live(
    deployment: Deployment, question: _Question, variants: list[tuple[UUID, ServiceTime, ServiceTime]]
) -> tuple[ServiceTime, ServiceTime]:
    """Baseline and what serves; twice the baseline where that serves itself, as one of its variants' jobs timed it."""
    if deployment.entry_id is not None:
        before, after = times([deployment.entry_id])[deployment.entry_id].on(question.there, question.assumed)
        return before, after
    if variants:
        return variants[0][1], variants[0][1]
    measured = _of_baseline(deployment)
    if measured is None:
        raise NotKnown(f"Nothing was measured of {deployment.baseline} yet. One job on it measures the baseline too.")
    before, _ = measured.on(question.there, question.assumed)
    return before, before


def _of_baseline(deployment: Deployment) -> Timed | None:
    """From the newest job that measured it."""
    done = Job.objects.filter(
        model_version=deployment.baseline_id, kind=Kind.COMPRESS, state=State.SUCCEEDED, report__isnull=False
    )
    job = done.order_by("-finished_at").first()
    if job is None or job.report_value is None:
        return None
    return timed_in(job.report_value, job=job.number)


def _listed(deployments: Sequence[Deployment]) -> Listed:
    """Listed variants by team and baseline, newest first; every one is within its gate."""
    baselines = {each.baseline for each in deployments if _needs_candidates(each)}
    models = {each.model_id for each in baselines}
    teams = {each.team_id for each in deployments}
    found = Entry.objects.listed().filter(team__in=teams, model__in=models, baseline__in=baselines)
    # Ordered here: asked to order, SQLite walks through all that is listed instead of the baselines' alone.
    rows = sorted(found.order_by().values_list("published_at", "pk", "team", "baseline"), reverse=True)
    read = times([pk for _, pk, _, _ in rows])
    listed: dict[tuple[UUID, UUID], list[_Variant]] = defaultdict(list)
    for _, pk, team, baseline in rows:
        if pk in read:
            listed[team, baseline].append(_Variant(pk, read[pk]))
    return listed


def _candidates(deployment: Deployment, listed: Listed) -> list[_Variant]:
    """Other variants of the same baseline."""
    if not _needs_candidates(deployment):
        return []
    mine = listed.get((deployment.team_id, deployment.baseline_id), ())
    return [each for each in mine if each.pk != deployment.entry_id][:MOST_CANDIDATES]


def _needs_candidates(deployment: Deployment) -> bool:
    """Whether it runs; of what has ended, only a baseline's cost is told by its variants."""
    return deployment.is_running or deployment.entry_id is None


def _best(found: Figures, slugs: dict[str, str], asked: _Asked) -> int | None:
    """The variant that saves most of the bill, or of energy where no bill is known; the newest of equals."""
    for slug in (slugs["bill"], slugs["energy"]):
        saved = found.saving(slug).value
        known = [(float(saved[2 * at + 1]), -at) for at in asked.others if not math.isnan(saved[2 * at + 1])]
        if known:
            return -max(known)[1]
    return None


def _paid_at(deployment: Deployment, at: int) -> int:
    """Position of what serves in a pair: its second network, or its first where the baseline serves."""
    return 2 * at + (deployment.entry_id is not None)


def _served(deployment: Deployment, found: Figures, slugs: dict[str, str], at: int, asked: _Asked) -> dict[str, Amount]:
    """What is paid, what the untouched baseline would take, and the difference."""
    saved_at = 2 * (asked.live if deployment.entry_id is not None else asked.stay) + 1
    return {
        f"{name}.{view}": amount
        for name, slug in slugs.items()
        for view, amount in (
            ("before", found.amount(slug, 2 * at)),
            ("paid", found.amount(slug, _paid_at(deployment, at))),
            ("saved", found.saving_amount(slug, saved_at)),
            ("share", found.relative_saving_amount(slug, saved_at)),
        )
    }


def _could(
    deployment: Deployment, found: Figures, slugs: dict[str, str], asked: _Asked, best: int | None
) -> dict[str, Amount]:
    """What the best variant could still save; nothing where none does, not known where none can be asked about."""
    if best is None and (deployment.entry_id is None or not deployment.is_running):
        reason = asked.why_not if deployment.is_running else ENDED
        return {
            f"{name}.{view}": Amount.unknown(unit, reason)
            for name in slugs
            for view, unit in (("could", UNITS[name]), ("could_share", "share"))
        }
    saves = best is not None and _does_save(found, slugs, best)
    at = 2 * (best if saves and best is not None else asked.stay) + 1
    could = {f"{name}.could": found.saving_amount(slug, at) for name, slug in slugs.items()}
    could |= {f"{name}.could_share": found.relative_saving_amount(slug, at) for name, slug in slugs.items()}
    return could if deployment.entry_id is None else {name: _against_live(each) for name, each in could.items()}


def _does_save(found: Figures, slugs: dict[str, str], at: int) -> bool:
    """Whether it saves some of the bill, or of energy where no bill is known."""
    shares = [found.relative_saving(slugs[name]).value[2 * at + 1] for name in ("bill", "energy")]
    return bool(next((share > NOTHING for share in shares if not math.isnan(share)), False))


def _says(deployment: Deployment, found: Figures, asked: _Asked, best: int | None) -> str:
    """Why nothing more can be saved, in a few words; empty where something can."""
    if not deployment.is_running:
        return ENDED
    if best is None:
        return "best variant is live" if deployment.entry_id is not None else asked.why_not
    if _does_save(found, {"bill": found.bill_slug, "energy": "energy"}, best):
        return ""
    peaks = found.column("instances-at-peak").value
    floor = deployment.assumed.workload.ha_floor
    if peaks[2 * best] == peaks[2 * best + 1] == floor:
        return f"{floor} instances are the floor: waiting time only"
    return "best variant is live" if deployment.entry_id is not None else "no listed variant saves"


def _against_live(amount: Amount) -> Amount:
    """The first of the pair is what serves now, and no baseline."""
    facts = tuple(_renamed(each) for each in amount.inputs)
    return amount.model_copy(update={"inputs": facts, "method": amount.method.replace("baseline", "serving now")})


def _renamed(fact: InputFact) -> InputFact:
    return fact.model_copy(update={"title": fact.title.replace(", baseline", ", serving now")})


def _unknown(reason: str) -> Counted:
    """Nothing is known, for one reason."""
    amounts = {
        f"{name}.{view}": Amount.unknown("share" if view in ("share", "could_share") else UNITS[name], reason)
        for name in QUANTITIES
        for view in VIEWS
    }
    waits = {f"wait.{view}": Amount.unknown(UNITS["wait"], reason) for view in ("before", "paid")}
    return Counted(amounts | waits, says=reason)
