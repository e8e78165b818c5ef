"""Recognise, load, check, describe and save networks. All of it runs inside the sandbox."""

from pathlib import Path

import onnx

from workers.facts import ModelFacts
from workers.formats.contract_guess import guess_contract
from workers.formats.counting import facts
from workers.formats.onnx_file import as_file, borrow, load, read, save
from workers.formats.sniff import sniff

__all__ = ["as_file", "borrow", "facts", "guess_contract", "inspect", "load", "save", "sniff"]


def inspect(path: Path) -> tuple[onnx.ModelProto, ModelFacts]:
    """Load a network and count what there is to count.

    Raises:
        YoursToFix: with what was expected, what was found and what would help.
    """
    found = read(path)
    return found.proto, facts(found.proto, size_bytes=found.size_bytes, external_data=found.external_data)
