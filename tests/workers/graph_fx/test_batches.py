"""A batch size that shares an axis with heads or tokens becomes free, against torch and ONNX Runtime on other sizes."""

import io
import warnings

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from tests.workers.graph_fx.agreement import fed, run
from tests.workers.graph_fx.networks import exported, randomize
from workers.graph.fx import to_onnx, to_torch


class Words(nn.Module):
    """Token numbers and a mask through torch's own encoder; one vector for each row."""

    def __init__(self) -> None:
        super().__init__()
        layer = nn.TransformerEncoderLayer(16, 4, 24, batch_first=True, dropout=0.0)
        self.table, self.encoder = nn.Embedding(9, 16), nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)

    def forward(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        hidden = self.encoder(self.table(ids), src_key_padding_mask=mask == 0)
        return (hidden * mask[:, :, None]).sum(1) / mask.sum(1, keepdim=True)


class Tokens(nn.Module):
    """Rows and tokens on one axis for a while, tokens outside."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(6, 8), nn.Linear(8, 6)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        turned = x.transpose(0, 1)  # (tokens, rows, 6)
        flat = self.first(turned.reshape(turned.shape[0] * turned.shape[1], 6)).tanh()
        return self.last(flat).reshape(turned.shape).transpose(0, 1)


class Meeting(nn.Module):
    """Each row is told what the others are like: no number of rows but its own makes sense."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + x.reshape(x.shape[0] * x.shape[1]).mean()


def traced(network: nn.Module, *examples: torch.Tensor) -> onnx.ModelProto:
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return exported(network, *examples, free=False)
    finally:
        torch.backends.mha.set_fastpath_enabled(True)


def compiled(network: nn.Module, *examples: torch.Tensor) -> onnx.ModelProto:
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        return torch.onnx.export(network, examples, io.BytesIO(), dynamo=True, verbose=False).model_proto
    finally:
        torch.backends.mha.set_fastpath_enabled(True)


def words(rows: int) -> tuple[torch.Tensor, torch.Tensor]:
    mask = torch.ones(rows, 5, dtype=torch.long)
    mask[0, 3:] = 0
    return torch.randint(0, 9, (rows, 5), generator=torch.Generator().manual_seed(rows)), mask


@pytest.mark.parametrize("rows", [1, 2, 3])
@pytest.mark.parametrize(
    ("make", "given"),
    [(Words, words), (Tokens, lambda rows: (torch.randn(rows, 5, 6),))],
)
def test_a_network_traced_for_some_rows_takes_any_number_of_them(make, given, rows):
    torch.manual_seed(0)
    network = randomize(make()).eval()

    module = to_torch(traced(network, *given(rows)))

    for count in (1, 2, 3, 7):
        inputs = given(count)
        with torch.no_grad():
            expected = network(*inputs)
            torch.testing.assert_close(module(*inputs), expected, rtol=1e-4, atol=1e-5)


def test_the_file_written_again_answers_as_before():
    torch.manual_seed(0)
    proto = traced(randomize(Words()).eval(), *words(2))
    feed = fed(proto, 2)
    feed["in1"][:] = 1

    again = to_onnx(to_torch(proto), like=proto)

    np.testing.assert_allclose(run(again, feed)[0], run(proto, feed)[0], rtol=1e-4, atol=1e-5)
    for item in again.graph.input:
        item.type.tensor_type.shape.dim[0].dim_param = "batch"
    again.graph.output[0].type.tensor_type.shape.dim[0].dim_param = "batch"
    more = {name: np.concatenate([values, values[:1], values]) for name, values in feed.items()}
    np.testing.assert_allclose(run(again, more)[0][:2], run(proto, feed)[0], rtol=1e-4, atol=1e-5)


def test_the_compiling_exporter_is_understood_too():
    torch.manual_seed(0)
    network = randomize(Words()).eval()

    module = to_torch(compiled(network, *words(2)))

    with torch.no_grad():
        torch.testing.assert_close(module(*words(7)), network(*words(7)), rtol=1e-4, atol=1e-5)


def test_rows_that_meet_each_other_stay_as_they_were_traced():
    proto = traced(Meeting(), torch.randn(2, 5))
    x = torch.randn(2, 5)

    module = to_torch(proto)

    torch.testing.assert_close(module(x), x + x.mean())
    with pytest.raises(RuntimeError):
        module(torch.randn(3, 5))
