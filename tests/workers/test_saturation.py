"""Sums of two products in 16 bits: the nodes that stand for them against a slow loop, and against the real kernels."""

import shutil
import subprocess
from contextlib import chdir, nullcontext
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper, numpy_helper

from tests.material import model_of
from workers import formats
from workers.device import host, profile
from workers.elsewhere import accuracy
from workers.elsewhere.answers import SCRIPT
from workers.emulation.emulator import emulator
from workers.graph import saturation
from workers.shop import Shop
from workers.techniques.static_int8 import StaticInt8
from workers.ticket import Order
from workers.workbench import Workbench

DIGITS = Path(__file__).resolve().parents[2] / "examples" / "digits"

X_SCALE, W_SCALE, Y_SCALE, ZERO = 0.02, 0.01, 0.5, 3


def constant(name: str, value, dtype) -> onnx.TensorProto:
    return numpy_helper.from_array(np.asarray(value, dtype), name)


def quantized(op: str, weights: np.ndarray, **said) -> onnx.ModelProto:
    """One layer between QuantizeLinear and DequantizeLinear: (N, ...) floats to (N, out, ...)."""
    scales = np.full(weights.shape[0] if op == "Conv" else weights.shape[1], W_SCALE, np.float32)
    axis = 0 if op == "Conv" else 1
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "xs", "xz"], ["xq"]),
        helper.make_node("DequantizeLinear", ["xq", "xs", "xz"], ["xf"]),
        helper.make_node("DequantizeLinear", ["wq", "ws", "wz"], ["wf"], axis=axis),
        helper.make_node(op, ["xf", "wf"], ["yf"], name="layer", **said),
        helper.make_node("QuantizeLinear", ["yf", "ys", "yz"], ["yq"]),
        helper.make_node("DequantizeLinear", ["yq", "ys", "yz"], ["y"]),
    ]
    held = [
        constant("wq", weights, np.int8), constant("ws", scales, np.float32), constant("wz", 0 * scales, np.int8),
        constant("xs", X_SCALE, np.float32), constant("xz", ZERO, np.uint8),
        constant("ys", Y_SCALE, np.float32), constant("yz", 128, np.uint8),
    ]  # fmt: skip
    free = ("H", "W") if op == "Conv" else ()
    rows = weights.shape[1] * said.get("group", 1) if op == "Conv" else weights.shape[0]
    outs = weights.shape[0] if op == "Conv" else weights.shape[1]
    return model_of(
        nodes, held, inputs={"x": ("N", rows, *free)}, outputs={"y": ("N", outs, *(("h", "w") if free else ()))}
    )


def loud(*shape: int, seed: int = 0) -> np.ndarray:
    """Weights that use all of their eight bits, so that many pairs saturate."""
    return np.clip(np.random.default_rng(seed).normal(0, 70, shape), -127, 127).round().astype(np.int8)


def bright(*shape: int, seed: int = 1) -> np.ndarray:
    """Inputs in the upper half of what 8 bits hold."""
    return np.random.default_rng(seed).uniform(2.5, 5.0, shape).astype(np.float32)


def answers(proto: onnx.ModelProto, x: np.ndarray) -> np.ndarray:
    session = ort.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {"x": x})[0]


