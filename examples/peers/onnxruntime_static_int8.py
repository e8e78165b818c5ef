"""Static INT8 with ONNX Runtime's own quantizer: Q/DQ, a scale per channel, U8S8, min-max over 256 training pictures.

python onnxruntime_static_int8.py model.onnx fashion.npz out.onnx
"""

import sys
import tempfile
from pathlib import Path

import numpy as np
import onnx
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process
from pictures import read

ROWS = 256


class Rows(CalibrationDataReader):
    """Samples one by one."""

    def __init__(self, name: str, samples: np.ndarray) -> None:
        self.feeds = iter({name: sample[None]} for sample in samples)

    def get_next(self) -> dict[str, np.ndarray] | None:
        return next(self.feeds, None)


def quantize(model: Path, samples: np.ndarray, out: Path) -> None:
    """Quantize a network with one input on samples as it takes them."""
    name = onnx.load(model).graph.input[0].name
    with tempfile.TemporaryDirectory() as folder:
        ready = Path(folder) / "ready.onnx"
        quant_pre_process(model, ready)
        quantize_static(
            ready, out, Rows(name, samples), quant_format=QuantFormat.QDQ, per_channel=True,
            activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8,
        )  # fmt: skip


def main(model: Path, data: Path, out: Path) -> None:
    quantize(model, read(data, "train")[0][:ROWS], out)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:4]))
