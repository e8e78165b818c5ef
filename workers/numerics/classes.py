"""Classes said and classes true: which class an output names, and macro F1 from counts."""

import numpy as np
from numpy.typing import NDArray

from workers.numerics.bootstrap import Counts, Floats

NO_CLASS = -1
Classes = NDArray[np.int64]


def said_classes(outputs: NDArray[np.floating]) -> Classes:
    """The class each output names.

    Args:
        outputs: (n,) class numbers, or (n, classes) scores of which the highest wins.

    Returns:
        (n,); ``NO_CLASS`` where an output holds not-a-number: no answer is a wrong answer.
    """
    if outputs.ndim == 1:
        return np.where(np.isfinite(outputs), np.rint(np.nan_to_num(outputs)), NO_CLASS).astype(np.int64)
    if outputs.ndim != 2:
        raise ValueError(f"expected (n,) or (n, classes), got {outputs.shape}")
    return np.where(np.isnan(outputs).any(axis=1), NO_CLASS, outputs.argmax(axis=1)).astype(np.int64)


def said_like(outputs: NDArray[np.floating], labels: Classes) -> Classes:
    """The class each output names, shaped like the labels: (n,), or (n, u) where each of u units has an answer."""
    if labels.ndim == 1:
        return said_classes(outputs)
    return said_classes(outputs.reshape(-1, *outputs.shape[2:])).reshape(labels.shape)


def hits_by_class(labels: Classes, said: Classes) -> tuple[Floats, Floats, Floats]:
    """How often each sample's units hit, miss and falsely name each class.

    Args:
        labels: (n, u), ``NO_CLASS`` where there is no label; such units do not count.
        said: (n, u).

    Returns:
        (n, classes) true positives, false positives and false negatives, for the classes that occur in the labels.
    """
    counted = labels != NO_CLASS
    classes = np.unique(labels[counted])
    hits = np.stack([np.sum((labels == one) & (said == one), axis=1) for one in classes], axis=1)
    named = np.stack([np.sum(counted & (said == one), axis=1) for one in classes], axis=1)
    true = np.stack([np.sum(labels == one, axis=1) for one in classes], axis=1)
    return hits.astype(np.float64), (named - hits).astype(np.float64), (true - hits).astype(np.float64)


class Confusions:
    """Samples grouped by (true class, class said by each of one or more networks).

    ``counts`` holds how many samples fall into each cell that occurs. Everything macro F1 needs
    is in it, so resampling the counts resamples the figure.
    """

    def __init__(self, labels: Classes, *said: Classes) -> None:
        self.classes = np.unique(labels)
        self.n = len(labels)
        cells, counts = np.unique(np.stack([labels, *said], axis=1), axis=0, return_counts=True)
        self.cells: Classes = cells  # (cells, 1 + networks)
        self.counts: Counts = counts.astype(np.int64)

    def macro_f1(self, counts: Counts, network: int) -> Floats:
        """Macro F1 of one network, for one or more ways the samples may have fallen.

        The mean, over the classes that occur in the labels, of 2 TP / (2 TP + FP + FN). A class that
        a resample holds neither in truth nor in answer does not enter that resample's mean.

        Args:
            counts: (resamples, cells).
            network: which of the networks, from 0.

        Returns:
            (resamples,), in [0, 1].
        """
        true, said = self.cells[:, 0], self.cells[:, 1 + network]
        hit = self._per_class(counts[:, true == said], true[true == said])
        total = self._per_class(counts, true) + self._per_class(counts, said)  # 2 TP + FP + FN
        f1 = np.divide(2 * hit, total, out=np.zeros(hit.shape), where=total > 0)
        return np.asarray(f1.sum(axis=1) / np.maximum(1, (total > 0).sum(axis=1)))

    def _per_class(self, counts: Counts, of: Classes) -> Counts:
        """Sum the cells that belong to each class of the labels: (resamples, cells) -> (resamples, classes)."""
        order = np.argsort(of, kind="stable")
        present, begins = np.unique(of[order], return_index=True)
        sums = np.zeros((len(counts), len(self.classes)), dtype=np.int64)
        known = np.isin(present, self.classes)
        if known.any():
            grouped = np.add.reduceat(counts[:, order], begins, axis=1)  # (resamples, present)
            sums[:, np.searchsorted(self.classes, present[known])] = grouped[:, known]
        return sums
