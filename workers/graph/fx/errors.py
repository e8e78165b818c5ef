"""What can go wrong between ONNX and a trainable network."""

from __future__ import annotations

from workers.errors import OursToFix, YoursToFix


class UnsupportedOperator(YoursToFix):
    """An operator, or a use of one, that has no trainable counterpart here."""

    code = "graph.unsupported-operator"

    def __init__(self, op_type: str, node: str, reason: str = "") -> None:
        because = f" ({reason})" if reason else ""
        super().__init__(
            f"Expected operators that can be trained, found {op_type}{because} at node {node!r}.",
            hint=(
                "Steps that work on the ONNX file itself still can: static, dynamic and weight-only quantization, "
                "float16, magnitude pruning without retraining. To train it, export the network without this operator."
            ),
        )
        self.op_type = op_type
        self.node = node


class CannotExport(OursToFix):
    """A part a technique put into the network that has no ONNX form here."""

    code = "graph.cannot-export"

    def __init__(self, what: str, node: str, reason: str = "no ONNX operator is known for it") -> None:
        super().__init__(
            f"Expected layers that can be written to ONNX, found {what} at {node!r}: {reason}.",
            hint="Leave out the step before this error, and report which step it was.",
        )
