"""A dataset under a contract: what evaluation and techniques draw batches from."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from workers.contract import Contract, InputSpec
from workers.datasets.images import Pictures
from workers.datasets.prepare import prepare
from workers.datasets.raw import Array, BadData, Column, Raw, not_finite
from workers.datasets.split import Split
from workers.datasets.table import Features
from workers.facts import DatasetFacts, Role
from workers.workbench import Batch


@dataclass(frozen=True)
class Feed:
    """One input of the network and the column of the dataset it is fed from."""

    spec: InputSpec
    source: str
    column: Column


class OpenedData:
    """See ``workers.workbench.Data``."""

    def __init__(
        self, *, raw: Raw, contract: Contract, facts: DatasetFacts, division: Split, labels: Array | None
    ) -> None:
        self.raw = raw
        self.facts = facts
        self.feeds = _feeds(raw, contract)
        self._rows = division.rows
        self._labels = labels
        self._check_shapes()

    def batches(self, role: Role, *, size: int, limit: int | None = None) -> Iterator[Batch]:
        """The rows of a role in a fixed order, prepared as the contract says.

        Raises:
            BadData: if the role is empty, or a sample cannot be fed.
        """
        if role not in self._rows:
            raise BadData(
                f"Expected {role} rows, found none.",
                hint=f"Choose a dataset with {role} rows.",
                code="data.role-missing",
            )
        rows = self._rows[role][:limit]
        labels = None if role in self.raw.unlabelled else self._labels
        for start in range(0, len(rows), size):
            chosen = rows[start : start + size]
            inputs = {feed.spec.name: self._prepared(feed, chosen) for feed in self.feeds}
            yield Batch(inputs=inputs, labels=None if labels is None else labels[chosen], rows=chosen)

    def _prepared(self, feed: Feed, rows: Array) -> Array:
        taken = feed.column.take(rows, feed.spec)
        if taken.dtype.kind == "f":
            bad = ~np.isfinite(taken)
            if bad.any():
                raise not_finite(self.raw, feed.source, rows, bad)
        return _as_fed(prepare(taken, feed.spec), feed.spec)

    def _check_shapes(self) -> None:
        """Prepare one row, so that a shape that does not fit is said before the work begins."""
        first = next(iter(self._rows.values()))[:1]
        for feed in self.feeds:
            self._prepared(feed, first)


def _as_fed(samples: Array, spec: InputSpec) -> Array:
    """(rows, *sample) with the axis of the rows where the network wants it.

    Raises:
        BadData: if the rows differ in an input that has one value for the whole batch.
    """
    if spec.batch_axis is None:
        if not (samples == samples[:1]).all():
            raise BadData(
                f"Expected the same value of {spec.name!r} for every row, found different ones.",
                hint="The network takes it once for a whole batch: make a dataset for each value.",
                code="data.values-differ",
            )
        return np.require(samples[0], requirements="C")  # ascontiguousarray would turn a single number into a list
    return np.ascontiguousarray(np.moveaxis(samples, 0, spec.batch_axis)) if spec.batch_axis else samples


def _feeds(raw: Raw, contract: Contract) -> tuple[Feed, ...]:
    """Find the column for every input: by name, by the columns of a table, or because there is only one."""
    feeds = []
    for spec in contract.inputs:
        feeds.append(_feed(raw, spec, alone=len(contract.inputs) == 1))
    return tuple(feeds)


def _feed(raw: Raw, spec: InputSpec, *, alone: bool) -> Feed:
    if spec.name in raw.inputs:
        return Feed(spec, spec.name, raw.inputs[spec.name])
    name, column = next(iter(raw.inputs.items()))
    if isinstance(column, Features):
        names = spec.columns or ((spec.name,) if spec.name in column.names and not alone else ())
        if names:
            return Feed(spec, name, column.only(names))
    if alone and len(raw.inputs) == 1:
        return Feed(spec, name, column)
    raise BadData(
        f"Expected data for the input {spec.name!r}, found {', '.join(map(repr, raw.inputs))}.",
        hint=f"Name the arrays x_train__{spec.name}, x_test__{spec.name} and so on, one for each input.",
        code="data.input-missing",
    )


def picture_column(data: OpenedData) -> Feed | None:
    """The first input that can be shown as a picture."""
    for feed in data.feeds:
        shape = feed.column.shape
        flattened = len(shape) == 2 and shape[0] == shape[1] and feed.spec.layout == "vector"
        if isinstance(feed.column, Pictures) or flattened or feed.spec.layout in ("CHW", "HWC", "HW"):
            return feed
    return None
