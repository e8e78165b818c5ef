"""torch.export programs: converted without their pickled inputs, with a free batch, checked against torch."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch
from torch import nn

from workers import intake
from workers.graph.fx import to_torch


class Convolutional(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU())
        self.head = nn.Linear(4, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.body(x).mean((2, 3))) + torch.tensor([1.0, 2.0, 3.0])


class Recurrent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body, self.head = nn.LSTM(8, 16, batch_first=True), nn.Linear(16, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.body(x)[0][:, -1])


@pytest.mark.parametrize(("make", "sample"), [(Convolutional, (1, 8, 8)), (Recurrent, (6, 8))])
def test_a_program_answers_as_torch_does_at_any_batch(make, sample, tmp_path: Path):
    module, x = make().eval(), torch.rand(5, *sample)
    program = torch.export.export(module, (torch.rand(2, *sample),), dynamic_shapes=({0: torch.export.Dim("batch")},))
    torch.export.save(program, tmp_path / "net.pt2")

    form = intake.form_of(tmp_path / "net.pt2")
    file = intake.convert(
        tmp_path / "net.pt2", form, out=tmp_path / "out", scratch=tmp_path / "scratch", threads=1, log=lambda text: None
    )

    expected = module(x).detach().numpy()
    session = ort.InferenceSession(file)
    np.testing.assert_allclose(session.run(None, {session.get_inputs()[0].name: x.numpy()})[0], expected, atol=1e-4)
    again = to_torch(onnx.load(file))(x)
    first = again if isinstance(again, torch.Tensor) else again[0]
    np.testing.assert_allclose(first.detach().numpy(), expected, atol=1e-4)
