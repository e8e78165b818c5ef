"""Whether model and data go together, as ticks under the two choices."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod

from compressionhub.library.models import Dataset, ModelVersion
from compressionhub.ui import units
from workers.contract import Contract
from workers.errors import Frozen
from workers.facts import DatasetFacts, Role


class Check(Frozen):
    """One tick or cross. ``url`` leads to where it can be mended."""

    good: bool
    text: str
    url: str = ""


def checks(version: ModelVersion | None, dataset: Dataset | None) -> list[Check]:
    """Everything that must hold before a job can be submitted, in the order in which people mend it."""
    found: list[Check] = []
    if version is not None:
        found.extend(_of_model(version))
    if dataset is not None and dataset.facts is not None:
        if version is not None and version.contract is not None:
            found.append(_input(version.contract, dataset.facts, version))
        found.extend(_of_data(dataset.facts))
    return found


def _of_model(version: ModelVersion) -> Iterator[Check]:
    if not version.is_confirmed:
        yield Check(good=False, text="input contract not confirmed yet", url=version.get_absolute_url())


def _input(contract: Contract, data: DatasetFacts, version: ModelVersion) -> Check:
    """Compares the first input; further ones are matched by name when the job starts."""
    if data.inputs[0].dtype == "text":
        return _text(contract, version)
    wanted = contract.inputs[0]
    names = {one.name: one for one in data.inputs}
    found = names.get(wanted.name) or data.inputs[0]
    shape, said = tuple(found.shape), _shape(wanted.shape)
    if _fits(shape, wanted.shape):
        return Check(good=True, text=f"input matches {said}")
    if _count(shape) == _count(wanted.shape):
        return Check(good=True, text=f"{_shape(shape)} is laid out as {said}")
    if wanted.resize:
        return Check(good=True, text=f"{_shape(shape)} is resized to {said}")
    return Check(
        good=False, text=f"the model takes {said}, the data holds {_shape(shape)}", url=version.get_absolute_url()
    )


def _text(contract: Contract, version: ModelVersion) -> Check:
    if contract.tokenizer is not None:
        return Check(good=True, text="text, cut into tokens by the model's own tokenizer")
    said = "the data is text, the model came without a tokenizer: upload it as a Hugging Face directory"
    return Check(good=False, text=said, url=version.get_absolute_url())


def _fits(shape: tuple[int | str, ...], wanted: tuple[int, ...]) -> bool:
    return len(shape) == len(wanted) and all(asked in (-1, has) for has, asked in zip(shape, wanted, strict=True))


def _count(shape: tuple[int | str, ...]) -> int | None:
    """How many numbers a sample holds; None where an axis is free."""
    sizes = [axis for axis in shape if isinstance(axis, int)]
    return prod(sizes) if len(sizes) == len(shape) else None


def _shape(shape: tuple[int | str, ...]) -> str:
    return " × ".join("any" if axis == -1 else str(axis) for axis in shape) or "one value"


def _of_data(data: DatasetFacts) -> Iterator[Check]:
    for role in (Role.TRAIN, Role.VALIDATION, Role.CALIBRATION, Role.TEST):
        rows = data.roles[role].rows if role in data.roles else 0
        if rows:
            yield _role(role, rows, data)
        elif role in (Role.TEST, Role.VALIDATION):
            yield Check(good=False, text=f"no {role} rows")


def _role(role: Role, rows: int, data: DatasetFacts) -> Check:
    shared = data.overlaps.get(role, 0)
    said = f"{role} {units.count(rows)}"
    if role is Role.CALIBRATION:
        return Check(
            good=not shared, text=f"{said}, apart from test" if not shared else f"{said}, {shared} of them test rows"
        )
    if role is Role.TRAIN and shared > rows / 100:
        return Check(good=False, text=f"{said}, {units.count(shared)} rows stand in test as well")
    return Check(good=True, text=said)
