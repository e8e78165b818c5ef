"""Prune the residual network with torch-pruning until its multiplications are a share of what they were, and distil.

    python torch_pruning_cnn.py model.onnx fashion.npz 8.5 out.onnx

The network's source is needed: the weights of the ONNX file, batch normalisation folded into them, are put into it.
Every layer but the first loses the same share of its channels, those with the smallest L2 norm.
"""

import sys
from pathlib import Path

import onnx
import torch
import torch_pruning
from network import Net, export, train
from onnx import numpy_helper
from pictures import read
from torch import Tensor, nn
from torch.nn import functional

EPOCHS, RATE, TEACHER, TEMPERATURE = 16, 0.004, 0.9, 4.0


def loaded(model: Path) -> Net:
    """The network with the weights of a file: convolutions in the order of the graph, then the last layer."""
    graph = onnx.load(model).graph
    stored = {tensor.name: torch.tensor(numpy_helper.to_array(tensor)) for tensor in graph.initializer}
    layers = [node for node in graph.node if node.op_type in ("Conv", "Gemm")]
    net = Net(norms=False)
    own = [net.stem, *(conv for block in (net.first, net.second) for conv in (block.c1, block.c2, block.sc)), net.fc]
    for layer, node in zip(own, layers, strict=True):
        layer.weight.data, layer.bias.data = stored[node.input[1]], stored[node.input[2]]
    return net.eval()


def pruned(net: Net, times: float) -> Net:
    """Channels removed until the multiplications are at most 1/``times`` of what they were."""
    example = torch.zeros(1, 1, 28, 28)
    most = torch_pruning.utils.count_ops_and_params(net, example)[0] / times
    pruner = torch_pruning.pruner.MetaPruner(
        net, example, importance=torch_pruning.importance.MagnitudeImportance(p=2), iterative_steps=200,
        pruning_ratio=0.95, ignored_layers=[net.stem, net.fc], round_to=4,
    )  # fmt: skip
    while torch_pruning.utils.count_ops_and_params(net, example)[0] > most:
        pruner.step()
    return net


def main(model: Path, data: Path, times: float, out: Path) -> None:
    torch.manual_seed(0)
    pictures, labels = (torch.from_numpy(array) for array in read(data, "train"))
    teacher, student = loaded(model), pruned(loaded(model), times)
    with torch.no_grad():
        answers = torch.cat([teacher(part) for part in pictures.split(512)])

    def loss(scores: Tensor, rows: Tensor) -> Tensor:
        softly = functional.kl_div(
            functional.log_softmax(scores / TEMPERATURE, 1), functional.softmax(answers[rows] / TEMPERATURE, 1),
            reduction="batchmean",
        )  # fmt: skip
        return TEACHER * TEMPERATURE**2 * softly + (1 - TEACHER) * functional.cross_entropy(scores, labels[rows])

    train(student, pictures, loss, epochs=EPOCHS, rate=RATE)
    export(nn.Sequential(student).eval(), out)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), float(sys.argv[3]), Path(sys.argv[4]))
