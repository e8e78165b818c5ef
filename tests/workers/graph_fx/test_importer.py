"""What the imported network is made of, what comes back unchanged, and what is refused."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from tests.workers.graph_fx import networks
from tests.workers.graph_fx.agreement import assert_agrees, assert_close, fed, run, run_torch
from tests.workers.graph_fx.networks import exported, randomize
from workers.errors import YoursToFix
from workers.graph.fx import CannotExport, UnsupportedOperator, layer_paths, to_onnx, to_torch

IMAGE = torch.zeros(2, 3, 16, 16)
IDS = torch.zeros(2, 6, dtype=torch.long)


def graph_of(nodes, inputs, outputs, weights=(), *, opset=17):
    """A model; borders as name → (type, shape)."""
    borders = [[helper.make_tensor_value_info(n, t, s) for n, (t, s) in each.items()] for each in (inputs, outputs)]
    stored = [numpy_helper.from_array(values, name) for name, values in dict(weights).items()]
    graph = helper.make_graph(nodes, "g", *borders, stored)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def kinds(module):
    return {type(part).__name__ for part in module.modules()}


def test_layers_with_weights_become_the_modules_that_pruners_know():
    resnet = to_torch(exported(randomize(networks.resnet()), IMAGE, fold_batch_norm=False))
    language = to_torch(exported(randomize(networks.LanguageModel()), IDS))

    assert {"Conv2d", "BatchNorm2d", "Linear"} <= kinds(resnet)
    assert {"Embedding", "LayerNorm", "Linear"} <= kinds(language)


@pytest.mark.parametrize("opset", [14, 17])
def test_layer_normalisation_is_found_where_it_is_spelt_out(opset):
    proto = exported(randomize(networks.ViT()), IMAGE, opset=opset)

    module = to_torch(proto)

    assert sum(isinstance(part, nn.LayerNorm) for part in module.modules()) == 5
    assert not any("Sqrt" in str(node.meta.get("onnx")) for node in module.graph.nodes)


def test_modules_live_where_their_weights_were_called():
    module = to_torch(exported(randomize(networks.LeNet()), torch.zeros(1, 1, 16, 16)))

    assert isinstance(module.get_submodule("conv1"), nn.Conv2d)
    assert isinstance(module.get_submodule("fc2"), nn.Linear)


def test_layers_are_found_by_the_names_that_pages_show():
    encoder = exported(randomize(networks.Encoder()), IDS, torch.ones(2, 6, dtype=torch.long))
    products = [node.name for node in encoder.graph.node if node.op_type == "MatMul"]

    module = to_torch(encoder)

    paths = layer_paths(module)
    found = [paths[name] for name in products if name in paths]
    assert len(found) == 12
    assert all(isinstance(module.get_submodule(path), nn.Linear) for path in found)


def test_names_of_parameters_lead_back_to_initializers_with_the_same_values():
    proto = exported(randomize(networks.LeNet()), torch.zeros(1, 1, 16, 16))
    stored = {tensor.name: numpy_helper.to_array(tensor) for tensor in proto.graph.initializer}

    module = to_torch(proto)

    names = module.meta["initializers"]
    assert {name for name, _ in module.named_parameters()} <= set(names)
    for path, parameter in module.named_parameters():
        assert np.array_equal(stored[names[path]], parameter.detach().numpy())


def test_names_of_nodes_and_weights_survive_the_way_there_and_back():
    proto = exported(randomize(networks.resnet()), IMAGE, fold_batch_norm=False)

    again = to_onnx(to_torch(proto), like=proto)

    def outline(model):
        return [
            (node.op_type, node.name, tuple(node.output)) for node in model.graph.node if node.op_type != "Constant"
        ]

    live = [entry for entry in outline(proto) if entry[0] != "Identity"]
    assert outline(again) == live
    weights = {tensor.name for tensor in proto.graph.initializer}
    assert {tensor.name for tensor in again.graph.initializer} <= weights


def test_metadata_and_free_axes_survive():
    proto = exported(randomize(networks.LeNet()), torch.zeros(1, 1, 16, 16))
    proto.metadata_props.add(key="classes", value="cat,dog")

    again = to_onnx(to_torch(proto), like=proto)

    assert again.graph.input[0].type.tensor_type.shape.dim[0].dim_param == "batch"
    assert [(entry.key, entry.value) for entry in again.metadata_props] == [("classes", "cat,dog")]
    assert again.opset_import == proto.opset_import


def test_a_tied_head_is_one_parameter_and_is_stored_once():
    proto = exported(randomize(networks.LanguageModel()), IDS)
    assert sum(sorted(tensor.dims) == [16, 40] for tensor in proto.graph.initializer) == 2  # the exporter's copy

    module = assert_agrees(proto)
    again = to_onnx(module, like=proto)

    tied = [p for p in module.parameters() if tuple(p.shape) == (40, 16)]
    assert len(tied) == 1
    assert sum(sorted(tensor.dims) == [16, 40] for tensor in again.graph.initializer) == 1


def test_one_weight_in_two_layers_stays_one_weight():
    x, weight = ("x", "w"), np.eye(4, dtype=np.float32) * 2
    nodes = [
        helper.make_node("MatMul", list(x), ["h"], name="first"),
        helper.make_node("Relu", ["h"], ["a"]),
        helper.make_node("MatMul", ["a", "w"], ["y"], name="second"),
    ]
    border = (TensorProto.FLOAT, ["n", 4])
    proto = graph_of(nodes, {"x": border}, {"y": border}, {"w": weight})

    module = assert_agrees(proto)

    assert len(list(module.parameters())) == 1
    assert len(to_onnx(module, like=proto).graph.initializer) == 1


def test_a_weight_used_both_ways_round_stays_one_weight():
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["h"]),
        helper.make_node("Gemm", ["h", "w"], ["y"], transB=1),
    ]
    border = (TensorProto.FLOAT, ["n", 4])
    weight = np.random.default_rng(0).normal(size=(4, 4)).astype(np.float32)
    proto = graph_of(nodes, {"x": border}, {"y": border}, {"w": weight})

    module = assert_agrees(proto)

    assert len(list(module.parameters())) == 1
    assert len(to_onnx(module, like=proto).graph.initializer) == 1


def test_a_fixed_flatten_becomes_free_so_that_channels_may_go():
    module = to_torch(exported(randomize(networks.LeNet()), torch.zeros(1, 1, 16, 16)))

    shapes = [node.args[1] for node in module.graph.nodes if node.name.startswith("Reshape")]
    assert shapes == [(0, -1)]


def test_a_batch_size_written_into_the_file_is_free_in_torch():
    nodes = [
        helper.make_node("Reshape", ["x", "shape"], ["h"]),
        helper.make_node("MatMul", ["h", "w"], ["y"]),
    ]
    weights = {"shape": np.array([1, 12]), "w": np.random.default_rng(0).normal(size=(12, 2)).astype(np.float32)}
    border = {"x": (TensorProto.FLOAT, [1, 3, 4])}, {"y": (TensorProto.FLOAT, [1, 2])}
    module = to_torch(graph_of(nodes, *border, weights))

    many = torch.randn(5, 3, 4)

    assert torch.allclose(module(many)[3:4], module(many[3:4]), atol=1e-6)


def test_training_moves_what_the_written_file_computes():
    proto = exported(randomize(networks.LeNet()), torch.zeros(1, 1, 16, 16))
    module = to_torch(proto)
    feed = fed(proto, 7)
    optimizer = torch.optim.SGD(module.parameters(), lr=0.1)

    module.train()
    module(torch.from_numpy(feed["in0"])).square().sum().backward()
    optimizer.step()
    module.eval()

    moved = run(to_onnx(module, like=proto), feed)
    assert np.abs(moved[0] - run(proto, feed)[0]).max() > 1e-3
    assert_close(run_torch(module, feed), moved)


def test_a_copy_of_the_network_is_written_like_the_network():
    proto = exported(randomize(networks.resnet()), IMAGE)
    module = to_torch(proto)

    assert to_onnx(copy.deepcopy(module), like=proto) == to_onnx(module, like=proto)


def test_a_network_survives_pickling():
    module = to_torch(exported(randomize(networks.Encoder()), IDS, torch.ones(2, 6, dtype=torch.long)))

    loaded = pickle.loads(pickle.dumps(module))

    ids, mask = torch.randint(0, 9, (3, 6)), torch.ones(3, 6, dtype=torch.long)
    assert torch.equal(loaded(ids, mask), module(ids, mask))


class Gated(nn.Module):
    """What a step may write with torch's functions."""

    def __init__(self, layer: nn.Linear) -> None:
        super().__init__()
        self.layer, self.gate = layer, nn.Sequential(nn.Linear(layer.out_features, 4), nn.GELU(), nn.Linear(4, 10))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        made = torch.relu(self.layer(x)) * 2.0
        return made + torch.sigmoid(self.gate(made))


