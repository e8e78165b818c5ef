"""A residual convolutional network on Fashion-MNIST: static INT8, a limit on the loss, and the whole chain."""

from pathlib import Path

from compressionhub.site.bench.peers import material
from compressionhub.site.bench.peers.line import Line, Options
from compressionhub.site.bench.peers.rig import BY_HAND, Measured, Rig, by_hand, command, recipe

TITLE = "Fashion-MNIST CNN"
MOST_CPU_SECONDS = 15 * 60
CHAIN_POINTS, CHAIN_SMALLER, CHAIN_FASTER = 1.0, 20.0, (3.6, 4.8)
NARROW_MACS, NARROW_ACCURACY = 8.5, 0.914
CONTROLLED_SECONDS, CONTROLLED_POINTS = 60.0, 0.1


def _material(folder: Path, options: Options) -> tuple[Path, Path]:
    """The network and its data; without a trained network of this kind one is trained."""
    data = folder / "fashion.npz"
    if not data.exists():
        material.pictures(folder)
    network = folder / "cnn.onnx"
    if options.cnn is None and not network.exists():
        command(BY_HAND / "train_cnn.py", data, network)
    return options.cnn or network, data


def _static(folder: Path, options: Options) -> Line:
    trained, data = _material(folder, options)
    ours = recipe("static-int8", trained, data, folder)
    peer = by_hand("onnxruntime_static_int8", trained, data, out=folder / "peer-static.onnx")
    rig = Rig(trained, data, ours.path.parent)
    theirs, own = rig.measure(peer.path, "accuracy"), rig.measure(ours.path, "accuracy")
    not_behind = own.smaller >= 0.99 * theirs.smaller and own.change >= theirs.change - 0.002
    as_fast = all(own.faster[batch] >= 0.95 * theirs.faster[batch] for batch in own.faster)
    return Line(
        "static INT8", f"onnxruntime, per channel: {_said(theirs)}", _said(own),
        "not behind: size ±1 %, time ±5 %, accuracy ±0.2 points", not_behind and as_fast, str(ours.took),
    )  # fmt: skip


def _controlled(folder: Path, options: Options) -> Line:
    trained, data = _material(folder, options)
    ours = recipe("accuracy-int8", trained, data, folder)
    own = Rig(trained, data, ours.path.parent).measure(ours.path, "accuracy")
    return Line(
        "INT8, at most 0.1 points lost on validation data", "NNCF: not finished in 4 minutes (published)", _said(own),
        f"≤ {CONTROLLED_SECONDS:.0f} s, the run with all its measurements included",
        ours.took.seconds <= CONTROLLED_SECONDS, str(ours.took),
    )  # fmt: skip


def _chain(folder: Path, options: Options) -> Line:
    trained, data = _material(folder, options)
    ours = recipe("small-and-fast-cnn", trained, data, folder)
    own = Rig(trained, data, ours.path.parent).measure(ours.path, "accuracy")
    good = own.change * 100 >= -CHAIN_POINTS and own.at_least(CHAIN_SMALLER, *CHAIN_FASTER)
    return Line(
        "any chain in 15 CPU-minutes", "torch-pruning, distillation, INT8 (published): −0.91, 14.4×, 3.2× / 3.8×",
        _said(own), "≤ 1.0 point, ≥ 20×, ≥ 3.6× / 4.8×",
        good and ours.took.processor_seconds <= MOST_CPU_SECONDS, str(ours.took),
    )  # fmt: skip


def _narrow(folder: Path, options: Options) -> Line:
    trained, data = _material(folder, options)
    ours = recipe("narrow-cnn", trained, data, folder)
    rig = Rig(trained, data, ours.path.parent)
    own, less = rig.measure(ours.path, "accuracy"), _fewer_macs(trained, ours.path)
    peer = "torch-pruning, distillation (published): 90.99% (−1.26), MACs ÷ 8.5"
    if not options.published:
        made = by_hand("torch_pruning_cnn", trained, data, NARROW_MACS, out=folder / "peer-narrow.onnx")
        theirs = rig.measure(made.path, "accuracy")
        peer = (
            f"torch-pruning, distillation: {theirs.points}, MACs ÷ {_fewer_macs(trained, made.path):.1f}, {made.took}"
        )
    good = own.metric >= NARROW_ACCURACY and less >= NARROW_MACS
    return Line(
        f"MACs ÷ {NARROW_MACS} with recovery", peer,
        f"{own.points}, MACs ÷ {less:.1f}, {own.smaller:.1f}×, {own.speeds}", "≥ 91.4 %",
        good and ours.took.processor_seconds <= MOST_CPU_SECONDS, str(ours.took),
    )  # fmt: skip


def _fewer_macs(before: Path, after: Path) -> float:
    from workers import formats

    return formats.inspect(before)[1].macs / formats.inspect(after)[1].macs


def _said(found: Measured) -> str:
    return f"{found.points}, {found.smaller:.1f}×, {found.speeds}"


WORKS = {"static-int8": _static, "accuracy-int8": _controlled, "chain": _chain, "narrow": _narrow}
