"""What the confined child of the memory test does: measure the network named in its order."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np

from workers import evaluation
from workers.events import Event, Log
from workers.ticket import Order


def perform(
    order: Order,
    *,
    emit: Callable[[Event], None],
    alone: Callable[[], AbstractContextManager[None]],
    should_stop: Callable[[], bool],
) -> None:
    sample = {"x": np.ones((1, 2048), np.float32)}
    emit(Log(text=str(evaluation.peak_memory(Path(str(order.model)), sample))))
    emit(Log(text=str(evaluation.study_services([(Path(str(order.model)), sample)], workers=2)[0].workers)))
