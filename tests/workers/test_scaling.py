"""The scaling a network was trained with is found by trying. The networks are fitted here, so the truth is known."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from sklearn.datasets import load_digits

from tests.material import model_of
from workers import datasets, evaluation, formats, scaling
from workers.contract import InputSpec
from workers.ticket import DataOptions

PIXELS = (load_digits().images * 255 / 16).round().astype(np.uint8)[:, None]
LABELS = load_digits().target


def classifier(inputs: np.ndarray) -> bytes:
    """The nearest class centre, as one layer: x · c − |c|² / 2. Closed form, and right for these inputs only."""
    flat = inputs.reshape(len(inputs), -1)
    centres = np.stack([flat[digit == LABELS].mean(axis=0) for digit in range(10)])
    nodes = [
        onnx.helper.make_node("Flatten", ["image"], ["flat"]),
        onnx.helper.make_node("Gemm", ["flat", "w", "b"], ["logits"]),
    ]
    weights = [
        onnx.numpy_helper.from_array(centres.T.astype(np.float32), "w"),
        onnx.numpy_helper.from_array((-(centres**2).sum(axis=1) / 2).astype(np.float32), "b"),
    ]
    shapes = {"inputs": {"image": ("n", 1, 8, 8)}, "outputs": {"logits": ("n", 10)}}
    return model_of(nodes, weights, **shapes).SerializeToString()


def settle(folder: Path, network: bytes, **arrays: np.ndarray) -> tuple[InputSpec, InputSpec, str]:
    """The first guess, what was settled on, and what was said."""
    model, data = folder / "m.onnx", folder / "d.npz"
    model.write_bytes(network)
    np.savez(data, **arrays)
    proto, facts = formats.inspect(model)
    first = formats.guess_contract(proto, facts, datasets.inspect(data, options=DataOptions()))
    session = evaluation.open_session(model)
    settled, said = scaling.settle(session, first, data, options=DataOptions(), seed=0, check=lambda: None)
    return first.inputs[0], settled.inputs[0], said


def split(x: np.ndarray) -> dict[str, np.ndarray]:
    return {"x_train": x[:1400], "y_train": LABELS[:1400], "x_test": x[1400:], "y_test": LABELS[1400:]}


def test_a_network_trained_on_standardised_pixels_is_recognised(tmp_path):
    mean, std = PIXELS.mean() / 255, PIXELS.std() / 255

    first, settled, said = settle(tmp_path, classifier((PIXELS / 255 - mean) / std), **split(PIXELS))

    assert first.scale == pytest.approx(1 / 255) and not first.mean
    assert settled.mean == pytest.approx((mean,), abs=0.02)
    assert settled.std == pytest.approx((std,), abs=0.02)
    assert "predicts best" in said


def test_a_right_first_guess_stays(tmp_path):
    first, settled, _ = settle(tmp_path, classifier(PIXELS / 255), **split(PIXELS))

    assert settled == first


def test_without_labels_outside_test_nothing_is_tried(tmp_path):
    first, settled, said = settle(tmp_path, classifier(PIXELS.astype(float)), x_test=PIXELS, y_test=LABELS)

    assert (settled, said) == (first, "")
