"""Each layer alone: what is measured, what is recommended, and that test data stay closed."""

from __future__ import annotations

import contextlib
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from workers import datasets, sensitivity
from workers.errors import YoursToFix
from workers.events import Event, SensitivityMeasured, TrialMeasured
from workers.facts import LayerFacts, Role
from workers.recipe import from_value, techniques
from workers.report import Loss, SamplesTried
from workers.runner import perform
from workers.sensitivity import enough, grouped
from workers.technique import can_be_taken_apart
from workers.ticket import Order

RNG = np.random.default_rng(8)
HARMLESS = RNG.normal(size=(16, 16))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A child's folder with a network of two layers: of the first, half the weights are next to nothing."""
    monkeypatch.chdir(tmp_path)
    for name in ("out", "steps", "scratch"):
        (tmp_path / name).mkdir()
    first = np.eye(16) + 1e-3 * HARMLESS
    second = RNG.permuted(np.linspace(0.9, 1.1, 48)).reshape(16, 3) * np.sign(RNG.normal(size=(16, 3)))
    nodes = [
        helper.make_node("MatMul", ["x", "w1"], ["a"], name="first"),
        helper.make_node("Relu", ["a"], ["b"], name="relu"),
        helper.make_node("MatMul", ["b", "w2"], ["y"], name="second"),
    ]
    weights = [numpy_helper.from_array(w.astype(np.float32), n) for n, w in (("w1", first), ("w2", second))]
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 16])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 3])],
        weights,
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), tmp_path / "m.onnx")
    x = RNG.normal(size=(900, 16)).astype(np.float32)
    y = (np.maximum(x @ first, 0) @ second).argmax(axis=1)
    np.savez(tmp_path / "d.npz", x_train=x[:700], y_train=y[:700], x_test=x[700:], y_test=y[700:])
    return tmp_path


def done(step: dict, **order) -> list[Event]:
    heard: list[Event] = []
    asked = Order(kind="sensitivity", model="m.onnx", data="d.npz", recipe=from_value([step]), **order)
    perform(asked, emit=heard.append, alone=contextlib.nullcontext, should_stop=lambda: False)
    return heard


def found_in(heard: list[Event]):
    return next(event.sensitivity for event in heard if isinstance(event, SensitivityMeasured))


PRUNE = {"technique": "magnitude-pruning", "sparsity": 0.7, "scope": "layer"}


def test_the_layer_whose_weights_matter_is_found_and_left_out(folder):
    found = found_in(done(PRUNE))

    by_name = {layer.name: layer for layer in found.layers}
    assert list(by_name) == ["first", "second"]  # in graph order; the Relu holds no weights
    assert by_name["first"].loss.points == pytest.approx(0, abs=0.5)
    assert by_name["second"].loss.low > 1
    assert found.excluded == ("second",)
    assert found.tried[-1].loss.points == pytest.approx(by_name["first"].loss.points)  # all but one is the other alone


def test_what_a_layer_loses_is_what_a_network_with_that_layer_pruned_loses(folder):
    found = found_in(done(PRUNE))

    network = onnx.load(folder / "m.onnx")
    first, second = (numpy_helper.to_array(weight) for weight in network.graph.initializer)
    kept = np.sort(np.abs(second).ravel())[-round(0.3 * second.size) :].min()
    pruned = np.where(np.abs(second) >= kept, second, 0)
    data = datasets.open_data(
        folder / "d.npz", options=Order(kind="inspect").options, contract=_contract(folder), seed=0
    )
    batch = next(iter(data.batches(Role.VALIDATION, size=10_000)))
    said = (np.maximum(batch.inputs["x"] @ first, 0) @ pruned).argmax(axis=1)
    assert found.rows == len(batch)
    assert found.layers[1].loss.points == pytest.approx(100 * np.mean(said != batch.labels))


def test_of_many_layers_groups_are_opened_that_lose_more_than_noise(folder, monkeypatch):
    alone = found_in(done(PRUNE)).layers
    monkeypatch.setattr(sensitivity, "ONE_BY_ONE", 1)
    monkeypatch.setattr(sensitivity, "GROUPS", 1)

    opened = done(PRUNE)
    closed = done({"technique": "dynamic-int8"})

    assert found_in(opened).layers == alone  # both are in one group, which is opened
    assert names(opened)[:4] == ["every layer", "first to second", "first", "second"]
    assert [layer.together for layer in found_in(closed).layers] == [2, 2]
    assert found_in(closed).layers[0].loss == found_in(closed).everything
    assert names(closed) == ["every layer", "first to second"]


