"""The input contract: what goes into a network and what comes out of it.

Guessed by inspection, confirmed by a person, part of the model version, shipped in the bundle.
"""

from collections.abc import Sequence
from enum import StrEnum
from typing import Literal

from pydantic import Field

from workers.errors import Frozen


class Task(StrEnum):
    CLASSIFICATION = "classification"
    REGRESSION = "regression"
    EMBEDDING = "embedding"
    CAUSAL_LM = "causal-lm"
    OTHER = "other"


Layout = Literal["CHW", "HWC", "HW", "vector", "other"]
Channels = Literal["RGB", "BGR", "gray", "none"]
Per = Literal["sample", "frame", "pixel"]
Meaning = Literal["logits", "probabilities", "labels", "values", "embedding", "other"]


class InputSpec(Frozen):
    """One input of the network, described for a single sample (without the batch axis).

    A raw sample ``x`` becomes ``(x * scale - mean) / std``; images are decoded to ``channels``,
    resized to ``resize`` (height, width), cropped to the centre and laid out as ``layout`` first.
    ``batch_axis`` is where the network wants the axis of the samples: a recurrent state often second; None for a
    setting that all samples of a batch share, such as a sample rate.
    """

    name: str
    dtype: str = "float32"
    shape: tuple[int, ...]
    layout: Layout = "other"
    channels: Channels = "none"
    resize: tuple[int, int] | None = None
    scale: float = 1.0
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    columns: tuple[str, ...] = ()
    batch_axis: int | None = 0


class OutputSpec(Frozen):
    """One output of the network and what its numbers mean.

    ``per`` says what has one answer: the whole sample, each frame of a sequence (outputs (n, frames) or
    (n, frames, classes)), or each pixel (outputs (n, height, width) or (n, classes, height, width)).
    """

    name: str
    meaning: Meaning = "other"
    per: Per = "sample"


class TokenizerSpec(Frozen):
    """How text becomes the network's token inputs, with the ``tokenizer.json`` that travels beside it.

    Texts are cut to ``max_length`` tokens and filled up with ``pad_id``; the input ``mask`` holds 1 where a token
    is real, ``types`` is all zeros. Networks without these inputs leave the names empty.
    """

    max_length: int = Field(default=256, ge=1, le=1 << 20)
    pad_id: int = Field(default=0, ge=0)
    ids: str = "input_ids"
    mask: str = "attention_mask"
    types: str = ""


class Contract(Frozen):
    """Everything a stranger needs to feed the network and read its answer.

    ``headline`` names the metric that gates, early stops and exclusions look at; empty: the usual one of the task.
    """

    task: Task
    inputs: tuple[InputSpec, ...]
    outputs: tuple[OutputSpec, ...]
    classes: tuple[str, ...] = ()
    headline: str = ""
    tokenizer: TokenizerSpec | None = None


def batch_axes(shapes: Sequence[Sequence[int | str | None]]) -> tuple[int | None, ...]:
    """Where each input of a network has the axis of the samples.

    First, as a rule. A scalar has none. Where another input's first axis is free, one that has a fixed first axis and
    a free one behind it has it there: a state of shape (layers, batch, width) beside frames of shape (batch, samples).
    """
    free_first = any(shape and _is_free(shape[0]) for shape in shapes)
    return tuple(_batch_axis(shape, free_first) for shape in shapes)


def _batch_axis(shape: Sequence[int | str | None], free_first: bool) -> int | None:
    if not shape:
        return None
    free = [axis for axis, side in enumerate(shape) if _is_free(side)]
    return free[0] if free_first and free else 0


def _is_free(side: int | str | None) -> bool:
    return not isinstance(side, int) or side < 1
