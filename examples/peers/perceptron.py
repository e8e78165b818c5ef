"""The perceptron on the Shuttle table, and how it is trained."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

WIDTHS = (512, 512, 256)


def read(data: Path) -> tuple[Tensor, Tensor]:
    """Training rows and their classes."""
    with np.load(data) as arrays:
        return torch.from_numpy(arrays["x_train"]), torch.from_numpy(arrays["y_train"])


def layers(net: nn.Sequential) -> Iterator[nn.Linear]:
    return (layer for layer in net if isinstance(layer, nn.Linear))


def perceptron(features: int, widths: tuple[int, ...] = WIDTHS) -> nn.Sequential:
    parts: list[nn.Module] = []
    for before, after in zip((features, *widths), widths, strict=False):
        parts += [nn.Linear(before, after), nn.ReLU()]
    return nn.Sequential(*parts, nn.Linear(widths[-1], 2))


def train(net: nn.Module, rows: Tensor, classes: Tensor, *, epochs: int, rate: float) -> None:
    """AdamW on a one-cycle schedule, batches of 256."""
    generator = torch.Generator().manual_seed(0)
    optimizer = torch.optim.AdamW(net.parameters(), lr=rate)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, total_steps=epochs * -(-len(rows) // 256))
    for _ in range(epochs):
        for chosen in torch.randperm(len(rows), generator=generator).split(256):
            optimizer.zero_grad()
            functional.cross_entropy(net(rows[chosen]), classes[chosen]).backward()
            optimizer.step()
            schedule.step()


def export(net: nn.Module, features: int, out: Path) -> None:
    axes = {"input": {0: "n"}, "output": {0: "n"}}
    torch.onnx.export(
        net.eval(), (torch.zeros(2, features),), str(out), input_names=["input"], output_names=["output"],
        dynamic_axes=axes, dynamo=False,
    )  # fmt: skip
