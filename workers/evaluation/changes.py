"""What a changed network answers otherwise than the one it came from: agreement, flips, shifts and distance.

Two answers are the same

- of classes: when they name the same class (for each frame or pixel, where each has one);
- of numbers: when every one lies within 5 % of the standard deviation of the baseline's answers. Errors of that
  size and no correlation with the answer add a four-hundredth to its variance;
- of embeddings: when the nearest other sample, by cosine, is the same one. That is what a search would return. Of
  queries with documents: when the query's document comes at the same place, and it is right where it comes first;
- of texts, each by its losses per token, and of anything else: when the output moved by at most 5 % of the outputs'
  root mean square length.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from workers.contract import Contract, Task
from workers.evaluation.answers import class_labels, class_name, most_named, predicted_classes
from workers.evaluation.predictions import Predictions
from workers.numerics.bootstrap import percentiles, resampled_means
from workers.numerics.classes import NO_CLASS, Classes
from workers.numerics.intervals import share_like, wilson
from workers.numerics.neighbours import nearest
from workers.numerics.retrieval import asking, ranks
from workers.report import ChangedSample, Changes, ClassShift, Interval

TOLERANCE = 0.05
MOST_SAMPLES = 200
MOST_CLASSES = 1000
MOST_NEIGHBOURS = 5000
MOST_NUMBERS_WRITTEN = 3
Flags = NDArray[np.bool_]
Floats = NDArray[np.float64]


def changes(
    before: Predictions, after: Predictions, contract: Contract, *, classes: Sequence[str] = (), seed: int
) -> Changes:
    """Hold the answers of two networks to the same rows against each other; labels are used where there are any.

    Args:
        classes: names by class number, where the contract has none.

    Raises:
        ValueError: if the two were not made from the same rows.
        YoursToFix: if outputs or labels are not what the contract says.
    """
    if not np.array_equal(before.rows, after.rows):
        raise ValueError("expected predictions for the same rows")
    distance = _distance(before.outputs, after.outputs, seed)
    if contract.task is Task.CLASSIFICATION:
        return _of_classes(before, after, contract, contract.classes or tuple(classes), distance, seed)
    if contract.task is Task.EMBEDDING and is_pairs(before):
        return _of_queries(before, after, distance)
    if contract.task is Task.EMBEDDING and len(before) > 2:
        return _of_embeddings(before, after, distance)
    return _of_numbers(before, after, contract, distance)


def _of_classes(
    before: Predictions, after: Predictions, contract: Contract, names: Sequence[str], distance: Interval, seed: int
) -> Changes:
    was, now = predicted_classes(before.outputs, contract), predicted_classes(after.outputs, contract)
    labels = None if before.labels is None else class_labels(before.labels, contract)
    counted = np.ones(was.shape, dtype=bool) if labels is None else labels != NO_CLASS
    same = (was == now) & counted
    changed = counted & ~same
    broken = fixed = None
    if labels is not None:
        broken, fixed = changed & (was == labels), changed & (now == labels)
    return Changes(
        compared=int(counted.sum()),
        agreement=_agreement(same, counted, seed),
        broken=None if broken is None else int(broken.sum()),
        fixed=None if fixed is None else int(fixed.sum()),
        distance=distance,
        classes=_shifts(was, now, labels, lambda index: class_name(index, names)),
        samples=_changed_classes(before.rows, (was, now, labels), (changed, broken, fixed), names),
    )


def _agreement(same: Flags, counted: Flags, seed: int) -> Interval:
    """The share of counted answers that are the same. Those of one sample are drawn together: they are alike."""
    hits, n = int(same.sum()), int(counted.sum())
    if n == 0:
        return Interval(value=1.0, low=0.0, high=1.0, n=0)
    if same.ndim == 1:
        low, high = wilson(hits, n)
    else:
        sums = np.stack([same.sum(axis=1), counted.sum(axis=1)], axis=1).astype(np.float64)  # (samples, 2)
        means = resampled_means(sums, seed=seed)
        spread = float(np.std(means[:, 0] / np.maximum(means[:, 1], 1e-12)))
        low, high = share_like(hits / n, spread, len(same))
    return Interval(value=hits / n, low=low, high=high, n=n)


def _shifts(was: Classes, now: Classes, labels: Classes | None, name: Callable[[int], str]) -> tuple[ClassShift, ...]:
    """Every class that occurs, in class order; beyond a thousand, those that moved most."""
    shifts = []
    for index in np.unique(labels if labels is not None else np.concatenate([was.ravel(), now.ravel()])):
        if index == NO_CLASS:
            continue
        of = was == was if labels is None else labels == index  # the answers the share rests on
        n = int(of.sum())
        before, after = (float(np.sum((said == index) & of)) / n for said in (was, now))
        shifts.append(ClassShift(name=name(int(index)), before=before, after=after, n=n))
    most = {id(shift) for shift in sorted(shifts, key=lambda one: -abs(one.after - one.before))[:MOST_CLASSES]}
    return tuple(shift for shift in shifts if id(shift) in most)


def _changed_classes(
    rows: NDArray[np.int64],
    said: tuple[Classes, Classes, Classes | None],
    flags: tuple[Flags, Flags | None, Flags | None],
    names: Sequence[str],
) -> tuple[ChangedSample, ...]:
    """The changed rows: broken first, then fixed, then those that changed without being right or wrong."""
    changed, broken, fixed = flags
    rank = np.full(len(rows), 2)
    for place, flag in ((1, fixed), (0, broken)):
        if flag is not None:
            rank[flag.reshape(len(rows), -1).any(axis=1)] = place
    where = np.flatnonzero(changed.reshape(len(rows), -1).any(axis=1))
    chosen = where[np.argsort(rank[where], kind="stable")][:MOST_SAMPLES]
    was, now, labels = said
    return tuple(
        ChangedSample(
            row=int(rows[place]),
            before=_named(was[place], changed[place], names),
            after=_named(now[place], changed[place], names),
            label="" if labels is None else _named(labels[place], changed[place], names),
        )
        for place in chosen
    )


def _named(said: Classes, changed: Flags, names: Sequence[str]) -> str:
    """The class in words; of many answers of one sample the most frequent among the changed, and their number."""
    return class_name(int(said), names) if said.ndim == 0 else most_named(said, names, changed)


def _of_numbers(before: Predictions, after: Predictions, contract: Contract, distance: Interval) -> Changes:
    was, now = _flat(before.outputs), _flat(after.outputs)
    if contract.task is Task.REGRESSION:
        spread = was.std(axis=0)
        moved = (np.abs(now - was) / np.where(spread > 0, spread, 1.0)).max(axis=1)
    else:
        moved = _moved(was, now)[:, 0] / (np.sqrt(np.square(was).sum(axis=1).mean()) or 1.0)
    same = moved <= TOLERANCE
    furthest = np.argsort(-moved, kind="stable")[: int(np.sum(~same))][:MOST_SAMPLES]
    text = contract.task is Task.CAUSAL_LM
    write = _mean_loss if text else _written
    labels = None if before.labels is None or text else _flat(before.labels)  # the labels of a text are its tokens
    return Changes(
        compared=len(same),
        agreement=_share(same),
        broken=None,
        fixed=None,
        distance=distance,
        samples=tuple(
            ChangedSample(
                row=int(before.rows[place]),
                before=write(was[place]),
                after=write(now[place]),
                label="" if labels is None else _written(labels[place]),
            )
            for place in furthest
        ),
    )


def _of_embeddings(before: Predictions, after: Predictions, distance: Interval) -> Changes:
    """Neighbours among the first 5,000 rows: every row is held against every other."""
    few = slice(0, MOST_NEIGHBOURS)
    was, now = nearest(_flat(before.outputs[few])), nearest(_flat(after.outputs[few]))
    same, rows = was == now, before.rows[few]
    return Changes(
        compared=len(same),
        agreement=_share(same),
        broken=None,
        fixed=None,
        distance=distance,
        samples=tuple(
            ChangedSample(
                row=int(rows[place]),
                before=f"nearest: row {rows[was[place]]}",
                after=f"nearest: row {rows[now[place]]}",
            )
            for place in np.flatnonzero(~same)[:MOST_SAMPLES]
        ),
    )


def is_pairs(predictions: Predictions) -> bool:
    """Whether the rows are queries and their documents, in turn (see ``workers.datasets.tokenised``)."""
    labels = predictions.labels
    return labels is not None and labels.ndim == 2 and labels.shape[1] == 2 and bool((labels[:, 1] == 0).any())


def _of_queries(before: Predictions, after: Predictions, distance: Interval) -> Changes:
    """Rows are those of the queries among the texts."""
    labels = before.labels
    assert labels is not None
    rows = before.rows[asking(labels)]
    was, now = ranks(before.outputs, labels), ranks(after.outputs, labels)
    broken, fixed = (was == 1) & (now > 1), (was > 1) & (now == 1)
    order = np.lexsort((-np.abs(now - was), ~fixed, ~broken))
    return Changes(
        compared=len(was),
        agreement=_share(was == now),
        broken=int(broken.sum()),
        fixed=int(fixed.sum()),
        distance=distance,
        samples=tuple(
            ChangedSample(row=int(rows[at]), before=place(int(was[at])), after=place(int(now[at])))
            for at in order[: int((was != now).sum())][:MOST_SAMPLES]
        ),
    )


def place(rank: int) -> str:
    """Where a query's document comes, in words."""
    return "its document comes first" if rank == 1 else f"its document comes at place {rank}"


