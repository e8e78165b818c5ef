"""The compression engine: a library and a command, with no web framework and no database."""

import os

# ONNX Runtime 1.29 and newer report home from the moment they are imported, unless told otherwise before.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
