"""Weights of matrix products rounded to nearest in blocks of 32 with ONNX Runtime's own quantizer; the rest in float.

python onnxruntime_nearest.py model.onnx 4 out.onnx
"""

import sys
import tempfile
from pathlib import Path

import onnx
import onnxruntime as ort
from onnxruntime.quantization.matmul_nbits_quantizer import MatMulNBitsQuantizer

FAST = 4  # products in 8-bit integers; without it the kernel is many times slower than float


def main(model: str, bits: int, out: str) -> None:
    ready = with_folded_constants(model)
    quantizer = MatMulNBitsQuantizer(ready, bits=bits, block_size=32, is_symmetric=True, accuracy_level=FAST)
    quantizer.process()
    quantizer.model.save_model_to_file(out, use_external_data_format=False)


def with_folded_constants(model: str) -> onnx.ModelProto:
    """The quantizer sees stored weights only: a head that turns the embedding while it runs would stay in float."""
    with tempfile.TemporaryDirectory() as folder:
        options = ort.SessionOptions()
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_BASIC
        options.optimized_model_filepath = str(Path(folder) / "folded.onnx")
        ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        return onnx.load(options.optimized_model_filepath)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3])
