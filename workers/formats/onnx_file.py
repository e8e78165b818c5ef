"""Read and write ONNX. Nothing of a stranger's file is believed before it was checked."""

import mmap
import os
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import onnx
from google.protobuf.message import DecodeError

from workers import archive
from workers.formats import external, structure
from workers.formats.skeleton import is_heavy, shell, skeleton
from workers.formats.sniff import BadModel, only_model, sniff

MOST_FILE_BYTES = (1 << 31) - 1
EMBED_BELOW_BYTES = (1 << 31) - (64 << 20)


@dataclass(frozen=True)
class Read:
    """A network with all its weights inside, and how it lay on the disk."""

    proto: onnx.ModelProto
    size_bytes: int
    external_data: bool


def read(path: Path) -> Read:
    """Load a network from a .onnx file, from a folder, or from a zip with one .onnx file and its data.

    Raises:
        YoursToFix: with what was expected, what was found and what would help.
    """
    kind = sniff(path)
    if kind == "zip-onnx":
        with archive.open_zip(path) as opened:
            members = archive.files(opened)
            name = only_model([member.filename for member in members], where="the zip")
            data = archive.read(opened, opened.getinfo(name))
            return _complete(data, external.ZipBeside(opened, PurePosixPath(name).parent))
    file = path if kind == "onnx" else path / only_model([item.name for item in path.iterdir()], where="the folder")
    if kind == "onnx-folder":
        if file.is_symlink():
            raise BadModel(
                f"Expected {file.name!r} to be a file, found a link.",
                hint="Put the file itself into the folder.",
                code="model.link",
            )
        sniff(file)
    if file.stat().st_size > MOST_FILE_BYTES:
        raise BadModel(
            f"Expected a file below 2 GiB, found {file.stat().st_size:,} bytes.",
            hint="Save large networks with external data, and upload a zip with both files.",
            code="model.too-large",
        )
    return _complete(file.read_bytes(), external.FolderBeside(file.parent))


def load(path: Path) -> onnx.ModelProto:
    """Load a network with all its weights. See ``read``."""
    return read(path).proto


def as_file(path: Path, folder: Path) -> Path:
    """The network as a .onnx file that ONNX Runtime can open: ``path`` itself, or what ``folder`` gets written.

    Raises:
        YoursToFix: as ``read`` does.
    """
    if sniff(path) == "onnx":
        return path
    plain = folder / "model.onnx"
    save(load(path), plain)
    return plain


def _complete(data: bytes, beside: external.Beside) -> Read:
    """Parse, check, bring the weights in, and let onnx's own checker have the last word."""
    proto = onnx.ModelProto()
    try:
        proto.ParseFromString(data)
    except (DecodeError, RecursionError) as error:
        raise BadModel(
            f"Expected a network in ONNX, found bytes that cannot be read as one: {error}.",
            hint="Export it again and check that the upload was complete.",
            code="model.unreadable",
        ) from None
    structure.check(proto)
    outside = external.bring_in(proto, beside)
    _check_with_onnx(proto)
    return Read(proto, len(data) + outside, external_data=outside > 0)


def _check_with_onnx(proto: onnx.ModelProto) -> None:
    try:
        onnx.checker.check_model(skeleton(proto))
    except (onnx.checker.ValidationError, ValueError, RuntimeError, MemoryError) as error:
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise BadModel(
            f"Expected a valid ONNX graph; its checker says: {lines[0][:300]}",
            hint="Export the network again with a current exporter.",
            code="model.invalid-graph",
        ) from None


def save(proto: onnx.ModelProto, path: Path) -> None:
    """Write a network: one file below 2 GiB, else with the weights in ``<name>.data`` beside it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(path.name + ".data")
    unfinished = path.with_name(path.name + ".part")
    if weight_bytes(proto) < EMBED_BELOW_BYTES:
        unfinished.write_bytes(proto.SerializeToString())
        beside.unlink(missing_ok=True)
    else:
        unfinished.write_bytes(_put_outside(proto, beside).SerializeToString())
    os.replace(unfinished, path)


def weight_bytes(proto: onnx.ModelProto) -> int:
    """The bytes of all weights; what is beside them is small."""
    return sum(
        len(tensor.raw_data) or external.announced_bytes(tensor)
        for tensor in external.tensors(proto)
        if tensor.data_type in external.BITS
    )


def _put_outside(proto: onnx.ModelProto, beside: Path) -> onnx.ModelProto:
    """A copy whose heavy initializers lie in ``beside``, one after the other."""
    light = shell(proto)
    with beside.open("wb") as file:
        for tensor in proto.graph.initializer:
            if not (tensor.HasField("raw_data") and is_heavy(tensor)):
                light.graph.initializer.append(tensor)
                continue
            empty = light.graph.initializer.add(name=tensor.name, data_type=tensor.data_type, dims=tensor.dims)
            _point(empty, beside.name, file.tell(), len(tensor.raw_data))
            file.write(tensor.raw_data)
    return light


def _point(tensor: onnx.TensorProto, location: str, offset: int, length: int) -> None:
    tensor.data_location = onnx.TensorProto.EXTERNAL
    for key, value in (("location", location), ("offset", str(offset)), ("length", str(length))):
        tensor.external_data.add(key=key, value=value)


def borrow(proto: onnx.ModelProto, lender: Path) -> None:
    """Let heavy weights be read out of another network's file, where the same bytes stand; the others stay inside.

    The borrowing network must then lie beside the lender. Weights of a lender that lie in a file beside it stay inside.
    """
    with lender.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        behind = 0
        for tensor in proto.graph.initializer:
            if not (tensor.HasField("raw_data") and is_heavy(tensor)):
                continue
            length = len(tensor.raw_data)
            found = content.find(tensor.raw_data, behind)  # as a rule they follow each other
            found = found if found >= 0 else content.find(tensor.raw_data)
            if found >= 0:
                behind = found + length
                tensor.ClearField("raw_data")
                _point(tensor, lender.name, found, length)
