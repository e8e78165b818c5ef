"""Train the residual network on Fashion-MNIST: nine epochs, one cycle.

python train_cnn.py fashion.npz out.onnx
"""

import sys
from pathlib import Path

import torch
from network import Net, export, train
from pictures import read
from torch.nn import functional


def main(data: Path, out: Path) -> None:
    torch.manual_seed(0)
    pictures, labels = (torch.from_numpy(array) for array in read(data, "train"))
    net = Net(norms=True)
    train(net, pictures, lambda scores, rows: functional.cross_entropy(scores, labels[rows]), epochs=9, rate=0.01)
    export(net, out)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:3]))
