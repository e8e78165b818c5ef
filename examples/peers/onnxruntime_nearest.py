"""Weights of matrix products rounded to nearest in blocks of 32 with ONNX Runtime's own quantizer; the rest in float.

python onnxruntime_nearest.py model.onnx 4 out.onnx
"""

import sys

import numpy as np
import onnx
from onnx import numpy_helper
from onnxruntime.quantization.matmul_nbits_quantizer import MatMulNBitsQuantizer

FAST = 4  # products in 8-bit integers; without it the kernel is many times slower than float


def main(model: str, bits: int, out: str) -> None:
    ready = onnx.load(model)
    store_turned_weights(ready.graph)
    quantizer = MatMulNBitsQuantizer(ready, bits=bits, block_size=32, is_symmetric=True, accuracy_level=FAST)
    quantizer.process()
    quantizer.model.save_model_to_file(out, use_external_data_format=False)


def store_turned_weights(graph: onnx.GraphProto) -> None:
    """The quantizer sees stored weights only: a head that turns the embedding while it runs would stay in float."""
    stored = {tensor.name: tensor for tensor in graph.initializer}
    for node in [node for node in graph.node if node.op_type == "Transpose" and node.input[0] in stored]:
        turned = numpy_helper.to_array(stored[node.input[0]]).transpose(*(item.ints for item in node.attribute))
        graph.initializer.append(numpy_helper.from_array(np.ascontiguousarray(turned), node.output[0]))
        graph.node.remove(node)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3])
