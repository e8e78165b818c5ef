"""A first guess at the input contract, for a person to confirm."""

import math
from collections.abc import Sequence

import onnx

from workers.contract import Channels, Contract, InputSpec, Layout, Meaning, OutputSpec, Per, Task, batch_axes
from workers.facts import DatasetFacts, ModelFacts, TensorFacts
from workers.formats.class_names import class_names

# Mean and standard deviation of the ImageNet training set for channels from 0 to 1, as nearly every
# network trained on it expects (published with Krizhevsky et al. 2012 and in every model library since).
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
IMAGENET_RESIZE = {224: 256}
IMAGENET_SIDES = range(160, 513)
COLOURS = (1, 3)
CONTRACT_KEY = "contract"  # of the file's metadata
SMALLEST_SIDE = 4
PASSES_VALUES_ON = frozenset(
    {"Identity", "Cast", "Reshape", "Squeeze", "Flatten", "QuantizeLinear", "DequantizeLinear", "Unsqueeze"}
)
SHARES = frozenset({"Softmax", "Sigmoid", "QLinearSoftmax"})
SCALES_VALUES = frozenset({"Sub", "Div", "Mul", "Add", "Cast", "Identity", "BatchNormalization"})
MOST_HOPS = 8


def guess_contract(proto: onnx.ModelProto, facts: ModelFacts, data: DatasetFacts | None) -> Contract:
    """Guess what goes into a network and what comes out of it.

    Args:
        proto: the network; its last operators and its metadata are looked at.
        facts: what inspection found.
        data: the dataset it will be fed with, if one is known: decides the task and the value range.
    """
    told = _told(proto, facts)
    if told is not None:
        return told
    per: Per = "sample" if data is None else data.target.per
    meanings = [_meaning(proto, output) for output in facts.outputs]
    if per != "sample" and meanings:
        meanings[0] = _meaning_of_units(meanings[0], facts.outputs[0], per)
    task = Task.CLASSIFICATION if per != "sample" and meanings else _task(facts, meanings, data)
    return Contract(
        task=task,
        inputs=tuple(
            _input(proto, item, data, axis)
            for item, axis in zip(facts.inputs, batch_axes([item.shape for item in facts.inputs]), strict=True)
        ),
        outputs=tuple(
            OutputSpec(name=item.name, meaning=_settled(meaning, task), per=per if place == 0 else "sample")
            for place, (item, meaning) in enumerate(zip(facts.outputs, meanings, strict=True))
        ),
        classes=_classes(proto, facts, data, per) if task is Task.CLASSIFICATION else (),
    )


def _told(proto: onnx.ModelProto, facts: ModelFacts) -> Contract | None:
    """The contract that the conversion from another form wrote into the file, where it fits the graph."""
    said = next((item.value for item in proto.metadata_props if item.key == CONTRACT_KEY), "")
    if not said:
        return None
    try:
        told = Contract.model_validate_json(said)
    except ValueError:
        return None
    fits = {item.name for item in told.inputs} == {item.name for item in facts.inputs}
    return told if fits and [item.name for item in told.outputs] == [item.name for item in facts.outputs] else None


def _input(proto: onnx.ModelProto, tensor: TensorFacts, data: DatasetFacts | None, batch_axis: int | None) -> InputSpec:
    given = _given(tensor, data)
    shape = _sample_shape(tensor, given, batch_axis)
    layout = _layout(shape)
    channels = _channels(shape, layout)
    mean, std = _mean_and_std(proto, tensor, shape, layout)
    return InputSpec(
        name=tensor.name,
        dtype=tensor.dtype,
        shape=shape,
        layout=layout,
        channels=channels,
        resize=_resize(shape, layout),
        scale=_scale(tensor, layout, data, given),
        mean=mean,
        std=std,
        columns=_columns(shape, data),
        batch_axis=batch_axis,
    )


def _given(tensor: TensorFacts, data: DatasetFacts | None) -> TensorFacts | None:
    """The dataset's own array for an input: the one of its name, or the only one."""
    if data is None:
        return None
    named = next((item for item in data.inputs if item.name == tensor.name), None)
    return named or (data.inputs[0] if len(data.inputs) == 1 else None)


