"""A ``torch.export`` archive (.pt2): checked member by member, loaded without what is pickled, traced to ONNX.

``torch.export.save`` puts the example inputs in as a pickle in every archive. They are not needed and never opened: the
archive is copied with empty ones of our own. One whose pickle would do more than rebuild tensors is refused.
"""

from __future__ import annotations

import io
import json
import pickletools
import warnings
import zipfile
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from workers import archive
from workers.intake.errors import EXPORT, NotConverted

if TYPE_CHECKING:
    import torch

COMPILED = ("data/aotinductor/", "data/executorch/", "data/mtia/")
CODE = (".so", ".cubin", ".ptx", ".spv", ".hsaco", ".cpp", ".cu", ".o", ".a", ".dll", ".dylib", ".py", ".pyc")
CUSTOM_OBJECTS = ("custom_obj", "opaque_obj")
PICKLES = (".pkl", ".pickle", ".bin", ".pth", ".ckpt")
LISTED = ("archive_format", "archive_version", "byteorder", "models/", "data/weights/", "data/constants/", ".data/",
          "extra/", "data/sample_inputs/")  # fmt: skip
REBUILDS = frozenset({
    "torch._utils _rebuild_tensor_v2", "torch._utils _rebuild_parameter", "collections OrderedDict",
    "torch FloatStorage", "torch DoubleStorage", "torch HalfStorage", "torch BFloat16Storage", "torch LongStorage",
    "torch IntStorage", "torch ShortStorage", "torch CharStorage", "torch ByteStorage", "torch BoolStorage",
})  # fmt: skip
LARGEST_PICKLE_BYTES = 16 << 20
LARGEST_PROGRAM_BYTES = 256 << 20
LENGTHS = (8, 11)
SAVE_AGAIN = "Save it with torch.export.save(torch.export.export(model, example), 'model.pt2')."


def convert(path: Path, *, out: Path, scratch: Path, threads: int) -> Path:
    """Bring a program into ONNX.

    Raises:
        NotConverted: if the archive holds compiled code, custom objects or pickles that do more than hold tensors.
    """
    clean = scratch / "program.pt2"
    take_over(path, clean)
    import torch

    try:
        program = torch.export.load(str(clean))
    except Exception as error:  # torch raises many kinds on archives it did not write
        said = str(error).strip().splitlines() or [type(error).__name__]
        raise NotConverted(
            f"Expected a program that torch {torch.__version__} reads, found one of which it says: {said[0][:200]}",
            hint=f"{SAVE_AGAIN} Use the same version of torch.",
            code="model.pt2-unreadable",
        ) from None
    return _export(program, out, scratch, threads)


def take_over(path: Path, clean: Path) -> None:
    """Copy an archive member by member, with no example inputs.

    Raises:
        NotConverted: as ``convert`` does.
    """
    with archive.open_zip(path) as opened:
        members = archive.files(opened)
        root = next(PurePosixPath(one.filename) for one in members if one.filename.endswith("archive_format")).parent
        clean.parent.mkdir(parents=True, exist_ok=True)
        with zipfile.ZipFile(clean, "w", zipfile.ZIP_STORED) as copy:
            for member in members:
                name = str(PurePosixPath(member.filename).relative_to(root))
                _check(opened, member, name)
                pickled = name.startswith("data/sample_inputs/")
                copy.writestr(member.filename, no_examples() if pickled else archive.read(opened, member))


def no_examples() -> bytes:
    """What torch writes for a program without example inputs."""
    import torch

    buffer = io.BytesIO()
    torch.save(((), {}), buffer)
    return buffer.getvalue()


def _check(opened: zipfile.ZipFile, member: zipfile.ZipInfo, name: str) -> None:
    low = name.lower()
    if low.startswith(COMPILED) or low.endswith(CODE):
        raise _refused(f"{name[:80]!r}, which is compiled code", "compiled-code")
    if PurePosixPath(name).name.startswith(CUSTOM_OBJECTS) or low.endswith(PICKLES):
        raise _refused(f"{name[:80]!r}, a pickle, which can run any code when it is opened", "pickle")
    if not name.startswith(LISTED):
        raise _refused(f"{name[:80]!r}, which no exported program holds", "unknown-member")
    if name.startswith("data/sample_inputs/"):
        _check_examples(archive.read(opened, member), name)
    elif name.endswith(".json"):
        _check_settings(opened, member, name)


