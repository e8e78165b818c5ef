"""What a draft would take and give, for the column beside it: the checks of submitting, without submitting."""

from __future__ import annotations

from dataclasses import dataclass

from compressionhub.errors import HubError
from compressionhub.fleet.devices import profiles
from compressionhub.fleet.routing import Route
from compressionhub.jobs import actions
from compressionhub.jobs.compose.draft import Draft
from compressionhub.jobs.compose.precedents import Precedents, precedents
from compressionhub.jobs.models import Job
from compressionhub.jobs.states import State
from compressionhub.ui.range_bar import RangeBar
from workers.device import DeviceProfile
from workers.errors import YoursToFix
from workers.facts import DatasetFacts, ModelFacts, Span
from workers.preflight import Preflight, StepOutlook
from workers.recipe import techniques, unmet_needs
from workers.technique import Family, Fit, Technique
from workers.ticket import Limits


@dataclass(frozen=True)
class Choice:
    """A technique in the picker: whether it suits, why, and what to expect."""

    kind: type[Technique]
    fit: Fit | None
    missing: str

    @property
    def slug(self) -> str:
        return self.kind.slug()

    @property
    def family(self) -> Family:
        return self.kind.about.family

    @property
    def fits(self) -> bool:
        return not self.missing and (self.fit is None or self.fit.word != "does-not-fit")

    @property
    def reason(self) -> str:
        if self.missing:
            return f"Needs {self.missing}, which the dataset does not have."
        return self.fit.reason if self.fit else self.kind.card()


def choices(model: ModelFacts | None, data: DatasetFacts | None, device: DeviceProfile) -> list[Choice]:
    """Every technique: those that suit first, the others after them with the reason."""
    found = [_choice(kind, model, data, device) for kind in techniques().values()]
    order = {"fits": 0, "smaller-only": 1, "little-gain": 2, "slower-here": 3}
    return sorted(
        found, key=lambda one: (not one.fits, order.get(one.fit.word if one.fit else "fits", 4), one.kind.about.title)
    )


def _choice(
    kind: type[Technique], model: ModelFacts | None, data: DatasetFacts | None, device: DeviceProfile
) -> Choice:
    plain = kind.model_validate({})
    fit = plain.fits(model, data, device) if model else None
    return Choice(kind=kind, fit=fit, missing=unmet_needs(plain, data) if data else "")


def device_of(draft: Draft) -> DeviceProfile:
    """The chosen profile, or this host's where the key is unknown."""
    return profiles().get(draft.device) or profiles()["host-1t"]


@dataclass(frozen=True)
class Outlook:
    """The preflight of a draft, or the reason why there is none."""

    preflight: Preflight | None = None
    route: Route | None = None
    problem: HubError | YoursToFix | None = None
    ahead: int = 0
    running: int = 0
    baseline_bytes: int = 0
    precedents: Precedents | None = None

    @property
    def refused(self) -> str:
        return self.preflight.refused if self.preflight else ""

    @property
    def steps(self) -> tuple[StepOutlook, ...]:
        return self.preflight.steps if self.preflight else ()

    @property
    def time_bar(self) -> RangeBar | None:
        return _bar(self.preflight.seconds, start=0.0) if self.preflight else None

    @property
    def memory_bar(self) -> RangeBar | None:
        if self.preflight is None:
            return None
        limit = float(Limits().memory_bytes)
        return _bar(self.preflight.memory_bytes, start=0.0, limit=limit, worse=bool(self.refused))

    @property
    def size_bar(self) -> RangeBar | None:
        if self.preflight is None:
            return None
        return _bar(self.preflight.size_bytes, start=0.0, base=float(self.baseline_bytes))


def _bar(
    span: Span, *, start: float, limit: float | None = None, base: float | None = None, worse: bool = False
) -> RangeBar:
    return RangeBar(value=span.value, low=span.low, high=span.high, start=start, limit=limit, base=base, worse=worse)


def outlook(draft: Draft) -> Outlook:
    """Ask what submitting would say."""
    recipe = draft.recipe
    if draft.version is None or draft.dataset is None or recipe is None:
        return Outlook()
    try:
        forecast, route = actions.outlook(
            version=draft.version, dataset=draft.dataset, recipe=recipe, device=draft.device
        )
    except (HubError, YoursToFix) as error:
        return Outlook(problem=error)
    queue = Job.objects.filter(queue=route.queue)
    return Outlook(
        preflight=forecast,
        route=route,
        ahead=queue.filter(state=State.QUEUED).count(),
        running=queue.filter(state__in=(State.RUNNING, State.CANCELLING)).count(),
        baseline_bytes=draft.version.facts.size_bytes if draft.version.facts else 0,
        precedents=precedents(draft.version, recipe, draft.gate_value),
    )
