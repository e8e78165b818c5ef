"""Static INT8 of a digits network with ONNX Runtime's own quantizer and nothing else, to compare with.

    python quantize_by_hand.py digits-cnn.onnx digits.npz out.onnx

Q/DQ format, a scale per channel, unsigned activations and signed weights, min-max ranges over 256 training digits.
"""

import sys
import tempfile
from pathlib import Path

import numpy as np
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

ROWS = 256


class Digits(CalibrationDataReader):
    """Training digits one by one, as the network takes them: (1, 1, 8, 8), from 0 to 1."""

    def __init__(self, data: Path) -> None:
        pictures = np.load(data)["x_train"][:ROWS].astype(np.float32) / 255
        self.rows = iter(pictures.reshape(-1, 1, 1, 8, 8))

    def get_next(self) -> dict[str, np.ndarray] | None:
        row = next(self.rows, None)
        return None if row is None else {"image": row}


def main(model: Path, data: Path, out: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        ready = Path(folder) / "ready.onnx"
        quant_pre_process(model, ready)
        quantize_static(
            ready,
            out,
            Digits(data),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
        )


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:4]))
