"""From the names people see to the modules steps work on."""

from __future__ import annotations

from torch import fx

from workers.graph.fx.writer import origin_of


def layer_paths(module: fx.GraphModule) -> dict[str, str]:
    """Path of each module by the name of its layer, as pages and settings call it.

    That name is the ONNX node's, or its first output's where the node has none; a linear layer that
    was MatMul and Add is found under both names.
    """
    paths: dict[str, str] = {}
    for node in module.graph.nodes:
        origin = origin_of(node)
        if node.op != "call_module" or not origin.outputs:
            continue
        paths[origin.name or origin.outputs[0]] = str(node.target)
        if "product" in origin.notes:
            paths[origin.notes["matmul"] or origin.notes["product"]] = str(node.target)
    return paths
