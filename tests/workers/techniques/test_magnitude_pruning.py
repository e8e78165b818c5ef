import zlib

import numpy as np
import onnx
import pytest

from tests.workers.techniques.conftest import rows, run
from workers.errors import YoursToFix
from workers.techniques.fp16 import Fp16
from workers.techniques.magnitude_pruning import MagnitudePruning
from workers.techniques.static_int8 import StaticInt8


def weights(model) -> dict[str, np.ndarray]:
    return {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in model.proto.graph.initializer}


def pruned_slowly(weight: np.ndarray, sparsity: float) -> np.ndarray:
    """Zero entries one by one, from the smallest, until the share is reached."""
    flat = [float(value) for value in weight.ravel()]
    order = sorted(range(len(flat)), key=lambda index: abs(flat[index]))
    for index in order[: len(flat) - round(len(flat) * (1 - sparsity))]:
        flat[index] = 0.0
    return np.array(flat, weight.dtype).reshape(weight.shape)


def test_each_layer_loses_its_smallest_weights(cnn, bench):
    pruned = weights(MagnitudePruning(sparsity=0.3, scope="layer").apply(cnn, bench))

    for name in ("w1", "w2", "w3"):
        np.testing.assert_array_equal(pruned[name], pruned_slowly(weights(cnn)[name], 0.3))


def test_the_network_loses_its_smallest_weights_wherever_they_are(cnn, bench):
    names = ("w1", "w2", "w3")
    together = np.concatenate([weights(cnn)[name].ravel() for name in names])

    pruned = weights(MagnitudePruning(sparsity=0.3).apply(cnn, bench))

    expected = pruned_slowly(together, 0.3)
    np.testing.assert_array_equal(np.concatenate([pruned[name].ravel() for name in names]), expected)


def test_biases_and_norms_are_left_alone(cnn, bench):
    before = weights(cnn)

    after = weights(MagnitudePruning(sparsity=0.9).apply(cnn, bench))

    for name in ("b1", "g", "beta", "mean", "var"):
        np.testing.assert_array_equal(after[name], before[name])


def test_excluded_layers_are_left_alone(cnn, bench):
    pruned = weights(MagnitudePruning(sparsity=0.5, excluded=("stem/conv", "head")).apply(cnn, bench))

    np.testing.assert_array_equal(pruned["w1"], weights(cnn)["w1"])
    np.testing.assert_array_equal(pruned["w3"], weights(cnn)["w3"])
    assert np.mean(pruned["w2"] == 0) == pytest.approx(0.5, abs=1e-3)


def test_only_the_zipped_file_shrinks_and_the_note_says_so(cnn, bench):
    pruned = MagnitudePruning(sparsity=0.7).apply(cnn, bench)

    before, after = (model.proto.SerializeToString() for model in (cnn, pruned))
    assert len(after) == len(before)
    assert len(zlib.compress(after)) < 0.6 * len(zlib.compress(before))
    assert "compressed" in pruned.notes[0]


def test_pruning_twice_goes_on_where_the_first_stopped(cnn, bench):
    half = MagnitudePruning(sparsity=0.5, scope="layer").apply(cnn, bench)

    twice = weights(MagnitudePruning(sparsity=0.8, scope="layer").apply(half, bench))

    once = weights(MagnitudePruning(sparsity=0.8, scope="layer").apply(cnn, bench))
    np.testing.assert_array_equal(twice["w2"], once["w2"])


def test_float16_weights_can_be_pruned(cnn, bench):
    half = Fp16().apply(cnn, bench)

    pruned = MagnitudePruning(sparsity=0.5).apply(half, bench)

    assert weights(pruned)["w2"].dtype == np.float16
    assert np.isfinite(run(pruned.proto, rows(2, 3, 12, 12))).all()


def test_a_quantized_network_is_refused(cnn, bench):
    quantized = StaticInt8().apply(cnn, bench)

    with pytest.raises(YoursToFix, match="already quantized"):
        MagnitudePruning().apply(quantized, bench)
