"""Three recipes to start from, chosen for a network, its data and a device."""

from workers.device import DeviceProfile
from workers.errors import Frozen
from workers.facts import DatasetFacts, ModelFacts
from workers.recipe import Recipe, step, unmet_needs
from workers.technique import Fit, Technique

TITLES = {
    "smallest": "Smallest file, no retraining",
    "fastest": "Fastest on this device",
    "careful": "Keep every tenth of a point",
}
TIDY = step({"technique": "tidy"})
STATIC = step({"technique": "static-int8"})
DYNAMIC = step({"technique": "dynamic-int8"})
HALF = step({"technique": "fp16"})
# A fifth of the whole network's weights cost nothing measurable on a Fashion-MNIST CNN; three tenths cost 0.2 points.
GENTLE = step({"technique": "magnitude-pruning", "sparsity": 0.2})


class Starter(Frozen):
    """A recipe behind one button: the wish it serves, and the sentence that says why it looks like this here."""

    key: str
    title: str
    says: str
    recipe: Recipe


def starters(facts: ModelFacts, data: DatasetFacts | None, device: DeviceProfile) -> tuple[Starter, ...]:
    """One recipe each for the smallest file, the fastest network and the least loss of accuracy.

    Every recipe can run on this data; where nothing better fits, it is the lossless one.
    """
    return (_smallest(facts, data, device), _fastest(facts, data, device), _careful(facts, data, device))


def _smallest(facts: ModelFacts, data: DatasetFacts | None, device: DeviceProfile) -> Starter:
    shrinking = [one for one in (STATIC, DYNAMIC, HALF) if _works(one, facts, data, device)]
    smallest = min(shrinking, key=lambda one: one.forecast(facts).size_bytes.value, default=None)
    if smallest is None:
        return _starter(
            "smallest", (TIDY,), "Nothing else fits this network: tidy removes what the file does not need."
        )
    pruning = (GENTLE,) if _works(GENTLE, facts, data, device) else ()
    zipped = " A fifth of the weights becomes zero first, which shows once the file is compressed." if pruning else ""
    says = f"{smallest.about.title} makes this network smallest; tidy removes what is left over.{zipped}"
    return _starter("smallest", (*pruning, smallest, TIDY), says)


def _fastest(facts: ModelFacts, data: DatasetFacts | None, device: DeviceProfile) -> Starter:
    for one in (STATIC, DYNAMIC, HALF):
        fit = _fit(one, facts, data, device)
        if fit.word == "fits":
            return _starter("fastest", (one, TIDY), f"{one.about.title}: {_as_part(fit.reason)} {fit.expect}".strip())
    if _works(STATIC, facts, data, device):
        reason = _as_part(_fit(STATIC, facts, data, device).reason)
        return _starter("fastest", (STATIC, TIDY), f"Static INT8 is the best chance, though not a good one: {reason}")
    return _starter("fastest", (TIDY,), "Nothing known makes this network faster here; tidy at least does no harm.")


def _careful(facts: ModelFacts, data: DatasetFacts | None, device: DeviceProfile) -> Starter:
    fit = _fit(HALF, facts, data, device)
    if fit.word != "does-not-fit":
        slower = " It is not faster on this device." if fit.word == "slower-here" else ""
        says = f"FP16 halves the file and keeps 11 significant bits, so that predictions hardly ever change.{slower}"
        return _starter("careful", (HALF, TIDY), says)
    return _starter("careful", (TIDY,), "Tidy changes no prediction; every other step here would.")


def _starter(key: str, steps: tuple[Technique, ...], says: str) -> Starter:
    return Starter(key=key, title=TITLES[key], says=says, recipe=Recipe(name=TITLES[key], steps=steps))


def _fit(one: Technique, facts: ModelFacts, data: DatasetFacts | None, device: DeviceProfile) -> Fit:
    if unmet_needs(one, data):
        return Fit(word="does-not-fit", reason=f"It needs {unmet_needs(one, data)}.")
    return one.fits(facts, data, device)


def _works(one: Technique, facts: ModelFacts, data: DatasetFacts | None, device: DeviceProfile) -> bool:
    return _fit(one, facts, data, device).word != "does-not-fit"


def _as_part(sentence: str) -> str:
    return sentence[:1].lower() + sentence[1:]
