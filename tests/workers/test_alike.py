"""Which networks can stand in for another one: the same inputs and answers, under whatever names."""

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import helper

from tests.material import model_of, tiny_cnn, tiny_mlp
from workers import formats
from workers.alike import NotAlike, see_borders_match, see_contracts_match, see_vocabularies_match
from workers.contract import Contract, InputSpec, OutputSpec, Task, TokenizerSpec
from workers.graph.borders import in_place_of

PICTURE = InputSpec(name="x", shape=(1, 8, 8), layout="CHW", scale=1 / 255)
JOB = Contract(
    task=Task.CLASSIFICATION,
    inputs=(PICTURE,),
    outputs=(OutputSpec(name="y", meaning="logits"),),
    classes=("cat", "dog"),
)


def test_other_names_and_a_free_side_are_no_difference():
    other = JOB.model_copy(
        update={
            "inputs": (PICTURE.model_copy(update={"name": "pixels", "shape": (1, -1, -1)}),),
            "outputs": (OutputSpec(name="scores", meaning="logits"),),
            "classes": (),
        }
    )

    see_contracts_match(JOB, other, name="small v1")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"task": Task.REGRESSION}, "task is regression, not classification"),
        ({"inputs": (PICTURE.model_copy(update={"scale": 1.0}),)}, "scale of input 'x' is 1, not 0.00392157"),
        ({"inputs": (PICTURE.model_copy(update={"shape": (3, 8, 8)}),)}, "shape of input 'x' is 3, 8, 8, not 1, 8, 8"),
        ({"inputs": (PICTURE, PICTURE.model_copy(update={"name": "z"}))}, "number of inputs is 2, not 1"),
        ({"outputs": (OutputSpec(name="y", meaning="probabilities"),)}, "meaning of output 'y' is probabilities"),
        ({"outputs": (OutputSpec(name="y", meaning="logits", per="pixel"),)}, "per of output 'y' is pixel"),
        ({"classes": ("dog", "cat")}, "class names is dog, cat, not cat, dog"),
    ],
)
def test_the_first_difference_is_said_with_both_sides(changes, said):
    with pytest.raises(NotAlike) as caught:
        see_contracts_match(JOB, JOB.model_copy(update=changes), name="small v1")

    assert said in caught.value.message and caught.value.message.startswith("Expected small v1")
    assert caught.value.hint and caught.value.code == "model.not-alike"


def test_texts_must_be_cut_alike_and_tokens_have_the_same_numbers():
    job = JOB.model_copy(update={"tokenizer": TokenizerSpec(max_length=128)})
    see_contracts_match(job, JOB, name="small v1")  # says nothing of texts
    see_vocabularies_match({"a": 0, "b": 1}, None, name="small v1")

    with pytest.raises(NotAlike, match="most tokens of a text is 9, not 128"):
        see_contracts_match(job, JOB.model_copy(update={"tokenizer": TokenizerSpec(max_length=9)}), name="small v1")
    with pytest.raises(NotAlike, match="vocabulary is another with 2, not that of the job with 2 tokens"):
        see_vocabularies_match({"a": 0, "b": 1}, {"a": 1, "b": 0}, name="small v1")


@pytest.mark.parametrize(
    ("other", "said"),
    [
        (tiny_mlp(features=63), "shape of input 'x' is N × 63, not N × 64"),
        (tiny_mlp(classes=9), "shape of output 'y' is N × 9, not N × 10"),
        (tiny_cnn(), "shape of input 'x' is N × 1 × 8 × 8, not N × 64"),
    ],
)
def test_graphs_with_other_borders_are_refused(other, said):
    with pytest.raises(NotAlike, match=said):
        see_borders_match(formats.facts(tiny_mlp()), formats.facts(other), name="small.onnx")


def two_inputs(first: str, second: str, result: str, inner: str) -> onnx.ModelProto:
    """``result = 2 first - second``; ``inner`` lies between."""
    nodes = [helper.make_node("Add", [first, first], [inner]), helper.make_node("Sub", [inner, second], [result])]
    return model_of(nodes, [], inputs={first: ("n", 3), second: ("n", 3)}, outputs={result: ("n", 3)})


def fed(proto: onnx.ModelProto, **values: np.ndarray) -> np.ndarray:
    onnx.checker.check_model(proto, full_check=True)
    session = ort.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, values)[0]


@pytest.mark.parametrize("inner", ["t", "x", "y"])
def test_names_are_taken_over_whatever_they_name_inside(inner):
    job, other = two_inputs("x", "z", "y", "h"), two_inputs("a", "b", "c", inner)
    x, z = np.random.default_rng(0).normal(size=(2, 4, 3)).astype(np.float32)

    made = in_place_of(other, job, [("x", "a"), ("z", "b")], [("y", "c")])

    assert [item.name for item in made.graph.input] == ["x", "z"] and made.graph.output[0].name == "y"
    assert np.array_equal(fed(made, x=x, z=z), fed(other, a=x, b=z))


def test_swapped_names_and_another_order_are_told_apart():
    job, other = two_inputs("x", "z", "y", "h"), two_inputs("z", "x", "y", "h")
    x, z = np.random.default_rng(0).normal(size=(2, 4, 3)).astype(np.float32)

    by_name = in_place_of(other, job, [("x", "x"), ("z", "z")], [("y", "y")])
    by_place = in_place_of(other, job, [("x", "z"), ("z", "x")], [("y", "y")])

    assert [item.name for item in by_name.graph.input] == ["x", "z"]
    assert np.array_equal(fed(by_name, x=x, z=z), 2 * z - x)
    assert np.array_equal(fed(by_place, x=x, z=z), 2 * x - z)
