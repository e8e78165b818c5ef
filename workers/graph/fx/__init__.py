"""From ONNX to a trainable torch.fx network and back. Imports torch: import it inside ``apply``."""

from workers.graph.fx.errors import CannotExport, UnsupportedOperator
from workers.graph.fx.exporter import to_onnx
from workers.graph.fx.importer import to_torch
from workers.graph.fx.table import Origin

__all__ = ["CannotExport", "Origin", "UnsupportedOperator", "to_onnx", "to_torch"]
