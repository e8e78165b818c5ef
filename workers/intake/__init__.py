"""Networks that arrive in another form than ONNX: recognised, checked over their bytes, converted.

All of it runs inside the sandbox. What comes out is one file that the rest of the engine reads as it reads any
upload: ``model.onnx``, or a zip of it with its companions, such as the tokenizer.
"""

from workers.intake.companions import COMPANIONS, unpack
from workers.intake.convert import convert
from workers.intake.forms import Form, form_of, form_of_members

__all__ = ["COMPANIONS", "Form", "convert", "form_of", "form_of_members", "unpack"]
