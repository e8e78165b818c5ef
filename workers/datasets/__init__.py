"""Open datasets, give their rows roles, and feed them as an input contract says. Runs inside the sandbox."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from workers.contract import Contract
from workers.datasets import labels as label_rules
from workers.datasets import overlap
from workers.datasets.opened import OpenedData
from workers.datasets.pictures import picture
from workers.datasets.raw import Array, Raw, check_finite
from workers.datasets.recognise import open_raw
from workers.datasets.split import Split, split
from workers.datasets.text import Texts
from workers.datasets.tokenised import OpenedTexts
from workers.facts import DatasetFacts, Role, RoleFacts, TargetFacts, TensorFacts
from workers.workbench import Data

if TYPE_CHECKING:
    from workers.ticket import DataOptions

__all__ = ["excerpt", "inspect", "line", "open_data", "picture"]

MOST_CLASSES_COUNTED = 1000


@dataclass(frozen=True)
class Divided:
    """A dataset with settled labels and roles."""

    raw: Raw
    target: TargetFacts
    labels: Array | None
    division: Split
    overlaps: dict[Role, int]
    warnings: tuple[str, ...]


def inspect(path: Path, *, options: "DataOptions") -> DatasetFacts:
    """Look through a whole dataset: every value, every picture's header, every row's double.

    Raises:
        YoursToFix: with what was expected, what was found and what would help.
    """
    raw = open_raw(path, target=options.target, thorough=True)
    check_finite(raw)
    return _facts(_divide(raw, None, options, seed=0))


def open_data(
    path: Path, *, options: "DataOptions", contract: Contract, seed: int, companions: Path | None = None
) -> OpenedData | OpenedTexts:
    """Open a dataset to feed a network.

    Args:
        path: the file.
        options: the target column of a table, and the seed of a carved split.
        contract: what the network takes; decides types, layout, scale and the order of classes.
        seed: the job's seed; chooses the calibration rows among the train rows.
        companions: the folder with the network's tokenizer, for text.

    Raises:
        YoursToFix: if the data do not fit the contract.
    """
    divided = _divide(open_raw(path, target=options.target, thorough=False), contract, options, seed=seed)
    if any(isinstance(column, Texts) for column in divided.raw.inputs.values()):
        return OpenedTexts(
            raw=divided.raw, contract=contract, facts=_facts(divided), division=divided.division,
            labels=divided.labels, companions=companions,
        )  # fmt: skip
    return OpenedData(
        raw=divided.raw, contract=contract, facts=_facts(divided), division=divided.division, labels=divided.labels
    )


def _divide(raw: Raw, contract: Contract | None, options: "DataOptions", *, seed: int) -> Divided:
    target, labels = label_rules.settle(raw, contract)
    fingerprints = overlap.digests(raw)
    nothing = np.zeros(raw.rows, dtype=bool)
    first = split(raw, labels, split_seed=options.split_seed, seed=seed, not_for_calibration=nothing)
    doubles = overlap.stands_in(fingerprints, first.rows.get(Role.TEST, np.arange(0)))
    division = split(raw, labels, split_seed=options.split_seed, seed=seed, not_for_calibration=doubles)
    overlaps = overlap.count(fingerprints, division.rows)
    warnings = (*raw.warnings, *overlap.judge(overlaps, division.rows))
    return Divided(raw, target, labels, division, overlaps, warnings)


def excerpt(data: Data, row: int) -> str:
    """How the text of a row begins; empty where rows are no texts."""
    return data.excerpt(row) if isinstance(data, OpenedTexts) else ""


def line(data: Data, row: int) -> int:
    """The row of the file behind a row that was fed: of a pair, its two texts are fed."""
    return data.line(row) if isinstance(data, OpenedTexts) else row


def _facts(divided: Divided) -> DatasetFacts:
    raw, rows = divided.raw, divided.division.rows
    return DatasetFacts(
        format=raw.format,
        size_bytes=raw.size_bytes,
        inputs=tuple(
            TensorFacts(name=name, dtype=column.dtype, shape=column.shape) for name, column in raw.inputs.items()
        ),
        target=divided.target,
        roles={role: _role_facts(divided, role) for role in rows},
        overlaps=divided.overlaps,
        columns=(*raw.columns, raw.target) if raw.columns else (),
        warnings=divided.warnings,
    )


def _role_facts(divided: Divided, role: Role) -> RoleFacts:
    rows, classes = divided.division.rows[role], divided.target.classes
    counts: dict[str, int] = {}
    if divided.labels is not None and role not in divided.raw.unlabelled and 0 < len(classes) <= MOST_CLASSES_COUNTED:
        known = divided.labels[rows].reshape(-1)
        found = np.bincount(known[known >= 0], minlength=len(classes))
        counts = {name: int(count) for name, count in zip(classes, found, strict=True)}
    return RoleFacts(rows=len(rows), declared=role in divided.division.declared, class_counts=counts)
