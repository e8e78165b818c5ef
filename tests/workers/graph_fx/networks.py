"""Small torch networks of the kinds people upload, and how to turn them into ONNX in a second."""

from __future__ import annotations

import io
import warnings

import onnx
import torch
from torch import Tensor, nn
from torch.nn import functional


def exported(
    network: nn.Module, *examples: Tensor, opset: int = 17, fold_batch_norm: bool = True, free: bool = True
) -> onnx.ModelProto:
    """What the tracing exporter writes, first axes free unless told otherwise."""
    network.eval()
    file = io.BytesIO()
    names = [f"in{index}" for index in range(len(examples))]
    mode = torch.onnx.TrainingMode.EVAL if fold_batch_norm else torch.onnx.TrainingMode.PRESERVE
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            network,
            examples,
            file,
            dynamo=False,
            opset_version=opset,
            input_names=names,
            output_names=["out"],
            dynamic_axes={name: {0: "batch"} for name in [*names, "out"]} if free else None,
            training=mode,
            do_constant_folding=fold_batch_norm,
        )
    return onnx.load_from_string(file.getvalue())


def randomize(network: nn.Module, seed: int = 0) -> nn.Module:
    """Weights and statistics far from their start values, so that nothing cancels by chance."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, tensor in [*network.named_parameters(), *network.named_buffers()]:
            if not tensor.is_floating_point():
                continue
            noise = torch.randn(tensor.shape, generator=generator)
            if name.endswith("running_var"):
                tensor.copy_(0.5 + noise.abs())
            elif tensor.ndim > 1:
                tensor.copy_(noise / tensor[0].numel() ** 0.5)
            else:
                tensor.copy_(tensor + 0.2 * noise)
    return network


class LeNet(nn.Module):
    """(N, 1, 16, 16) → (N, 10); flattens with a number."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(1, 6, 5, padding=2), nn.Conv2d(6, 16, 5)
        self.fc1, self.fc2 = nn.Linear(16 * 2 * 2, 32), nn.Linear(32, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = functional.max_pool2d(torch.relu(self.conv1(x)), 2)
        x = functional.avg_pool2d(torch.relu(self.conv2(x)), 2)
        return self.fc2(torch.tanh(self.fc1(x.view(-1, 64))))


class Residual(nn.Module):
    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(before, after, 3, stride, 1, bias=False), nn.BatchNorm2d(after)
        self.conv2, self.bn2 = nn.Conv2d(after, after, 3, 1, 1, bias=False), nn.BatchNorm2d(after)
        self.short = nn.Identity()
        if stride != 1 or before != after:
            self.short = nn.Sequential(nn.Conv2d(before, after, 1, stride, bias=False), nn.BatchNorm2d(after))

    def forward(self, x: Tensor) -> Tensor:
        inner = self.bn2(self.conv2(torch.relu(self.bn1(self.conv1(x)))))
        return torch.relu(inner + self.short(x))


def resnet() -> nn.Module:
    """(N, 3, 16, 16) → (N, 10)."""
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, 1, 1, bias=False),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.MaxPool2d(3, 2, 1),
        Residual(8, 8, 1),
        Residual(8, 16, 2),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(16, 10),
    )


class Inverted(nn.Module):
    """Widen, depthwise, narrow; with squeeze-and-excite where asked."""

    def __init__(self, before: int, after: int, stride: int, squeeze: bool, act: type[nn.Module]) -> None:
        super().__init__()
        wide = before * 4
        self.expand = nn.Sequential(nn.Conv2d(before, wide, 1, bias=False), nn.BatchNorm2d(wide), act())
        self.depth = nn.Sequential(
            nn.Conv2d(wide, wide, 3, stride, 1, groups=wide, bias=False), nn.BatchNorm2d(wide), act()
        )
        narrow, widen = nn.Conv2d(wide, 4, 1), nn.Conv2d(4, wide, 1)
        gate = nn.Sequential(nn.AdaptiveAvgPool2d(1), narrow, nn.SiLU(), widen, nn.Sigmoid())
        self.gate = gate if squeeze else None
        self.project = nn.Sequential(nn.Conv2d(wide, after, 1, bias=False), nn.BatchNorm2d(after))
        self.same = stride == 1 and before == after

    def forward(self, x: Tensor) -> Tensor:
        inner = self.depth(self.expand(x))
        if self.gate is not None:
            inner = inner * self.gate(inner)
        inner = self.project(inner)
        return x + inner if self.same else inner


def mobilenet() -> nn.Module:
    """(N, 3, 16, 16) → (N, 10), with ReLU6."""
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, 2, 1, bias=False),
        nn.BatchNorm2d(8),
        nn.ReLU6(),
        Inverted(8, 8, 1, False, nn.ReLU6),
        Inverted(8, 12, 2, False, nn.ReLU6),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Dropout(0.2),
        nn.Linear(12, 10),
    )


def efficientnet() -> nn.Module:
    """(N, 3, 16, 16) → (N, 10), with SiLU and squeeze-and-excite."""
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, 2, 1, bias=False),
        nn.BatchNorm2d(8),
        nn.SiLU(),
        Inverted(8, 8, 1, True, nn.SiLU),
        Inverted(8, 12, 2, True, nn.SiLU),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(12, 10),
    )


