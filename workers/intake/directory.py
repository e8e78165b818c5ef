"""A Hugging Face directory in a zip: what is in it is checked before any library opens a member.

Code is never followed and pickles are never opened: a directory that holds either is refused. Only the files on
the list are taken out.
"""

import json
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from workers import archive
from workers.intake import safetensors, tokenizing
from workers.intake.errors import EXPORT, SAVE_AGAIN, NotConverted
from workers.intake.families import Head, head_of

PICKLES = (".bin", ".pkl", ".pickle", ".pt", ".pth", ".ckpt", ".joblib", ".npy", ".npz")
CODE = (".py", ".pyc", ".so", ".dll", ".dylib", ".cubin", ".ptx", ".exe", ".sh")
SETTINGS = frozenset({
    "config.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "modules.json",
    "1_Pooling/config.json", "sentence_bert_config.json", "preprocessor_config.json", "generation_config.json",
    "vocab.json", "added_tokens.json",
})  # fmt: skip
VOCABULARIES = frozenset({"tokenizer.json", "vocab.json", "added_tokens.json"})  # keys are tokens, not settings
LINES = frozenset({"vocab.txt", "merges.txt"})
LARGEST_SETTING_BYTES = 64 << 20
FOLLOWED_NEVER = ("auto_map", "trust_remote_code", "custom_pipelines")
WEIGHTS = ".safetensors"
INDEX = ".safetensors.index.json"


@dataclass(frozen=True)
class Directory:
    """A checked directory, taken out of its zip.

    ``settings`` are the parsed JSON files by their name inside the directory; ``architecture`` is its class.
    """

    folder: Path
    settings: dict[str, dict[str, Any]]
    modules: tuple[str, ...]
    model_type: str
    architecture: str
    head: Head


def take_out(path: Path, folder: Path) -> Directory:
    """Check the zip, and put its listed files into ``folder``.

    Raises:
        NotConverted: if it holds pickles, code, a broken file or a network that is not converted.
    """
    with archive.open_zip(path) as opened:
        members = _below_root(archive.files(opened))
        _refuse_pickles_and_code(members)
        _refuse_large(members)
        settings = {name: _json(archive.read(opened, members[name]), name) for name in _settings(members)}
        _refuse_followed_code(settings)
        config = _object(settings.get("config.json"), "config.json")
        model_type, architecture = str(config.get("model_type", "")), _architecture(config)
        head = head_of(model_type, architecture)
        _check_weights(opened, members)
        _refuse_quantized(config)
        if head is not Head.PICTURE_CLASSES:
            tokenizing.see_readable(members)
        for name in _listed(members):
            _extract(opened, members[name], folder / name)
    return Directory(
        folder,
        {name: value for name, value in settings.items() if isinstance(value, dict)},
        _modules(settings.get("modules.json", [])),
        model_type,
        architecture,
        head,
    )


def _below_root(members: list[zipfile.ZipInfo]) -> dict[str, zipfile.ZipInfo]:
    """Members by their path below the folder that holds the outermost config.json."""
    configs = [PurePosixPath(one.filename) for one in members if PurePosixPath(one.filename).name == "config.json"]
    root = min(configs, key=lambda path: len(path.parts)).parent
    return {
        str(PurePosixPath(one.filename).relative_to(root)): one
        for one in members
        if PurePosixPath(one.filename).is_relative_to(root)
    }


def _refuse_pickles_and_code(members: dict[str, zipfile.ZipInfo]) -> None:
    for name in members:
        if name.lower().endswith(PICKLES):
            raise NotConverted(
                f"Expected weights in safetensors, found {name[:80]!r}, a pickle, which can run any code when opened.",
                hint=f"{SAVE_AGAIN} Leave other weight files out.",
                code="model.refused-pickle",
            )
        if name.lower().endswith(CODE):
            raise NotConverted(
                f"Expected settings and weights alone, found {name[:80]!r}, which is code.",
                hint=f"Code of an upload is never run. If the network needs none, leave the file out. {EXPORT}",
                code="model.refused-code",
            )


