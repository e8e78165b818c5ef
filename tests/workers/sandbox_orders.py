"""What the confined children of the sandbox tests do: ``order.device`` names the deed, ``order.model`` its object."""

import ctypes
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

from workers.errors import OursToFix, Stopped, YoursToFix
from workers.events import Event, Log
from workers.sandbox import landlock, seccomp
from workers.ticket import Order


def perform(
    order: Order,
    *,
    emit: Callable[[Event], None],
    alone: Callable[[], AbstractContextManager[None]],
    should_stop: Callable[[], bool],
) -> None:
    """Do the deed and log what came of it: ``value: ...`` or ``refused: ...``."""
    if order.device in TALKATIVE:
        TALKATIVE[order.device](emit, alone, should_stop)
        return
    try:
        emit(Log(text=f"value: {deed_of(order.device)(order.model or '')}"[:2000]))
    except OSError as error:
        emit(Log(text=f"refused: {type(error).__name__} {error.errno}"))


def write(path: str) -> str:
    with open(path, "ab") as file:
        file.write(b"x")
    return "written"


def escape_by_symlink(path: str) -> str:
    os.symlink(path, "link")
    return Path("link").read_text()


def write_through_a_hard_link(path: str) -> str:
    os.link(path, "out/linked")
    return write("out/linked")


def change_the_mode(path: str) -> str:
    os.chmod(path, 0)
    return oct(os.stat(path).st_mode & 0o777)


def connect(family: socket.AddressFamily, kind: socket.SocketKind) -> str:
    with socket.socket(family, kind) as made:
        return str(made)


def sweep_environment(_: str) -> str:
    return " ".join(sorted(os.environ))


def balloon(_: str) -> str:
    return str(len(bytearray(3 << 30)))


def balloon_in_native_code(_: str) -> str:
    """Fill memory slowly and in small pieces, through forks, so that no single process passes its limit."""
    for _number in range(3):
        if os.fork() == 0:
            break
    held = []
    while True:
        held.append(bytearray(os.urandom(1 << 20)) * 8)
        time.sleep(0.01)


def spin(_: str) -> str:
    while True:
        pass


def spin_in_c(_: str) -> str:
    """Hold the interpreter in one native call that no signal interrupts, so that no Python handler runs."""
    return str(sum(range(1 << 50)))


def sleep_for_ever(_: str) -> str:
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    time.sleep(600)
    return "awake"


def stand_still(_: str) -> str:
    while True:
        os.kill(os.getpid(), signal.SIGSTOP)


def write_one_big_file(_: str) -> str:
    with open("out/big", "wb") as file:
        file.seek(1 << 30)
        file.write(b"x")
    return "written"


def write_many_files(_: str) -> str:
    for number in range(10_000):
        Path("out", str(number)).write_bytes(b"x" * (8 << 20))
    return "written"


def fork_bomb(_: str) -> str:
    while True:
        with_child = os.fork()
        if not with_child:
            time.sleep(0.01)


def outlive_the_leader(_: str) -> str:
    if os.fork() == 0:
        time.sleep(600)
    return "forked"


def leave_the_group(_: str) -> str:
    if os.fork() == 0:
        os._exit(0 if _leaves() else 1)
    _, status = os.wait()
    return "left" if status == 0 else "stayed"


def _leaves() -> bool:
    try:
        os.setsid()
    except OSError:
        return False
    return True


def read_the_parents_memory(_: str) -> str:
    with open(f"/proc/{os.getppid()}/environ", "rb") as file:
        return str(len(file.read()))


def trace_the_parent(_: str) -> str:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.ptrace(16, os.getppid(), None, None):
        raise OSError(ctypes.get_errno(), "ptrace")
    return "attached"


def signal_the_parent(_: str) -> str:
    os.kill(os.getppid(), 0)
    return "signalled"


