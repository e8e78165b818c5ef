"""Weights that lie in a file beside the network: only inside the upload, only what was announced."""

import stat
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import Protocol

import onnx

from workers import archive
from workers.errors import YoursToFix

MOST_WEIGHT_BYTES = 64 << 30
MOST_NAME_BYTES = 255


class BadExternalData(YoursToFix):
    code = "model.external-data"


class Beside(Protocol):
    """The files that came with a network."""

    def size_of(self, name: str) -> int | None:
        """The size of a file in bytes, or None if there is none."""

    def read(self, name: str, offset: int, length: int) -> bytes:
        """``length`` bytes from ``offset``."""


class FolderBeside:
    """Files in the network's own folder. Links are refused, whatever they point to."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()

    def size_of(self, name: str) -> int | None:
        path = self.folder
        for part in PurePosixPath(name).parts:
            path = path / part
            if path.is_symlink():
                raise BadExternalData(
                    f"Expected {name!r} to be a file, found a link.",
                    hint="Put the file itself beside the network.",
                    code="model.external-data-link",
                )
        if not path.exists():
            return None
        status = path.lstat()
        if not stat.S_ISREG(status.st_mode) or status.st_nlink > 1:
            raise BadExternalData(
                f"Expected {name!r} to be a plain file of its own, found a hard link, a folder or a device.",
                hint="Copy the file beside the network.",
                code="model.external-data-link",
            )
        return status.st_size

    def read(self, name: str, offset: int, length: int) -> bytes:
        with (self.folder / name).open("rb") as file:
            file.seek(offset)
            return file.read(length)


class ZipBeside:
    """Members of the zip that holds the network, named from the network's own folder."""

    def __init__(self, opened: zipfile.ZipFile, folder: PurePosixPath) -> None:
        self.opened = opened
        self.members = {member.filename: member for member in archive.files(opened)}
        self.folder = folder
        self._last: tuple[str, bytes] = ("", b"")

    def size_of(self, name: str) -> int | None:
        member = self.members.get(str(self.folder / name))
        return None if member is None else member.file_size

    def read(self, name: str, offset: int, length: int) -> bytes:
        if self._last[0] != name:
            self._last = (name, archive.read(self.opened, self.members[str(self.folder / name)]))
        return self._last[1][offset : offset + length]


def tensors(proto: onnx.ModelProto) -> Iterator[onnx.TensorProto]:
    """Every tensor of the network: initializers, constants and sparse parts, in all graphs and functions."""
    for graph in graphs(proto):
        yield from graph.initializer
        for sparse in graph.sparse_initializer:
            yield from (sparse.values, sparse.indices)
        yield from _constants(graph.node)
    for function in proto.functions:
        yield from _constants(function.node)


def _constants(nodes: Iterable[onnx.NodeProto]) -> Iterator[onnx.TensorProto]:
    for node in nodes:
        for attribute in node.attribute:
            if attribute.HasField("t"):
                yield attribute.t
            yield from attribute.tensors
            sparse = [attribute.sparse_tensor] if attribute.HasField("sparse_tensor") else []
            for part in (*sparse, *attribute.sparse_tensors):
                yield from (part.values, part.indices)


def graphs(proto: onnx.ModelProto) -> Iterator[onnx.GraphProto]:
    """The main graph and every graph nested in a node's attributes, outermost first."""
    waiting = [proto.graph]
    inner = [graph for function in proto.functions for node in function.node for graph in subgraphs(node)]
    waiting += inner
    while waiting:
        graph = waiting.pop(0)
        yield graph
        waiting += [nested for node in graph.node for nested in subgraphs(node)]


def subgraphs(node: onnx.NodeProto) -> list[onnx.GraphProto]:
    """The graphs in the attributes of one node."""
    found = []
    for attribute in node.attribute:
        if attribute.HasField("g"):
            found.append(attribute.g)
        found += attribute.graphs
    return found


def bring_in(proto: onnx.ModelProto, beside: Beside) -> int:
    """Replace every reference to a file beside the network by the bytes it names.

    Returns:
        How many bytes the named files have together; 0 where the network is in one file.

    Raises:
        BadExternalData: if a reference leaves the upload, is no plain file, or does not fit the tensor.
    """
    outside = [
        tensor for tensor in tensors(proto) if tensor.data_location == onnx.TensorProto.EXTERNAL or tensor.external_data
    ]
    sizes: dict[str, int] = {}
    total = 0
    for tensor in outside:
        name, offset, length = _reference(tensor)
        if name not in sizes:
            sizes[name] = _existing_size(tensor, name, beside)
        length = _checked_length(tensor, name, offset, length, sizes[name])
        total += length
        if total > MOST_WEIGHT_BYTES:
            raise BadExternalData(
                f"Expected at most {MOST_WEIGHT_BYTES:,} bytes of weights, found more.",
                hint="Use a smaller network.",
                code="model.too-large",
            )
    for tensor in sorted(outside, key=lambda tensor: _reference(tensor)[:2]):
        name, offset, _ = _reference(tensor)
        data = beside.read(name, offset, announced_bytes(tensor))
        tensor.ClearField("external_data")
        tensor.data_location = onnx.TensorProto.DEFAULT
        tensor.raw_data = data
    return sum(sizes.values())


