"""Several inputs in one network: a recurrent step with a state beside its frame, and a setting shared by all rows."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from workers import datasets, evaluation, formats, trial
from workers.contract import batch_axes
from workers.errors import YoursToFix
from workers.evaluation.sessions import axes_of, fixed_batch, open_session, tile
from workers.facts import Role
from workers.ticket import DataOptions

RNG = np.random.default_rng(4)
ROWS = 60


def arrays(rate: int = 2) -> dict[str, np.ndarray]:
    frames = RNG.normal(size=(ROWS, 5)).astype(np.float32)
    states = RNG.normal(size=(ROWS, 2, 3)).astype(np.float32)  # (rows, layers, width)
    return {"input": frames, "State": states, "sr": np.full(ROWS, rate, np.int64)}


def answers(given: dict[str, np.ndarray]) -> np.ndarray:
    sums = given["input"].sum(axis=1) * given["sr"] + given["State"].sum(axis=(1, 2))
    return 1 / (1 + np.exp(-sums))


@pytest.fixture
def detector(tmp_path):
    """Inputs as of a recurrent speech detector: input (batch, 5), State (2, batch, 3), sr a single number."""
    nodes = [
        helper.make_node("Cast", ["sr"], ["rate"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["input", "rate"], ["scaled"]),
        helper.make_node("ReduceSum", ["scaled", "last"], ["a"], keepdims=1),
        helper.make_node("ReduceSum", ["State", "outer"], ["b0"], keepdims=0),
        helper.make_node("Unsqueeze", ["b0", "last"], ["b"]),
        helper.make_node("Add", ["a", "b"], ["z"]),
        helper.make_node("Sigmoid", ["z"], ["output"]),
    ]
    kinds = {"input": (TensorProto.FLOAT, ["batch", 5]), "State": (TensorProto.FLOAT, [2, "batch", 3])}
    graph = helper.make_graph(
        nodes,
        "net",
        [
            *(helper.make_tensor_value_info(name, kind, shape) for name, (kind, shape) in kinds.items()),
            helper.make_tensor_value_info("sr", TensorProto.INT64, []),
        ],
        [helper.make_tensor_value_info("output", TensorProto.FLOAT, ["batch", 1])],
        [
            helper.make_tensor("last", TensorProto.INT64, [1], [1]),
            helper.make_tensor("outer", TensorProto.INT64, [2], [0, 2]),
        ],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), tmp_path / "m.onnx")
    return tmp_path / "m.onnx"


def saved(path, given, labels):
    parts = {"train": slice(0, 30), "test": slice(30, ROWS)}
    named = {f"x_{role}__{name}": array[rows] for role, rows in parts.items() for name, array in given.items()}
    np.savez(path, **named, **{f"y_{role}": labels[rows] for role, rows in parts.items()})
    return path


def opened(model, where):
    proto, facts = formats.inspect(model)
    contract = formats.guess_contract(proto, facts, datasets.inspect(where, options=DataOptions()))
    return contract, datasets.open_data(where, options=DataOptions(), contract=contract, seed=0)


def test_a_detector_with_a_state_is_evaluated_row_by_row(detector, tmp_path):
    given = arrays()
    labels = (answers(given) > 0.5).astype(int)
    contract, data = opened(detector, saved(tmp_path / "d.npz", given, labels))

    found = evaluation.predict(open_session(detector), data, Role.TEST, batch=8)

    assert {spec.name: (spec.shape, spec.batch_axis) for spec in contract.inputs} == {
        "input": ((5,), 0), "State": ((2, 3), 1), "sr": ((), None),
    }  # fmt: skip
    np.testing.assert_allclose(found.outputs[:, 0], answers(given)[found.rows], rtol=1e-4, atol=1e-6)
    assert evaluation.score(found, contract, seed=0)["auc"].value == 1
    tried = trial.attempt(open_session(detector), data, contract, seed=0, check=lambda: None)
    assert tried.metric == "accuracy" and tried.measured.value == 1


def test_a_sample_is_repeated_along_each_inputs_own_axis(detector):
    session = open_session(detector)
    one = {"input": np.ones((1, 5), np.float32), "State": np.ones((2, 1, 3), np.float32), "sr": np.array(2)}

    many = tile(one, 32, axes_of(session))

    assert {name: array.shape for name, array in many.items()} == {"input": (32, 5), "State": (2, 32, 3), "sr": ()}
    assert fixed_batch(session) is None


def test_a_setting_that_differs_between_rows_is_refused(detector, tmp_path):
    given = arrays()
    given["sr"][40:] = 3
    _, data = opened(detector, saved(tmp_path / "d.npz", given, np.zeros(ROWS, int) + (given["sr"] > 2)))

    with pytest.raises(YoursToFix) as caught:
        list(data.batches(Role.TEST, size=64))

    assert caught.value.code == "data.values-differ"


@pytest.mark.parametrize(
    ("shapes", "axes"),
    [
        ([["n", 4]], (0,)),
        ([[8, 4]], (0,)),
        ([[2, "n", 3]], (0,)),  # alone: a fixed batch of 2, as ever
        ([["n", 4], [2, "n", 3], []], (0, 1, None)),
        ([[-1, 4], [1, 1, 128]], (0, 0)),
    ],
)
def test_where_the_axis_of_the_samples_is(shapes, axes):
    assert batch_axes(shapes) == axes
