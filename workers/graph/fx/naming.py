"""Names of modules and parameters, made from those of ONNX nodes and initializers."""

from __future__ import annotations

import keyword
import re
from typing import Any

from torch import nn

FIELDS = ("weight", "bias", "kernel", "gamma", "beta", "scale")


def module_path(node_name: str, op_type: str, weight: str) -> str:
    """Where the module of a node lives: after its weight where that has a dotted name, else after the node.

    ``encoder.0.query.weight`` → ``encoder.0.query``; ``/encoder/layer.0/query/MatMul`` → ``encoder.layer.0.query``.
    """
    owner, _, leaf = weight.rpartition(".")
    if owner and leaf in FIELDS and "::" not in weight:
        return identifier_path(owner)
    parts = [part for part in re.split(r"[/.]", node_name) if part]
    if len(parts) > 1 and re.fullmatch(rf"{op_type}(_\d+)?", parts[-1]):
        parts = parts[:-1]
    return identifier_path(".".join(parts) or op_type.lower())


def identifier_path(name: str) -> str:
    """A dotted path that torch accepts: every piece made of letters, digits and underscores."""
    pieces = [re.sub(r"\W", "_", piece) for piece in name.split(".") if piece]
    return ".".join(f"{piece}_" if keyword.iskeyword(piece) else piece for piece in pieces) or "unnamed"


def free_path(root: nn.Module, path: str) -> str:
    """The path, flat where it would lead through a layer, and with a number behind it where it is taken."""
    if not _is_reachable(root, path):
        path = path.replace(".", "_")
    number, candidate = 1, path
    while _is_taken(root, candidate):
        number += 1
        candidate = f"{path}_{number}"
    return candidate


def _is_reachable(root: nn.Module, path: str) -> bool:
    """Whether all parents are containers of ours, or nothing yet."""
    owner: Any = root
    for parent in path.split(".")[:-1]:
        if not hasattr(owner, parent):
            return True
        owner = getattr(owner, parent)
        if type(owner) is not nn.Module:
            return False
    return True


def _is_taken(root: nn.Module, path: str) -> bool:
    owner: Any = root
    for piece in path.split("."):
        if not hasattr(owner, piece):
            return False
        owner = getattr(owner, piece)
    return True


def owner_of(root: nn.Module, path: str) -> tuple[nn.Module, str]:
    """The module that holds a path's last piece, made on the way where missing, and that piece."""
    *parents, leaf = path.split(".")
    owner = root
    for parent in parents:
        if not hasattr(owner, parent):
            owner.add_module(parent, nn.Module())
        owner = getattr(owner, parent)
    return owner, leaf
