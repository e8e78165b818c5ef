"""How far a changed network falls behind the one it came from, on validation data, in points."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from workers.contract import Task
from workers.evaluation import predictions as said
from workers.evaluation.answers import predicted_classes
from workers.evaluation.changes import changes
from workers.evaluation.sessions import open_session
from workers.facts import Role
from workers.model import Progress
from workers.report import Loss
from workers.workbench import Workbench

if TYPE_CHECKING:
    import onnx

POINTS = 100


class Yardstick:
    """Holds what the float network says on validation data and measures others against it.

    With labels, the drop is that of the headline metric: of a share in points (absolute), of an error such as
    RMSE its growth in percent. Without labels it is the share of answers that differ, in points; for outputs
    that are not classes, one minus the mean cosine, in points.
    """

    def __init__(
        self, proto: onnx.ModelProto, bench: Workbench, progress: Progress | None = None, *, rows: int | None = None
    ) -> None:
        """``rows``: at most so many validation rows; all of them without it."""
        self.bench, self.rows = bench, rows
        self.before = self._predict(proto, progress)
        self.metric = next(iter(said.applying(self.before, bench.contract)), None)
        self.baseline = self._value(self.before)

    @property
    def name(self) -> str:
        """What is measured, for people."""
        return self.metric.about.title.lower() if self.metric else "agreement with the float network"

    def drop(self, proto: onnx.ModelProto, progress: Progress | None = None) -> float:
        """Points lost against the float network; negative where the other one is better.

        Raises:
            YoursToFix: if the network does not run on the validation rows.
        """
        value = self._value(self._predict(proto, progress))
        return self._points(value - self.baseline)

    def loss(self, proto: onnx.ModelProto) -> tuple[Loss, float]:
        """Points lost with their paired interval, and how far outputs moved: root mean square, over that of before.

        Raises:
            YoursToFix: if the network does not run on the validation rows, or says what is no number.
        """
        after = self._predict(proto, None)
        was, now = (one.outputs.astype(np.float64) for one in (self.before, after))
        step = np.where(np.isfinite(now), now - was, was)
        moved = float(np.sqrt(np.square(step).sum() / max(np.square(was).sum(), 1e-30)))
        if self.metric is None:
            kept = changes(self.before, after, self.bench.contract, seed=self.bench.seed)
            middle = self._points(self._value(after) - self.baseline)
            if self.bench.contract.task is not Task.CLASSIFICATION:
                return Loss(points=middle, low=middle, high=middle), moved
            low, high = (POINTS * (1 - end) for end in (kept.agreement.high, kept.agreement.low))
            return Loss(points=middle, low=low, high=high), moved
        outputs, labels = said.readable(after, self.bench.contract)
        before, _ = said.readable(self.before, self.bench.contract)
        delta = self.metric.compare(before, outputs, labels, seed=self.bench.seed)
        low, high = sorted((self._points(delta.low), self._points(delta.high)))
        return Loss(points=self._points(delta.value), low=low, high=high), moved

    def _points(self, gain: float) -> float:
        """A change of the headline metric as points lost."""
        if self.metric is None:
            return -POINTS * gain
        scale = 1.0 if self.metric.about.unit == "share" else abs(self.baseline) or 1.0
        return (-1 if self.metric.about.higher_is_better else 1) * POINTS * gain / scale + 0.0  # no minus zero

    def _predict(self, proto: onnx.ModelProto, progress: Progress | None) -> said.Predictions:
        session = open_session(
            proto.SerializeToString(), threads=self.bench.threads, provider=self.bench.device.provider
        )
        assert self.bench.data is not None  # a recipe that needs calibration data has some
        return said.predict(
            session,
            self.bench.data,
            Role.VALIDATION,
            limit=self.rows,
            check=self.bench.check,
            progress=progress,
        )

    def _value(self, predictions: said.Predictions) -> float:
        if self.metric is not None:
            outputs, labels = said.readable(predictions, self.bench.contract)
            return self.metric.measure(outputs, labels, seed=self.bench.seed).value
        return self._agreement(predictions)

    def _agreement(self, predictions: said.Predictions) -> float:
        """Share of samples with the same class, or the mean cosine between the two outputs."""
        if self.bench.contract.task is Task.CLASSIFICATION:
            before, after = (predicted_classes(one.outputs, self.bench.contract) for one in (self.before, predictions))
            return float(np.mean(before == after))
        was, now = (one.outputs.reshape(len(one), -1).astype(np.float64) for one in (self.before, predictions))
        lengths = np.linalg.norm(was, axis=1) * np.linalg.norm(now, axis=1)
        return float(np.mean((was * now).sum(axis=1) / np.maximum(lengths, 1e-30)))
