"""Train the perceptron on the Shuttle table: ten epochs, one cycle.

python train_perceptron.py shuttle.npz out.onnx
"""

import sys
from pathlib import Path

import torch
from perceptron import export, perceptron, read, train


def main(data: Path, out: Path) -> None:
    torch.manual_seed(0)
    rows, classes = read(data)
    net = perceptron(rows.shape[1])
    train(net, rows, classes, epochs=10, rate=0.003)
    export(net, rows.shape[1], out)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:3]))
