"""What a network says about data, and what that is worth: task metrics, their differences, and guessing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from workers.contract import Contract, Task
from workers.errors import OursToFix, YoursToFix
from workers.evaluation.answers import class_labels, class_scores, numbers, see_labels_fit
from workers.evaluation.sessions import Feed, feeds_for, fixed_batch, pick, run
from workers.facts import Role
from workers.metric import Metric, RecallMetric, for_contract, metrics
from workers.model import Progress
from workers.numerics.classes import NO_CLASS
from workers.numerics.next_token import NOTHING, next_token_losses
from workers.report import Interval, MetricDelta
from workers.workbench import Batch, Data

if TYPE_CHECKING:
    import onnxruntime as ort


@dataclass(frozen=True)
class Predictions:
    """The network's first output for n samples, float32, batch axis first; their labels, if any; their row numbers."""

    outputs: np.ndarray
    labels: np.ndarray | None
    rows: np.ndarray

    def __len__(self) -> int:
        return len(self.rows)


def predict(
    session: ort.InferenceSession,
    data: Data,
    role: Role,
    *,
    batch: int = 32,
    limit: int | None = None,
    check: Callable[[], None] | None = None,
    progress: Progress | None = None,
) -> Predictions:
    """Run a network over the rows of a role.

    A graph with a fixed batch size is fed in pieces of that size; one that declares a free batch
    axis but cannot take a batch is fed sample by sample.

    Args:
        batch: samples per run, where the graph leaves it free.
        limit: at most this many rows.
        check: called before each batch; raises to stop.
        progress: called after each batch with (done, total, text).

    Raises:
        YoursToFix: if the role is empty or the samples do not fit the network.
    """
    if role not in data.facts.roles or not data.facts.roles[role].rows:
        raise YoursToFix(
            f"Expected {role} data, found none.", hint="Choose a dataset that has it.", code="data.role-missing"
        )
    total = min(data.facts.roles[role].rows, limit or data.facts.roles[role].rows)
    outputs: list[np.ndarray] = []
    labels: list[np.ndarray] = []
    rows: list[np.ndarray] = []
    answer = Answerer(session)
    for part in data.batches(role, size=batch, limit=limit):
        if check is not None:
            check()
        outputs.append(read(answer(part.inputs, len(part)), part))
        rows.append(part.rows)
        if part.labels is not None:
            labels.append(part.labels)
        if progress is not None:
            done = sum(map(len, rows))
            progress(done, total, f"{done:,} of {total:,} samples")
    return Predictions(np.concatenate(outputs), np.concatenate(labels) if labels else None, np.concatenate(rows))


def read(outputs: np.ndarray, part: Batch) -> np.ndarray:
    """What is kept of the answers to a batch: scores over a vocabulary become losses at once, as they would not fit."""
    if not part.next_token or part.labels is None:
        return outputs
    if outputs.ndim != 3 or outputs.shape[:2] != part.labels.shape:
        raise YoursToFix(
            f"Expected scores for the next token at each of {part.labels.shape[1]} places, found an output of shape"
            f" {outputs.shape}.",
            hint="Correct the task in the input contract, or export the network with its scores as first output.",
            code="model.output-shape",
        )
    return next_token_losses(outputs, part.labels)


class Answerer:
    """Gives the first output for a batch; remembers when a graph turned out to take single samples only."""

    def __init__(self, session: ort.InferenceSession) -> None:
        self.session = session
        self.one_by_one = False

    def __call__(self, inputs: Feed, rows: int) -> np.ndarray:
        if not self.one_by_one:
            try:
                return self._whole(inputs, rows)
            except (YoursToFix, OursToFix) as fault:
                if rows == 1 or fixed_batch(self.session) is not None or fault.code == "runtime.out-of-memory":
                    raise
        parts = [self._whole(pick(self.session, inputs, np.array([row])), 1) for row in range(rows)]
        self.one_by_one = True  # only now: if single samples fail as well, the fault lies elsewhere
        return np.concatenate(parts)

    def _whole(self, inputs: Feed, rows: int) -> np.ndarray:
        feeds = feeds_for(self.session, inputs, rows)
        answer = np.concatenate([first_output(run(self.session, feed)) for feed in feeds])
        asked = len(feeds) * (fixed_batch(self.session) or rows)
        if len(answer) != asked:
            raise YoursToFix(
                f"Expected one answer for each of {asked} samples, found an output with {len(answer)} rows.",
                hint="Export the network with the batch axis first in its first output.",
                code="model.output-shape",
            )
        return answer[:rows]  # without the rows that only filled the last piece up


def first_output(outputs: list[np.ndarray]) -> np.ndarray:
    """The first output as float32, with a batch axis.

    Raises:
        YoursToFix: if it is no tensor of numbers.
    """
    first = outputs[0]
    if not isinstance(first, np.ndarray) or first.dtype.kind not in "fiub":
        raise YoursToFix(
            f"Expected numbers as the network's first output, found {getattr(first, 'dtype', type(first).__name__)}.",
            hint="Export the network with scores or class numbers first (skl2onnx: options={'zipmap': False}).",
            code="model.output-type",
        )
    return np.atleast_1d(first).astype(np.float32)