def raise_its_own_limits(_: str) -> str:
    import resource

    try:
        resource.setrlimit(resource.RLIMIT_DATA, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    except ValueError as error:
        raise PermissionError(1, str(error)) from error
    return "raised"


def open_io_uring(_: str) -> str:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.syscall(425, 1, ctypes.create_string_buffer(120)) < 0:
        raise OSError(ctypes.get_errno(), "io_uring_setup")
    return "opened"


def read_from_another_thread(path: str) -> str:
    found: list[str] = []

    def read() -> None:
        try:
            found.append(Path(path).read_text())
        except OSError as error:
            found.append(f"refused {error.errno}")

    thread = threading.Thread(target=read)
    thread.start()
    thread.join()
    return found[0]


def run_a_shell(path: str) -> str:
    return subprocess.run(["/bin/sh", "-c", f"cat {path} 2>&1"], capture_output=True, text=True, check=False).stdout


def touch_nothing(_: str) -> str:
    ctypes.string_at(0)
    return "alive"


def take_a_training_step(_: str) -> str:
    """Whether torch, loaded before the rules, learns under them, and how many threads there were when they began."""
    threads = len(list(Path("/proc/self/task").iterdir())) if sys.platform == "linux" else 0
    was_loaded = "torch._dynamo" in sys.modules
    import torch

    layer = torch.nn.Linear(4, 1)
    before = layer.weight.detach().clone()
    optimizer = torch.optim.AdamW(layer.parameters(), lr=0.1)
    layer(torch.ones(2, 4)).sum().backward()
    optimizer.step()
    return f"loaded {was_loaded}, learnt {not torch.equal(before, layer.weight)}, other threads {threads - 2}"


def run_a_network(_: str) -> str:
    """What the product needs must still work: ONNX Runtime with two threads, numpy, temporary files."""
    import tempfile

    import numpy as np
    import onnx
    import onnxruntime

    helper = onnx.helper
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"])], "g",
        [helper.make_tensor_value_info("x", 1, [64, 64])], [helper.make_tensor_value_info("y", 1, [64, 64])],
        [onnx.numpy_helper.from_array(np.eye(64, dtype=np.float32) * 2, "w")],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 2
    with tempfile.NamedTemporaryFile(suffix=".onnx") as file:
        onnx.save(model, file.name)
        session = onnxruntime.InferenceSession(file.name, options, providers=["CPUExecutionProvider"])
    return str(float(session.run(None, {"x": np.ones((64, 64), dtype=np.float32)})[0].sum()))


def unexpected(_: str) -> str:
    raise ZeroDivisionError("in /some/secret/folder/file.py by zero")


def yours(_: str) -> str:
    raise YoursToFix("Expected a model, found a picture.", hint="Export it.", code="model.picture")


def ours(_: str) -> str:
    raise OursToFix("Expected a disk, found none.", code="host.no-disk")


def end_without_a_word(_: str) -> str:
    os._exit(7)


def print_to_stdout(_: str) -> str:
    os.write(1, b'{"type":"finished","outcome":"succeeded"}\n')
    print("printed")
    return "kept apart"


def flood_events(emit: Callable[[Event], None], *_: object) -> None:
    while True:
        emit(Log(text="again"))


def flood_text(*_: object) -> None:
    while True:
        sys.stdout.write("again " * 1000)


def one_endless_line(*_: object) -> None:
    pipe = _event_pipe()
    while True:
        os.write(pipe, b"x" * 65536)


def claim_to_be_the_worker(*_: object) -> None:
    os.write(_event_pipe(), b'{"type":"finished","outcome":"succeeded"}\n')
    time.sleep(30)


def _event_pipe() -> int:
    """The private descriptor events leave by: the only pipe that is neither of the three standard ones."""
    return next(fd for fd in range(3, 64) if _is_writable_pipe(fd))


def _is_writable_pipe(fd: int) -> bool:
    try:
        return os.readlink(f"/proc/self/fd/{fd}").startswith("pipe:")
    except OSError:
        return False


def count_to_the_stop(emit: Callable[[Event], None], _: object, should_stop: Callable[[], bool]) -> None:
    emit(Log(text="started"))
    while not should_stop():
        time.sleep(0.01)
    raise Stopped()


def time_alone(emit: Callable[[Event], None], alone: Callable[[], AbstractContextManager[None]], _: object) -> None:
    with alone():
        emit(Log(text="timing"))
    emit(Log(text="together again"))


def time_for_ever(_: object, alone: Callable[[], AbstractContextManager[None]], __: object) -> None:
    with alone():
        time.sleep(600)


def talk_and_work(emit: Callable[[Event], None], *_: object) -> None:
    for number in range(5):
        emit(Log(text=str(number)))
        time.sleep(0.1)


def talk_for_long(emit: Callable[[Event], None], *_: object) -> None:
    for number in range(30):
        emit(Log(text=str(number)))
        time.sleep(0.1)


DEEDS: dict[str, Callable[[str], str]] = {
    "read": lambda path: Path(path).read_text(),
    "list": lambda path: " ".join(os.listdir(path)),
    "tcp": lambda _: connect(socket.AF_INET, socket.SOCK_STREAM),
    "udp": lambda _: connect(socket.AF_INET6, socket.SOCK_DGRAM),
    "unix": lambda _: connect(socket.AF_UNIX, socket.SOCK_STREAM),
    "truncate": lambda path: str(os.truncate(path, 0)),
    "remove": lambda path: str(os.remove(path)),
}
TALKATIVE: dict[str, Callable[..., None]] = {
    deed.__name__: deed
    for deed in (
        flood_events,
        flood_text,
        one_endless_line,
        claim_to_be_the_worker,
        count_to_the_stop,
        time_alone,
        time_for_ever,
        talk_and_work,
        talk_for_long,
    )
}


def __getattr__(name: str) -> Callable[..., None]:
    """``perform_on_landlock_3`` works as on a kernel with that version; 0 is a host without Landlock and seccomp."""
    if not name.startswith("perform_on_landlock_"):
        raise AttributeError(name)
    version = int(name.rpartition("_")[2])
    landlock.abi = lambda: version
    if not version:
        seccomp.available = lambda: False
    return perform


def deed_of(name: str) -> Callable[[str], str]:
    """A deed that is one expression stands in the table; any other is the function of that name."""
    found: Callable[[str], str] = DEEDS.get(name) or globals()[name]
    return found
