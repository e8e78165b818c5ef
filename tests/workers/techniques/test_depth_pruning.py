"""Blocks that do nothing go first, whatever the place of their norms."""

import numpy as np
import onnx
import pytest
import torch

from tests.workers.graph_fx.agreement import fed, run
from tests.workers.techniques.transformers import bench_for, bert, decoder, encoder, flattened, tidied, vision, vit
from workers.errors import Stopped, YoursToFix
from workers.events import Point
from workers.graph.fx import to_onnx, to_torch
from workers.techniques.depth_pruning import DepthPruning
from workers.training import depth

MODELS = {"bert": bert, "encoder": encoder, "vit": vit, "decoder": decoder, "flattened": flattened, "tidied": tidied}


def attentions(model):
    return sum(node.op_type == "Softmax" for node in model.proto.graph.node)


def idle_vit(place):
    """A vision transformer one block of which adds nothing to the stream."""
    model = vit()
    module = to_torch(model.proto)
    with torch.no_grad():
        for name in ("attention.out", "narrow"):
            layer = module.get_submodule(f"blocks.{place}.{name}")
            layer.weight.zero_()
            layer.bias.zero_()
    return model.with_proto(to_onnx(module, like=model.proto))


@pytest.mark.parametrize("kind", MODELS)
def test_blocks_are_found_and_the_network_runs_without_one(kind, tmp_path):
    model = MODELS[kind]()

    shorter = DepthPruning(choose_by="similarity").apply(model, bench_for(model, tmp_path, rows=16))

    assert (attentions(model), attentions(shorter)) == (2, 1)
    onnx.checker.check_model(shorter.proto, full_check=True)
    feed = fed(model.proto, 3) if kind in ("vit", "flattened") else {
        item.name: np.ones((3, 6 if kind == "decoder" else 7), np.int64) for item in model.proto.graph.input
    }  # fmt: skip
    assert run(shorter.proto, feed)[0].shape == run(model.proto, feed)[0].shape


@pytest.mark.parametrize("choose_by", ["effect", "similarity"])
@pytest.mark.parametrize("place", [0, 1])
def test_a_block_that_does_nothing_goes_and_nothing_changes(choose_by, place, tmp_path):
    model = idle_vit(place)

    shorter = DepthPruning(choose_by=choose_by).apply(model, bench_for(model, tmp_path, rows=16))

    feed = fed(model.proto, 4)
    assert attentions(shorter) == 1
    assert np.allclose(run(shorter.proto, feed)[0], run(model.proto, feed)[0], atol=1e-5)


def test_two_blocks_can_go_one_after_the_other(tmp_path):
    model = bert(3)

    shorter = DepthPruning(blocks=2).apply(model, bench_for(model, tmp_path, rows=8))

    assert attentions(shorter) == 1


def test_change_is_one_minus_the_cosine_of_input_and_output():
    network, x, seen = vision(), torch.randn(8, 3, 16, 16), []
    for block in network.blocks:
        block.register_forward_hook(lambda part, given, made: seen.append((given[0], made)))
    module = to_torch(vit().proto)
    found = depth.blocks(module, (x[:2],))

    measured = depth.changes(module, found, ([part] for part in (x[:5], x[5:])))

    with torch.no_grad():
        network(x)
    slow = []
    for one, two in seen:
        cosines = [
            float(a @ b) / float(a.norm() * b.norm()) for a, b in zip(one.flatten(0, 1), two.flatten(0, 1), strict=True)
        ]
        slow.append(1 - sum(cosines) / len(cosines))
    assert measured == pytest.approx(slow, rel=1e-3)


def test_what_each_block_is_worth_is_drawn(tmp_path):
    model, events = idle_vit(1), []

    DepthPruning().apply(model, bench_for(model, tmp_path, rows=16, emit=events.append))

    drops = {event.x: event.y for event in events if isinstance(event, Point)}
    assert set(drops) == {0, 1} and drops[1] == pytest.approx(0) and drops[0] > 0


def test_the_last_block_stays(tmp_path):
    model = vit()

    with pytest.raises(YoursToFix, match="more than 2"):
        DepthPruning(blocks=2).apply(model, bench_for(model, tmp_path, rows=8))


def test_it_stops_between_two_blocks(tmp_path):
    model = vit()
    asked = iter([False] * 4)

    with pytest.raises(Stopped):
        DepthPruning().apply(model, bench_for(model, tmp_path, rows=8, should_stop=lambda: next(asked, True)))
