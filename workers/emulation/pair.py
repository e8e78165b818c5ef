"""Baseline and result on one device: both times and their ratio, predicted."""

from collections.abc import Sequence

from workers.device import DeviceProfile
from workers.emulation.asking import ask_about
from workers.emulation.predictor import Anchor, Ask, Prediction, predict, speedup
from workers.errors import YoursToFix
from workers.facts import ModelFacts
from workers.report import Predicted

ARTIFACT_RUNTIME = "onnxruntime"


def predict_pair(
    before: ModelFacts,
    after: ModelFacts,
    there: DeviceProfile,
    anchors: Sequence[Anchor] = (),
    hashes: tuple[str, str] = ("", ""),
) -> Predicted:
    """Predict both networks on a profile, under the runtime that the artifact is made for.

    Args:
        anchors: times measured on the device.
        hashes: of both files, by which their own times are found among the anchors.
    """
    try:
        asked_before, asked_after = (ask_there(*one, anchors) for one in zip((before, after), hashes, strict=True))
    except YoursToFix as error:
        return Predicted(why=error.message)
    first, second = predict(asked_before, there), predict(asked_after, there)
    return Predicted(
        baseline=first.latency_ms,
        result=second.latency_ms,
        ratio=speedup(asked_before, asked_after, there),
        why=second.why or first.why,
        notes=_notes(first, second),
        source=second.source or first.source,
    )


def ask_there(facts: ModelFacts, sha256: str, anchors: Sequence[Anchor]) -> Ask:
    """The question for a network that will run under ONNX Runtime on a device with known times.

    Raises:
        YoursToFix: if its layers could not be told apart.
    """
    return ask_about(facts).model_copy(
        update={"runtime": ARTIFACT_RUNTIME, "anchors": tuple(anchors), "sha256": sha256}
    )


def _notes(first: Prediction, second: Prediction) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*first.notes, *second.notes)))
