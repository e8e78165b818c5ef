"""Which model format a file is, by its bytes, and the way out for those that are refused."""

import zipfile
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from workers import archive
from workers.errors import YoursToFix
from workers.signatures import HEAD_BYTES, head_of, kind_of, looks_like_pickle

EXPORT = "Export with torch.onnx.export(model, example, 'model.onnx') and upload that file."
HIGHEST_FIELD_BYTES = 1 << 31
IR_VERSION, GRAPH = 1, 7
LENGTH_DELIMITED = 2
MODEL_FIELDS = {1: 0, 2: 2, 3: 2, 4: 2, 5: 0, 6: 2, 7: 2, 8: 2, 14: 2, 20: 2, 25: 2, 26: 2}

REFUSED: dict[str, tuple[str, str]] = {
    "pickle": ("a Python pickle, which can run any code when it is opened", EXPORT),
    "torch-zip": ("a PyTorch file of pickled objects, which can run any code when it is opened", EXPORT),
    "torchscript": ("a TorchScript program, which carries code of its own", EXPORT),
    "pt2": (
        "a torch.export archive (.pt2)",
        "It is converted when it is uploaded as a model: upload it anew, or use the command line.",
    ),
    "tar": ("a tar archive, as old PyTorch files are", EXPORT),
    "npy": ("a NumPy array", "This is data rather than a network: upload it as a dataset, packed with numpy.savez."),
    "npz": ("NumPy arrays", "This is data rather than a network: upload it as a dataset."),
    "safetensors": (
        "a safetensors file: weights without the network they belong to",
        "Upload the whole Hugging Face directory as a zip, with config.json and tokenizer.json.",
    ),
    "gguf": ("a GGUF file", "It is converted when it is uploaded as a model: upload it anew, or use the command line."),
    "hdf5": (
        "an HDF5 file, as Keras writes",
        "Export with tf2onnx (python -m tf2onnx.convert) and upload the .onnx file.",
    ),
    "keras": ("a Keras archive", "Export with model.export('model.onnx', format='onnx') and upload that file."),
    "tflite": (
        "a TensorFlow Lite file",
        "Convert with python -m tf2onnx.convert --tflite model.tflite --output model.onnx.",
    ),
    "parquet": ("a Parquet table", "This is data rather than a network: upload it as a dataset."),
    "gzip": ("a gzip archive", "Unpack it, and upload the .onnx file or a zip."),
    "bzip2": ("a bzip2 archive", "Unpack it, and upload the .onnx file or a zip."),
    "xz": ("an xz archive", "Unpack it, and upload the .onnx file or a zip."),
    "7z": ("a 7z archive", "Unpack it, and upload the .onnx file or a zip."),
    "rar": ("a RAR archive", "Unpack it, and upload the .onnx file or a zip."),
    "git-lfs": (
        "a Git LFS pointer: the few lines that stand for the real file",
        "Run git lfs pull, then upload the file itself.",
    ),
    "empty": ("an empty file", "Upload it again; the first upload may have been cut short."),
    "program": ("a program", EXPORT),
    "picture": ("a picture", "Upload pictures as a dataset: a zip with one folder per class."),
    "pdf": ("a PDF", EXPORT),
}


class NotAModel(YoursToFix):
    """A file of a format that is not accepted. Its code ends in the name of what was found."""

    def __init__(self, found: str) -> None:
        what, way_out = REFUSED[found]
        super().__init__(f"Expected a network in ONNX, found {what}.", hint=way_out, code=f"model.refused-{found}")


class BadModel(YoursToFix):
    code = "model.invalid"


