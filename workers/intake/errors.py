"""Why a network that is not ONNX is not converted."""

from workers.errors import YoursToFix

SAVE_AGAIN = "Save it with model.save_pretrained(folder, safe_serialization=True) and zip that folder."
SAVE_TOKENIZER = (
    "AutoTokenizer.from_pretrained(folder).save_pretrained(folder) in transformers writes tokenizer.json, which is read"
    " as it is."
)
EXPORT = "Export it yourself with torch.onnx.export(model, example, 'model.onnx') and upload that file."


class NotConverted(YoursToFix):
    """What was expected, what was found, and the way out; each case has a code of its own."""

    code = "intake.refused"