def score(predictions: Predictions, contract: Contract, *, seed: int) -> dict[str, Interval]:
    """Every metric that suits the network's task, with its 95 % interval; none where there are no labels.

    Raises:
        YoursToFix: if outputs or labels are not what the contract says.
    """
    if predictions.labels is None:
        return {}
    outputs, labels = readable(predictions, contract)
    suited = applying(predictions, contract)
    return {metric.name: metric.measure(outputs, labels, seed=seed) for metric in suited}


def applying(predictions: Predictions, contract: Contract) -> tuple[Metric, ...]:
    """The metrics that suit the task and are defined for these labels, the headline first; none without labels."""
    if predictions.labels is None:
        return ()
    outputs, labels = readable(predictions, contract)
    return tuple(metric for metric in for_contract(contract) if metric.applies(outputs, labels))


def left_out(predictions: Predictions, contract: Contract) -> tuple[str, ...]:
    """Which metrics of the task are not there and why, a sentence each; none without labels."""
    if predictions.labels is None:
        return ()
    outputs, labels = readable(predictions, contract)
    absent = [metric for metric in for_contract(contract) if not metric.applies(outputs, labels)]
    reasons = {metric.about.title: metric.why_left_out(outputs, labels) for metric in absent}
    return tuple(f"{title} was left out: {why}." for title, why in reasons.items() if why)


def compare(before: Predictions, after: Predictions, contract: Contract, *, seed: int) -> dict[str, MetricDelta]:
    """``after`` minus ``before`` in every metric that suits, paired sample by sample.

    Raises:
        ValueError: if the two were not made from the same rows.
    """
    if not np.array_equal(before.rows, after.rows):
        raise ValueError("expected predictions for the same rows")
    if before.labels is None:
        return {}
    first, labels = readable(before, contract)
    second, _ = readable(after, contract)
    suited = applying(before, contract)
    return {metric.name: metric.compare(first, second, labels, seed=seed) for metric in suited}


def chance_level(labels: np.ndarray, contract: Contract, name: str = "") -> float:
    """What a network that looks at nothing would reach in a metric, the usual headline unless it is named.

    Of classes: always the most frequent one; AUC then is one half, and average precision the share of the class (its
    mean over classes). Of numbers: the RMSE of always saying their mean.
    """
    if contract.task is Task.CAUSAL_LM:
        return _perplexity_of_frequencies(labels)
    if contract.task is Task.EMBEDDING:
        documents = len(np.unique(labels[:, 0]))
        kind = metrics().get(name)
        if kind is not None and issubclass(kind, RecallMetric):
            return min(kind.k / documents, 1.0)
        return float((1 / np.arange(1, documents + 1)).mean())
    if contract.task is not Task.CLASSIFICATION:
        values = np.asarray(labels, dtype=np.float64)
        return float(np.sqrt(np.mean(np.square(values - values.mean(axis=0)))))
    known = class_labels(labels, contract)
    classes, counts = np.unique(known[known != NO_CLASS], return_counts=True)
    if name == "auc":
        return 0.5
    if name == "ap":
        binary = len(classes) == 2 and classes[-1] == 1
        return float(counts[-1] / counts.sum()) if binary else 1 / len(classes)
    constant = np.full(known.shape, float(classes[counts.argmax()]))
    return metrics()[name or "accuracy"]().measure(constant, known, seed=0).value


def _perplexity_of_frequencies(tokens: np.ndarray) -> float:
    """The perplexity of always giving each token the share it has in this very text."""
    _, counts = np.unique(tokens[tokens != NOTHING], return_counts=True)
    shares = counts / counts.sum()
    return float(np.exp(-(shares * np.log(shares)).sum()))


def readable(predictions: Predictions, contract: Contract) -> tuple[np.ndarray, np.ndarray]:
    """Outputs and labels in the form metrics take.

    Returns:
        For classes: outputs (n,) of class numbers or (n, classes) of scores, labels (n,) of class numbers; where
        each frame or pixel has an answer, all three with an axis for these after the first.
        For numbers: outputs and labels of one shape, (n,) or (n, targets).

    Raises:
        YoursToFix: if they are not what the contract says.
    """
    if predictions.labels is None:
        raise ValueError("expected labels")
    if contract.task is Task.CLASSIFICATION:
        outputs = class_scores(predictions.outputs, contract)
        labels = class_labels(predictions.labels, contract)
        see_labels_fit(outputs, labels)
        return outputs, labels
    if contract.task is Task.REGRESSION:
        return numbers(predictions.outputs, predictions.labels)
    return predictions.outputs, predictions.labels
