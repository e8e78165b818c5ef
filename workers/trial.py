"""Ten samples through the input contract, so that a person can see whether it is right."""

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from workers import datasets, evaluation
from workers.contract import Contract, Task
from workers.evaluation.answers import most_named
from workers.evaluation.changes import place
from workers.evaluation.predictions import Predictions
from workers.events import Sample, Tried
from workers.facts import Role
from workers.metric import metrics
from workers.numerics.classes import NO_CLASS
from workers.numerics.retrieval import asking, documents_of, ranks
from workers.report import Interval
from workers.workbench import Data

if TYPE_CHECKING:
    import numpy as np
    import onnxruntime

SAMPLES = 10
MOST_ROWS = 2000
MOST_WINDOWS = 64  # of a text, each some hundred answers
USUAL_CAUSES = (
    "The pixel range differs from training: try scale 1/255, or mean and standard deviation of the training set.",
    "Channels are in another order than in training (RGB and BGR).",
    "The labels are numbered in another order than the network's outputs.",
    "The layout is wrong: channels first and channels last have the same size here.",
    "The file holds an untrained or another network.",
)


def attempt(
    session: "onnxruntime.InferenceSession", data: Data, contract: Contract, *, seed: int, check: Callable[[], None]
) -> Tried:
    """Predict up to 2,000 rows that are not test data, and show the first ten beside their labels.

    Returns:
        The samples, the headline metric with its interval, and what guessing would give.
    """
    role = next(role for role in (Role.VALIDATION, Role.TRAIN, Role.CALIBRATION, Role.TEST) if role in data.facts.roles)
    predictions = evaluation.predict(session, data, role, limit=_most(contract), check=check)
    name, measured = _headline(predictions, contract, seed)
    chance = evaluation.chance_level(predictions.labels, contract, name) if predictions.labels is not None else 0.0
    poor = predictions.labels is not None and _no_better(name, measured, chance)
    return Tried(
        samples=_samples(data, predictions, contract),
        contract=contract,
        metric=name,
        measured=measured,
        chance=chance,
        no_better_than_chance=poor,
        causes=USUAL_CAUSES if poor else (),
    )


def _headline(predictions: Predictions, contract: Contract, seed: int) -> tuple[str, Interval]:
    scores = evaluation.score(predictions, contract, seed=seed)
    name = next(iter(scores), "")
    return name, scores.get(name, Interval(value=0.0, low=0.0, high=0.0, n=0))


def _most(contract: Contract) -> int:
    return MOST_WINDOWS if contract.task is Task.CAUSAL_LM else MOST_ROWS


def _no_better(name: str, measured: Interval, chance: float) -> bool:
    """Whether the metric's good end still does not clear guessing."""
    if not name:
        return False
    return measured.low <= chance if metrics()[name].about.higher_is_better else measured.high >= chance


def _samples(data: Data, predictions: Predictions, contract: Contract) -> tuple[Sample, ...]:
    if contract.task is Task.EMBEDDING and predictions.labels is not None:
        return tuple(_queries(data, predictions))
    first = range(min(SAMPLES, len(predictions.rows)))
    return tuple(_sample(data, predictions, position, contract) for position in first)


def _queries(data: Data, predictions: Predictions) -> Iterator[Sample]:
    """The first queries, each with the place its document takes among all that were seen."""
    import numpy as np

    labels = predictions.labels
    assert labels is not None
    of = len(documents_of(labels))
    places = ranks(predictions.outputs, labels)
    for position, rank in zip(np.flatnonzero(asking(labels))[:SAMPLES], places, strict=False):
        row = int(predictions.rows[position])
        said, text = f"{place(int(rank))} of {of}", datasets.excerpt(data, row)
        yield Sample(row=datasets.line(data, row), label="", prediction=said, right=bool(rank == 1), text=text)


def _sample(data: Data, predictions: Predictions, position: int, contract: Contract) -> Sample:
    import numpy as np

    row = int(predictions.rows[position])
    output = np.atleast_1d(predictions.outputs[position])
    label = None if predictions.labels is None else predictions.labels[position]
    values = tuple(float(value) for value in output.ravel()[:10])
    picture, text = datasets.picture(data, row), datasets.excerpt(data, row)
    plain = Sample(row=row, label="", prediction="", right=None, values=values, picture=picture, text=text)
    if contract.task is Task.CAUSAL_LM and predictions.labels is not None:
        one = slice(position, position + 1)
        alone = Predictions(predictions.outputs[one], predictions.labels[one], predictions.rows[one])
        return plain.model_copy(update={"prediction": f"perplexity {_headline(alone, contract, 0)[1].value:.3g}"})
    if contract.task is not Task.CLASSIFICATION:
        said = "" if label is None else f"{float(np.ravel(label)[0]):.4g}"
        return plain.model_copy(update={"label": said, "prediction": f"{values[0]:.4g}"})
    names = contract.classes or data.facts.target.classes
    guess = evaluation.predicted_classes(predictions.outputs[position : position + 1], contract)[0]
    if guess.ndim:
        return plain.model_copy(update=_units(guess, label, names))
    return plain.model_copy(
        update={
            "label": "" if label is None else evaluation.class_name(int(label), names),
            "prediction": evaluation.class_name(int(guess), names),
            "right": None if label is None else bool(guess == label),
            "score": _share(output),
        }
    )


def _units(guess: "np.ndarray", label: "np.ndarray | None", names: Sequence[str]) -> dict[str, object]:
    """Of a sample with many answers: the most frequent class, and the share of answers that are right."""
    import numpy as np

    if label is None:
        return {"prediction": most_named(guess, names, np.ones(guess.shape, bool))}
    true = label.reshape(-1)
    counted = true != NO_CLASS
    right = float(np.mean(guess[counted] == true[counted])) if counted.any() else None
    return {
        "label": most_named(true, names, counted),
        "prediction": most_named(guess, names, counted),
        "score": right,
    }


def _share(output: "object") -> float | None:
    """The softmax share of the winning class, or the share itself where the outputs already sum to one."""
    import numpy as np

    values = np.asarray(output, dtype=np.float64).ravel()
    if values.size < 2:
        return None
    if values.min() >= 0 and abs(values.sum() - 1) < 1e-3:
        return float(values.max())
    shares = np.exp(values - values.max())
    return float(shares.max() / shares.sum())
