"""A perceptron that finds anomalies in the readings of a shuttle's sensors."""

import json
from pathlib import Path

from compressionhub.site.bench.peers import material
from compressionhub.site.bench.peers.line import Line, Options
from compressionhub.site.bench.peers.rig import BY_HAND, Measured, Rig, by_hand, command, recipe

TITLE = "tabular anomaly perceptron"
SMALLER, FASTER = 44.0, (3.5, 6.0)
MOST_LOST = 0.001
METRIC = "ap"


def _narrow(folder: Path, options: Options) -> Line:
    data, network = material.anomalies(folder), folder / "perceptron.onnx"
    if not network.exists():
        command(BY_HAND / "train_perceptron.py", data, network)
    ours = recipe("small-perceptron", network, data, folder)
    peer = by_hand("torch_narrow_perceptron", network, data, out=folder / "peer-perceptron.onnx")
    rig = Rig(network, data, ours.path.parent)
    theirs, own = rig.measure(peer.path, METRIC), rig.measure(ours.path, METRIC)
    return Line(
        "pruned, trained again, INT8 where faster", f"three quarters pruned by hand, INT8: {_said(theirs)}",
        f"{_said(own)}, {_precision(ours.path.parent)}",
        "≥ 44×, ≥ 3.5× / 6×, AP −0.001 at most",
        own.at_least(SMALLER, *FASTER) and own.change >= -MOST_LOST, str(ours.took),
    )  # fmt: skip


def _precision(run: Path) -> str:
    """What the artifact ended in, as its manifest says."""
    return str(json.loads((run / "manifest.json").read_text())["precision"])


def _said(found: Measured) -> str:
    return f"AP {found.metric:.4f} ({found.change:+.4f}), {found.smaller:.1f}×, {found.speeds}"


WORKS = {"narrow": _narrow}
