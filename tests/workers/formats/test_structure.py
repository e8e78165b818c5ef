"""Hostile graphs: each is refused with its own code, quickly, before anything walks through it."""

import onnx
import pytest
from onnx import helper

from tests.material import model_of, tiny_mlp, write
from workers import formats
from workers.errors import YoursToFix
from workers.formats import structure


def code_of(proto, folder):
    with pytest.raises(YoursToFix) as caught:
        formats.load(write(proto, folder / "model.onnx"))
    assert caught.value.hint
    return caught.value.code


def chain(depth):
    """The bytes of ``depth`` nested graphs with one branch each, written from the inside out in linear time."""
    graph = helper.make_graph([], "innermost", [], []).SerializeToString()
    for _ in range(depth):
        attribute = _field(1, b"then_branch") + _field(6, graph) + b"\xa0\x01\x05"
        node = _field(2, b"d") + _field(4, b"If") + _field(5, attribute)
        graph = _field(1, node)
    graph += _field(12, _field(1, b"d"))
    return b"\x08\x08" + _field(8, b"\x10\x11") + _field(7, graph)


def _field(number, data):
    length, out = len(data), bytes([number << 3 | 2])
    while length >= 0x80:
        out += bytes([length & 0x7F | 0x80])
        length >>= 7
    return out + bytes([length]) + data


def test_three_nested_branches_are_fine_and_twenty_are_too_deep():
    proto = onnx.ModelProto()

    proto.ParseFromString(chain(3))
    structure.check(proto)

    proto.ParseFromString(chain(20))
    with pytest.raises(YoursToFix) as caught:
        structure.check(proto)
    assert caught.value.code == "model.too-deep"


def test_ten_thousand_nested_graphs_do_not_overflow_the_stack(tmp_path):
    (tmp_path / "deep.onnx").write_bytes(chain(10_000))

    with pytest.raises(YoursToFix) as caught:
        formats.load(tmp_path / "deep.onnx")

    assert caught.value.code == "model.unreadable"


def test_a_million_nodes_are_too_many(tmp_path):
    proto = model_of([], [], inputs={"x": (1,)}, outputs={"y": (1,)})
    one = helper.make_node("Relu", ["x"], ["y"]).SerializeToString()
    graph = proto.graph.SerializeToString() + (b"\x0a" + bytes([len(one)]) + one) * 1_000_000
    proto.ClearField("graph")
    head = proto.SerializeToString()
    (tmp_path / "model.onnx").write_bytes(head + _field(7, graph))

    with pytest.raises(YoursToFix) as caught:
        formats.load(tmp_path / "model.onnx")

    assert caught.value.code == "model.too-many-nodes"


def test_a_function_that_calls_itself_is_refused(tmp_path):
    proto = tiny_mlp()
    for name, called in (("A", "B"), ("B", "A")):
        node = helper.make_node(called, ["x"], ["y"], domain="own")
        proto.functions.append(helper.make_function("own", name, ["x"], ["y"], [node], [helper.make_opsetid("", 17)]))
    proto.opset_import.append(helper.make_opsetid("own", 1))

    assert code_of(proto, tmp_path) == "model.recursive-function"


def test_functions_that_grow_without_bound_when_written_out_are_refused(tmp_path):
    proto = tiny_mlp()
    for level in range(12):  # ten calls each: 10^12 nodes
        op, domain = ("Relu", "") if level == 0 else (f"F{level - 1}", "own")
        nodes = [helper.make_node(op, ["x"], [f"y{number}"], domain=domain) for number in range(10)]
        imports = [helper.make_opsetid("", 17), helper.make_opsetid("own", 1)]
        proto.functions.append(helper.make_function("own", f"F{level}", ["x"], ["y0"], nodes, imports))
    proto.opset_import.append(helper.make_opsetid("own", 1))
    proto.graph.node.append(helper.make_node("F11", ["x"], ["z"], domain="own"))

    assert code_of(proto, tmp_path) == "model.too-many-nodes"


def test_a_weight_stored_twice_is_refused(tmp_path):
    proto = tiny_mlp()
    proto.graph.initializer.append(proto.graph.initializer[0])

    assert code_of(proto, tmp_path) == "model.duplicate-name"


@pytest.mark.parametrize("dims", [[1 << 62, 1 << 62], [1 << 62], [-1, 64], [1 << 41]])
def test_dims_that_overflow_or_are_negative_are_refused(dims, tmp_path):
    proto = tiny_mlp()
    del proto.graph.initializer[0].dims[:]
    proto.graph.initializer[0].dims.extend(dims)

    assert code_of(proto, tmp_path) == "model.dims"


@pytest.mark.parametrize("field", ["raw", "typed"])
def test_a_weight_must_hold_as_much_as_its_dims_announce(field, tmp_path):
    proto = tiny_mlp()
    tensor = proto.graph.initializer[0]
    if field == "typed":
        tensor.ClearField("raw_data")
        tensor.float_data.extend([0.0] * 7)
    else:
        tensor.raw_data = tensor.raw_data[:-4]

    assert code_of(proto, tmp_path) == "model.tensor-size"


def test_a_custom_operator_is_refused_by_name(tmp_path):
    proto = tiny_mlp()
    proto.graph.node.append(helper.make_node("Steal", ["x"], ["z"], domain="evil.ops"))
    proto.opset_import.append(helper.make_opsetid("evil.ops", 1))

    with pytest.raises(YoursToFix) as caught:
        formats.load(write(proto, tmp_path / "model.onnx"))

    assert caught.value.code == "model.custom-operator"
    assert "Steal" in caught.value.message


def test_a_functions_own_operators_are_no_custom_operators(tmp_path):
    proto = model_of(
        [helper.make_node("Twice", ["x"], ["y"], domain="own")], [], inputs={"x": ("N", 4)}, outputs={"y": ("N", 4)}
    )
    body = helper.make_node("Add", ["x", "x"], ["y"])
    proto.functions.append(helper.make_function("own", "Twice", ["x"], ["y"], [body], [helper.make_opsetid("", 17)]))
    proto.opset_import.append(helper.make_opsetid("own", 1))

    assert formats.load(write(proto, tmp_path / "model.onnx")) == proto


@pytest.mark.parametrize(("opset", "ir"), [(1, 8), (99, 8), (17, 1), (17, 99)])
def test_versions_nobody_here_can_run_are_refused(opset, ir, tmp_path):
    proto = tiny_mlp()
    proto.opset_import[0].version = opset
    proto.ir_version = ir

    assert code_of(proto, tmp_path) == "model.version"


def test_what_onnx_finds_invalid_is_refused_with_its_words(tmp_path):
    proto = tiny_mlp()
    proto.graph.node[0].input[0] = "nobody"

    with pytest.raises(YoursToFix) as caught:
        formats.load(write(proto, tmp_path / "model.onnx"))

    assert caught.value.code == "model.invalid-graph"


def test_loading_leaves_a_valid_network_as_it_was(tmp_path):
    proto = tiny_mlp()

    assert formats.load(write(proto, tmp_path / "model.onnx")) == onnx.load(tmp_path / "model.onnx")
