"""Heads and neurons leave as if they had been silenced, in every form a transformer comes in."""

import numpy as np
import onnx
import pytest
import torch

from tests.workers.graph_fx.agreement import fed, run
from tests.workers.techniques.transformers import (
    bench_for,
    bert,
    decoder,
    encoder,
    flattened,
    grouped,
    packed,
    tidied,
    usual,
    vit,
)
from workers import formats
from workers.errors import Stopped, YoursToFix
from workers.events import Log
from workers.graph.fx import to_onnx, to_torch
from workers.techniques.transformer_pruning import TransformerPruning
from workers.training import anatomy, evidence, samples, slimming

MODELS = {
    "bert": bert, "encoder": encoder, "vit": vit, "decoder": decoder, "grouped": grouped, "packed": packed,
    "usual": lambda: usual(free=True), "usual with weights": lambda: usual(weights=True, free=True),
    "usual, fixed": usual, "usual, fixed to one": lambda: usual(batch=1, weights=True),
    "flattened": flattened, "tidied": tidied,
}  # fmt: skip
EACH = pytest.mark.parametrize("kind", MODELS)


@pytest.fixture
def model(kind):
    return MODELS[kind]()


def organs(model, folder):
    module, example = to_torch(model.proto), samples.example(bench_for(model, folder))
    return module, example, anatomy.organs(module, example)


@EACH
def test_every_block_has_its_heads_and_its_neurons_found(model, kind, tmp_path):
    _, _, found = organs(model, tmp_path)

    assert [organ.kind for organ in found] == ["heads", "neurons"] * 2
    counts = {"bert": (4, 64), "encoder": (4, 32), "vit": (2, 32), "decoder": (2, 32), "grouped": (3, 40)}
    counts["tidied"] = counts["bert"]
    heads, neurons = counts.get(kind, (6, 40))
    assert {organ.units for organ in found if organ.kind == "heads"} == {heads}
    assert {organ.units for organ in found if organ.kind == "neurons"} == {neurons}


@EACH
def test_a_network_without_some_heads_answers_as_one_with_these_heads_silenced(model, tmp_path):
    module, example, found = organs(model, tmp_path)
    silent = to_torch(model.proto)
    gone = [slimming.Loss(organ, torch.arange(1, organ.units, 2)) for organ in found]
    with torch.no_grad():
        for loss in gone:
            silent.get_submodule(loss.organ.reader).weight[:, loss.organ.columns(loss.gone)] = 0

    slimming.take_out(module, gone, example)

    slim = to_onnx(module, like=model.proto)
    onnx.checker.check_model(slim, full_check=True)
    feed = fed(model.proto, 3)
    if "in1" in feed:
        feed["in0"], feed["in1"] = np.full((3, 7), 5), np.ones((3, 7), np.int64)
    elif feed["in0"].dtype == np.int64:
        feed["in0"] = np.arange(18).reshape(3, 6)
    expected = run(to_onnx(silent, like=model.proto), feed)[0]
    assert np.allclose(run(slim, feed)[0], expected, atol=1e-4 * np.abs(expected).max())


