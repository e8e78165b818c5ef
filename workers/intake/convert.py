"""The conversion of one file: check its bytes, load it, trace it, compare, and pack what came out."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from workers.contract import Contract, InputSpec, OutputSpec, Task, TokenizerSpec
from workers.errors import YoursToFix
from workers.intake import directory as directories
from workers.intake import gguf, gguf_settings, tokenizing
from workers.intake.companions import TOKENIZER_FILE, pack
from workers.intake.errors import NotConverted
from workers.intake.families import Head
from workers.intake.forms import Form

if TYPE_CHECKING:
    from workers.intake.networks import Network

LENGTHS = (5, 8, 13, 16)
USUAL_WINDOW = 256
TASKS = {
    Head.EMBEDDING: (Task.EMBEDDING, "embedding"),
    Head.CLASSES: (Task.CLASSIFICATION, "logits"),
    Head.PICTURE_CLASSES: (Task.CLASSIFICATION, "logits"),
    Head.NEXT_TOKEN: (Task.CAUSAL_LM, "logits"),
}


def convert(path: Path, form: Form, *, out: Path, scratch: Path, threads: int, log: Callable[[str], None]) -> Path:
    """Bring a network into ONNX.

    Args:
        out: the folder that gets the result; scratch is for everything else.

    Returns:
        A .onnx file, or a zip of it with its companions.

    Raises:
        YoursToFix: if the file is not what it says, or of a kind that is not converted.
        OursToFix: if the converted network does not answer as the original does.
    """
    import torch

    torch.set_num_threads(threads)
    out.mkdir(parents=True, exist_ok=True)
    scratch.mkdir(parents=True, exist_ok=True)
    if form is Form.PROGRAM:
        from workers.intake import program

        return program.convert(path, out=out, scratch=scratch, threads=threads)
    read = _of_directory if form is Form.DIRECTORY else _of_gguf
    network, settings = read(path, scratch, log)
    return _write(network, settings, scratch / TOKENIZER_FILE, out, scratch, threads, log)


def _of_directory(
    path: Path, scratch: Path, log: Callable[[str], None]
) -> tuple[Network, dict[str, dict[str, object]]]:
    """The network with its settings; the tokenizer, if there is one, goes into ``scratch``."""
    found = directories.take_out(path, scratch / "directory")
    log("Every file of the directory is in order; loading the network.")
    from workers.intake import networks

    network = networks.of_directory(found)
    tokenizing.bring(found.folder, scratch / TOKENIZER_FILE)
    return network, found.settings


def _of_gguf(path: Path, scratch: Path, log: Callable[[str], None]) -> tuple[Network, dict[str, dict[str, object]]]:
    """The network, which has no settings; the file's own tokenizer goes into ``scratch``."""
    header = _checked_gguf(path)
    log("The GGUF file is in order; bringing its weights back to 32 bits.")
    from workers.intake import networks

    copy = scratch / "model.gguf"
    copy.symlink_to(path.resolve())
    network, tokenizer = networks.of_gguf(copy, header)
    (scratch / TOKENIZER_FILE).write_text(tokenizer)
    return network, {}


def _checked_gguf(path: Path) -> gguf.Header:
    header = gguf.check(path)
    if header.architecture not in gguf_settings.ALSO:
        raise NotConverted(
            f"Expected a GGUF file of one of the architectures {', '.join(gguf_settings.ALSO)},"
            f" found {header.architecture[:40]!r}.",
            hint="Upload the network as a Hugging Face directory instead.",
            code="model.unknown-architecture",
        )
    return header


def _write(
    network: Network,
    settings: dict[str, dict[str, object]],
    tokenizer: Path,
    out: Path,
    scratch: Path,
    threads: int,
    log: Callable[[str], None],
) -> Path:
    from workers import formats
    from workers.formats.contract_guess import CONTRACT_KEY
    from workers.intake import export

    log("Tracing the network.")
    proto = export.traced(
        network.module, network.make(2, 7), (network.output,), network.axes, scratch / "traced" / "model.onnx"
    )
    with_text = tokenizer.exists() and bool(network.max_length)
    contract = _contract(network, settings, with_text=with_text)
    # What a directory says of its network would else be lost.
    proto.metadata_props.add(key=CONTRACT_KEY, value=contract.model_dump_json())
    file = scratch / "written" / "model.onnx"
    formats.save(proto, file)
    log("Comparing the converted network with the original on 32 inputs, one by one and in sevens.")
    tolerance = export.LANGUAGE_TOLERANCE if network.head is Head.NEXT_TOKEN else export.TOLERANCE
    rows = export.examples(network.make, lengths=LENGTHS)
    apart = export.see_it_agrees(network.reference or network.module, file, rows, threads=threads, tolerance=tolerance)
    log(f"Both answer alike: at most {apart:.1e} of the largest answer apart.")
    files = {item.name: item for item in file.parent.iterdir()} | ({TOKENIZER_FILE: tokenizer} if with_text else {})
    if len(files) == 1:
        return Path(shutil.move(file, out / "model.onnx"))
    return pack(out / "model.zip", files)


def _contract(network: Network, settings: dict[str, dict[str, object]], *, with_text: bool) -> Contract:
    task, meaning = TASKS[network.head]
    classes: tuple[str, ...] = ()
    if task is Task.CLASSIFICATION:
        names = tuple(str(network.config.id2label.get(i, i)) for i in range(network.config.num_labels))
        classes = () if all(name == f"LABEL_{i}" for i, name in enumerate(names)) else names
    inputs = (
        (_picture(network, settings.get("preprocessor_config.json", {})),)
        if network.head is Head.PICTURE_CLASSES
        else tuple(InputSpec(name=name, dtype="int64", shape=(-1,), layout="other") for name in network.inputs)
    )
    tokenizer = None
    if with_text:
        window = min(USUAL_WINDOW, network.max_length) if task is Task.CAUSAL_LM else network.max_length
        tokenizer = TokenizerSpec(max_length=window, pad_id=int(getattr(network.config, "pad_token_id", None) or 0))
    return Contract(
        task=task,
        inputs=inputs,
        outputs=(OutputSpec(name=network.output, meaning=meaning),),  # type: ignore[arg-type]
        classes=classes,
        tokenizer=tokenizer,
    )


def _picture(network: Network, said: dict[str, object]) -> InputSpec:
    """The input of a picture network, with the scaling its directory names."""
    try:
        example = network.make(1, 1)["pixel_values"]
        colours, high, wide = (int(side) for side in example.shape[1:])
        normal = said.get("do_normalize", True)
        mean = tuple(float(value) for value in said.get("image_mean", ())) if normal else ()  # type: ignore[attr-defined]
        std = tuple(float(value) for value in said.get("image_std", ())) if normal else ()  # type: ignore[attr-defined]
        scale = float(said.get("rescale_factor", 1 / 255))  # type: ignore[arg-type]
    except (TypeError, ValueError):
        raise YoursToFix(
            "Expected numbers for mean, standard deviation and scale in preprocessor_config.json, found others.",
            hint="Save the processor again with processor.save_pretrained(folder).",
            code="model.settings-broken",
        ) from None
    return InputSpec(
        name="pixel_values", shape=(colours, high, wide), layout="CHW", channels="RGB" if colours == 3 else "gray",
        resize=(high, wide), scale=scale, mean=mean, std=std,
    )  # fmt: skip
