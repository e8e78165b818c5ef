"""Peak memory: what a network adds to a process in which the runtime is already up.

Measured in a fresh process, because a long-lived one hides growth in memory it freed earlier: load
the file, run batch 1, and read how far the resident set rose at its highest (``VmHWM`` of
/proc/self/status, proc(5)) over what it was just before. A network of one node is opened first, so
that the runtime's own start is not counted. Where no process may be started, the same is done in
this one, which then reads a little low.
"""

from __future__ import annotations

import io
import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np

from workers.errors import OursToFix
from workers.evaluation.sessions import Feed, feeds_for, open_session, run

STATUS = Path("/proc/self/status")
CLEAR = Path("/proc/self/clear_refs")
RESET_PEAK = "5"  # proc(5): since Linux 4.0, resets the peak to the present resident set
KIB = 1024


def peak_memory(model: Path, sample: Feed) -> int:
    """Bytes the resident set rises at its peak while a process loads a network and runs one sample.

    Args:
        model: an ONNX file.
        sample: one sample as a batch of one, by input name.

    Raises:
        OursToFix: if the process that measures dies, for example for want of memory.
    """
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-m", "workers.evaluation.memory", str(model)],
            input=_packed(sample), capture_output=True, env=_environment(), check=False,
        )  # fmt: skip
    except OSError:
        return grown_by(model, sample)
    if done.returncode != 0:
        said = done.stderr.decode(errors="replace").strip().splitlines()[-1:] or [f"exit status {done.returncode}"]
        raise OursToFix(
            f"Expected to load and run the network in a process of its own, but that process ended: {said[0][:300]}",
            hint="Choose a host with more memory.", code="memory.probe-died",
        )  # fmt: skip
    return int(json.loads(done.stdout)["peak_memory_bytes"])


def grown_by(model: Path, sample: Feed) -> int:
    """The rise of this process's resident set at its peak, in bytes, at least 0."""
    _start_runtime()
    before = _start_counting()
    session = open_session(model, threads=1)
    for feed in feeds_for(session, sample, 1):
        run(session, feed)
    return max(0, _peak_bytes() - before)


def _start_runtime() -> None:
    """Open a network of one node, so that what the runtime builds once is there already."""
    from onnx import TensorProto, helper

    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in ("x", "y")]
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "nothing", ends[:1], ends[1:])
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    run(open_session(proto.SerializeToString()), {"x": np.zeros(1, np.float32)})


def _start_counting() -> int:
    """Forget the peak so far where the kernel lets us; the size in bytes from which growth is counted."""
    try:
        CLEAR.write_text(RESET_PEAK)
    except OSError:
        return _peak_bytes()  # cannot be forgotten: only what rises above it is counted
    return _status_bytes("VmRSS")


def _peak_bytes() -> int:
    if STATUS.exists():
        return _status_bytes("VmHWM")
    highest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return highest if sys.platform == "darwin" else highest * KIB  # getrusage(2): bytes on macOS, KiB elsewhere


def _status_bytes(field: str) -> int:
    line = next(line for line in STATUS.read_text().splitlines() if line.startswith(f"{field}:"))
    return int(line.split()[1]) * KIB


def _environment() -> dict[str, str]:
    """This process's environment, with the folder that holds this package first on the module path."""
    home = str(Path(__file__).resolve().parents[2])
    rest = os.environ.get("PYTHONPATH", "")
    return {**os.environ, "PYTHONPATH": f"{home}{os.pathsep}{rest}" if rest else home}


def _packed(sample: Feed) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **{f"input__{name}": array for name, array in sample.items()})
    return buffer.getvalue()


def _unpacked(packed: bytes) -> Feed:
    with np.load(io.BytesIO(packed), allow_pickle=False) as arrays:
        return {name.removeprefix("input__"): arrays[name] for name in arrays.files}


def main() -> None:
    """Measure the file named on the command line with the sample on standard input; one line of JSON comes out."""
    sample = _unpacked(sys.stdin.buffer.read())
    print(json.dumps({"peak_memory_bytes": grown_by(Path(sys.argv[1]), sample)}))


if __name__ == "__main__":
    main()