def _sample_shape(tensor: TensorFacts, given: TensorFacts | None, batch_axis: int | None) -> tuple[int, ...]:
    """The shape without the batch axis; a free axis is -1 unless the data settle it."""
    sides = [dim for axis, dim in enumerate(tensor.shape) if axis != batch_axis]
    shape = tuple(dim if isinstance(dim, int) else -1 for dim in sides)
    if given is None or len(given.shape) != len(shape):
        return shape
    return tuple(
        found if dim == -1 and isinstance(found, int) else dim for dim, found in zip(shape, given.shape, strict=True)
    )


def _layout(shape: tuple[int, ...]) -> Layout:
    if len(shape) == 1:
        return "vector"
    if len(shape) == 2 and shape[0] == shape[1] and shape[0] >= SMALLEST_SIDE:
        return "HW"
    if len(shape) == 3 and shape[0] in COLOURS and _is_area(shape[1:]):
        return "CHW"
    return "HWC" if len(shape) == 3 and shape[2] in COLOURS and _is_area(shape[:2]) else "other"


def _is_area(sides: Sequence[int]) -> bool:
    return all(side == -1 or side >= SMALLEST_SIDE for side in sides)


def _channels(shape: tuple[int, ...], layout: Layout) -> Channels:
    if layout == "HW":
        return "gray"
    count = {"CHW": shape[:1], "HWC": shape[-1:]}.get(layout)
    return "none" if count is None else "RGB" if count == (3,) else "gray"


def _sides(shape: tuple[int, ...], layout: Layout) -> tuple[int, int] | None:
    sides = {"CHW": shape[1:], "HWC": shape[:2], "HW": shape}.get(layout)
    return None if sides is None or -1 in sides else (sides[0], sides[1])


def _resize(shape: tuple[int, ...], layout: Layout) -> tuple[int, int] | None:
    """Pictures are brought to the input's size; to 256 before the crop to 224, as is usual for ImageNet."""
    sides = _sides(shape, layout)
    if sides is None:
        return None
    return (
        (IMAGENET_RESIZE.get(sides[0], sides[0]), IMAGENET_RESIZE.get(sides[1], sides[1]))
        if _channels(shape, layout) == "RGB"
        else sides
    )


def _is_imagenet_like(shape: tuple[int, ...], layout: Layout) -> bool:
    sides = _sides(shape, layout)
    return _channels(shape, layout) == "RGB" and sides is not None and all(side in IMAGENET_SIDES for side in sides)