def names(heard: list[Event]) -> list[str]:
    return [event.name for event in heard if isinstance(event, TrialMeasured)]


def test_a_layer_that_stays_as_it_is_costs_no_measurement(folder):
    heard = done({**PRUNE, "excluded": ["first"]})

    assert names(heard) == ["every layer", "second"]
    assert [layer.treated for layer in found_in(heard).layers] == [False, True]


def test_layers_are_grouped_in_order_each_once():
    layers = [LayerFacts(name=str(place), op="MatMul", params=1) for place in range(210)]

    assert [len(group) for group in grouped(layers[:48])] == [1] * 48
    groups = grouped(layers)
    assert len(groups) == 16 and {len(group) for group in groups} <= {13, 14}
    assert [layer for group in groups for layer in group] == layers
    assert grouped([]) == ()


def test_a_heavy_network_is_measured_on_fewer_rows(folder, monkeypatch):
    monkeypatch.setattr(sensitivity, "FEWEST_ROWS", 20)
    work = 16 * 16 + 16 * 3
    monkeypatch.setattr(sensitivity, "MOST_MACS", 51.5 * 3 * work)  # for both layers and everything

    assert found_in(done(PRUNE)).rows == 50


def _contract(folder: Path):
    from workers.contract import Contract

    return Contract.model_validate_json((folder / "out" / "contract.json").read_text())


def test_test_rows_are_never_drawn(folder, monkeypatch):
    drawn = []
    plain = datasets.OpenedData.batches

    def spy(self, role, **more):
        drawn.append(role)
        return plain(self, role, **more)

    monkeypatch.setattr(datasets.OpenedData, "batches", spy)

    done({"technique": "static-int8", "samples": 32})

    assert Role.VALIDATION in drawn and Role.CALIBRATION in drawn
    assert Role.TEST not in drawn


def test_static_int8_comes_with_a_ladder_of_calibration_rows(folder):
    found = found_in(done({"technique": "static-int8"}))

    assert [one.samples for one in found.calibration] == [8, 16, 32, 64, 128, 256, 512]
    assert found.enough is not None


def test_a_lost_job_goes_on_behind_its_last_measurement(folder):
    first = [event for event in done(PRUNE) if isinstance(event, TrialMeasured)]
    (folder / "steps" / "1" / "trial.json").write_text(  # the first behind that of every layer
        (folder / "steps" / "1" / "trial.json").read_text().replace('"points": 0.0', '"points": 7.5')
    )

    heard = done(PRUNE, cached=(0, 1))

    again = [event for event in heard if isinstance(event, TrialMeasured)]
    assert [event.cached for event in again] == [True, True, *[False] * (len(first) - 2)]
    assert found_in(heard).layers[0].loss.points == 7.5  # read, not measured anew
    assert again[2].loss == first[2].loss


def test_a_technique_that_trains_or_searches_cannot_be_taken_apart(folder):
    apart = {slug for slug, kind in techniques().items() if can_be_taken_apart(kind)}

    assert {"static-int8", "dynamic-int8", "magnitude-pruning", "low-rank", "filter-pruning"} <= apart
    assert not {"accuracy-int8", "qat-int8", "fine-tune", "tidy", "iterative-pruning"} & apart
    with pytest.raises(YoursToFix) as caught:
        done({"technique": "accuracy-int8"})
    assert caught.value.code == "sensitivity.technique"


def rung(samples: int, points: float | None, low: float = 0.0, high: float = 0.0) -> SamplesTried:
    return SamplesTried(samples=samples, loss=Loss(points=points, low=low, high=high))


def test_enough_is_the_first_number_whose_interval_holds_every_later_loss():
    ladder = [rung(8, 5.0, 4, 6), rung(16, 1.0, 0.5, 1.5), rung(32, 0.6, 0.1, 1.1), rung(64, 0.7, 0.2, 1.2)]

    assert enough(ladder) == 16
    assert enough([rung(8, 5.0, 4, 6), rung(16, 1.0, 0.5, 1.5)]) is None
    assert enough([rung(8, None), rung(16, 1.0, 0.5, 1.5), rung(32, 1.0, 0.5, 1.5)]) == 16
