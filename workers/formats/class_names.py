"""Class names that an exporter left in a network's metadata."""

import ast
import json
from collections.abc import Iterable
from typing import Any

import onnx

KEYS = ("classes", "class_names", "labels", "names", "categories", "id2label", "vocab")
MOST_TEXT = 1_000_000
MOST_NAME = 200


def class_names(proto: onnx.ModelProto) -> tuple[str, ...]:
    """The names in index order, or nothing where no metadata can be read as such.

    Read are JSON and Python literals, lists and ``{index: name}`` mappings, and names separated
    by commas or line ends.
    """
    said = {item.key.lower(): item.value for item in proto.metadata_props}
    for key in KEYS:
        names = _names(said.get(key, ""))
        if len(names) >= 2 and all(name.isprintable() and len(name) <= MOST_NAME for name in names):
            return names
    return ()


def _names(text: str) -> tuple[str, ...]:
    if not text.strip() or len(text) > MOST_TEXT:
        return ()
    value = _literal(text)
    if isinstance(value, dict):
        return _by_index(value)
    if isinstance(value, (list, tuple)):
        return tuple(str(name) for name in value)
    separator = "\n" if "\n" in text.strip() else ","
    return tuple(name.strip() for name in text.strip().split(separator))


def _literal(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        pass
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return None


def _by_index(names: dict[Any, Any]) -> tuple[str, ...]:
    """``{0: "cat", 1: "dog"}`` or ``{"cat": 0, "dog": 1}`` in index order; nothing if an index is missing."""
    pairs: Iterable[tuple[Any, Any]] = names.items()
    if all(isinstance(value, int) for value in names.values()):
        pairs = {value: key for key, value in names.items()}.items()
    try:
        by_index = {int(index): str(name) for index, name in pairs}
    except (TypeError, ValueError):
        return ()
    return (
        tuple(by_index[index] for index in range(len(by_index))) if set(by_index) == set(range(len(by_index))) else ()
    )
