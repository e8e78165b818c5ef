"""Take three quarters of the perceptron's neurons out by hand, train it again, and quantize it with ONNX Runtime.

python torch_narrow_perceptron.py model.onnx shuttle.npz out.onnx
"""

import sys
import tempfile
from pathlib import Path

import onnx
import torch
from onnx import numpy_helper
from onnxruntime_static_int8 import ROWS, quantize
from perceptron import WIDTHS, export, layers, perceptron, read, train


def narrowed(model: Path, features: int) -> torch.nn.Sequential:
    """The quarter of each layer's neurons with the largest weights."""
    graph = onnx.load(model).graph
    stored = {tensor.name: torch.tensor(numpy_helper.to_array(tensor)) for tensor in graph.initializer}
    net = perceptron(features, tuple(width // 4 for width in WIDTHS))
    before = torch.arange(features)
    for layer, node in zip(layers(net), (node for node in graph.node if node.op_type == "Gemm"), strict=True):
        weight, bias = stored[node.input[1]], stored[node.input[2]]
        kept = weight.norm(dim=1).topk(layer.out_features).indices.sort().values
        layer.weight.data, layer.bias.data = weight[kept][:, before].clone(), bias[kept].clone()
        before = kept
    return net


def main(model: Path, data: Path, out: Path) -> None:
    rows, classes = read(data)
    net = narrowed(model, rows.shape[1])
    train(net, rows, classes, epochs=10, rate=0.003)
    with tempfile.TemporaryDirectory() as folder:
        export(net, rows.shape[1], Path(folder) / "float.onnx")
        quantize(Path(folder) / "float.onnx", rows[:ROWS].numpy(), out)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:4]))