@EACH
def test_the_share_asked_for_goes_and_the_outputs_keep_their_shape(model, tmp_path):
    pruned = TransformerPruning(heads=0.5, neurons=0.5).apply(model, bench_for(model, tmp_path))

    _, _, before = organs(model, tmp_path)
    _, _, after = organs(pruned, tmp_path)
    left = {organ.kind: organ.units for organ in before}
    assert [organ.units for organ in after if organ.kind == "neurons"] == [left["neurons"] // 16 * 8] * 2
    if left["heads"] > 2:  # a single head left is none that could be pruned further
        assert [organ.units for organ in after if organ.kind == "heads"] == [round(left["heads"] / 2)] * 2
    assert formats.facts(pruned.proto).macs < 0.75 * formats.facts(model.proto).macs
    assert list(pruned.proto.graph.output) == list(model.proto.graph.output)


def test_the_gradient_mark_of_a_head_is_what_a_mask_on_it_would_feel(tmp_path):
    model = encoder()
    module, example, found = organs(model, tmp_path)
    organ = found[0]
    weights = torch.randn(2, 16, generator=torch.Generator().manual_seed(1))

    def loss():
        return (module(*example) * weights).sum()

    marks = slimming.influences(module, [organ], [loss()])[0]

    step, layer = 1e-3, module.get_submodule(organ.reader)
    original = layer.weight.detach().clone()
    for unit in range(organ.units):
        felt = []
        for sign in (1, -1):
            with torch.no_grad():
                layer.weight.copy_(original)
                layer.weight[:, organ.columns(torch.tensor([unit]))] *= 1 + sign * step
                felt.append(float(loss()))
        assert marks[unit] == pytest.approx(abs(felt[0] - felt[1]) / (2 * step), rel=0.02, abs=1e-3)


def test_without_labels_the_gradients_are_not_zero(tmp_path):
    model = encoder()
    module, _, found = organs(model, tmp_path)

    marks = slimming.influences(module, found, evidence.losses(module, model, bench_for(model, tmp_path)))

    assert all(bool((mark > 0).all()) for mark in marks)


@pytest.mark.parametrize("criterion", ["l1", "l2", "taylor", "geometric-median"])
def test_neurons_that_do_nothing_go_first(criterion, tmp_path):
    model = encoder()
    module, _, found = organs(model, tmp_path)
    neurons = next(organ for organ in found if organ.kind == "neurons")
    dead = torch.arange(0, 32, 4)
    with torch.no_grad():
        module.get_submodule(neurons.reader).weight[:, dead] = 0
        module.get_submodule(neurons.makers[0].path).weight[dead] = 0
    crippled = model.with_proto(to_onnx(module, like=model.proto))
    step = TransformerPruning(heads=0, neurons=0.25, criterion=criterion, excluded=_others(module, neurons))

    if criterion == "geometric-median":
        return _least_alone(module, neurons, dead)
    pruned = step.apply(crippled, bench_for(crippled, tmp_path))

    feed = {"in0": np.arange(21).reshape(3, 7), "in1": np.ones((3, 7), np.int64)}
    assert np.allclose(run(pruned.proto, feed)[0], run(crippled.proto, feed)[0], atol=1e-5)
    assert formats.facts(pruned.proto).params < formats.facts(crippled.proto).params


def _others(module, neurons):
    """The layers of every other feed-forward part."""
    from workers.training import narrowing

    names = narrowing.layer_names(module)
    return tuple(name for path, name in names.items() if "1" in path and "wide" in path)


def _least_alone(module, neurons, dead):
    """Units that are all zero lie on each other, so that each has neighbours at no distance."""
    columns = module.get_submodule(neurons.reader).weight.detach().T
    slow = torch.stack([sum((one - other).norm() for other in columns) for one in columns])

    assert torch.allclose(slimming.scores(module, neurons, "geometric-median"), slow, rtol=1e-3)
    assert set(slow.argsort()[: len(dead)].tolist()) == set(dead.tolist())


def test_a_part_whose_shapes_cannot_follow_stays_whole_and_is_named(tmp_path, monkeypatch):
    model, events = encoder(), []
    monkeypatch.setattr(slimming, "_recount", lambda *rest: None)

    TransformerPruning(heads=0.5, neurons=0.5).apply(model, bench_for(model, tmp_path, emit=events.append))

    warned = [event.text for event in events if isinstance(event, Log) and event.level == "warning"]
    assert len(warned) == 2 and all("keeps its heads" in text for text in warned)


def test_layers_left_alone_keep_their_heads(tmp_path):
    model = encoder()
    module, _, found = organs(model, tmp_path)
    from workers.training import narrowing

    named = narrowing.layer_names(module)[found[0].reader]
    pruned = TransformerPruning(heads=0.5, neurons=0, excluded=(named,)).apply(model, bench_for(model, tmp_path))

    assert [one.units for one in organs(pruned, tmp_path)[2] if one.kind == "heads"] == [4, 2]


def test_the_whole_network_may_be_ranked_together(tmp_path):
    model = encoder()

    pruned = TransformerPruning(heads=0.4, neurons=0.4, scope="network", multiple=1).apply(
        model, bench_for(model, tmp_path)
    )

    left = [organ.units for organ in organs(pruned, tmp_path)[2] if organ.kind == "neurons"]
    assert sum(left) == pytest.approx(64 * 0.6, abs=2)


def test_the_same_seed_gives_the_same_file(tmp_path):
    step, model = TransformerPruning(criterion="taylor", heads=0.5), encoder()

    once, again = (step.apply(model, bench_for(model, tmp_path)).proto for _ in range(2))

    assert once.SerializeToString(deterministic=True) == again.SerializeToString(deterministic=True)


def test_it_stops_when_asked(tmp_path):
    model = encoder()

    with pytest.raises(Stopped):
        TransformerPruning(criterion="taylor").apply(model, bench_for(model, tmp_path, should_stop=lambda: True))


def test_where_nothing_can_go_it_says_so(tmp_path):
    model = encoder()

    with pytest.raises(YoursToFix, match="found none"):
        TransformerPruning(heads=0.05, neurons=0.01).apply(model, bench_for(model, tmp_path))