def by_slow_loop(x: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """A matrix product as VPMADDUBSW and VPMADDWD would add it up; x (N, k), weights (k, out)."""
    level = np.clip(np.round(x / X_SCALE) + ZERO, 0, 255).astype(int)
    found = np.zeros((len(x), weights.shape[1]))
    for row in range(len(x)):
        for out in range(weights.shape[1]):
            total = 0
            for k in range(0, len(weights), 2):
                pair = sum(int(level[row, i]) * int(weights[i, out]) for i in range(k, min(k + 2, len(weights))))
                total += max(-32768, min(32767, pair))
            total -= ZERO * int(weights[:, out].astype(int).sum())
            found[row, out] = total * X_SCALE * W_SCALE
    return np.clip(np.round(found / Y_SCALE), -128, 127) * Y_SCALE


def test_a_matrix_product_loses_what_a_slow_loop_loses():
    weights, x = loud(65, 4), bright(6, 65)
    proto = quantized("MatMul", weights)

    found = answers(saturation.without_vnni(proto), x)

    assert np.abs(answers(proto, x) - by_slow_loop(x, weights)).max() > 5 * Y_SCALE
    np.testing.assert_allclose(found, by_slow_loop(x, weights), atol=Y_SCALE + 1e-6)


def test_weights_of_seven_bits_are_at_no_risk_and_nothing_is_added():
    proto = quantized("MatMul", np.clip(loud(32, 8), -64, 63))

    assert saturation.pairs_at_risk(proto) == 0
    assert len(saturation.without_vnni(proto).graph.node) == len(proto.graph.node)


def test_pairs_at_risk_are_those_whose_extreme_sum_leaves_sixteen_bits():
    weights = loud(8, 5, seed=3)

    risky = 0
    for out in range(5):
        for k in range(0, 8, 2):
            extremes = [a * int(weights[k, out]) + b * int(weights[k + 1, out]) for a in (0, 255) for b in (0, 255)]
            risky += max(extremes) > 32767 or min(extremes) < -32768

    assert risky > 0
    assert saturation.pairs_at_risk(quantized("MatMul", weights)) == risky


def test_dynamic_products_are_counted_and_said_not_to_be_simulated():
    nodes = [
        helper.make_node("DynamicQuantizeLinear", ["x"], ["q", "s", "z"]),
        helper.make_node("MatMulInteger", ["q", "w", "z"], ["n"]),
        helper.make_node("Cast", ["n"], ["y"], to=TensorProto.FLOAT),
    ]
    held = [constant("w", [[100], [100]], np.int8)]
    proto = model_of(nodes, held, inputs={"x": ("N", 2)}, outputs={"y": ("N", 1)})

    assert saturation.pairs_at_risk(proto) == 1
    assert not saturation.is_static(proto)
    assert saturation.is_static(quantized("MatMul", loud(2, 2)))


def test_too_many_pairs_to_follow_are_refused(monkeypatch):
    monkeypatch.setattr(saturation, "MOST_PAIRS", 2)

    with pytest.raises(ValueError, match="more than 2"):
        saturation.without_vnni(quantized("MatMul", loud(32, 8)))


CASES = {
    "a matrix product": (lambda: quantized("MatMul", loud(64, 16)), (4, 64)),
    "a 3x3 convolution with padding": (
        lambda: quantized("Conv", loud(8, 8, 3, 3), kernel_shape=[3, 3], pads=[1, 1, 1, 1]), (4, 8, 6, 6)),
    "a convolution of three channels": (
        lambda: quantized("Conv", loud(8, 3, 3, 3), kernel_shape=[3, 3], strides=[2, 2]), (4, 3, 9, 9)),
    "a grouped convolution": (
        lambda: quantized("Conv", loud(8, 4, 3, 3), kernel_shape=[3, 3], group=2), (4, 8, 6, 6)),
    "a depthwise convolution": (
        lambda: quantized("Conv", loud(8, 1, 3, 3), kernel_shape=[3, 3], group=8), (4, 8, 6, 6)),
}  # fmt: skip


@pytest.mark.skipif(
    not (shutil.which("qemu-x86_64") and host().arch == "x86_64" and host().has_int8_dot_product),
    reason="no qemu-x86_64 on a host with VNNI: the simulation is NOT held against real AVX2 kernels",
)
def test_the_real_kernels_of_a_processor_without_vnni_lose_the_same(tmp_path):
    there = emulator(profile("c6a-xlarge-1t"), None)
    said = {}
    for number, (title, (make, shape)) in enumerate(CASES.items()):
        proto, x = make(), bright(*shape)
        onnx.save(proto, tmp_path / f"{number}.onnx")
        np.savez(tmp_path / f"{number}.npz", input__x=x)
        out = tmp_path / f"{number}-out.npz"
        command = [*there.command, SCRIPT, there.packages, tmp_path / f"{number}.onnx", tmp_path / f"{number}.npz", out]
        subprocess.run(command, check=True, capture_output=True)
        real = np.load(out)["output__0"]
        simulated, exact = answers(saturation.without_vnni(proto), x), answers(proto, x)
        said[title] = [float(np.abs(real - other).max() / Y_SCALE) for other in (simulated, exact)]

    assert all(simulated <= 1.001 for simulated, _ in said.values()), said
    assert all(exact > 5 for title, (_, exact) in said.items() if "depthwise" not in title), said


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    """The digits' network in 8 bits of weights and in 7, made for a processor without VNNI."""
    folder = tmp_path_factory.mktemp("digits")
    for name in ("out", "scratch"):
        (folder / name).mkdir()
    order = Order(kind="judge", model=str(DIGITS / "digits-mlp.onnx"), data=str(DIGITS / "digits.npz"))
    shop = Shop(order.model_copy(update={"device": "c6a-xlarge-1t"}), lambda event: None, nullcontext, lambda: False)
    with chdir(folder):
        model, data = shop.open()
        for reduce_range in ("never", "auto"):
            bench = Workbench(
                data=data, contract=model.contract, device=profile("c6a-xlarge-1t"), seed=0, threads=1,
                scratch=folder, step=0, emit=lambda event: None,
            )  # fmt: skip
            made = StaticInt8(reduce_range=reduce_range, samples=32).apply(model, bench)
            onnx.save(made.proto, folder / f"{reduce_range}.onnx")
    return folder, shop, data, model.contract


@pytest.fixture
def checked(digits, monkeypatch):
    folder, shop, data, contract = digits
    monkeypatch.chdir(folder)
    monkeypatch.setattr(accuracy, "host", lambda: profile("c6i-xlarge-1t"))

    def check(file: str, key: str = "c6a-xlarge-1t"):
        facts = formats.inspect(folder / file)[1]
        return accuracy.cross_check(shop, profile(key), folder / file, facts, data, contract)

    return check


def test_seven_bit_weights_are_said_to_keep_their_accuracy_without_evaluating_anything(checked):
    found = checked("auto.onnx")

    assert (found.pairs_at_risk, found.there) == (0, None)
    assert found.says.startswith("Yes")


def test_eight_bit_weights_are_evaluated_with_their_sums_cut_off(checked):
    found = checked("never.onnx")

    assert found.pairs_at_risk > 100
    assert (found.metric, found.here.n, found.there.n) == ("accuracy", 540, 540)
    assert found.change.value == pytest.approx(found.there.value - found.here.value)


@pytest.mark.parametrize("key", ["rpi5", "c6i-xlarge-1t"])
def test_processors_that_add_in_32_bits_need_no_cross_check(checked, key):
    assert checked("never.onnx", key) is None
