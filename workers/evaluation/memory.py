"""Peak memory: what a network adds to a process in which the runtime is already up.

Measured in a fresh process, because a long-lived one hides growth in memory it freed earlier: load
the file, run batch 1, and read how far the highest resident set rose (``ru_maxrss``, getrusage(2)).
A network of one node is opened first, so that the runtime's own start is not counted.

The kernel tells the highest size ever reached, not the present one, and a confined process may not
read ``/proc``. So ballast is taken on until the highest size moves: from there on, every page counts.
"""

from __future__ import annotations

import ctypes
import json
import mmap
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np

from workers.errors import OursToFix
from workers.evaluation import probe
from workers.evaluation.sessions import Feed, feeds_for, open_session, run

PIECE = 256 * 1024
KIB = 1024

# A program starts with the highest size of the process that started it (execve keeps ru_maxrss on
# Linux). This small one stands between, so that the measuring one starts small.
LAUNCH = "import os, sys; sys.exit(abs(os.spawnv(os.P_WAIT, sys.argv[1], sys.argv[1:])))"


def peak_memory(model: Path, sample: Feed) -> int:
    """Bytes the resident set rises at its peak while a process loads a network and runs one sample.

    Where no process may be started, this one is measured, which then reads a little low.

    Args:
        model: an ONNX file.
        sample: one sample as a batch of one, by input name.

    Raises:
        OursToFix: if the process that measures dies, for example for want of memory.
    """
    command = [sys.executable, "-I", "-S", "-c", LAUNCH, *probe.command(__name__, str(model))]
    try:
        done = subprocess.run(command, input=probe.packed(sample), capture_output=True, check=False)
    except OSError:
        return grown_by(model, sample)
    if done.returncode != 0:
        raise OursToFix(
            f"Expected to load and run the network in a process of its own, but that process ended: "
            f"{probe.last_words(done.stderr, done.returncode)}",
            hint="Choose a host with more memory.",
            code="memory.probe-died",
        )
    return int(json.loads(done.stdout)["peak_memory_bytes"])


def grown_by(model: Path, sample: Feed) -> int:
    """The rise of this process's resident set at its peak, in bytes, at least 0."""
    _start_runtime()
    ballast = take_on_ballast()
    before = highest_bytes()
    session = open_session(model, threads=1)
    for feed in feeds_for(session, sample, 1):
        run(session, feed)
    risen = highest_bytes() - before
    for piece in ballast:
        piece.close()
    return risen


def _start_runtime() -> None:
    """Open a network of one node, so that what the runtime builds once is there already."""
    from onnx import TensorProto, helper

    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in ("x", "y")]
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "nothing", ends[:1], ends[1:])
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    run(open_session(proto.SerializeToString()), {"x": np.zeros(1, np.float32)})


def take_on_ballast() -> list[mmap.mmap]:
    """Fill memory until the present resident set is the highest so far, to within 256 KiB.

    Free memory the allocator holds is given back first: a network that moved in there would cost nothing.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc only
    if trim is not None:
        trim(0)
    begin, filling, ballast = highest_bytes(), b"\1" * PIECE, []
    for _ in range(begin // PIECE + 2):
        piece = mmap.mmap(-1, PIECE)
        piece.write(filling)
        ballast.append(piece)
        if highest_bytes() > begin:
            break
    return ballast


def highest_bytes() -> int:
    """The highest resident set this process ever had, in bytes."""
    highest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return highest if sys.platform == "darwin" else highest * KIB  # bytes on macOS, KiB elsewhere


def main(model: str) -> None:
    """In the process of its own: measure a file with the sample on standard input; one line of JSON comes out."""
    sample = probe.unpacked(sys.stdin.buffer.read())
    print(json.dumps({"peak_memory_bytes": grown_by(Path(model), sample)}))
