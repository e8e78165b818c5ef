"""A recurrent speech detector, frame by frame from the states the float network had."""

from pathlib import Path

from compressionhub.site.bench.peers import material
from compressionhub.site.bench.peers.line import Line, Options
from compressionhub.site.bench.peers.rig import Measured, Rig, by_hand, recipe

TITLE = "recurrent speech detector"
MOST_LOST, SMALLER, FASTER = 0.0005, 1.45, 1.35
METRIC = "auc"


def _int8(folder: Path, options: Options) -> Line:
    network = material.package_file("silero-vad", "silero_vad", "data/silero_vad_16k_op15.onnx")
    data = material.frames(folder, network)
    ours = recipe("int8-recurrent", network, data, folder, contract=_contract(folder))
    rig = Rig(network, data, ours.path.parent)
    default = by_hand("onnxruntime_dynamic_int8", network, "all", out=folder / "default.onnx")
    careful = by_hand("onnxruntime_dynamic_int8", network, "LSTM,MatMul", out=folder / "careful.onnx")
    first, second, own = (rig.measure(made.path, METRIC, batches=(1,)) for made in (default, careful, ours))
    return Line(
        "INT8", f"onnxruntime, dynamic: {_said(first)}; LSTM and MatMul alone: {_said(second)}", _said(own),
        "AUC −0.0005 at most, ≥ 1.45× smaller, ≥ 1.35× at batch 1",
        own.change >= -MOST_LOST and own.at_least(SMALLER, FASTER), str(ours.took),
    )  # fmt: skip


def _contract(folder: Path) -> Path:
    """What the detector takes: a window with its context, a state with the rows second, and one sample rate for all."""
    from workers.contract import Contract, InputSpec, OutputSpec, Task

    contract = Contract(
        task=Task.CLASSIFICATION,
        inputs=(
            InputSpec(name="input", shape=(material.CONTEXT + material.WINDOW,), layout="vector"),
            InputSpec(name="state", shape=(2, 128), batch_axis=1),
            InputSpec(name="sr", dtype="int64", shape=(), batch_axis=None),
        ),
        outputs=(OutputSpec(name="output", meaning="probabilities"),),
        classes=("0", "1"),
        headline=METRIC,
    )
    (folder / "contract.json").write_text(contract.model_dump_json())
    return folder / "contract.json"


def _said(found: Measured) -> str:
    return f"AUC {found.metric:.4f} ({found.change:+.4f}), {found.smaller:.2f}×, {found.speeds}"


WORKS = {"int8": _int8}
