"""What outputs and labels mean under an input contract: class scores, class numbers, numbers.

Shapes: n samples; where each frame or pixel has an answer of its own, u units in each sample, else no such axis.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from workers.errors import YoursToFix
from workers.numerics.classes import NO_CLASS, Classes, said_classes

if TYPE_CHECKING:
    from workers.contract import Contract, Meaning, Per

Array = np.ndarray[Any, Any]
NO_ANSWER = "no answer"
UNIT_AXES = {"frame": 1, "pixel": 2}
LAYOUTS = {
    "sample": "(n, classes)",
    "frame": "(n, frames) or (n, frames, classes)",
    "pixel": "(n, height, width) or (n, classes, height, width)",
}


def predicted_classes(outputs: Array, contract: Contract) -> Classes:
    """The class each output names, (n,) or (n, u); ``NO_CLASS`` where it holds not-a-number."""
    scores = class_scores(outputs, contract)
    if answers_per(contract) == "sample":
        return said_classes(scores)
    return said_classes(scores.reshape(-1, *scores.shape[2:])).reshape(scores.shape[:2])


def answers_per(contract: Contract) -> Per:
    return contract.outputs[0].per if contract.outputs else "sample"


def class_name(index: int, names: Sequence[str]) -> str:
    """A class in words: its name, its number where there is no name, or that there is no answer."""
    if index == NO_CLASS:
        return NO_ANSWER
    return names[index] if 0 <= index < len(names) else str(index)


def most_named(said: Classes, names: Sequence[str], counted: np.ndarray[Any, np.dtype[np.bool_]]) -> str:
    """The most frequent of a sample's counted answers, and how often it stands among all of them."""
    among, counts = np.unique(said[counted], return_counts=True)
    if not len(among):
        return NO_ANSWER
    return f"{class_name(int(among[counts.argmax()]), names)} ({int(counts.max()):,} of {said.size:,})"


def class_scores(outputs: Array, contract: Contract) -> Array:
    """Class numbers, (n,) or (n, u), or scores, (n, classes) or (n, u, classes).

    One column holds the score of class 1 of two: probabilities p become (1 - p, p); any other column is taken as a
    logit z and becomes (0, z).

    Raises:
        YoursToFix: if the outputs have another shape than the contract says.
    """
    meaning = contract.outputs[0].meaning if contract.outputs else "other"
    per = answers_per(contract)
    flat = _with_classes_last(outputs, per)
    if flat is None:
        raise YoursToFix(
            f"Expected one score for each class, {LAYOUTS[per]}, found an output of shape {outputs.shape}.",
            hint="Correct the task and what has an answer in the input contract, or export the class scores as first "
            "output.",
            code="model.output-shape",
        )
    return flat if flat.shape[-1] > 1 else _two_classes(flat[..., 0], meaning)


def _with_classes_last(outputs: Array, per: Per) -> Array | None:
    """(n, classes) or (n, u, classes); none if the shape is another."""
    n, axes = len(outputs), outputs.ndim
    if per == "sample":
        flat = outputs.reshape(n, -1) if axes != 2 and max(outputs.shape[2:], default=1) == 1 else outputs
        return flat if flat.ndim == 2 else None
    units = UNIT_AXES[per]
    if axes == 1 + units:
        return outputs.reshape(n, -1, 1)
    if axes != 2 + units:
        return None
    last = outputs if per == "frame" else np.moveaxis(outputs, 1, -1)
    return last.reshape(n, -1, last.shape[-1])


def _two_classes(column: Array, meaning: Meaning) -> Array:
    if meaning == "labels":
        return column
    other = 1 - column if meaning == "probabilities" else np.zeros_like(column)
    return np.stack([other, column], axis=-1)


def class_labels(labels: Array, contract: Contract) -> Classes:
    """Whole numbers from 0, (n,) or (n, u); in the latter ``NO_CLASS`` marks frames and pixels without a label.

    Raises:
        YoursToFix: if the labels are anything else.
    """
    per = answers_per(contract)
    if per == "sample":
        flat = labels.reshape(-1) if labels.ndim == 2 and labels.shape[1] == 1 else labels
        fits, least = flat.ndim == 1, 0
    else:
        flat = labels.reshape(len(labels), -1)
        fits, least = labels.ndim == 1 + UNIT_AXES[per], NO_CLASS
    whole = flat.astype(np.int64) if fits and flat.dtype.kind in "iufb" else None
    if whole is None or not np.array_equal(whole, flat) or whole.min(initial=0) < least:
        raise YoursToFix(
            f"Expected class numbers from 0 as labels, one for each {per}, found {labels.dtype} of shape "
            f"{labels.shape}.",
            hint=f"Give each {per} one class, or correct the task in the input contract.", code="data.labels",
        )  # fmt: skip
    return whole


def see_labels_fit(outputs: Array, labels: Classes) -> None:
    """Hold class numbers against scores.

    Raises:
        YoursToFix: if a label names a class without a score, if frames or pixels lack one, or if all do.
    """
    if outputs.shape[: labels.ndim] != labels.shape:
        raise YoursToFix(
            f"Expected {outputs.shape[1]:,} labels for each sample, found {labels.shape[1]:,}.",
            hint="Give each frame or pixel of the output a label; −1 for those that have none.",
            code="data.labels-differ",
        )
    if labels.max(initial=NO_CLASS) == NO_CLASS:
        raise YoursToFix(
            "Expected a label for at least one frame or pixel, found none.",
            hint="Number the classes from 0; −1 stands for no label.",
            code="data.labels",
        )
    if outputs.ndim > labels.ndim:
        see_classes_exist(int(labels.max(initial=0)), outputs.shape[-1])


def see_classes_exist(highest: int, count: int) -> None:
    """Hold the highest class number among some labels against the number of classes a network tells apart.

    Raises:
        YoursToFix: if the network has no such class.
    """
    if highest >= count:
        raise YoursToFix(
            f"Expected labels from 0 to {count - 1}, one for each class of the net, found {highest}.",
            hint="Choose the dataset the network was trained for, or number its classes from 0.",
            code="data.labels-out-of-range",
        )


def numbers(outputs: Array, labels: Array) -> tuple[Array, Array]:
    """Both with the batch axis first and of one shape.

    Raises:
        YoursToFix: if the shapes differ, or an output is not finite: an error of infinity is no figure.
    """
    said, true = outputs.reshape(len(outputs), -1), labels.reshape(len(labels), -1)
    if said.shape[1] != true.shape[1]:
        raise YoursToFix(
            f"Expected {true.shape[1]} numbers for each sample, found {said.shape[1]}.",
            hint="Correct the target column, or the task in the input contract.", code="model.output-shape",
        )  # fmt: skip
    broken = int(np.sum(~np.isfinite(said).all(axis=1)))
    if broken:
        raise YoursToFix(
            f"Expected finite predictions, found {broken:,} of {len(said):,} that are infinite or not a number.",
            hint="The number format overflows: leave the step out that changed it, or scale the network's inputs.",
            code="model.not-finite",
        )
    return said, true
