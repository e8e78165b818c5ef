"""Pictures seen a little differently: shifted by a pixel or so, mirrored. What they show stays the same.

Each way to see them is fixed, so that a teacher's answer to each is computed once and not in every epoch.
Source: Simard, Steinkraus & Platt 2003, doi:10.1109/ICDAR.2003.1227801 (distorted copies); Beyer et al. 2022,
arXiv:2106.05237 (the teacher sees what the student sees).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from workers.contract import Contract
from workers.errors import YoursToFix

SHIFT = 0.04  # of the side: a pixel of 28, nine of 224
HEIGHT_AND_WIDTH = {"CHW": (2, 3), "HWC": (1, 2), "HW": (1, 2)}


@dataclass(frozen=True)
class View:
    """One way to see a picture: shifted down and right by a share of its sides, and mirrored or not."""

    down: float = 0.0
    right: float = 0.0
    mirrored: bool = False


PLAIN = (View(),)
VIEWS = {
    "none": PLAIN,
    "shift": (*PLAIN, View(SHIFT, 0), View(-SHIFT, 0), View(0, SHIFT), View(0, -SHIFT)),
    "shift-and-mirror": (
        *PLAIN, View(SHIFT, 0), View(0, SHIFT),
        View(mirrored=True), View(-SHIFT, 0, mirrored=True), View(0, -SHIFT, mirrored=True),
    ),
}  # fmt: skip


def axes(contract: Contract) -> tuple[int, int]:
    """The axes of height and width in a batch of pictures.

    Raises:
        YoursToFix: if the network does not read pictures alone, or has an answer for each frame.
    """
    layouts = [spec.layout for spec in contract.inputs]
    per = {spec.per for spec in contract.outputs}
    if len(layouts) != 1 or layouts[0] not in HEIGHT_AND_WIDTH or not per <= {"sample", "pixel"}:
        raise YoursToFix(
            "Expected one input that is a picture, with one answer for it or for each pixel, to vary pictures; found"
            f" inputs laid out as {', '.join(layouts)}, with answers per {', '.join(sorted(per))}.",
            hint="Set the layout in the input contract, or do not vary pictures.",
            code="training.no-pictures",
        )
    return HEIGHT_AND_WIDTH[layouts[0]]


def seen(pictures: Tensor, view: View, axes: tuple[int, int]) -> Tensor:
    """Pictures seen in another way; what a shift uncovers repeats the edge.

    Args:
        pictures: any layout, rows first.
        axes: of height and width.
    """
    for axis, share in zip(axes, (view.down, view.right), strict=True):
        side = pictures.shape[axis]
        if pixels := round(share * side) or (1 if share > 0 else -1 if share < 0 else 0):
            pictures = pictures.index_select(axis, (torch.arange(side) - pixels).clamp(0, side - 1))
    return pictures.flip(axes[1]) if view.mirrored else pictures


def seen_each(pictures: Tensor, numbers: Tensor, views: tuple[View, ...], axes: tuple[int, int]) -> Tensor:
    """Pictures, or labels of their pixels, each seen in a way of its own.

    Args:
        pictures: rows first; changed in place.
        numbers: of the view of each row, (rows,).
    """
    for number, view in enumerate(views):
        chosen = (numbers == number).nonzero().flatten()
        pictures[chosen] = seen(pictures[chosen], view, axes)
    return pictures
