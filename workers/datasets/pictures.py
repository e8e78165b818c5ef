"""A small picture of a sample, for people."""

import base64
import io

import numpy as np
from PIL import Image

from workers.datasets.images import Pictures, channels_of
from workers.datasets.opened import OpenedData, picture_column
from workers.datasets.prepare import arrange
from workers.datasets.raw import Array, BadData
from workers.workbench import Data

MOST_SIDE = 64
FEWEST_SIDE = 4


def picture(data: Data, row: int) -> str:
    """A PNG of at most 64 x 64 pixels of a raw sample, in base64; empty where the sample is no picture."""
    feed = picture_column(data) if isinstance(data, OpenedData) else None
    if feed is None:
        return ""
    if isinstance(feed.column, Pictures):
        mode = "L" if channels_of(feed.spec) == 1 else "RGB"
        return _encoded(feed.column.picture(row, mode))
    raw = feed.column.take(np.array([row]))
    try:
        sample = raw[0] if feed.spec.layout == "vector" else arrange(raw, feed.spec)[0]
    except BadData:
        return ""
    pixels = _pixels(np.moveaxis(sample, 0, -1) if feed.spec.layout == "CHW" else sample)
    return "" if pixels is None else _encoded(Image.fromarray(pixels))


def _pixels(sample: Array) -> Array | None:
    """Values as bytes, (height, width) or (height, width, 3): bytes as they are, the rest from least to greatest."""
    if sample.ndim == 3 and sample.shape[-1] == 1:
        sample = sample[..., 0]
    if min(sample.shape[:2], default=0) < FEWEST_SIDE or (sample.ndim == 3 and sample.shape[-1] != 3):
        return None
    if sample.dtype == np.uint8:
        return np.ascontiguousarray(sample)
    values = sample.astype(np.float64)
    low, high = float(values.min()), float(values.max())
    if low >= 0 and high <= 1:
        low, high = 0.0, 1.0
    return np.rint((values - low) * (255 / max(high - low, 1e-12))).astype(np.uint8)


def _encoded(image: Image.Image) -> str:
    image.thumbnail((MOST_SIDE, MOST_SIDE))
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=True)
    return base64.b64encode(buffer.getvalue()).decode("ascii")
