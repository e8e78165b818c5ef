"""The rows of a role, prepared once and held in memory for many epochs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from workers.facts import Role
from workers.training import padding
from workers.workbench import Workbench

MOST_BYTES = 2 << 30
READ_AT_ONCE = 256
FREE_AXIS = 8


@dataclass(frozen=True)
class Samples:
    """Inputs by name and labels, each with the rows first, in the dataset's fixed order.

    Attributes:
        together: so many neighbours stay in one batch, as a query and its document do.
        lengths: tokens of each row that count, (rows,); None where inputs are not token rows of a length left free.
    """

    inputs: dict[str, Tensor]
    labels: np.ndarray | None
    together: int = 1
    lengths: Tensor | None = None

    def __len__(self) -> int:
        return len(next(iter(self.inputs.values())))

    def pick(self, rows: Tensor, names: list[str]) -> list[Tensor]:
        """The inputs of some rows, in the order of ``names``."""
        return [self.inputs[name][rows] for name in names]

    def shuffled(self, size: int, generator: torch.Generator) -> Iterator[Tensor]:
        """Row numbers in batches, each row once; a last batch of one row is left out, as norms cannot train on it."""
        groups = torch.randperm(len(self) // self.together, generator=generator)
        order = (groups[:, None] * self.together + torch.arange(self.together)).flatten()
        return (rows for rows in torch.split(order, self._whole(size)) if len(rows) > 1 or len(self) == 1)

    def batches(self, size: int) -> int:
        """How many batches :meth:`shuffled` makes."""
        whole, rest = divmod(len(self) // self.together * self.together, self._whole(size))
        return whole + int(rest > 1 or len(self) == 1)

    def _whole(self, size: int) -> int:
        """The size of a batch that parts no neighbours."""
        return max(size // self.together, 1) * self.together

    def in_order(self, size: int) -> Iterator[Tensor]:
        return iter(torch.split(torch.arange(len(self)), size))


def read(bench: Workbench, role: Role, limit: int | None = None) -> Samples:
    """Prepare the rows of a role, as many as fit in two GiB; says so where that is not all of them.

    Raises:
        YoursToFix: if the role is empty.
    """
    inputs: dict[str, list[np.ndarray]] = {}
    labels: list[np.ndarray] = []
    held = 0
    together = 2 if bench.is_retrieval else 1
    limit = limit and -(-limit // together) * together
    for batch in bench.batches(role, size=READ_AT_ONCE, limit=limit):
        for name, array in batch.inputs.items():
            inputs.setdefault(name, []).append(array)
            held += array.nbytes
        if batch.labels is not None:
            labels.append(batch.labels)
            held += batch.labels.nbytes
        if held > MOST_BYTES:
            rows = sum(map(len, next(iter(inputs.values()))))
            bench.log(f"Uses the first {rows:,} {role} rows: more do not fit in memory.", level="warning")
            break
    tensors = {name: torch.from_numpy(np.ascontiguousarray(np.concatenate(parts))) for name, parts in inputs.items()}
    lengths = padding.lengths(tensors, bench.contract)
    return Samples(tensors, np.concatenate(labels) if labels else None, together, lengths)


def example(bench: Workbench) -> tuple[Tensor, ...]:
    """Two rows, or two of zeros where there is no data, in the order of the network's inputs."""
    roles = bench.data.facts.roles if bench.data is not None else {}
    for role in (Role.CALIBRATION, Role.TRAIN, Role.VALIDATION):
        if role in roles and roles[role].rows > 1:
            rows = next(bench.batches(role, size=2, limit=2))
            return tuple(torch.from_numpy(rows.inputs[spec.name]) for spec in bench.contract.inputs)
    return tuple(
        torch.from_numpy(np.zeros((2, *(side if side > 0 else FREE_AXIS for side in spec.shape)), np.dtype(spec.dtype)))
        for spec in bench.contract.inputs
    )
