"""Dynamic INT8 with ONNX Runtime's own quantizer: as it comes, or a scale per channel on some operators.

python onnxruntime_dynamic_int8.py model.onnx all out.onnx
python onnxruntime_dynamic_int8.py model.onnx MatMul,LSTM out.onnx
"""

import sys
import tempfile
from pathlib import Path

from onnxruntime.quantization import QuantType, quantize_dynamic
from onnxruntime.quantization.shape_inference import quant_pre_process


def main(model: str, operators: str, out: str) -> None:
    if operators == "all":
        quantize_dynamic(model, out)
        return
    with tempfile.TemporaryDirectory() as folder:
        ready = Path(folder) / "ready.onnx"
        quant_pre_process(model, ready, skip_symbolic_shape=True)
        quantize_dynamic(
            ready, out, op_types_to_quantize=operators.split(","), per_channel=True, weight_type=QuantType.QInt8,
            extra_options={"EnableSubgraph": True},
        )  # fmt: skip


if __name__ == "__main__":
    main(*sys.argv[1:4])