def _mean_and_std(
    proto: onnx.ModelProto, tensor: TensorFacts, shape: tuple[int, ...], layout: Layout
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    if (
        not tensor.dtype.startswith("float")
        or not _is_imagenet_like(shape, layout)
        or _scales_itself(proto, tensor.name)
    ):
        return (), ()
    return IMAGENET_MEAN, IMAGENET_STD


def _scales_itself(proto: onnx.ModelProto, name: str) -> bool:
    """Whether the network's first operator on an input already shifts or scales it."""
    first = next((node for node in proto.graph.node if name in node.input), None)
    return first is not None and first.op_type in SCALES_VALUES


def _scale(tensor: TensorFacts, layout: Layout, data: DatasetFacts | None, given: TensorFacts | None) -> float:
    """Bytes of pictures become 0 to 1. Arrays of floats are taken to be ready."""
    if not tensor.dtype.startswith("float") or layout not in ("CHW", "HWC", "HW"):
        return 1.0
    if data is None or given is None:
        return 1 / 255 if layout != "HW" else 1.0
    return 1 / 255 if given.dtype == "uint8" else 1.0


def _columns(shape: tuple[int, ...], data: DatasetFacts | None) -> tuple[str, ...]:
    """The table's columns in the order they are fed, where there are as many as the input is wide."""
    if data is None or not data.columns or len(shape) != 1:
        return ()
    columns = tuple(column for column in data.columns if column != data.target.name)
    return columns if shape[0] in (-1, len(columns)) else ()


def _averaged(graph: onnx.GraphProto, node: onnx.NodeProto | None) -> onnx.NodeProto | None:
    """What was averaged, where those are shares: a mean of shares is a share. Looks into the branch of an If."""
    if node is not None and node.op_type == "If":
        branch = next(one.g for one in node.attribute if one.name == "then_branch")
        return _averaged(branch, _last_operator(branch, branch.output[0].name))
    if node is None or node.op_type != "ReduceMean":
        return node
    behind = _last_operator(graph, node.input[0])
    return behind if behind is not None and behind.op_type in SHARES else node


def _last_operator(graph: onnx.GraphProto, output: str) -> onnx.NodeProto | None:
    """The operator that made an output, looking back through those that only pass values on."""
    makers = {name: node for node in graph.node for name in node.output}
    node = makers.get(output)
    for _ in range(MOST_HOPS):
        if node is None or node.op_type not in PASSES_VALUES_ON or not node.input:
            return node
        node = makers.get(node.input[0]) or node
    return node


def _meaning(proto: onnx.ModelProto, output: TensorFacts) -> Meaning:
    node = _averaged(proto.graph, _last_operator(proto.graph, output.name))
    op = "" if node is None else node.op_type
    if op in SHARES:
        return "probabilities"
    if output.dtype.startswith(("int", "uint", "string")):
        return (
            "labels"
            if op in ("ArgMax", "TreeEnsembleClassifier", "LinearClassifier", "ZipMap", "TopK", "ArrayFeatureExtractor")
            else "other"
        )
    if op in ("LpNormalization", "LayerNormalization", "SkipLayerNormalization"):
        return "embedding"
    return "logits" if _width(output) >= 2 else "values"


def _meaning_of_units(meaning: Meaning, output: TensorFacts, per: Per) -> Meaning:
    """Whole numbers, one for each frame or pixel, are class numbers; anything but probabilities is taken as logits."""
    if output.dtype.startswith(("int", "uint")) and len(output.shape) == (2 if per == "frame" else 3):
        return "labels"
    return meaning if meaning in ("probabilities", "labels") else "logits"


def _width(output: TensorFacts) -> int:
    """How many values one sample gets; 0 where that is not fixed or they are no plain row."""
    sample = [dim for dim in output.shape[1:] if dim != 1]
    if not sample:
        return 1
    return sample[0] if len(sample) == 1 and isinstance(sample[0], int) and sample[0] > 0 else 0


def _task(facts: ModelFacts, meanings: list[Meaning], data: DatasetFacts | None) -> Task:
    if not facts.outputs:
        return Task.OTHER
    width, meaning = _width(facts.outputs[0]), meanings[0]
    if width == 0 or meaning == "other":
        return Task.OTHER
    kind = "none" if data is None else data.target.kind
    if kind == "class":
        return Task.CLASSIFICATION if width >= 2 or meaning in ("probabilities", "labels") else Task.REGRESSION
    if kind == "number" and meaning in ("logits", "values", "embedding"):
        return Task.REGRESSION
    by_meaning = {"embedding": Task.EMBEDDING, "values": Task.REGRESSION}
    return by_meaning.get(meaning, Task.CLASSIFICATION)


def _settled(meaning: Meaning, task: Task) -> Meaning:
    """What an output means once the task is known."""
    if task is Task.REGRESSION and meaning in ("logits", "embedding"):
        return "values"
    return "logits" if task is Task.CLASSIFICATION and meaning in ("embedding", "values") else meaning


def _classes(proto: onnx.ModelProto, facts: ModelFacts, data: DatasetFacts | None, per: Per) -> tuple[str, ...]:
    """Names from the file's metadata, else those of the data, where there is one for each output."""
    shape = facts.outputs[0].shape
    sides = {"sample": shape[1:], "frame": shape[2:], "pixel": shape[1:2] if len(shape) == 4 else ()}[per]
    width = math.prod(dim for dim in sides if isinstance(dim, int) and dim > 0)
    names = class_names(proto)
    if names and len(names) in (width, 2 if width == 1 else width):
        return names
    found = () if data is None else data.target.classes
    return found if len(found) == width else ()
