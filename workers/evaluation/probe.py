"""A process of its own for a measurement: how it is started, and how it is given its sample.

It works from a confined process as well, which may start the interpreter but may not list the folder
around this package: so the package is loaded from its own folder, not found on the module path.
"""

import io
import sys
from pathlib import Path

import numpy as np

from workers.evaluation.sessions import Feed

PACKAGE = Path(__file__).resolve().parents[1]
START = """
import sys
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
home, module = sys.argv[1:3]
spec = spec_from_file_location("workers", home + "/__init__.py", submodule_search_locations=[home])
sys.modules["workers"] = module_from_spec(spec)
spec.loader.exec_module(sys.modules["workers"])
import_module(module).main(*sys.argv[3:])
"""


def command(module: str, *arguments: str) -> list[str]:
    """What to execute so that ``main(*arguments)`` of a module of this package runs in a fresh interpreter."""
    return [sys.executable, "-P", "-c", START, str(PACKAGE), module, *arguments]


def packed(sample: Feed) -> bytes:
    """A sample as bytes for a pipe."""
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **{f"input__{name}": array for name, array in sample.items()})
    return buffer.getvalue()


def unpacked(content: bytes) -> Feed:
    """The sample that ``packed`` made bytes of."""
    with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
        return {name.removeprefix("input__"): arrays[name] for name in arrays.files}


def last_words(said: bytes, status: int) -> str:
    """The last line a process left on its standard error, or how it ended."""
    lines = said.decode(errors="replace").strip().splitlines()
    return lines[-1][:300] if lines else f"exit status {status}"
