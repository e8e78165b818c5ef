"""Rounds go on until the target, and never past the limit on what may be lost."""

import numpy as np
import pytest
from onnx import numpy_helper
from pydantic import ValidationError

from tests.workers.techniques.lessons import agreement, classroom, discerning
from tests.workers.techniques.transformers import bench_for, vit
from workers import formats
from workers.errors import Stopped, YoursToFix
from workers.events import Log, Point
from workers.facts import Role
from workers.techniques.iterative_pruning import IterativePruning

QUICK = {"epochs": 3, "learning_rate": 0.01, "batch": 32, "schedule": "one-cycle"}


@pytest.fixture
def whole():
    return discerning(16)


def curve(events, series):
    return [event.y for event in events if isinstance(event, Point) and event.series == series]


def warnings(events):
    return [event.text for event in events if isinstance(event, Log) and event.level == "warning"]


def test_it_stops_as_soon_as_the_goal_is_met(whole, tmp_path):
    events = []
    step = IterativePruning(goal=0.6, max_drop=100, share=0.25, **QUICK)

    pruned = step.apply(whole, classroom(whole, tmp_path, rows=128, emit=events.append))

    left = curve(events, "MACs left by round")
    assert left[-1] <= 0.6 < min([1.0, *left[:-1]])
    assert formats.facts(pruned.proto).macs / formats.facts(whole.proto).macs == pytest.approx(left[-1])
    assert not warnings(events)


def test_past_the_limit_the_network_of_the_round_before_is_kept(whole, tmp_path):
    events = []
    bench = classroom(whole, tmp_path, rows=256, emit=events.append)
    step = IterativePruning(goal=0.05, max_drop=72, share=0.25, rounds=8, **QUICK)

    pruned = step.apply(whole, bench)

    drops = curve(events, "points lost by round")
    good = [drop for drop in drops if drop <= 72]
    assert len(good) == len(drops) - 1 >= 1 and drops[-1] > 72
    assert 100 * (1 - agreement(pruned, whole, bench)) == pytest.approx(good[-1], abs=1e-6)
    assert "not met" in warnings(events)[-1]


def test_where_the_first_round_loses_too_much_the_network_is_as_it_came(whole, tmp_path):
    events = []
    step = IterativePruning(max_drop=0, share=0.5, **QUICK | {"epochs": 1})

    assert step.apply(whole, classroom(whole, tmp_path, rows=64, emit=events.append)) is whole
    assert "as it came" in warnings(events)[-1]


def test_a_target_size_is_met(whole, tmp_path):
    step = IterativePruning(until="size", goal=0.5, max_drop=100, share=0.3, **QUICK | {"epochs": 1})

    pruned = step.apply(whole, classroom(whole, tmp_path, rows=64))

    assert pruned.proto.ByteSize() <= 0.5 * whole.proto.ByteSize()


def test_a_target_latency_is_measured(tmp_path):
    model, events = discerning(64), []
    step = IterativePruning(until="latency", goal=0.7, max_drop=100, share=0.6, rounds=2, **QUICK | {"epochs": 1})

    step.apply(model, classroom(model, tmp_path, rows=32, emit=events.append))

    assert curve(events, "the latency left by round")[-1] < 0.95


def test_weights_go_round_by_round_and_stay_gone(whole, tmp_path):
    step = IterativePruning(what="weights", until="drop", max_drop=100, share=0.3, rounds=3, **QUICK)

    pruned = step.apply(whole, classroom(whole, tmp_path, rows=64))

    weights = [numpy_helper.to_array(t).ravel() for t in pruned.proto.graph.initializer if t.name in ("w1", "w2", "w3")]
    assert np.mean(np.concatenate(weights) == 0) == pytest.approx(1 - 0.7**3, abs=0.01)


def test_a_transformer_loses_heads_and_neurons(tmp_path):
    model, events = vit(), []
    step = IterativePruning(
        what="transformer", until="size", goal=0.8, max_drop=100, share=0.3, multiple=1, **QUICK | {"epochs": 1}
    )

    pruned = step.apply(model, bench_for(model, tmp_path, rows=32, emit=events.append))

    assert pruned.proto.ByteSize() <= 0.8 * model.proto.ByteSize()
    assert list(pruned.proto.graph.output) == list(model.proto.graph.output)


def test_zeros_alone_cannot_have_a_target_they_do_not_move():
    with pytest.raises(ValidationError, match="until=drop"):
        IterativePruning(what="weights", until="size")


def test_decisions_are_made_on_validation_data(whole, tmp_path):
    bench = classroom(whole, tmp_path, rows=64)

    IterativePruning(goal=0.7, max_drop=100, **QUICK | {"epochs": 1}).apply(whole, bench)

    assert set(bench.data.asked) <= {Role.TRAIN, Role.CALIBRATION, Role.VALIDATION}


def test_the_same_seed_gives_the_same_file(whole, tmp_path):
    step = IterativePruning(goal=0.7, max_drop=100, criterion="taylor", **QUICK | {"epochs": 1})

    once, again = (step.apply(whole, classroom(whole, tmp_path, rows=64)).proto for _ in range(2))

    assert once.SerializeToString(deterministic=True) == again.SerializeToString(deterministic=True)


def test_it_stops_between_two_batches(whole, tmp_path):
    asked = iter([False] * 60)

    with pytest.raises(Stopped):
        IterativePruning(max_drop=100, goal=0.01, **QUICK).apply(
            whole, classroom(whole, tmp_path, should_stop=lambda: next(asked, True))
        )


def test_where_nothing_can_go_it_says_so(whole, tmp_path):
    bench = classroom(whole, tmp_path, rows=64)
    excluded = tuple(node.name for node in whole.proto.graph.node if node.op_type in ("Conv", "Gemm"))

    with pytest.raises(YoursToFix, match="found nothing"):
        IterativePruning(excluded=excluded, **QUICK).apply(whole, bench)
