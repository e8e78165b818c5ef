"""Losses whose gradients tell which weights a network answers with."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, fx

from workers.facts import Role
from workers.model import LoadedModel
from workers.training.network import first_output
from workers.training.samples import read
from workers.training.school import School, Weights
from workers.workbench import Workbench

ROWS = 512
BATCH = 64


def losses(module: fx.GraphModule, model: LoadedModel, bench: Workbench) -> Iterator[Tensor]:
    """The task's loss of each batch of the first training rows; without labels, its outputs with random signs.

    A loss against the network's own answers has no gradient. The square of a gradient of randomly signed outputs is on
    average that of the outputs themselves, which is what a squared distance to these answers feels to second order.

    Source: Hutchinson 1990, doi:10.1080/03610919008812866 (random signs).
    """
    if bench.is_supervised:
        school = School(bench, Weights(labels=1.0, teacher=0.0), model, ROWS)
        for rows in school.train.in_order(BATCH):
            bench.check()
            lesson = school.lesson(rows)
            yield school.loss(school.answer(module, lesson), lesson)
        return
    names = [spec.name for spec in bench.contract.inputs]
    train, generator = read(bench, Role.TRAIN, ROWS), torch.Generator().manual_seed(bench.seed)
    for rows in train.in_order(BATCH):
        bench.check()
        outputs = first_output(module(*train.pick(rows, names))).float()
        signs = torch.randint(0, 2, outputs.shape, generator=generator) * 2.0 - 1.0
        yield (outputs * signs).sum() / len(rows)