def _share(same: Flags) -> Interval:
    hits, n = int(same.sum()), len(same)
    low, high = wilson(hits, n)
    return Interval(value=hits / n, low=low, high=high, n=n)


def _distance(before: NDArray[np.float32], after: NDArray[np.float32], seed: int) -> Interval:
    """Mean length of the change over the root mean square length of the baseline's outputs.

    Over the length of each output by itself, a prediction near zero would count without bound. An answer that is
    not finite has moved by its whole length.
    """
    figures = _moved(_flat(before), _flat(after))  # (n, 2)

    def ratio(means: Floats) -> Floats:
        return np.asarray(means[:, 0] / np.maximum(np.sqrt(means[:, 1]), 1e-30))

    value = float(ratio(figures.mean(axis=0, keepdims=True))[0])
    low, high = percentiles(ratio(resampled_means(figures, seed=seed)))
    return Interval(value=value, low=min(low, value), high=max(high, value), n=len(figures))


def _moved(was: Floats, now: Floats) -> Floats:
    """(n, 2): how far each output moved, and its squared length before."""
    length = np.square(np.where(np.isfinite(was), was, 0.0)).sum(axis=1)
    step = np.sqrt(np.square(now - was).sum(axis=1))
    return np.stack([np.where(np.isfinite(step), step, np.sqrt(length)), length], axis=1)


def _flat(outputs: NDArray[np.generic]) -> Floats:
    """(n, values)."""
    return np.asarray(outputs, dtype=np.float64).reshape(len(outputs), -1)


def _mean_loss(losses: Floats) -> str:
    return f"{losses.sum() / max(np.count_nonzero(losses), 1):.4g} a token"  # 0 where the text has ended


def _written(values: Floats) -> str:
    few = ", ".join(f"{value:.4g}" for value in values[:MOST_NUMBERS_WRITTEN])
    return few + (" …" if len(values) > MOST_NUMBERS_WRITTEN else "")
