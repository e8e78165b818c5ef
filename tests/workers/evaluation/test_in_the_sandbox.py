"""Measuring works where the judge runs: in a confined child that may open almost nothing."""

import pytest

from tests.workers.evaluation.networks import stack
from workers.events import Log
from workers.sandbox import Child
from workers.ticket import Limits, Order

MIB = 1 << 20


@pytest.mark.timeout(60)
def test_memory_and_service_are_measured_in_a_confined_child(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "work").mkdir()
    model = stack(tmp_path / "in" / "m.onnx", layers=4, width=2048)  # 64 MiB of weights
    child = Child.spawn(preload="onnxruntime", perform="tests.workers.evaluation.sandboxed_orders:perform")
    try:
        order = Order(kind="judge", model=str(model))
        child.begin(order, folder=tmp_path / "work", readable=[tmp_path / "in"], limits=Limits(wall_seconds=50))
        said = [message.text for message in child.messages(tick=0.2) if isinstance(message, Log)]
        outcome = child.outcome()
    finally:
        child.close()

    assert outcome.kind == "done", outcome
    assert 60 * MIB < int(said[0]) < 260 * MIB
    assert said[1] == "2"
