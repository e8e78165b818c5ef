"""Dynamic INT8 with ONNX Runtime's own quantizer, a scale per channel, on some operators or on all it knows.

python onnxruntime_dynamic_int8.py model.onnx all out.onnx
python onnxruntime_dynamic_int8.py model.onnx MatMul,LSTM out.onnx
"""

import sys

from onnxruntime.quantization import QuantType, quantize_dynamic


def main(model: str, operators: str, out: str) -> None:
    if operators == "all":
        quantize_dynamic(model, out)
    else:
        quantize_dynamic(
            model, out, op_types_to_quantize=operators.split(","), per_channel=True, weight_type=QuantType.QInt8
        )


if __name__ == "__main__":
    main(*sys.argv[1:4])
