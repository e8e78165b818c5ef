"""The figures of a deployment as numbers, so that a portfolio reads a thousand of them at once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

import numpy as np

from workers.estimate import Amount
from workers.numerics.queueing import Floats
from workers.serving.totals import row_of

QUANTITIES: Final = ("bill", "energy", "carbon")
VIEWS: Final = ("before", "paid", "saved", "share", "could", "could_share")
NAMES: Final = (*(f"{each}.{view}" for each in QUANTITIES for view in VIEWS), "wait.before", "wait.paid")
AT: Final = {name: place for place, name in enumerate(NAMES)}
KIND: Final = np.dtype("<f8")  # the same bytes on every machine
SHAPE: Final = (len(NAMES), 4)
NOTHING: Final = np.array([row_of(None, None, None, None)] * len(NAMES), KIND).tobytes()


def written(amounts: Mapping[str, Amount]) -> bytes:
    """Value, low, high and class of each figure in the order of ``NAMES``, as rows of ``totals.Parts``."""
    rows = [row_of(each.value, each.low, each.high, each.grade) for each in (amounts[name] for name in NAMES)]
    return np.array(rows, KIND).tobytes()


def read(kept: Iterable[bytes | memoryview | None]) -> Floats:
    """Those of many deployments: (n, figures, 4); all unknown where nothing is kept."""
    return np.frombuffer(b"".join(each or NOTHING for each in kept), KIND).reshape(-1, *SHAPE)