class LowRank(nn.Module):
    """What a factorizing step puts in a layer's place."""

    def __init__(self, layer: nn.Linear) -> None:
        super().__init__()
        self.inner, self.outer = nn.Linear(layer.in_features, 3, bias=False), nn.Linear(3, layer.out_features)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.outer(self.inner(x))


@pytest.mark.parametrize("replace", [LowRank, Gated, lambda layer: nn.Sequential(layer, nn.ReLU6(), nn.Identity())])
def test_modules_a_step_puts_in_are_written_too(replace):
    proto = exported(randomize(networks.ViT()), IMAGE)
    module = to_torch(proto)
    module.set_submodule("head", replace(module.get_submodule("head")))
    feed = fed(proto, 3)

    assert_close(run(to_onnx(module, like=proto), feed), run_torch(module, feed))


def test_a_module_without_onnx_form_is_named():
    proto = exported(randomize(networks.LeNet()), torch.zeros(1, 1, 16, 16))
    module = to_torch(proto)
    module.set_submodule("fc2", nn.Sequential(nn.Linear(32, 10), nn.Threshold(0.1, 20)))

    with pytest.raises(CannotExport, match="threshold"):
        to_onnx(module, like=proto)


def test_an_unknown_operator_is_named_with_its_node_and_what_still_works():
    node = helper.make_node("NonMaxSuppression", ["b", "s"], ["y"], name="pick")
    borders = {"b": (TensorProto.FLOAT, [1, 4, 4]), "s": (TensorProto.FLOAT, [1, 1, 4])}
    proto = graph_of([node], borders, {"y": (TensorProto.INT64, [None, 3])})

    with pytest.raises(UnsupportedOperator) as caught:
        to_torch(proto)

    assert isinstance(caught.value, YoursToFix)
    assert caught.value.code == "graph.unsupported-operator"
    assert "NonMaxSuppression" in caught.value.message
    assert "'pick'" in caught.value.message
    assert "quantization" in caught.value.hint