class UNet(nn.Module):
    """(N, 1, 16, 16) → (N, 3, 16, 16): down, up twice in different ways, skips joined."""

    def __init__(self) -> None:
        super().__init__()
        self.down1, self.down2 = nn.Conv2d(1, 4, 3, 1, 1), nn.Conv2d(4, 8, 3, 1, 1)
        self.middle = nn.Sequential(nn.Conv2d(8, 8, 3, 1, 1), nn.GroupNorm(2, 8), nn.ReLU())
        self.up = nn.ConvTranspose2d(8, 8, 2, 2)
        self.join1, self.join2 = nn.Conv2d(16, 4, 3, 1, 1), nn.Conv2d(8, 4, 3, 1, 1)
        self.head = nn.Conv2d(4, 3, 1)

    def forward(self, x: Tensor) -> Tensor:
        one = torch.relu(self.down1(x))
        two = torch.relu(self.down2(functional.max_pool2d(one, 2)))
        low = self.middle(functional.max_pool2d(two, 2))
        mid = torch.relu(self.join1(torch.cat([self.up(low), two], 1)))
        wide = functional.interpolate(mid, scale_factor=2, mode="bilinear", align_corners=False)
        return self.head(torch.relu(self.join2(torch.cat([wide, one], 1))))


def mlp() -> nn.Module:
    """(N, 20) → (N, 3)."""
    return nn.Sequential(
        nn.Linear(20, 32), nn.BatchNorm1d(32), nn.LeakyReLU(0.1), nn.Linear(32, 16), nn.PReLU(16), nn.Linear(16, 3)
    )


class Recurrent(nn.Module):
    """(N, 9, 6) → (N, 4): a recurrent net over time, its last step classified."""

    def __init__(self, kind: type[nn.RNNBase], *, both: bool, layers: int = 1) -> None:
        super().__init__()
        self.cell = kind(6, 8, num_layers=layers, batch_first=True, bidirectional=both)
        self.head = nn.Linear(16 if both else 8, 4)

    def forward(self, x: Tensor) -> Tensor:
        made, _ = self.cell(x)
        return self.head(made[:, -1])


class Attention(nn.Module):
    def __init__(self, width: int, heads: int, causal: bool = False) -> None:
        super().__init__()
        self.heads, self.causal = heads, causal
        self.query, self.key = nn.Linear(width, width), nn.Linear(width, width)
        self.value, self.out = nn.Linear(width, width), nn.Linear(width, width)

    def _split(self, x: Tensor) -> Tensor:
        return x.view(x.size(0), x.size(1), self.heads, -1).transpose(1, 2)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        q, k, v = self._split(self.query(x)), self._split(self.key(x)), self._split(self.value(x))
        scores = q @ k.transpose(-1, -2) / (q.size(-1) ** 0.5)
        if mask is not None:
            scores = scores + mask
        if self.causal:
            ahead = torch.ones(x.size(1), x.size(1), dtype=torch.bool).triu(1)
            scores = scores.masked_fill(ahead, float("-inf"))
        made = scores.softmax(-1) @ v
        return self.out(made.transpose(1, 2).reshape(x.size(0), x.size(1), -1))


class Block(nn.Module):
    def __init__(self, width: int, heads: int, *, first: bool, causal: bool = False) -> None:
        super().__init__()
        self.attention, self.first = Attention(width, heads, causal), first
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.wide, self.narrow = nn.Linear(width, 2 * width), nn.Linear(2 * width, width)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        if self.first:
            x = x + self.attention(self.norm1(x), mask)
            return x + self.narrow(functional.gelu(self.wide(self.norm2(x))))
        x = self.norm1(x + self.attention(x, mask))
        return self.norm2(x + self.narrow(functional.gelu(self.wide(x))))


class Encoder(nn.Module):
    """Token ids and mask, (N, 7) each, → embedding (N, 16): BERT in small, with mean pooling."""

    def __init__(self) -> None:
        super().__init__()
        self.words, self.places = nn.Embedding(50, 16), nn.Embedding(12, 16)
        self.norm = nn.LayerNorm(16, eps=1e-12)
        self.blocks = nn.ModuleList([Block(16, 4, first=False) for _ in range(2)])
        self.register_buffer("ids", torch.arange(12).unsqueeze(0))

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        x = self.norm(self.words(ids) + self.places(self.ids[:, : ids.size(1)]))
        outside = (1.0 - mask[:, None, None, :].to(x.dtype)) * -10000.0
        for block in self.blocks:
            x = block(x, outside)
        weight = mask.unsqueeze(-1).to(x.dtype)
        return (x * weight).sum(1) / weight.sum(1).clamp(min=1e-9)


class ViT(nn.Module):
    """(N, 3, 16, 16) → (N, 10), with a class token."""

    def __init__(self) -> None:
        super().__init__()
        self.patch = nn.Conv2d(3, 16, 4, 4)
        self.token, self.places = nn.Parameter(torch.zeros(1, 1, 16)), nn.Parameter(torch.zeros(1, 17, 16))
        self.blocks = nn.ModuleList([Block(16, 2, first=True) for _ in range(2)])
        self.norm, self.head = nn.LayerNorm(16), nn.Linear(16, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patch(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(x.size(0), -1, -1), x], 1) + self.places
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x)[:, 0])


class LanguageModel(nn.Module):
    """Token ids (N, 6) → logits (N, 6, 40); the head is the embedding turned."""

    def __init__(self) -> None:
        super().__init__()
        self.words, self.places = nn.Embedding(40, 16), nn.Embedding(10, 16)
        self.blocks = nn.ModuleList([Block(16, 2, first=True, causal=True) for _ in range(2)])
        self.norm, self.head = nn.LayerNorm(16), nn.Linear(16, 40, bias=False)
        self.head.weight = self.words.weight

    def forward(self, ids: Tensor) -> Tensor:
        x = self.words(ids) + self.places(torch.arange(ids.size(1)))
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x))
