"""Train the two example networks on scikit-learn's handwritten digits, and write the files beside this script.

    python examples/digits/train.py

Takes under a minute on one core. Needs torch, onnx and scikit-learn. Seeded: the data file comes out
byte for byte the same; the networks do as far as torch computes alike on two machines.
"""

import json
from pathlib import Path

import numpy as np
import onnx
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import Tensor, nn

FOLDER = Path(__file__).parent
SEED = 7
EPOCHS = 60
BATCH = 64
LEARNING_RATE = 2e-3
LARGEST_SHIFT = 1
INK_LEVELS = 16  # the digits are 8 x 8 counts of ink from 0 to 16
OPSET = 17
Part = tuple[np.ndarray, np.ndarray]


def cnn() -> nn.Sequential:
    """Three convolutions, wide enough that arithmetic outweighs the cost of quantizing what flows between them."""
    return nn.Sequential(
        nn.Conv2d(1, 64, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(64, 96, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(96, 96, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Dropout(0.3),
        nn.Linear(96 * 4 * 4, 128),
        nn.ReLU(),
        nn.Linear(128, 10),
    )


def mlp() -> nn.Sequential:
    """Two wide layers: at batch 1 it is mostly the reading of weights."""
    return nn.Sequential(
        nn.Flatten(),
        nn.Linear(64, 640),
        nn.ReLU(),
        nn.Dropout(0.3),
        nn.Linear(640, 512),
        nn.ReLU(),
        nn.Dropout(0.3),
        nn.Linear(512, 10),
    )


def parts() -> dict[str, Part]:
    """The 1,797 digits as bytes from 0 to 255, (rows, 8, 8), split 60 : 10 : 30 with equal shares of each class."""
    digits = load_digits()
    pictures = np.rint(digits.images * (255 / INK_LEVELS)).astype(np.uint8)
    labels = digits.target.astype(np.int64)
    x, x_test, y, y_test = train_test_split(pictures, labels, test_size=0.3, stratify=labels, random_state=SEED)
    x_train, x_val, y_train, y_val = train_test_split(x, y, test_size=1 / 7, stratify=y, random_state=SEED)
    return {"train": (x_train, y_train), "validation": (x_val, y_val), "test": (x_test, y_test)}


def as_input(pictures: np.ndarray) -> Tensor:
    """Bytes (rows, 8, 8) → floats from 0 to 1, (rows, 1, 8, 8): what both networks take."""
    return torch.from_numpy(pictures).float().div(255).unsqueeze(1)


def shifted(batch: Tensor, generator: torch.Generator) -> Tensor:
    """The pictures of a batch moved by up to one pixel each way, together."""
    down, right = torch.randint(-LARGEST_SHIFT, LARGEST_SHIFT + 1, (2,), generator=generator).tolist()
    return torch.roll(batch, (down, right), dims=(2, 3))


def train(network: nn.Module, data: Part) -> nn.Module:
    """Adam with a cosine schedule on cross-entropy."""
    generator = torch.Generator().manual_seed(SEED)
    inputs, labels = as_input(data[0]), torch.from_numpy(data[1])
    optimizer = torch.optim.AdamW(network.parameters(), lr=LEARNING_RATE, weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, EPOCHS)
    network.train()
    for _ in range(EPOCHS):
        for rows in torch.randperm(len(inputs), generator=generator).split(BATCH):
            loss = nn.functional.cross_entropy(network(shifted(inputs[rows], generator)), labels[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        schedule.step()
    return network.eval()


def accuracy(network: nn.Module, data: Part) -> float:
    with torch.inference_mode():
        return float((network(as_input(data[0])).argmax(1).numpy() == data[1]).mean())


def export(network: nn.Module, path: Path) -> None:
    """Write ONNX with a free batch axis, and the class names in its metadata."""
    torch.onnx.export(
        network,
        (torch.zeros(1, 1, 8, 8),),
        str(path),
        input_names=["image"],
        output_names=["logits"],
        opset_version=OPSET,
        dynamic_axes={"image": {0: "N"}, "logits": {0: "N"}},
        dynamo=False,
    )
    proto = onnx.load(path)
    proto.doc_string = "Handwritten digits, 8 x 8 pixels from 0 to 1."
    proto.metadata_props.add(key="classes", value=json.dumps([str(digit) for digit in range(10)]))
    onnx.save(proto, path)


def main() -> None:
    torch.set_num_threads(1)
    data = parts()
    arrays = {f"{letter}_{role}": part[letter == "y"] for role, part in data.items() for letter in "xy"}
    np.savez_compressed(FOLDER / "digits.npz", **arrays)
    for name, build in (("digits-cnn", cnn), ("digits-mlp", mlp)):
        torch.manual_seed(SEED)
        network = train(build(), data["train"])
        path = FOLDER / f"{name}.onnx"
        export(network, path)
        figures = ", ".join(f"{role} {accuracy(network, part):.4f}" for role, part in data.items())
        print(f"{name}: {path.stat().st_size:,} bytes, accuracy {figures}")


if __name__ == "__main__":
    main()