def sniff(path: Path) -> str:
    """Name the format of a model file.

    Returns:
        ``onnx`` for a file, ``onnx-folder`` for a folder with one .onnx file, ``zip-onnx`` for a zip with one.

    Raises:
        YoursToFix: for everything else, with the way out.
    """
    if path.is_dir():
        only_model([item.name for item in path.iterdir() if item.is_file()], where="the folder")
        return "onnx-folder"
    head = head_of(path)
    kind = kind_of(head)
    if kind == "zip":
        return _sniff_zip(path)
    if kind in REFUSED:
        raise NotAModel(kind)
    if _is_onnx(path):
        return "onnx"
    if looks_like_pickle(head):
        raise NotAModel("pickle")
    raise BadModel(
        "Expected a network in ONNX, found a file of an unknown kind.", hint=EXPORT, code="model.unknown-format"
    )


def _sniff_zip(path: Path) -> str:
    with archive.open_zip(path) as opened:
        members = archive.files(opened)
        names = [member.filename for member in members]
        refused = _refused_zip(names)
        if refused:
            raise NotAModel(refused)
        only_model(names, where="the zip")
        _no_pickles(opened, members)
    return "zip-onnx"


def _refused_zip(names: list[str]) -> str:
    """Recognise archives that belong to other tools by the members they always have."""
    last = {PurePosixPath(name).name for name in names}
    folders = {part for name in names for part in PurePosixPath(name).parts[:-1]}
    if "constants.pkl" in last or ("data.pkl" in last and "code" in folders):
        return "torchscript"
    if "data.pkl" in last:
        return "torch-zip"
    if "archive_format" in last:
        return "pt2"
    if "config.json" in last and any(name.endswith(".weights.h5") for name in last):
        return "keras"
    return "npz" if names and all(name.endswith(".npy") for name in names) else ""


def only_model(names: list[str], *, where: str) -> str:
    """The one name that ends in .onnx.

    Raises:
        BadModel: if there is none, or more than one.
    """
    models = sorted(name for name in names if name.lower().endswith(".onnx"))
    if len(models) == 1:
        return models[0]
    found = f"{len(models)}: {', '.join(models[:3])}" if models else f"none among {len(names)} files"
    raise BadModel(
        f"Expected one .onnx file in {where}, found {found}.",
        hint="Upload a zip with one .onnx file and the data files it names.",
        code="model.not-one-onnx",
    )


def _no_pickles(opened: zipfile.ZipFile, members: list[zipfile.ZipInfo]) -> None:
    """Refuse pickles that travel beside the network: nothing here opens them, but somebody might."""
    for member in members:
        if member.filename.lower().endswith((".pkl", ".pickle", ".pt", ".pth", ".ckpt", ".joblib")):
            raise NotAModel("pickle")
        if member.filename.lower().endswith(".onnx"):
            with opened.open(member) as file:
                kind = kind_of(file.read(HEAD_BYTES))
            if kind in REFUSED or kind == "zip":
                raise NotAModel("torch-zip" if kind == "zip" else kind)


def _is_onnx(path: Path) -> bool:
    """Walk the outermost fields of the protobuf message without reading what is in them.

    Raises:
        BadModel: if a field is announced that reaches past the end of the file.
    """
    size, seen = path.stat().st_size, set[int]()
    with path.open("rb") as file:
        while file.tell() < size:
            tag = _varint(file)
            if tag is None or MODEL_FIELDS.get(tag >> 3) != tag & 7:
                return False
            value = _varint(file)  # the number itself, or how long the field is
            if value is None:
                return False
            seen.add(tag >> 3)
            if tag & 7 == LENGTH_DELIMITED:
                file.seek(min(value, HIGHEST_FIELD_BYTES), 1)
        if IR_VERSION in seen and file.tell() > size:
            raise BadModel(
                f"Expected at least {file.tell():,} bytes, found a file of {size:,}.",
                hint="The upload was cut short: upload it again.",
                code="model.cut-short",
            )
    return GRAPH in seen


def _varint(file: BinaryIO) -> int | None:
    """The next base-128 number, or None where there is none."""
    value = 0
    for shift in range(0, 70, 7):
        byte = file.read(1)
        if not byte:
            return None
        value |= (byte[0] & 0x7F) << shift
        if byte[0] < 0x80:
            return value
    return None
