"""The input contract: what goes into a network and what comes out of it.

Guessed by inspection, confirmed by a person, part of the model version, shipped in the bundle.
"""

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

    max_length: int = Field(256, ge=1, le=1 << 20)
    pad_id: int = Field(0, ge=0)
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
