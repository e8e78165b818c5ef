"""A network in memory, on its way through a recipe."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from workers.contract import Contract

if TYPE_CHECKING:
    import numpy as np
    import onnx

Progress = Callable[[int, int, str], None]


@dataclass(frozen=True)
class LoadedModel:
    """A network, its input contract, and what its user must be told.

    ``notes`` travel into the manifest and onto the entry, for example that a file was
    made for processors with VNNI. A technique returns a new object and leaves the old one alone.
    """

    proto: onnx.ModelProto
    contract: Contract
    notes: tuple[str, ...] = ()

    def with_proto(self, proto: onnx.ModelProto, *notes: str) -> LoadedModel:
        return replace(self, proto=proto, notes=(*self.notes, *(note for note in notes if note not in self.notes)))

    def with_weights(self, change: Callable[[str, np.ndarray], np.ndarray], progress: Progress) -> LoadedModel:
        """Apply ``change(name, weight)`` to every float weight of two or more axes.

        Args:
            change: gets the initializer's name and a copy of its values; returns an array of the same shape and type.
            progress: called with (done, total, name).
        """
        import onnx
        from onnx import numpy_helper

        proto = onnx.ModelProto()
        proto.CopyFrom(self.proto)
        floats = (onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16, onnx.TensorProto.DOUBLE)
        weights = [tensor for tensor in proto.graph.initializer if tensor.data_type in floats and len(tensor.dims) >= 2]
        for done, tensor in enumerate(weights, start=1):
            before = numpy_helper.to_array(tensor)
            after = change(tensor.name, before.copy())
            if after.shape != before.shape or after.dtype != before.dtype:
                raise ValueError(
                    f"{tensor.name}: expected {before.dtype}{before.shape}, got {after.dtype}{after.shape}"
                )
            tensor.CopyFrom(numpy_helper.from_array(after, tensor.name))
            progress(done, len(weights), tensor.name)
        return self.with_proto(proto)
