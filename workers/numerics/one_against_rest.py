"""A ranking figure for one class, averaged over classes, with its standard error."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from workers.numerics.classes import NO_CLASS, Classes
from workers.numerics.clusters import spread_of
from workers.numerics.rank_curves import Flags, Floats, rank_scores

MOST_SCORES = 20_000_000
Curve = Callable[[Floats, Flags], tuple[float, Floats]]


@dataclass(frozen=True)
class Ranked:
    """A figure, each counted answer's influence on it, the sample it belongs to, and the rarest of its two sides."""

    value: float
    influence: Floats
    samples: NDArray[np.int64]
    fewest: int

    @property
    def spread(self) -> float:
        return spread_of(self.influence, self.samples)


def has_two_sides(outputs: NDArray[np.floating], labels: Classes) -> bool:
    """Whether classes can be ranked: there are scores, not too many, and answers of more than one class."""
    return is_scored(outputs, labels) and outputs.size <= MOST_SCORES and len(np.unique(labels[labels != NO_CLASS])) > 1


def is_scored(outputs: NDArray[np.floating], labels: Classes) -> bool:
    """Whether each answer has a score for each class, and is not a class alone."""
    return outputs.ndim == labels.ndim + 1


def ranked(curve: Curve, outputs: NDArray[np.floating], labels: Classes) -> Ranked:
    """The figure of class 1 of two, or the mean over all classes that occur, each against the rest.

    Args:
        curve: from scores (n,) and flags (n,) to the figure and influences (n,).
        outputs: (n, classes) or (n, u, classes).
        labels: (n,) or (n, u); answers labelled ``NO_CLASS`` do not count.
    """
    counted = labels.reshape(-1) != NO_CLASS
    flat = labels.reshape(-1)[counted]
    scores = rank_scores(outputs.reshape(-1, outputs.shape[-1])[counted])
    samples = np.arange(len(labels)).repeat(labels.size // len(labels))[counted]
    classes = [1] if scores.shape[1] == 2 else np.unique(flat).tolist()
    value, influence = 0.0, np.zeros(len(flat))
    for one in classes:  # added up at once: a thousand classes would not fit side by side
        figure, moved = curve(_worst_for_nan(scores[:, one], flat == one), flat == one)
        value, influence = value + figure / len(classes), influence + moved / len(classes)
    fewest = sum(min(int(np.sum(flat == one)), int(np.sum(flat != one))) for one in classes)
    return Ranked(value, influence, samples, min(fewest, len(labels)))


def _worst_for_nan(scores: Floats, positive: Flags) -> Floats:
    """No answer is a wrong answer: below all where it should be above, and the other way round."""
    return np.where(np.isnan(scores), np.where(positive, -np.inf, np.inf), scores)
