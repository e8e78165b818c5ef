"""Texts run without the padding of longer ones: the same answers and gradients, from fewer tokens."""

import dataclasses

import pytest
import torch
from torch import fx, nn

from tests.workers.techniques.transformers import LENGTH, TEXT, bert
from workers.contract import InputSpec, TokenizerSpec
from workers.graph.fx import to_torch
from workers.training import padding
from workers.training.samples import Samples

FREE = TEXT.model_copy(
    update={
        "inputs": tuple(InputSpec(name=name, dtype="int64", shape=(-1,)) for name in ("in0", "in1")),
        "tokenizer": TokenizerSpec(ids="in0", mask="in1"),
    }
)
ROWS = 40


def texts(rows=ROWS, longest=4 * LENGTH):
    generator = torch.Generator().manual_seed(3)
    lengths = torch.randint(1, longest + 1, (rows,), generator=generator)
    mask = (torch.arange(longest) < lengths[:, None]).long()
    return {"in0": torch.randint(1, 40, mask.shape, generator=generator) * mask, "in1": mask}, lengths


def gradients(module):
    return {name: value.grad.clone() for name, value in module.named_parameters() if value.grad is not None}


def test_answers_and_gradients_are_those_of_padded_rows():
    inputs, lengths = texts()
    module = to_torch(bert().proto)
    wish = torch.randn(ROWS, 32, generator=torch.Generator().manual_seed(4))
    padded = module(*inputs.values())
    (padded * wish).sum().backward()
    wanted = gradients(module)
    module.zero_grad()

    cut = padding.run(module, list(inputs.values()), lengths)

    (cut * wish).sum().backward()
    assert torch.allclose(cut, padded, atol=1e-5)
    found = gradients(module)
    assert found.keys() == wanted.keys()
    for name, gradient in wanted.items():
        assert torch.allclose(found[name], gradient, atol=1e-3 * float(gradient.abs().max()) + 1e-5), name


def test_fewer_tokens_run_than_padding_would_make():
    inputs, lengths = texts(rows=256)
    seen = []

    def answer(ids, mask):
        seen.append(ids.numel())
        return ids.sum(1, keepdim=True)

    assert torch.equal(padding.run(answer, list(inputs.values()), lengths), inputs["in0"].sum(1, keepdim=True))
    assert lengths.sum() <= sum(seen) < 1.1 * lengths.sum() < 0.8 * inputs["in0"].numel()


def test_lengths_count_the_tokens_that_the_mask_holds():
    inputs, lengths = texts()

    assert torch.equal(padding.lengths(inputs, FREE), lengths)


@pytest.mark.parametrize("inputs", [TEXT.inputs, (*FREE.inputs, InputSpec(name="more", shape=(4,)))])
def test_rows_of_a_fixed_length_or_of_other_values_stay_as_they_are(inputs):
    arrays, _ = texts()

    assert padding.lengths(arrays, FREE.model_copy(update={"inputs": inputs})) is None


class Unmasked(nn.Module):
    """Reads the padding as well."""

    def forward(self, ids, mask):
        return torch.stack([ids.float().mean(1), ids.float().amax(1)], 1)


def test_a_network_that_reads_its_padding_is_told_from_one_that_does_not():
    inputs, lengths = texts()
    some = list(inputs.values())

    assert padding.is_unread(to_torch(bert().proto).eval(), some, lengths)
    assert not padding.is_unread(fx.symbolic_trace(Unmasked()), some, lengths)


def test_pairs_stay_in_one_batch_and_every_row_comes_once():
    samples = Samples({"x": torch.arange(26)}, None, together=2)

    batches = list(samples.shuffled(7, torch.Generator().manual_seed(0)))

    assert len(batches) == samples.batches(7) == 5
    assert torch.equal(torch.cat(batches).sort().values, torch.arange(26))
    for rows in batches:
        assert torch.equal(rows[1::2], rows[::2] + 1) and not (rows[::2] % 2).any()
    assert not torch.equal(torch.cat(batches), torch.arange(26))
    single = dataclasses.replace(samples, together=1)
    assert [len(rows) for rows in single.shuffled(7, torch.Generator())] == [7, 7, 7, 5]