def _check_settings(opened: zipfile.ZipFile, member: zipfile.ZipInfo, name: str) -> None:
    if member.file_size > LARGEST_PROGRAM_BYTES:
        raise _refused(f"{name[:80]!r} of {member.file_size:,} bytes", "too-large")
    try:
        said = json.loads(archive.read(opened, member))
    except (ValueError, RecursionError):
        raise _refused(f"{name[:80]!r} that is no JSON", "broken") from None
    waiting: list[Any] = [said]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            if one.get("use_pickle"):
                raise _refused(f"pickled weights, named in {name[:80]!r}", "pickle")
            waiting += one.values()
        elif isinstance(one, list):
            waiting += one


def _check_examples(data: bytes, name: str) -> None:
    """Read the pickle's instructions without running one: only tensors and plain containers may be rebuilt."""
    if not zipfile.is_zipfile(io.BytesIO(data)):
        raise _refused(f"pickled inputs in {name[:80]!r} that are no torch file", "pickle")
    with zipfile.ZipFile(io.BytesIO(data)) as inner:
        pickles = [one for one in inner.infolist() if one.filename.endswith(".pkl")]
        if len(pickles) != 1 or pickles[0].file_size > LARGEST_PICKLE_BYTES:
            raise _refused(f"pickled inputs in {name[:80]!r} of a strange layout", "pickle")
        strange = _strange_call(inner.read(pickles[0]))
    if strange:
        raise _refused(f"pickled inputs in {name[:80]!r} that call {strange[:80]!r}", "pickle")


def _strange_call(data: bytes) -> str:
    """The first thing a pickle would call that does not rebuild a tensor; empty if there is none."""
    try:
        for code, argument, _ in pickletools.genops(data):
            if code.name == "GLOBAL" and argument not in REBUILDS:
                return str(argument)
            if code.name in ("STACK_GLOBAL", "INST", "OBJ", "NEWOBJ", "NEWOBJ_EX", "EXT1", "EXT2", "EXT4"):
                return code.name
    except Exception:  # genops raises many kinds of error on bytes that are no pickle
        return "unreadable instructions"
    return ""


def _refused(found: str, word: str) -> NotConverted:
    return NotConverted(
        f"Expected a torch.export archive of a graph and plain weights, found {found}.",
        hint=SAVE_AGAIN,
        code=f"model.pt2-{word}",
    )


def _export(program: torch.export.ExportedProgram, out: Path, scratch: Path, threads: int) -> Path:
    import onnx
    import torch

    from workers import formats
    from workers.graph.sharing import share_weights
    from workers.intake import export

    values = _placeholders(program)
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        example = tuple(_random(value, 2, LENGTHS[0]) for value in values)
        program.example_inputs = (example, {})  # the exporter runs the program on them
        made = torch.onnx.export(program, example, dynamo=True, verbose=False)
    if made is None:
        raise NotConverted("Expected a program that becomes ONNX, found none.", hint=EXPORT, code="model.pt2-no-onnx")
    traced = scratch / "traced" / "model.onnx"
    traced.parent.mkdir(parents=True, exist_ok=True)
    made.save(str(traced))
    proto = onnx.load(str(traced))
    share_weights(proto.graph)
    export.share_turned(proto)
    formats.save(proto, out / "model.onnx")
    names = [item.name for item in proto.graph.input]

    def rows(batch: int, length: int) -> dict[str, torch.Tensor]:
        return {name: _random(value, batch, length) for name, value in zip(names, values, strict=True)}

    module = program.module()

    def first(*given: torch.Tensor) -> torch.Tensor:
        answer = module(*given)
        found: torch.Tensor = answer if isinstance(answer, torch.Tensor) else next(iter(answer))
        return found

    export.see_it_agrees(first, out / "model.onnx", export.examples(rows, lengths=LENGTHS), threads=threads)
    return out / "model.onnx"


def _placeholders(program: torch.export.ExportedProgram) -> list[torch.Tensor]:
    """What the program was exported with, as tensors without values, in the order of its arguments."""
    names = set(program.graph_signature.user_inputs)
    return [node.meta["val"] for node in program.graph.nodes if node.op == "placeholder" and node.name in names]


def _random(like: torch.Tensor, batch: int, length: int) -> torch.Tensor:
    """Values for one argument; a free first axis takes the batch, other free axes the length."""
    import torch

    shape = [
        side if isinstance(side, int) else batch if place == 0 else length for place, side in enumerate(like.shape)
    ]
    if like.dtype.is_floating_point:
        return torch.rand(shape, dtype=like.dtype)
    return torch.randint(0, 2, shape).to(like.dtype)