@pytest.mark.parametrize(
    ("node", "reason"),
    [
        (helper.make_node("DynamicQuantizeLinear", ["x"], ["y", "s", "z"]), "already quantized"),
        (helper.make_node("MaxPool", ["x"], ["y", "where"], kernel_shape=[2, 2]), "indices"),
        (helper.make_node("Resize", ["x", "", "s"], ["y"], antialias=1), "antialias"),
        (helper.make_node("Special", ["x"], ["y"], domain="my.own"), "my.own"),
    ],
)
def test_a_use_that_cannot_be_trained_is_refused_with_the_reason(node, reason):
    border = (TensorProto.FLOAT, ["n", 1, 8, 8])
    proto = graph_of([node], {"x": border}, {"y": border}, {"s": np.ones(4, np.float32)}, opset=18)

    with pytest.raises(UnsupportedOperator, match=reason):
        to_torch(proto)


def test_a_gru_that_resets_first_on_rows_of_unequal_length_is_refused_before_it_trains():
    node = helper.make_node("GRU", ["x", "w", "r", "", "n"], ["y", ""], hidden_size=2)
    borders = {"x": (TensorProto.FLOAT, [5, "b", 3]), "n": (TensorProto.INT32, ["b"])}
    weights = {"w": np.ones((1, 6, 3), np.float32), "r": np.ones((1, 6, 2), np.float32)}
    proto = graph_of([node], borders, {"y": (TensorProto.FLOAT, [5, 1, "b", 2])}, weights)

    with pytest.raises(UnsupportedOperator, match="lengths of their own"):
        to_torch(proto)


