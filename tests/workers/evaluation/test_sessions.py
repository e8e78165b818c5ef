"""Opening and feeding networks, and what is said when that fails."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from tests.workers.evaluation.networks import linear, save
from workers.errors import EngineError, OursToFix, YoursToFix
from workers.evaluation import open_session
from workers.evaluation.refusals import quoted, refusal
from workers.evaluation.sessions import feeds_for, fit_feed, fixed_batch, run, tile


def test_a_session_runs_one_operator_after_another_on_the_threads_it_was_given(tmp_path):
    options = open_session(linear(tmp_path / "m.onnx"), threads=2).get_session_options()

    assert options.intra_op_num_threads == 2
    assert options.execution_mode.name == "ORT_SEQUENTIAL"
    assert options.use_deterministic_compute


def test_a_network_opens_from_bytes_as_from_its_file(tmp_path):
    path, x = linear(tmp_path / "m.onnx"), {"x": np.ones((2, 4), np.float32)}

    answers = [run(open_session(source), x)[0] for source in (path, path.read_bytes())]

    np.testing.assert_array_equal(*answers)


@pytest.mark.parametrize(
    ("node", "domain", "operator"),
    [
        (helper.make_node("Sing", ["x"], ["y"], domain="acme"), "acme", "acme:Sing"),
        (helper.make_node("Sing", ["x"], ["y"]), "", "Sing"),
    ],
)
def test_an_unknown_operator_is_named(tmp_path, node, domain, operator):
    with pytest.raises(YoursToFix) as caught:
        open_session(save(tmp_path / "m.onnx", [node], domain=domain))

    assert caught.value.code == "model.unsupported-operator"
    assert operator in caught.value.message and caught.value.hint


def ir_from_tomorrow(folder):
    proto = onnx.load(linear(folder / "m.onnx"))
    proto.ir_version = 99
    return proto.SerializeToString()


def data_gone(folder):
    proto = onnx.load(linear(folder / "m.onnx"))
    onnx.save(proto, folder / "m.onnx", save_as_external_data=True, location="m.data", size_threshold=0)
    (folder / "m.data").unlink()
    return folder / "m.onnx"


def loose_end(folder):
    return save(folder / "m.onnx", [helper.make_node("Relu", ["nowhere"], ["y"])])


@pytest.mark.parametrize(
    ("made", "code"),
    [
        (lambda folder: b"no network", "model.unreadable"),
        (lambda folder: b"", "model.unreadable"),
        (loose_end, "model.invalid"),
        (ir_from_tomorrow, "model.too-new"),
        (data_gone, "model.external-data-missing"),
    ],
)
def test_a_broken_network_is_the_users_to_fix_and_the_code_says_how(tmp_path, made, code):
    with pytest.raises(YoursToFix) as caught:
        open_session(made(tmp_path))

    assert caught.value.code == code
    assert "ONNXRuntimeError" not in caught.value.message and caught.value.hint


def test_a_provider_this_host_lacks_is_ours_and_never_replaced_silently(tmp_path):
    with pytest.raises(OursToFix, match="NoSuchProvider"):
        open_session(linear(tmp_path / "m.onnx"), provider="NoSuchProvider")


@pytest.mark.parametrize("shape", [(1, 5), (1, 2, 4)])
def test_samples_of_another_shape_are_told_from_a_broken_network(tmp_path, shape):
    with pytest.raises(YoursToFix) as caught:
        run(open_session(linear(tmp_path / "m.onnx")), {"x": np.ones(shape, np.float32)})

    assert caught.value.code == "data.does-not-fit"


def test_a_shortage_of_memory_is_ours(tmp_path):
    nodes = [helper.make_node("Expand", ["x", "size"], ["y"])]
    path = save(tmp_path / "m.onnx", nodes, weights={"size": np.array([1 << 30, 1 << 12, 4], np.int64)})

    with pytest.raises(OursToFix) as caught:
        run(open_session(path), {"x": np.ones((1, 4), np.float32)})

    assert caught.value.code == "runtime.out-of-memory"


def test_our_own_errors_pass_unchanged_and_strangers_are_ours():
    mine = YoursToFix("mine")

    assert refusal(mine) is mine
    assert refusal(RuntimeError("odd")).code == "runtime.failed"
    assert isinstance(refusal(RuntimeError("odd")), EngineError)


def test_long_words_of_the_runtime_are_cut():
    assert len(quoted("word " * 200)) == 300


def test_feeds_take_the_number_type_the_network_asks_for(tmp_path):
    nodes = [helper.make_node("Cast", ["x"], ["y"], to=TensorProto.FLOAT)]
    session = open_session(save(tmp_path / "m.onnx", nodes, input_type=TensorProto.FLOAT16))

    feed = fit_feed(session, {"x": np.ones((1, 4), np.float32), "unused": np.zeros(1)})

    assert feed["x"].dtype == np.float16 and list(feed) == ["x"]


def test_a_missing_input_is_named(tmp_path):
    with pytest.raises(YoursToFix, match=r"'x'.*'image'"):
        fit_feed(open_session(linear(tmp_path / "m.onnx")), {"image": np.ones((1, 4))})


@pytest.mark.parametrize(("shape", "size"), [(("n", 4), None), ((1, 4), 1), ((8, 4), 8)])
def test_a_batch_size_written_into_the_graph_is_seen(tmp_path, shape, size):
    assert fixed_batch(open_session(linear(tmp_path / "m.onnx", shape=shape))) == size


def test_a_batch_is_cut_into_pieces_the_graph_takes_and_the_last_one_filled_up(tmp_path):
    session = open_session(linear(tmp_path / "m.onnx", shape=(8, 4)))
    x = np.arange(80, dtype=np.float32).reshape(20, 4)

    pieces = [feed["x"] for feed in feeds_for(session, {"x": x}, 20)]

    assert [piece.shape for piece in pieces] == [(8, 4)] * 3
    np.testing.assert_array_equal(np.concatenate(pieces)[:20], x)
    np.testing.assert_array_equal(pieces[2][4:], np.repeat(x[-1:], 4, axis=0))


def test_tiling_repeats_the_sample_and_leaves_what_has_no_batch_axis():
    tiled = tile(
        {"x": np.ones((1, 4)), "scale": np.array(2.0), "table": np.ones((3, 2))}, 5, {"x": 0, "scale": None, "table": 0}
    )

    assert tiled["x"].shape == (5, 4) and tiled["scale"].shape == () and tiled["table"].shape == (3, 2)
