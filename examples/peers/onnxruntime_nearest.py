"""Weights of matrix products rounded to nearest in blocks of 32 with ONNX Runtime's own quantizer; the rest in float.

python onnxruntime_nearest.py model.onnx 4 out.onnx
"""

import sys

import onnx
from onnxruntime.quantization.matmul_nbits_quantizer import MatMulNBitsQuantizer

FAST = 4  # products in 8-bit integers; without it the kernel is many times slower than float


def main(model: str, bits: int, out: str) -> None:
    quantizer = MatMulNBitsQuantizer(onnx.load(model), bits=bits, block_size=32, is_symmetric=True, accuracy_level=FAST)
    quantizer.process()
    quantizer.model.save_model_to_file(out, use_external_data_format=False)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3])
