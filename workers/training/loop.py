"""The training loop: epochs over shuffled rows, a schedule, an exam after each, the best network kept."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, fx, nn

from workers.errors import YoursToFix
from workers.training.network import gains_from_bfloat16, is_pictorial
from workers.training.school import School
from workers.workbench import Workbench

Schedule = Literal["cosine", "one-cycle", "constant"]
WARM_UP = 0.3  # share of a one-cycle schedule in which the rate rises
LARGEST_GRADIENT = 5.0


@dataclass(frozen=True)
class Plan:
    """How long and how fast to train. ``patience``: epochs without a better exam before it stops; 0 never stops."""

    epochs: int
    batch: int
    learning_rate: float
    schedule: Schedule
    weight_decay: float
    patience: int = 0
    keep_zeros: bool = False


@dataclass(frozen=True)
class Trained:
    """Exam results (higher is better) before, and of the epoch whose weights were kept; epoch 0 is the start."""

    before: float
    best: float
    epoch: int


def train(
    module: fx.GraphModule,
    school: School,
    plan: Plan,
    bench: Workbench,
    *,
    name: str = "",
    after_step: Callable[[], None] = lambda: None,
    may_keep: Callable[[], bool] = lambda: True,
) -> Trained:
    """Train a network in place and leave the weights of its best exam in it.

    Args:
        name: put before the names of the curves, where a step trains more than one network.
        after_step: called after every change of the weights.
        may_keep: whether the network as it now is may be the result; it must be true after the last epoch.

    Raises:
        YoursToFix: if the loss is no longer a number.
        Stopped: if somebody asked the job to stop.
    """
    return _Course(module, school, plan, bench, name, after_step, may_keep).run()


class _Course:
    def __init__(
        self,
        module: fx.GraphModule,
        school: School,
        plan: Plan,
        bench: Workbench,
        name: str,
        after_step: Callable[[], None],
        may_keep: Callable[[], bool],
    ) -> None:
        self.module, self.school, self.plan, self.bench, self.name = module, school, plan, bench, name
        self.after_step, self.may_keep = after_step, may_keep
        self.generator = torch.Generator().manual_seed(bench.seed)
        self.steps = school.steps(plan.batch) * plan.epochs
        if is_pictorial(module):
            module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.masks = zeros(module.parameters()) if plan.keep_zeros else []
        self.optimizer = torch.optim.AdamW(_groups(module, plan.weight_decay), lr=plan.learning_rate, fused=True)
        self.scheduler = torch.optim.lr_scheduler.LambdaLR(self.optimizer, self._rate)
        self.half = school.hints is None and gains_from_bfloat16(module)
        self.done = 0

    def run(self) -> Trained:
        before = self._exam(0)
        kept, best_epoch = _state(self.module), 0
        best = before if self.may_keep() else -math.inf
        for epoch in range(1, self.plan.epochs + 1):
            self._epoch(epoch)
            value = self._exam(epoch)
            if not self.may_keep():
                continue
            if value > best:
                kept, best, best_epoch = _state(self.module), value, epoch
            elif self.plan.patience and epoch - best_epoch >= self.plan.patience:
                self.bench.log(f"Stopped after epoch {epoch}: no better {self.school.exam_name} since {best_epoch}.")
                break
        self.module.load_state_dict(kept)
        self.bench.progress(self.steps, self.steps, f"Kept epoch {best_epoch}")
        return Trained(before, best, best_epoch)

    def _rate(self, step: int) -> float:
        return rate(self.plan.schedule, step / max(self.steps, 1))

    def _exam(self, epoch: int) -> float:
        value = self.school.exam(self.module)
        self.bench.point(f"{self.name}validation {self.school.exam_name.lower()}", x=epoch, y=self.school.shown(value))
        return value

    def _epoch(self, epoch: int) -> None:
        self.module.train()
        total, rows_seen = 0.0, 0
        for rows in self.school.train.shuffled(self.plan.batch, self.generator):
            loss = self._step(rows)
            total, rows_seen = total + loss * len(rows), rows_seen + len(rows)
            self.done += 1
            self.bench.progress(self.done, self.steps, f"{self.name}Epoch {epoch} of {self.plan.epochs}")
        mean = total / max(rows_seen, 1)
        self.bench.point(f"{self.name}loss", x=epoch, y=mean)

    def _step(self, rows: Tensor) -> float:
        self.optimizer.zero_grad(set_to_none=True)
        lesson = self.school.lesson(rows, self.generator)
        with torch.autocast("cpu", torch.bfloat16, enabled=self.half):
            answer = self.school.answer(self.module, lesson)
        loss = self.school.loss(answer, lesson)
        if not torch.isfinite(loss):
            raise YoursToFix(
                f"Expected a loss that is a number, found {float(loss)} after {self.done} batches.",
                hint="Choose a lower learning rate.",
                code="training.diverged",
            )
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.module.parameters(), LARGEST_GRADIENT)
        self.optimizer.step()
        self.scheduler.step()
        for parameter, mask in self.masks:
            parameter.data.mul_(mask)
        self.after_step()
        return float(loss.detach())


def rate(schedule: Schedule, share: float) -> float:
    """The learning rate as a part of the highest, after a share of all steps in [0, 1].

    Source: cosine, Loshchilov & Hutter 2017, arXiv:1608.03983; one cycle, Smith & Topin 2018, arXiv:1708.07120.
    """
    if schedule == "constant":
        return 1.0
    if schedule == "one-cycle" and share < WARM_UP:
        return 0.04 + 0.96 * (1 - math.cos(math.pi * share / WARM_UP)) / 2
    fallen = share if schedule == "cosine" else (share - WARM_UP) / (1 - WARM_UP)
    return (1 + math.cos(math.pi * min(fallen, 1.0))) / 2


def zeros(parameters: Iterable[nn.Parameter]) -> list[tuple[nn.Parameter, Tensor]]:
    """The weights that hold zeros, each with a mask that is 0 where it is pruned and 1 elsewhere."""
    weights = [parameter for parameter in parameters if parameter.ndim >= 2]
    return [(weight, (weight.detach() != 0).to(weight.dtype)) for weight in weights if bool((weight == 0).any())]


def _groups(module: nn.Module, weight_decay: float) -> list[dict[str, object]]:
    """Weights decay; biases, norms and scales do not."""
    trained = [parameter for parameter in module.parameters() if parameter.requires_grad]
    heavy = [parameter for parameter in trained if parameter.ndim >= 2]
    light = [parameter for parameter in trained if parameter.ndim < 2]
    groups = ({"params": heavy, "weight_decay": weight_decay}, {"params": light, "weight_decay": 0.0})
    return [group for group in groups if group["params"]]


def _state(module: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in module.state_dict().items()}