def _settings(members: dict[str, zipfile.ZipInfo]) -> list[str]:
    return [name for name in members if name in SETTINGS or name.endswith(INDEX)]


def _refuse_large(members: dict[str, zipfile.ZipInfo]) -> None:
    for name in (*_settings(members), *(LINES & members.keys())):
        if members[name].file_size > LARGEST_SETTING_BYTES:
            raise NotConverted(
                f"Expected {name} below {LARGEST_SETTING_BYTES >> 20} MiB, found {members[name].file_size:,} bytes.",
                hint=SAVE_AGAIN,
                code="model.settings-broken",
            )


def _json(data: bytes, name: str) -> Any:
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        raise NotConverted(
            f"Expected {name} in JSON, found something else.", hint=SAVE_AGAIN, code="model.settings-broken"
        ) from None


def _object(value: Any, name: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise NotConverted(
            f"Expected a JSON object in {name}, found something else.", hint=SAVE_AGAIN, code="model.settings-broken"
        )
    return value


def _refuse_followed_code(settings: dict[str, Any]) -> None:
    for name, value in settings.items():
        found = next((key for key in _keys(value) if key in FOLLOWED_NEVER), "") if name not in VOCABULARIES else ""
        if found:
            raise NotConverted(
                f"Expected a network of a known class, found {found!r} in {name}, which names code to fetch and run.",
                hint=f"Such code is never followed. {EXPORT}",
                code="model.refused-remote-code",
            )
    for module in _modules(settings.get("modules.json", [])):
        if not module.startswith("sentence_transformers.") or module.split(".")[-1] not in (
            "Transformer", "Pooling", "Normalize",
        ):  # fmt: skip
            raise NotConverted(
                f"Expected the modules Transformer, Pooling and Normalize, found {module[:80]!r}.",
                hint=EXPORT,
                code="model.unknown-module",
            )


def _keys(value: Any) -> Iterator[str]:
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            yield from one
            waiting += one.values()
        elif isinstance(one, list):
            waiting += one


def _modules(said: Any) -> tuple[str, ...]:
    """The classes that sentence-transformers chains, in order."""
    if not isinstance(said, list):
        return ()
    return tuple(str(entry.get("type", "")) for entry in said if isinstance(entry, dict))


def _architecture(config: dict[str, Any]) -> str:
    named = config.get("architectures")
    return named[0] if isinstance(named, list) and named and isinstance(named[0], str) else ""


def _check_weights(opened: zipfile.ZipFile, members: dict[str, zipfile.ZipInfo]) -> None:
    weights = [name for name in members if name.endswith(WEIGHTS) and "/" not in name]
    if not weights:
        raise NotConverted(
            "Expected weights in safetensors beside config.json, found none.",
            hint=SAVE_AGAIN,
            code="model.no-weights",
        )
    for name in weights:
        with opened.open(members[name]) as file:
            safetensors.check(file, size_bytes=members[name].file_size, name=name)  # type: ignore[arg-type]


def _refuse_quantized(config: dict[str, Any]) -> None:
    if config.get("quantization_config"):
        raise NotConverted(
            "Expected weights in floating point, found a directory that is already quantized.",
            hint="Upload the network it was quantized from.",
            code="model.already-quantized",
        )


def _listed(members: dict[str, zipfile.ZipInfo]) -> list[str]:
    return [
        name
        for name in members
        if name in SETTINGS | LINES or ("/" not in name and (name.endswith(WEIGHTS) or name.endswith(INDEX)))
    ]


def _extract(opened: zipfile.ZipFile, member: zipfile.ZipInfo, to: Path) -> None:
    to.parent.mkdir(parents=True, exist_ok=True)
    with opened.open(member) as source, to.open("wb") as file:
        while chunk := source.read(1 << 20):
            file.write(chunk)
