"""Losses between a network, its labels and its teacher. Pure tensor functions."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from workers.numerics.classes import NO_CLASS


def as_rows(outputs: Tensor) -> Tensor:
    """All numbers of a sample in a row: (n,) or (n, …) -> (n, numbers)."""
    return outputs.reshape(len(outputs), -1)


def class_logits(outputs: Tensor, *, probabilities: bool) -> Tensor:
    """Scores whose softmax are the class probabilities.

    Args:
        outputs: (n, classes), (n, classes, 1, 1), or one column, (n,) or (n, 1), holding the score of class 1 of two.
        probabilities: the outputs are probabilities instead of logits.

    Returns:
        (n, classes), at least two classes; (n, classes, …) where there is a class for each position.
    """
    flat = as_rows(outputs) if outputs.ndim == 1 or all(size == 1 for size in outputs.shape[2:]) else outputs
    if probabilities:
        flat = torch.cat([1 - flat, flat], 1) if flat.shape[1] == 1 else flat
        return flat.clamp_min(1e-7).log()
    return torch.cat([torch.zeros_like(flat), flat], 1) if flat.shape[1] == 1 else flat


def scores_by_position(outputs: Tensor, *, classes_last: bool, axes: int) -> Tensor:
    """Class scores of networks that answer for each frame or pixel.

    Args:
        outputs: (n, *positions, classes) or (n, classes, *positions); (n, *positions) holds one score for each.
        classes_last: which of the first two it is.
        axes: how many axes the positions have.

    Returns:
        (n, classes, u), where u is the number of positions.
    """
    if outputs.ndim == 1 + axes:
        return outputs.flatten(1)[:, None]
    return (outputs.movedim(-1, 1) if classes_last else outputs).flatten(2)


def cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    """Cross entropy of class numbers, each labelled position counting alike.

    Args:
        logits: (n, classes, …).
        targets: class numbers, (n, …); ``NO_CLASS`` where there is no label.

    Returns:
        Scalar, the mean over samples and positions that have a label; 0 where none has.
    """
    total = functional.cross_entropy(logits, targets, ignore_index=NO_CLASS, reduction="sum")
    return total / (targets != NO_CLASS).sum().clamp_min(1)


def soft_cross_entropy(
    student: Tensor, teacher: Tensor, *, temperature: float, counted: Tensor | None = None
) -> Tensor:
    """Kullback-Leibler divergence of softened class probabilities, times the temperature squared.

    Args:
        student, teacher: logits, (n, classes, …).
        temperature: over 1 lets small probabilities speak; the factor T² keeps gradients of one size.
        counted: which positions count, (n, …); all without it.

    Returns:
        Scalar, the mean over samples and positions that count; 0 where both agree, or where none counts.

    Source: Hinton et al. 2015, arXiv:1503.02531, section 2.
    """
    said = functional.log_softmax(student / temperature, 1)
    wanted = functional.log_softmax(teacher / temperature, 1)
    divergence = (wanted.exp() * (wanted - said)).sum(1)
    if counted is None:
        return divergence.mean() * temperature**2
    return divergence[counted].sum() / counted.sum().clamp_min(1) * temperature**2


def in_batch_contrast(vectors: Tensor, numbers: Tensor, is_document: Tensor, *, temperature: float = 0.05) -> Tensor:
    """Cross-entropy of finding each query's document by cosine among all documents of a batch.

    Args:
        vectors: (texts, ...).
        numbers: the document of each text, (texts,). Queries whose document is not there are left out.
        is_document: which texts are documents rather than queries, (texts,) booleans.
        temperature: what cosines are divided by.

    Returns:
        Scalar; 0 where there is no query to ask with.

    Source: Henderson et al. 2017, arXiv:1705.00652, section 4 (other answers of the batch as negatives).
    """
    unit = functional.normalize(vectors.flatten(1), dim=1)
    scores = unit[~is_document] @ unit[is_document].T / temperature  # (queries, documents)
    right = numbers[~is_document][:, None] == numbers[is_document][None]
    asked = right.any(1)
    if not bool(asked.any()):
        return vectors.sum() * 0
    found = scores.masked_fill(~right, -torch.inf)[asked].logsumexp(1)
    return (scores[asked].logsumexp(1) - found).mean()


def cosine_distance(student: Tensor, teacher: Tensor) -> Tensor:
    """One minus the cosine of each sample's two vectors, on average; scalar in [0, 2]."""
    return 1 - functional.cosine_similarity(student.flatten(1), teacher.flatten(1), dim=1).mean()
