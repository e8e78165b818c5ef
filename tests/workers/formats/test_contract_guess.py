"""The guess at an input contract, from the network alone and with data."""

import json

import pytest
from onnx import helper

from tests.material import _weight as weight
from tests.material import model_of, tiny_cnn, tiny_lstm, tiny_mlp
from workers import formats
from workers.contract import Task
from workers.facts import DatasetFacts, TargetFacts, TensorFacts


def guess(proto, data=None):
    return formats.guess_contract(proto, formats.facts(proto), data)


def data_of(dtype, shape, *, kind="class", classes=(), columns=(), form="npz"):
    return DatasetFacts(
        format=form,
        size_bytes=1,
        inputs=(TensorFacts(name="x", dtype=dtype, shape=shape),),
        target=TargetFacts(kind=kind, name="y", classes=classes),
        roles={},
        columns=columns,
    )


def classifier(shape, *, last=None, width=1000, first=None):
    """Flat weights on an input of this shape, optionally with an operator before and one behind."""
    size = 1
    for side in shape:
        size *= side
    nodes = [helper.make_node(first, ["x"], ["x0"])] if first else []
    nodes += [helper.make_node("Flatten", [nodes[0].output[0] if first else "x"], ["f"])]
    nodes += [helper.make_node("Gemm", ["f", "w"], ["g" if last else "y"], transB=1)]
    nodes += [helper.make_node(last, ["g"], ["y"])] if last else []
    return model_of(nodes, [weight("w", width, size, seed=0)], inputs={"x": ("N", *shape)}, outputs={"y": ("N", width)})


def test_a_224_picture_network_is_guessed_to_be_imagenet_like():
    spec = guess(classifier((3, 224, 224), width=2)).inputs[0]

    assert (spec.layout, spec.channels, spec.resize) == ("CHW", "RGB", (256, 256))
    assert spec.scale == pytest.approx(1 / 255)
    assert spec.mean == (0.485, 0.456, 0.406)
    assert spec.std == (0.229, 0.224, 0.225)


@pytest.mark.parametrize(
    ("shape", "layout", "channels"),
    [
        ((1, 28, 28), "CHW", "gray"),
        ((32, 32, 3), "HWC", "RGB"),
        ((8, 8), "HW", "gray"),
        ((64,), "vector", "none"),
        ((12, 6), "other", "none"),
        ((2, 16, 16), "other", "none"),
    ],
)
def test_layout_and_channels_follow_from_the_shape(shape, layout, channels):
    spec = guess(classifier(shape, width=3)).inputs[0]

    assert (spec.layout, spec.channels) == (layout, channels)
    assert spec.mean == ()


@pytest.mark.parametrize(
    ("last", "width", "task", "meaning"),
    [
        (None, 10, Task.CLASSIFICATION, "logits"),
        ("Softmax", 10, Task.CLASSIFICATION, "probabilities"),
        ("Sigmoid", 1, Task.CLASSIFICATION, "probabilities"),
        (None, 1, Task.REGRESSION, "values"),
        ("LpNormalization", 384, Task.EMBEDDING, "embedding"),
    ],
)
def test_the_last_operator_and_the_width_tell_the_task(last, width, task, meaning):
    contract = guess(classifier((64,), last=last, width=width))

    assert (contract.task, contract.outputs[0].meaning) == (task, meaning)


def test_a_softmax_is_found_behind_operators_that_only_pass_values_on():
    proto = classifier((64,), last="Softmax", width=4)
    proto.graph.node[-1].output[0] = "s"
    proto.graph.node.append(helper.make_node("Identity", ["s"], ["y"]))

    assert guess(proto).outputs[0].meaning == "probabilities"


def test_numbers_to_predict_make_a_wide_output_a_regression():
    assert guess(tiny_mlp(), data_of("float32", (64,), kind="number")).task is Task.REGRESSION
    assert guess(tiny_lstm()).task is Task.REGRESSION


@pytest.mark.parametrize(("dtype", "scale"), [("uint8", 1 / 255), ("float32", 1.0)])
def test_bytes_are_scaled_to_one_and_floats_are_taken_as_ready(dtype, scale):
    assert guess(tiny_cnn(), data_of(dtype, (8, 8))).inputs[0].scale == pytest.approx(scale)


@pytest.mark.parametrize(
    "text", [json.dumps(list("abcdefghij")), "a,b,c,d,e,f,g,h,i,j", "a\nb\nc\nd\ne\nf\ng\nh\ni\nj"]
)
def test_class_names_come_from_the_metadata(text):
    proto = tiny_mlp()
    proto.metadata_props.add(key="classes", value=text)

    assert guess(proto).classes == tuple("abcdefghij")


def test_a_mapping_written_by_python_is_read_as_names():
    proto = tiny_mlp()
    proto.metadata_props.add(key="names", value=str({number: f"class {number}" for number in reversed(range(10))}))

    assert guess(proto).classes[:2] == ("class 0", "class 1")


@pytest.mark.parametrize("text", ["a,b", "{0: 'a', 2: 'c'}", "[" * 100_000, "__import__('os').system('true')", ""])
def test_metadata_that_do_not_name_every_class_are_left_alone(text):
    proto = tiny_mlp()
    proto.metadata_props.add(key="names", value=text)

    assert guess(proto).classes == ()


def test_class_names_come_from_the_data_where_the_file_has_none():
    assert guess(tiny_mlp(), data_of("float32", (64,), classes=tuple("0123456789"))).classes == tuple("0123456789")
    assert guess(tiny_mlp(), data_of("float32", (64,), classes=tuple("012"))).classes == ()


def test_the_columns_of_a_table_are_fed_in_their_order_without_the_target():
    table = data_of("float64", (3,), columns=("age", "y", "height", "weight"), form="csv")

    assert guess(tiny_mlp(3), table).inputs[0].columns == ("age", "height", "weight")
    assert guess(tiny_mlp(4), table).inputs[0].columns == ()


def test_a_network_that_scales_its_input_itself_gets_no_second_mean():
    assert guess(classifier((3, 224, 224), first="Identity", width=2)).inputs[0].mean == ()
