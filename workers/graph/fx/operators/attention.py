"""Attention and RotaryEmbedding, one node each since opset 23.

Source: https://onnx.ai/onnx/operators/onnx__Attention.html and onnx__RotaryEmbedding.html.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from workers.graph.fx.table import operator


@operator("Attention")
def attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    mask: Tensor | None = None,
    past_key: Tensor | None = None,
    past_value: Tensor | None = None,
    *,
    is_causal: int = 0,
    kv_num_heads: int | None = None,
    q_num_heads: int | None = None,
    scale: float | None = None,
    softcap: float = 0.0,
    softmax_precision: int | None = None,
    qk_matmul_output_mode: int = 0,
    outputs: int = 1,
) -> Any:
    """Scaled dot products, (batch, heads, length, width), or (batch, length, heads · width) with head counts.

    Returns:
        The result; with more outputs, the keys and values including the past ones.
    """
    flat = q.ndim == 3
    if flat:
        q = _heads(q, q_num_heads)
        k, v = _heads(k, kv_num_heads), _heads(v, kv_num_heads)
    if past_key is not None and past_value is not None:
        k, v = torch.cat([past_key, k], 2), torch.cat([past_value, v], 2)
    present = (k, v)
    groups = q.shape[1] // k.shape[1]
    k, v = k.repeat_interleave(groups, 1), v.repeat_interleave(groups, 1)
    scores = q @ k.mT * (scale if scale is not None else 1 / math.sqrt(q.shape[-1]))
    if softcap:
        scores = softcap * torch.tanh(scores / softcap)
    made = torch.softmax(scores + _bias(scores, mask, is_causal, k.shape[2] - present[0].shape[2]), -1) @ v
    if flat:
        made = made.transpose(1, 2).flatten(2)
    return made if outputs == 1 else (made, *present)[:outputs]


def _heads(x: Tensor, count: int | None) -> Tensor:
    return x.reshape(*x.shape[:-1], count or 1, -1).transpose(1, 2)


def _bias(scores: Tensor, mask: Tensor | None, is_causal: int, past: int) -> Tensor:
    """What is added to the scores: minus infinity where a query must not look."""
    bias = torch.zeros(scores.shape[-2:], dtype=scores.dtype, device=scores.device)
    if is_causal:
        bias = bias.masked_fill(torch.ones_like(bias, dtype=torch.bool).triu(1 + past), float("-inf"))
    if mask is None:
        return bias
    if mask.dtype == torch.bool:
        return bias.masked_fill(~mask, float("-inf"))
    return bias + mask


@operator("RotaryEmbedding")
def rotary_embedding(
    x: Tensor,
    cos: Tensor,
    sin: Tensor,
    positions: Tensor | None = None,
    *,
    interleaved: int = 0,
    num_heads: int | None = None,
    rotary_embedding_dim: int = 0,
) -> Tensor:
    """Turn pairs of each head by angles that grow with the position; Su et al. 2021, arXiv:2104.09864.

    Args:
        x: (batch, heads, length, width), or (batch, length, heads · width) with ``num_heads``.
        cos, sin: (positions, width / 2), or (batch, length, width / 2) without ``positions``.
    """
    flat = x.ndim == 3
    if flat:
        x = _heads(x, num_heads)
    if positions is not None:
        cos, sin = cos[positions], sin[positions]
    cos, sin = cos.unsqueeze(1), sin.unsqueeze(1)
    width = rotary_embedding_dim or x.shape[-1]
    turned, rest = x[..., :width], x[..., width:]
    if interleaved:
        real, imaginary = turned[..., 0::2], turned[..., 1::2]
    else:
        real, imaginary = turned.chunk(2, -1)
    pair = (real * cos - imaginary * sin, real * sin + imaginary * cos)
    made = torch.cat([torch.stack(pair, -1).flatten(-2) if interleaved else torch.cat(pair, -1), rest], -1)
    return made.transpose(1, 2).flatten(2) if flat else made
