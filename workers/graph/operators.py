"""Which operators integer quantization touches. Plain names: safe to import where no tensor library may be."""

HEAVY = frozenset({"Conv", "ConvTranspose", "Gemm", "MatMul"})
# Everything onnxruntime quantizes by default, less the operators whose 8-bit grid costs accuracy and
# saves nothing: their inputs are few, their outputs steer decisions (Softmax, TopK, ArgMax) or sums (norms, CumSum).
CONVOLUTIONS = frozenset({"Conv", "ConvTranspose"})
ARITHMETIC = frozenset({"Add", "Mul", "Sigmoid"})
_ARITHMETIC = ARITHMETIC | {"Relu", "Clip", "LeakyRelu"}
_POOLING = {"MaxPool", "AveragePool", "GlobalAveragePool", "Resize", "Pad"}
_MOVING = {"Reshape", "Squeeze", "Unsqueeze", "Flatten", "Transpose", "Slice", "Split", "Concat", "Gather"}
QUANTIZED = HEAVY | _ARITHMETIC | _POOLING | _MOVING
