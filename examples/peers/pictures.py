"""Fashion-MNIST as the network here takes it: (n, 1, 28, 28), less its mean and over its deviation."""

from pathlib import Path

import numpy as np

MEAN, DEVIATION = 0.2860, 0.3530


def read(data: Path, role: str) -> tuple[np.ndarray, np.ndarray]:
    """Pictures and labels of a role of an ``.npz`` file."""
    with np.load(data) as arrays:
        raw, labels = arrays[f"x_{role}"], arrays[f"y_{role}"]
    return ((raw[:, None].astype(np.float32) / 255 - MEAN) / DEVIATION), labels.astype(np.int64)
