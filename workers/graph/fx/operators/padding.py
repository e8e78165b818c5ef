"""How far windows reach over the border: explicit pads, auto_pad, and what torch makes of them.

Source: https://onnx.ai/onnx/operators/onnx__MaxPool.html, the formulas for pads and output sizes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def pads_for(attributes: dict[str, Any], space: int) -> tuple[int, ...]:
    """All beginnings, then all ends; zeros for VALID and where nothing is said."""
    if attributes.get("auto_pad", "NOTSET") == "VALID":
        return (0,) * 2 * space
    return tuple(attributes.get("pads", (0,) * 2 * space))


def same_pads(
    sizes: Sequence[int], kernel: Sequence[int], stride: Sequence[int], dilation: Sequence[int], *, upper: bool
) -> tuple[int, ...]:
    """The pads that make the output ``ceil(size / stride)``; an odd one goes to the end when ``upper``."""
    small, large = [], []
    for size, k, s, d in zip(sizes, kernel, stride, dilation, strict=True):
        total = max(0, (-(-size // s) - 1) * s + (k - 1) * d + 1 - size)
        small.append(total // 2)
        large.append(total - total // 2)
    return (*small, *large) if upper else (*large, *small)


def torch_pads(pads: Sequence[int]) -> list[int]:
    """As torch's ``pad`` wants them: the last axis first, beginning and end side by side."""
    space = len(pads) // 2
    return [size for axis in reversed(range(space)) for size in (pads[axis], pads[axis + space])]


def extra_for_ceil(
    sizes: Sequence[int],
    kernel: Sequence[int],
    stride: Sequence[int],
    dilation: Sequence[int],
    pads: Sequence[int],
) -> tuple[int, ...]:
    """How much further the end of each axis reaches so that ``ceil_mode`` gets its last window.

    A window that would start beyond the padded input is left out.
    """
    extra = []
    for axis, (size, k, s, d) in enumerate(zip(sizes, kernel, stride, dilation, strict=True)):
        before, after = pads[axis], pads[axis + len(sizes)]
        reach = (k - 1) * d + 1
        windows = -(-(size + before + after - reach) // s) + 1
        if (windows - 1) * s >= size + before:
            windows -= 1
        extra.append(max(0, (windows - 1) * s + reach - (size + before + after)))
    return tuple(extra)
