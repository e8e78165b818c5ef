"""Rows of text without the padding that the longest text of a dataset gives them: it costs time and answers nothing."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from workers.contract import Contract, TokenizerSpec
from workers.training.network import first_output

PIECE = 16  # rows that run together; more hold more padding, fewer keep kernels waiting
TRIED_ROWS = 4
CLOSE = 1e-4  # of the largest answer
Answer = Callable[..., Tensor | tuple[Tensor, ...]]


def lengths(inputs: dict[str, Tensor], contract: Contract) -> Tensor | None:
    """How many tokens of each row count, (rows,); None where inputs are not all token rows of a length left free."""
    mask = inputs.get((contract.tokenizer or TokenizerSpec()).mask)
    if mask is None or mask.ndim != 2 or any(spec.shape != (-1,) for spec in contract.inputs):
        return None
    places = torch.arange(1, mask.shape[1] + 1)
    return ((mask != 0) * places).amax(1).clamp_min(1)


def run(answer: Answer, inputs: list[Tensor], lengths: Tensor) -> Tensor:
    """The first output for all rows, asked for in groups of like length, each cut to its longest.

    Args:
        answer: a network.
        inputs: (rows, tokens) each.
        lengths: tokens of each row that count, (rows,).
    """
    order = lengths.argsort(stable=True)
    parts = []
    for rows in torch.split(order, PIECE):
        longest = int(lengths[rows[-1]])
        parts.append(first_output(answer(*(value[rows, :longest] for value in inputs))))
    return torch.cat(parts)[order.argsort()]


@torch.no_grad()
def is_unread(answer: Answer, inputs: list[Tensor], lengths: Tensor) -> bool:
    """Whether some rows get the same answers without their padding."""
    shortest = lengths.argsort(stable=True)[:TRIED_ROWS]
    some, short = [value[shortest] for value in inputs], lengths[shortest]
    with_padding, without = first_output(answer(*some)), run(answer, some, short)
    if with_padding.shape != without.shape:
        return False
    return float((with_padding - without).abs().max()) <= CLOSE * float(with_padding.abs().max())
