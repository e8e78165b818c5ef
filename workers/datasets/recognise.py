"""Which kind of dataset a file is, by its bytes, and the way out for those that are refused."""

import codecs
from pathlib import Path

from workers import archive
from workers.datasets.images import ENDINGS, open_images
from workers.datasets.npz import BOMBS_COUNT_FROM_BYTES, open_npz
from workers.datasets.raw import BadData, Raw
from workers.datasets.table import open_csv, open_parquet
from workers.datasets.text import is_prose, open_jsonl, open_prose
from workers.errors import YoursToFix
from workers.signatures import head_of, kind_of

ACCEPTED = "an .npz file, a CSV or Parquet table, JSON lines, plain text, or a zip of pictures in class folders"
REPACK = "Unpack it and pack the folder as a zip."
REFUSED: dict[str, tuple[str, str]] = {
    "pickle": (
        "a Python pickle, which can run any code when it is opened",
        "Save arrays with numpy.savez, tables with to_csv or to_parquet.",
    ),
    "npy": (
        "a single NumPy array",
        "Save inputs and labels together: numpy.savez(path, x_train=..., y_train=..., x_test=..., y_test=...).",
    ),
    "hdf5": ("an HDF5 file", "Save the arrays with numpy.savez."),
    "gzip": ("a gzip archive", REPACK),
    "bzip2": ("a bzip2 archive", REPACK),
    "xz": ("an xz archive", REPACK),
    "7z": ("a 7z archive", REPACK),
    "rar": ("a RAR archive", REPACK),
    "tar": ("a tar archive", REPACK),
    "picture": ("a single picture", "Pack pictures in a zip with one folder per class."),
    "git-lfs": (
        "a Git LFS pointer: the few lines that stand for the real file",
        "Run git lfs pull, then upload the file itself.",
    ),
    "empty": ("an empty file", "Upload it again; the first upload may have been cut short."),
    "safetensors": ("a safetensors file", "Save the arrays with numpy.savez."),
    "gguf": ("a GGUF file", "This is a network rather than data."),
    "tflite": ("a TensorFlow Lite file", "This is a network rather than data."),
    "pdf": ("a PDF", "Save the table as CSV."),
    "program": ("a program", "Save arrays with numpy.savez, tables as CSV."),
}


class NotADataset(YoursToFix):
    """A file of a format that is not accepted. Its code ends in the name of what was found."""

    def __init__(self, kind: str, found: str, way_out: str) -> None:
        super().__init__(f"Expected {ACCEPTED}, found {found}.", hint=way_out, code=f"data.refused-{kind}")


def open_raw(path: Path, *, target: str, thorough: bool) -> Raw:
    """Open a dataset of any accepted kind.

    Raises:
        YoursToFix: for every other kind of file, with the way out.
    """
    if path.is_dir():
        raise NotADataset("folder", "a folder", "Pack it as a zip.")
    head = head_of(path)
    kind = kind_of(head)
    if kind == "zip":
        return _open_zip(path, thorough=thorough)
    if kind == "parquet":
        return open_parquet(path, target)
    if kind in REFUSED:
        raise NotADataset(kind, *REFUSED[kind])
    if head.removeprefix(codecs.BOM_UTF8)[:1] == b"{":
        return open_jsonl(path)
    if head[:1] == b"[":
        raise NotADataset("json", "a JSON array", "Save the table as CSV or Parquet, texts as JSON lines.")
    if b"\x00" in head:
        raise BadData(
            f"Expected {ACCEPTED}, found a file of an unknown kind.",
            hint="Save arrays with numpy.savez, tables as CSV.",
            code="data.unknown-format",
        )
    return open_prose(path) if not target and is_prose(head) else open_csv(path, target)


def _open_zip(path: Path, *, thorough: bool) -> Raw:
    with archive.open_zip(path, ratio_counts_from_bytes=BOMBS_COUNT_FROM_BYTES) as opened:
        names = [member.filename.lower() for member in archive.files(opened)]
    if any(name.endswith(".npy") for name in names):
        return open_npz(path)
    if any(name.endswith(ENDINGS) for name in names):
        return open_images(path, thorough=thorough)
    if any(name.startswith("xl/") for name in names):
        raise NotADataset("spreadsheet", "a spreadsheet", "Save the sheet as CSV.")
    if any(name.endswith("data.pkl") for name in names):
        raise NotADataset("pickle", *REFUSED["pickle"])
    if any(name.endswith(".onnx") for name in names):
        raise NotADataset("model", "a network", "Upload it as a model.")
    raise BadData(
        f"Expected {ACCEPTED}, found a zip with none of these.",
        hint="Pack pictures with one folder per class, or save arrays with numpy.savez.",
        code="data.unknown-format",
    )