def test_an_output_that_became_narrower_says_so():
    border = (TensorProto.FLOAT, ["n", 4])
    nodes = [helper.make_node("MatMul", ["x", "w"], ["y"])]
    proto = graph_of(nodes, {"x": border}, {"y": border}, {"w": np.eye(4, dtype=np.float32)})
    module = to_torch(proto)
    path = next(name for name, part in module.named_modules() if isinstance(part, nn.Linear))

    module.set_submodule(path, nn.Linear(4, 3, bias=False))

    dims = to_onnx(module, like=proto).graph.output[0].type.tensor_type.shape.dim
    assert (dims[0].dim_param, dims[1].dim_value) == ("n", 3)


def test_group_normalisation_is_found_where_it_is_spelt_out():
    module = to_torch(exported(randomize(networks.UNet()), torch.zeros(1, 1, 16, 16)))

    assert [part.num_groups for part in module.modules() if isinstance(part, nn.GroupNorm)] == [2]


def test_a_mask_is_no_parameter():
    mask = np.triu(np.full((4, 4), -1e9, np.float32), 1)
    border = (TensorProto.FLOAT, ["n", 4, 4])
    nodes = [helper.make_node("Add", ["x", "mask"], ["s"]), helper.make_node("Softmax", ["s"], ["y"], axis=-1)]
    proto = graph_of(nodes, {"x": border}, {"y": border}, {"mask": mask})

    module = assert_agrees(proto)

    assert not list(module.parameters())


def test_torch_stays_out_of_the_hub():
    code = "import sys, workers.technique, workers.recipe, workers.graph; sys.exit('torch' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_writing_takes_milliseconds():
    import time

    proto = exported(randomize(networks.Encoder()), IDS, torch.ones(2, 6, dtype=torch.long))
    module = to_torch(proto)

    begin = time.perf_counter()
    to_onnx(module, like=proto)

    assert time.perf_counter() - begin < 0.5


def test_the_model_given_is_left_alone():
    proto = exported(randomize(networks.LanguageModel()), IDS)
    before = proto.SerializeToString(deterministic=True)

    to_onnx(to_torch(proto), like=proto)

    assert proto.SerializeToString(deterministic=True) == before
    onnx.checker.check_model(proto)


@pytest.mark.parametrize("op_type", ["Gemm", "MatMul"])
def test_a_bias_written_as_a_row_belongs_to_its_linear_layer(op_type):
    weights = {"w": np.arange(6.0, dtype=np.float32).reshape(2, 3), "b": np.array([[1.0, -2.0, 3.0]], np.float32)}
    nodes = (
        [helper.make_node("Gemm", ["x", "w", "b"], ["y"], name="layer")]
        if op_type == "Gemm"
        else [helper.make_node("MatMul", ["x", "w"], ["p"]), helper.make_node("Add", ["p", "b"], ["y"])]
    )
    borders = ({"x": (TensorProto.FLOAT, ["n", 2])}, {"y": (TensorProto.FLOAT, ["n", 3])})
    proto = graph_of(nodes, *borders, weights)

    module = to_torch(proto)

    assert [tuple(layer.bias.shape) for layer in module.modules() if isinstance(layer, nn.Linear)] == [(3,)]
    assert_agrees(proto)
