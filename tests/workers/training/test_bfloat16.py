"""Wide networks train in bfloat16 where the processor has it; others and rounded ones keep all their digits."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from workers.training.network import gains_from_bfloat16
from workers.training.rounding import RoundedWeight


def wide():
    torch.manual_seed(0)
    return nn.Sequential(nn.Embedding(9, 256), nn.Linear(256, 512), nn.GELU(), nn.Linear(512, 256), nn.LayerNorm(256))


@pytest.fixture(params=[True, False])
def processor(request, monkeypatch):
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: request.param)
    return request.param


def test_wide_layers_gain_where_the_processor_multiplies_so(processor):
    assert gains_from_bfloat16(wide()) is processor


def test_narrow_pictorial_and_rounded_networks_never_do(processor):
    rounded = wide()
    for part in rounded:
        if isinstance(part, nn.Linear):
            torch.nn.utils.parametrize.register_parametrization(part, "weight", RoundedWeight(0, 127))

    assert not gains_from_bfloat16(nn.Sequential(nn.Linear(64, 64), nn.Linear(64, 64)))
    assert not gains_from_bfloat16(nn.Sequential(nn.Conv2d(3, 8, 3), nn.Linear(512, 512)))
    assert not gains_from_bfloat16(rounded)


def test_gradients_point_where_those_in_float_do():
    module, ids = wide(), torch.randint(0, 9, (32, 5), generator=torch.Generator().manual_seed(1))
    wish = torch.randn(32, 5, 256, generator=torch.Generator().manual_seed(2))
    gradients = []
    for half in (False, True):
        module.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=half):
            made = module(ids)
        functional.mse_loss(made.float(), wish).backward()
        gradients.append(torch.cat([value.grad.flatten() for value in module.parameters()]))

    assert all(value.dtype == torch.float32 for value in module.parameters())
    assert functional.cosine_similarity(*gradients, dim=0) > 0.9995
    assert not torch.equal(*gradients)
