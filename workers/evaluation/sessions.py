"""Opening a network in ONNX Runtime and feeding it, with errors a person can act on."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from workers.contract import batch_axes
from workers.errors import OursToFix, YoursToFix
from workers.evaluation.refusals import refusal

if TYPE_CHECKING:
    import onnxruntime as ort

Feed = dict[str, np.ndarray]

FATAL_ONLY = 4  # errors arrive as exceptions; logged as well they would be said twice
NUMPY_TYPES = {
    "tensor(float)": np.float32, "tensor(double)": np.float64, "tensor(float16)": np.float16,
    "tensor(int8)": np.int8, "tensor(int16)": np.int16, "tensor(int32)": np.int32, "tensor(int64)": np.int64,
    "tensor(uint8)": np.uint8, "tensor(uint16)": np.uint16, "tensor(uint32)": np.uint32, "tensor(uint64)": np.uint64,
    "tensor(bool)": np.bool_,
}  # fmt: skip


def open_session(
    model: Path | bytes, *, threads: int = 1, provider: str = "CPUExecutionProvider"
) -> ort.InferenceSession:
    """Open a network: quiet, one operator after another, on a fixed number of threads.

    Threads do not spin after a run, so that a session waiting for its turn takes nothing from
    the one whose turn it is.

    Args:
        model: the file (external data is found beside it), or a whole model as bytes.
        threads: threads within one operator.
        provider: the execution provider; there is no silent fall-back to another.

    Raises:
        YoursToFix: if the file is no valid network, or holds an operator the runtime does not have.
        OursToFix: if this host lacks the provider or the memory.
    """
    import onnxruntime as ort

    if provider not in ort.get_available_providers():
        raise OursToFix(
            f"Expected a host with {provider}, found {', '.join(ort.get_available_providers())}.",
            hint="Choose a device whose runtime this host has.", code="runtime.no-provider",
        )  # fmt: skip
    source = str(model) if isinstance(model, Path) else model
    try:
        return ort.InferenceSession(source, sess_options=_options(threads), providers=[provider])
    except Exception as error:  # ONNX Runtime's exceptions share no base class
        raise refusal(error) from error


def _options(threads: int) -> ort.SessionOptions:
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.log_severity_level = FATAL_ONLY
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    options.use_deterministic_compute = True
    options.add_session_config_entry("session.force_spinning_stop", "1")
    return options


def run(session: ort.InferenceSession, feed: Feed) -> list[np.ndarray]:
    """Run once; all outputs.

    Raises:
        YoursToFix: if the feed does not fit the network.
        OursToFix: if the runtime fails or memory is short.
    """
    try:
        return list(session.run(None, feed))
    except Exception as error:  # ONNX Runtime's exceptions share no base class
        raise refusal(error) from error


def axes_of(session: ort.InferenceSession) -> dict[str, int | None]:
    """Where each input has the axis of the samples; None where all samples share one value."""
    wanted = session.get_inputs()
    return dict(zip((node.name for node in wanted), batch_axes([node.shape for node in wanted]), strict=True))


def fixed_batch(session: ort.InferenceSession) -> int | None:
    """The batch size written into the graph, or None where it is free."""
    axes = axes_of(session)
    sides = [node.shape[axis] for node in session.get_inputs() if (axis := axes[node.name]) is not None]
    sizes = {side for side in sides if isinstance(side, int) and side > 0}
    return sizes.pop() if len(sizes) == 1 else None


def pick(session: ort.InferenceSession, feed: Feed, rows: np.ndarray) -> Feed:
    """Some samples of a batch, by number; they may repeat."""
    axes = axes_of(session)
    return {
        name: array if (axis := axes.get(name, 0)) is None else np.ascontiguousarray(np.take(array, rows, axis=axis))
        for name, array in feed.items()
    }


def fit_feed(session: ort.InferenceSession, inputs: Feed) -> Feed:
    """The arrays a network asks for, in the number types it asks for.

    Raises:
        YoursToFix: if an input is missing.
    """
    wanted = session.get_inputs()
    missing = [node.name for node in wanted if node.name not in inputs]
    if missing:
        raise YoursToFix(
            f"Expected data for the input {missing[0]!r}, found {', '.join(map(repr, inputs)) or 'none'}.",
            hint="Name the arrays after the network's inputs, or correct the input contract.",
            code="data.input-missing",
        )  # fmt: skip
    return {node.name: np.require(inputs[node.name], NUMPY_TYPES.get(node.type), "C") for node in wanted}


def feeds_for(session: ort.InferenceSession, inputs: Feed, rows: int) -> list[Feed]:
    """Cut a batch into what the graph takes at once: all of it, or pieces of its fixed batch size.

    The last piece is filled up by repeating its last row.

    Args:
        inputs: arrays with ``rows`` rows each, the batch axis first.
    """
    feed, size = fit_feed(session, inputs), fixed_batch(session)
    if size is None or size == rows:
        return [feed]
    begins = range(0, rows, size)
    return [pick(session, feed, np.minimum(np.arange(begin, begin + size), rows - 1)) for begin in begins]


def tile(sample: Feed, rows: int, axes: Mapping[str, int | None]) -> Feed:
    """Repeat a batch of one until it has ``rows`` samples; what has no axis of one for them stays as it is.

    Args:
        axes: where each input has the axis of the samples; see ``axes_of``.
    """
    return {
        name: np.repeat(array, rows, axis=axis)
        if (axis := axes.get(name, 0)) is not None and array.ndim > axis and array.shape[axis] == 1
        else array
        for name, array in sample.items()
    }
