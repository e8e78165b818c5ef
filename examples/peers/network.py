"""The residual network, as its source would define it, and how it is trained."""

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

Loss = Callable[[Tensor, Tensor], Tensor]


class Block(nn.Module):
    """Two convolutions beside one of a single pixel, added up."""

    def __init__(self, before: int, width: int, stride: int, *, norms: bool) -> None:
        super().__init__()

        def conv(first: int, side: int, step: int) -> nn.Module:
            core = nn.Conv2d(first, width, side, step, side // 2, bias=not norms)
            return nn.Sequential(core, nn.BatchNorm2d(width)) if norms else core

        self.c1, self.c2, self.sc = conv(before, 3, stride), conv(width, 3, 1), conv(before, 1, stride)

    def forward(self, x: Tensor) -> Tensor:
        return functional.relu(self.c2(functional.relu(self.c1(x))) + self.sc(x))


class Net(nn.Module):
    """(n, 1, 28, 28) → (n, 10) class scores; 24, 56 and 112 channels."""

    def __init__(self, *, norms: bool) -> None:
        super().__init__()
        stem = nn.Conv2d(1, 24, 3, padding=1, bias=not norms)
        self.stem = nn.Sequential(stem, nn.BatchNorm2d(24)) if norms else stem
        self.first = Block(24, 56, 1, norms=norms)
        self.second = Block(56, 112, 2, norms=norms)
        self.fc = nn.Linear(112, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = functional.max_pool2d(functional.relu(self.stem(x)), 2)
        x = functional.adaptive_avg_pool2d(self.second(self.first(x)), 1)
        return self.fc(x.flatten(1))


def train(net: nn.Module, pictures: Tensor, loss: Loss, *, epochs: int, rate: float, seed: int = 0) -> None:
    """AdamW on a one-cycle schedule, batches of 128. ``loss`` takes the scores and the numbers of the rows."""
    generator = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.AdamW(net.parameters(), lr=rate, weight_decay=1e-4)
    steps = epochs * -(-len(pictures) // 128)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, total_steps=steps)
    net.train()
    for _ in range(epochs):
        for rows in torch.randperm(len(pictures), generator=generator).split(128):
            optimizer.zero_grad()
            loss(net(pictures[rows]), rows).backward()
            optimizer.step()
            schedule.step()
    net.eval()


def export(net: nn.Module, out: Path) -> None:
    """Write a network as ONNX; batch normalisation is folded into the convolutions."""
    example = torch.zeros(2, 1, 28, 28)
    axes = {"input": {0: "n"}, "output": {0: "n"}}
    torch.onnx.export(
        net, (example,), str(out), input_names=["input"], output_names=["output"], dynamic_axes=axes, dynamo=False
    )
