"""Three recipes to start from, chosen for the network at hand: by what fits, not by what sounds good."""

from __future__ import annotations

from workers.device import DeviceProfile
from workers.errors import Frozen
from workers.facts import DatasetFacts, ModelFacts
from workers.recipe import Recipe, techniques
from workers.technique import Fit, Technique

TIDY = "tidy"


class Starter(Frozen):
    """A recipe behind one button, with the sentence that says what it is good for here."""

    key: str
    title: str
    says: str
    recipe: Recipe


def starters(model: ModelFacts, data: DatasetFacts | None, device: DeviceProfile) -> list[Starter]:
    """Smallest file, fastest here, most careful: each as far as a technique fits."""
    made = [_smallest(model, data, device), _fastest(model, data, device), _careful(model, data, device)]
    return [starter for starter in made if starter is not None]


def _smallest(model: ModelFacts, data: DatasetFacts | None, device: DeviceProfile) -> Starter | None:
    """The single step whose forecast is the smallest file, and a tidy file around it."""
    fitting = _fitting(model, data, device)
    if not fitting:
        return None
    best = min(fitting, key=lambda pair: pair[0].forecast(model).size_bytes.value)[0]
    return _starter(
        "smallest",
        "Smallest file, no retraining",
        f"{best.about.title}: the smallest file of the techniques that fit.",
        best,
    )


def _fastest(model: ModelFacts, data: DatasetFacts | None, device: DeviceProfile) -> Starter | None:
    """A quantization that fits without a "but", static before dynamic: it also covers convolutions.

    Pruned zeros and wide formats save no time on a CPU.
    """
    fitting = {one.slug(): one for one, fit in _fitting(model, data, device) if fit.word == "fits"}
    best = fitting.get("static-int8") or fitting.get("dynamic-int8")
    title = "Fastest on this device"
    if best is None:
        return _starter("fastest", title, "No number format is faster here; tidying may still save a little.")
    says = f"{best.about.title}: integer arithmetic this device has instructions for."
    return _starter("fastest", title, says, best)


def _careful(model: ModelFacts, data: DatasetFacts | None, device: DeviceProfile) -> Starter | None:
    half = next(((one, fit) for one, fit in _fitting(model, data, device) if one.slug() == "fp16"), None)
    title = "Keep every tenth of a point"
    if half is None:
        return _starter("careful", title, "Tidy only: nothing is rounded, answers stay bit for bit close.")
    slower = " It is slower on this device." if half[1].word == "slower-here" else ""
    return _starter(
        "careful",
        title,
        f"{half[0].about.title}: half the file, rounding far below what the metric shows.{slower}",
        half[0],
    )


def _fitting(model: ModelFacts, data: DatasetFacts | None, device: DeviceProfile) -> list[tuple[Technique, Fit]]:
    """Every technique but tidy that suits, as it comes, with its fit."""
    tried = ((kind.model_validate({}), kind) for slug, kind in techniques().items() if slug != TIDY)
    judged = [(one, one.fits(model, data, device)) for one, _ in tried]
    return [(one, fit) for one, fit in judged if fit.word != "does-not-fit"]


def _starter(key: str, title: str, says: str, *steps: Technique) -> Starter:
    tidy = (techniques()[TIDY].model_validate({}),) if TIDY in techniques() else ()
    return Starter(key=key, title=title, says=says, recipe=Recipe(name=title, steps=(*steps, *tidy)))
