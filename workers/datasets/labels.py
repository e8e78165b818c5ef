"""What the labels are: class numbers, class names, or numbers to predict."""

import numpy as np

from workers.contract import Contract, Per, Task
from workers.datasets.raw import Array, BadData, Raw
from workers.facts import TargetFacts

FEW_VALUES = 20
ROWS_PER_CLASS = 10
MOST_CLASSES = 100_000
MOST_CLASSES_OF_UNITS = 250  # 255 is the usual mark of pixels to ignore, which here is −1


def settle(raw: Raw, contract: Contract | None) -> tuple[TargetFacts, Array | None]:
    """Turn labels into class indices or floats.

    Args:
        raw: the dataset.
        contract: decides whether numbers are classes, and in which order named classes count.

    Returns:
        What the labels are, and one int64 index or float64 number per row; None without labels.

    Raises:
        BadData: if labels are missing, out of range, or do not suit the network's task.
    """
    labels = raw.labels
    if labels is None:
        return TargetFacts(kind="none", name=raw.target), None
    if labels.dtype.kind == "f" and not np.isfinite(labels).all():
        row = int(np.argwhere(~np.isfinite(labels))[0][0])
        raise BadData(
            f"Expected finite labels, found {labels[row]} in row {row}.",
            hint="Drop the rows without a label.",
            code="data.not-finite",
        )
    task = None if contract is None else contract.task
    if labels.dtype.kind == "U" and task is not Task.REGRESSION:
        return _by_name(raw, labels, () if contract is None else contract.classes)
    if labels.dtype.kind == "U":
        raise BadData(
            f"Expected numbers to predict, found text such as {str(labels[0])[:40]!r}.",
            hint="Choose another target column, or set the network's task to classification.",
            code="data.label-not-number",
        )
    if labels.ndim > 1 and labels.dtype.kind in "iub" and task is not Task.REGRESSION:
        return _by_unit(raw, labels, () if contract is None else contract.classes)
    if task is Task.REGRESSION or (task is not Task.CLASSIFICATION and not _are_classes(labels)):
        return TargetFacts(kind="number", name=raw.target), labels.astype(np.float64)
    return _by_number(raw, labels, () if contract is None else contract.classes)


def _are_classes(labels: Array) -> bool:
    """Whether numbers look like class numbers: few different whole ones, or 0, 1, 2, … without a gap."""
    if labels.ndim > 1 or (labels.dtype.kind == "f" and (labels != np.rint(labels)).any()):
        return False
    different = np.unique(labels)
    if labels.dtype.kind == "f":
        return len(different) <= FEW_VALUES
    gapless = different[0] == 0 and different[-1] == len(different) - 1 and 3 * len(different) <= 2 * len(labels)
    return len(different) <= max(FEW_VALUES, len(labels) // ROWS_PER_CLASS) or bool(gapless)


def _by_name(raw: Raw, labels: Array, ordered: tuple[str, ...]) -> tuple[TargetFacts, Array]:
    """Classes by name, in the network's order where it names them all, else sorted."""
    found = sorted(set(labels.tolist()), key=_natural)
    names = ordered or raw.class_names or tuple(found)
    strange = [name for name in found if name not in set(names)]
    if strange:
        raise BadData(
            f"Expected the classes {_some(names)}, found {_some(strange)}.",
            hint="Rename the classes of the dataset, or correct the class names in the input contract.",
            code="data.classes-differ",
        )
    index = {name: number for number, name in enumerate(names)}
    different, inverse = np.unique(labels, return_inverse=True)
    numbers = np.array([index[str(name)] for name in different], dtype=np.int64)
    return TargetFacts(kind="class", name=raw.target, classes=tuple(names)), numbers[inverse.reshape(-1)]


def _natural(name: str) -> tuple[int, float, str]:
    """Numbers by value and before words, so that folder 10 follows folder 9."""
    return (0, float(name), name) if name.isdecimal() else (1, 0.0, name)


def _some(names: tuple[str, ...] | list[str]) -> str:
    return ", ".join(repr(name) for name in names[:5]) + (" …" if len(names) > 5 else "")


def _by_unit(raw: Raw, labels: Array, ordered: tuple[str, ...]) -> tuple[TargetFacts, Array]:
    """Class numbers per frame or pixel; −1 where there is no label."""
    lowest, highest = int(labels.min()), int(labels.max())
    names = ordered or raw.class_names
    if lowest < -1 or highest >= (len(names) or MOST_CLASSES_OF_UNITS) or highest < 0:
        raise BadData(
            f"Expected class numbers from 0, or −1 for no label, found {lowest} to {highest}.",
            hint="Renumber the classes from 0 in the order of the network's outputs; write −1 for the value to ignore.",
            code="data.label-out-of-range",
        )
    classes = names or tuple(str(number) for number in range(highest + 1))
    per: Per = "frame" if labels.ndim == 2 else "pixel"
    return TargetFacts(kind="class", name=raw.target, classes=classes, per=per), labels.astype(np.int64)


def _by_number(raw: Raw, labels: Array, ordered: tuple[str, ...]) -> tuple[TargetFacts, Array]:
    """Class numbers as they are; they must count the network's outputs from 0."""
    if labels.ndim > 1 or (labels.dtype.kind == "f" and (labels != np.rint(labels)).any()):
        raise BadData(
            "Expected class numbers from 0, found numbers with fractions.",
            hint="Choose another target column, or set the network's task to regression.",
            code="data.labels-not-classes",
        )
    lowest, highest = int(labels.min()), int(labels.max())
    names = ordered or raw.class_names
    most = len(names) or MOST_CLASSES
    if lowest < 0 or highest >= most:
        wrong = lowest if lowest < 0 else highest
        row = int(np.flatnonzero(labels == wrong)[0])
        raise BadData(
            f"Expected class numbers from 0 to {most - 1:,}, found {wrong} in row {row}.",
            hint="Classes are counted from 0 in the order of the network's outputs; renumber the labels.",
            code="data.label-out-of-range",
        )
    classes = names or tuple(str(number) for number in range(highest + 1))
    return TargetFacts(kind="class", name=raw.target, classes=classes), labels.astype(np.int64)
