"""What a network is worth: task metrics with intervals, interleaved timing, memory, and the verdict.

Everything here looks at finished ONNX files; nothing changes them. Sources are cited where each
figure is computed: shares and their differences in ``workers.numerics.intervals``, resampling in
``workers.numerics.bootstrap``, the timing protocol in ``workers.evaluation.latency``.
"""

from workers.evaluation.answers import class_name, predicted_classes
from workers.evaluation.changes import changes
from workers.evaluation.latency import LatencyStudy, study_latency
from workers.evaluation.memory import peak_memory
from workers.evaluation.predictions import (
    Answerer,
    Predictions,
    applying,
    chance_level,
    compare,
    left_out,
    predict,
    score,
)
from workers.evaluation.service import study_services
from workers.evaluation.sessions import open_session
from workers.evaluation.verdict import verdict

__all__ = [
    "Answerer",
    "LatencyStudy",
    "Predictions",
    "applying",
    "chance_level",
    "changes",
    "class_name",
    "compare",
    "left_out",
    "open_session",
    "peak_memory",
    "predict",
    "predicted_classes",
    "score",
    "study_latency",
    "study_services",
    "verdict",
]
