"""Which form a network has arrived in, by its bytes."""

import zipfile
from enum import StrEnum
from pathlib import Path, PurePosixPath

from workers import archive
from workers.signatures import head_of, kind_of


class Form(StrEnum):
    """A form that is converted to ONNX. The value is what people read."""

    DIRECTORY = "Hugging Face directory"
    GGUF = "GGUF"
    PROGRAM = "torch.export program (.pt2)"


def form_of(path: Path) -> Form | None:
    """The form a file must be converted from; None where it is ONNX already, or nothing that is accepted.

    Raises:
        YoursToFix: for a zip that no careful person would unpack.
    """
    if path.is_dir():
        return None
    kind = kind_of(head_of(path))
    if kind == "gguf":
        return Form.GGUF
    if kind != "zip":
        return None
    with archive.open_zip(path) as opened:
        return form_of_members(archive.files(opened))


def form_of_members(members: list[zipfile.ZipInfo]) -> Form | None:
    """The form of a zip, by the names in it."""
    paths = [PurePosixPath(member.filename) for member in members]
    last = {path.name for path in paths}
    if any(path.suffix.lower() == ".onnx" for path in paths):
        return None
    if "archive_format" in last:
        return Form.PROGRAM
    weights = any(name.endswith((".safetensors", ".bin", ".pth", ".pt", ".msgpack")) for name in last)
    return Form.DIRECTORY if "config.json" in last and weights else None
