"""From ONNX to a trainable torch.fx network and back. Imports torch: import it inside ``apply``.

What a step may rely on, and change:

- Layers with weights are torch's modules (``nn.Conv2d``, ``nn.Linear``, ``nn.Embedding``, ``nn.BatchNorm2d``,
  ``nn.LayerNorm``, ``nn.LSTM`` …); :func:`layer_paths` finds them by the names pages use. Replacing a
  module in place keeps its node's name and, for parameters of the same name, its initializers.
- ``module.meta["initializers"]`` maps parameter paths to initializer names, ``node.meta["onnx"]`` is the
  :class:`Origin` of an fx node.
- Shapes, axes and pads that are constant stand as tuples in the arguments of fx nodes and may be edited there.
- A parameter used in two places is one object, and is written once. Whoever replaces it in one place unties it.
- Modules of a step's own are written if ``torch.fx`` can trace them to known layers and functions.
"""

from workers.graph.fx.errors import CannotExport, UnsupportedOperator
from workers.graph.fx.exporter import to_onnx
from workers.graph.fx.importer import to_torch
from workers.graph.fx.layers import layer_paths
from workers.graph.fx.table import Origin

__all__ = ["CannotExport", "Origin", "UnsupportedOperator", "layer_paths", "to_onnx", "to_torch"]
