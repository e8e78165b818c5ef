"""How much each filter of a layer matters. Pure tensor functions; low scores go first."""

from __future__ import annotations

import torch
from torch import Tensor


def magnitudes(weight: Tensor, *, power: int) -> Tensor:
    """Sum of |w| or w² over each filter.

    Args:
        weight: (filters, …).
        power: 1 or 2.

    Returns:
        (filters,).

    Source: Li et al. 2017, arXiv:1608.08710, section 3.1.
    """
    return weight.abs().pow(power).flatten(1).sum(1)


def influence(weight: Tensor, gradient: Tensor) -> Tensor:
    """How much the loss would change without each filter, to first order, squared.

    Args:
        weight, gradient: (filters, …).

    Returns:
        (filters,).

    Source: Molchanov et al. 2019, arXiv:1906.10771, equation 8.
    """
    return (weight * gradient).flatten(1).sum(1).square()


def distances_to_others(weight: Tensor) -> Tensor:
    """Sum of the distances from each filter to all others; the lowest lie at the geometric median, and are replaceable.

    Args:
        weight: (filters, …).

    Returns:
        (filters,).

    Source: He et al. 2019, arXiv:1811.00250, section 3.
    """
    flat = weight.flatten(1)
    return torch.cdist(flat, flat).sum(1)


def expendable(scores: Tensor, *, count: int, groups: int = 1) -> Tensor:
    """Positions of the lowest scores.

    Args:
        scores: (channels,).
        count: how many to name, a multiple of ``groups``.
        groups: a grouped convolution needs the same positions out of each of its groups: scores are averaged over them.

    Returns:
        (count,), ascending.
    """
    each = scores.reshape(groups, -1)  # (channels,) -> (groups, channels / groups)
    lowest = each.mean(0).argsort(stable=True)[: count // groups]
    starts = torch.arange(groups)[:, None] * each.shape[1]
    return (starts + lowest.cpu()).flatten().sort().values


def removals(scores: list[Tensor], *, share: float, across: bool) -> list[float]:
    """How many units each layer loses, not yet whole where each loses the same share.

    Args:
        scores: one (units,) for each layer.
        share: part of all units that goes, in (0, 1).
        across: whether the lowest of all layers go, each measured by its layer's mean, rather than a share of each.
    """
    if not across:
        return [share * len(one) for one in scores]
    relative = [one / one.mean().clamp_min(1e-30) for one in scores]
    everything = torch.cat(relative).sort().values if relative else torch.zeros(0)
    limit = everything[: max(1, round(share * len(everything)))][-1:]  # the highest score that goes
    return [float((one <= limit).sum()) for one in relative]