def _reference(tensor: onnx.TensorProto) -> tuple[str, int, int | None]:
    """File name, offset and length, or None where the tensor does not say how long it is."""
    said = {entry.key: entry.value for entry in tensor.external_data}
    if len(said) != len(tensor.external_data):
        raise BadExternalData(
            f"Expected each key once in the reference of {tensor.name!r}, found one twice.",
            hint="Export the network again.",
            code="model.external-data-number",
        )
    name = said.get("location", "")
    _check_location(tensor.name, name)
    length = _number(tensor.name, "length", said["length"]) if "length" in said else None
    return str(PurePosixPath(name)), _number(tensor.name, "offset", said.get("offset", "0")), length


def _check_location(tensor: str, name: str) -> None:
    path = PurePosixPath(name)
    drive = len(name) > 1 and name[1] == ":"
    bad = (
        path.is_absolute()
        or ".." in path.parts
        or "\\" in name
        or "://" in name
        or "\x00" in name
        or drive
        or "*" in name
    )
    if bad or not path.name or len(name.encode("utf-8", "replace")) > MOST_NAME_BYTES or not name.isprintable():
        raise BadExternalData(
            f"Expected the weights {tensor!r} in a file beside the network, found the location {name[:80]!r}.",
            hint="Export with onnx.save_model(model, path, save_as_external_data=True, location='weights.bin').",
            code="model.external-data-outside",
        )


def _number(tensor: str, key: str, text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 19):
        raise BadExternalData(
            f"Expected a whole number from 0 as {key} of {tensor!r}, found {text[:40]!r}.",
            hint="Export the network again.",
            code="model.external-data-number",
        )
    return int(text)


def _existing_size(tensor: onnx.TensorProto, name: str, beside: Beside) -> int:
    size = beside.size_of(name)
    if size is None:
        raise BadExternalData(
            f"Expected the file {name!r} beside the network, which keeps its weights there; found none.",
            hint=f"Upload a zip with both: the .onnx file and {name}.",
            code="model.external-data-missing",
        )
    return size


def announced_bytes(tensor: onnx.TensorProto) -> int:
    """The bytes a tensor of these dims and this type takes; two four-bit values share a byte."""
    count = 1
    for dim in tensor.dims:
        count *= dim
    bits = BITS.get(tensor.data_type)
    if bits is None:
        raise BadExternalData(
            f"Expected numbers as weights {tensor.name!r}, found element type {tensor.data_type}.",
            hint="Export the network again.",
            code="model.tensor-type",
        )
    return (count * bits + 7) // 8


def _checked_length(tensor: onnx.TensorProto, name: str, offset: int, length: int | None, size: int) -> int:
    needed = announced_bytes(tensor)
    if length is not None and length != needed:
        raise BadExternalData(
            f"Expected {needed:,} bytes for {tensor.name!r} with dims {list(tensor.dims)},"
            f" found the length {length:,}.",
            hint="Export the network again.",
            code="model.external-data-length",
        )
    if offset + needed > size:
        raise BadExternalData(
            f"Expected {name!r} to reach byte {offset + needed:,} for {tensor.name!r}, found {size:,} bytes.",
            hint="The data file belongs to another network or was cut short: upload both again.",
            code="model.external-data-length",
        )
    return needed


_T = onnx.TensorProto
BITS: dict[int, int] = {
    _T.FLOAT: 32,
    _T.DOUBLE: 64,
    _T.FLOAT16: 16,
    _T.BFLOAT16: 16,
    _T.INT8: 8,
    _T.UINT8: 8,
    _T.INT16: 16,
    _T.UINT16: 16,
    _T.INT32: 32,
    _T.UINT32: 32,
    _T.INT64: 64,
    _T.UINT64: 64,
    _T.BOOL: 8,
    _T.COMPLEX64: 64,
    _T.COMPLEX128: 128,
    _T.INT4: 4,
    _T.UINT4: 4,
    _T.FLOAT4E2M1: 4,
    _T.FLOAT8E4M3FN: 8,
    _T.FLOAT8E4M3FNUZ: 8,
    _T.FLOAT8E5M2: 8,
    _T.FLOAT8E5M2FNUZ: 8,
}
for _name, _bits in (("FLOAT8E8M0", 8), ("UINT2", 2), ("INT2", 2)):
    if hasattr(_T, _name):
        BITS[getattr(_T, _name)] = _bits
