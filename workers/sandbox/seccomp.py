"""A seccomp filter: the system calls a confined child has no business with are refused.

It closes what Landlock leaves open: sockets of every family (also to local servers), io_uring (which
could open them behind the filter's back), other processes' memory, leaving the process group, raising
limits, and the mode of files. The program is classic BPF as in the kernel's
``Documentation/userspace-api/seccomp_filter.rst``; it is installed for all threads at once.
"""

import ctypes
import errno
import os
import platform
import socket
import struct
import sys
from dataclasses import dataclass

LOAD, EQUAL, AT_LEAST, AND, RETURN = 0x20, 0x15, 0x35, 0x54, 0x06
ALLOW, REFUSE, KILL = 0x7FFF0000, 0x00050000, 0x80000000
NUMBER, ARCHITECTURE, ARGUMENTS = 0, 4, 16
SET_FILTER, ALL_THREADS = 1, 1
NO_NEW_PRIVILEGES = 38
PARENT_DEATH_SIGNAL = 1
FIRST_X32_NUMBER = 0x40000000

Instruction = tuple[int, int, int, int]


@dataclass(frozen=True)
class Machine:
    """What differs between architectures: the audit word, seccomp's own number, and numbers by name."""

    word: int
    seccomp: int
    numbers: dict[str, int]


# Name, number on x86-64, number on aarch64 (0: there is none).
CALLS = (
    ("socket", 41, 198), ("socketpair", 53, 199), ("setsid", 112, 157), ("setpgid", 109, 154), ("prctl", 157, 167),
    ("prlimit64", 302, 261), ("setrlimit", 160, 164), ("truncate", 76, 45), ("io_uring_setup", 425, 425),
    ("chmod", 90, 0), ("fchmod", 91, 52), ("fchmodat", 268, 53), ("fchmodat2", 452, 452),
    ("chown", 92, 0), ("fchown", 93, 55), ("lchown", 94, 0), ("fchownat", 260, 54),
    ("ptrace", 101, 117), ("process_vm_readv", 310, 270), ("process_vm_writev", 311, 271), ("pidfd_getfd", 438, 438),
    ("kill", 62, 129), ("tgkill", 234, 131), ("tkill", 200, 130), ("pidfd_send_signal", 424, 424),
    ("rt_sigqueueinfo", 129, 138), ("rt_tgsigqueueinfo", 297, 240),
    ("bpf", 321, 280), ("perf_event_open", 298, 241), ("userfaultfd", 323, 282), ("unshare", 272, 97),
    ("mount", 165, 40), ("umount2", 166, 39), ("pivot_root", 155, 41), ("chroot", 161, 51), ("setns", 308, 268),
    ("open_by_handle_at", 304, 265),
    ("add_key", 248, 217), ("request_key", 249, 218), ("keyctl", 250, 219), ("kexec_load", 246, 104),
    ("init_module", 175, 105), ("finit_module", 313, 273), ("delete_module", 176, 106),
    ("reboot", 169, 142), ("swapon", 167, 224), ("swapoff", 168, 225),
)  # fmt: skip
MACHINES = {
    "x86_64": Machine(word=0xC000003E, seccomp=317, numbers={name: number for name, number, _ in CALLS}),
    "aarch64": Machine(word=0xC00000B7, seccomp=277, numbers={name: number for name, _, number in CALLS if number}),
}

# Pretending success keeps copying files possible: shutil.copy sets the mode of its copy.
PRETENDED = frozenset({"chmod", "fchmod", "fchmodat", "fchmodat2", "chown", "fchown", "lchown", "fchownat"})
LOOKED_INTO = frozenset({"socketpair", "prctl", "prlimit64"})
SIGNALS = frozenset({"kill", "tgkill", "tkill", "pidfd_send_signal", "rt_sigqueueinfo", "rt_tgsigqueueinfo"})
REFUSED = frozenset(name for name, _, _ in CALLS) - PRETENDED - LOOKED_INTO - SIGNALS


def _refusal(code: int = errno.EPERM) -> Instruction:
    return (RETURN, 0, 0, REFUSE | code)


ALLOWED: Instruction = (RETURN, 0, 0, ALLOW)


def _argument(index: int, *, high: bool = False) -> Instruction:
    return (LOAD, 0, 0, ARGUMENTS + 8 * index + (4 if high else 0))


def _rule(number: int, body: list[Instruction]) -> list[Instruction]:
    """Run ``body`` for one system call; it ends every one of its paths itself."""
    return [(EQUAL, 0, len(body), number), *body]


def _stream_pairs_only() -> list[Instruction]:
    # A datagram socket can address any named socket; a connected stream pair reaches only its twin.
    return [
        _argument(0),
        (EQUAL, 0, 4, socket.AF_UNIX),
        _argument(1),
        (AND, 0, 0, 0xF),
        (EQUAL, 0, 1, socket.SOCK_STREAM),
        ALLOWED,
        _refusal(),
    ]


def _keeping_the_death_signal() -> list[Instruction]:
    return [_argument(0), (EQUAL, 0, 1, PARENT_DEATH_SIGNAL), _refusal(), ALLOWED]


def _reading_limits_only() -> list[Instruction]:
    return [_argument(2), (EQUAL, 0, 3, 0), _argument(2, high=True), (EQUAL, 0, 1, 0), ALLOWED, _refusal()]


def _to_itself_only() -> list[Instruction]:
    return [_argument(0), (EQUAL, 0, 1, os.getpid()), ALLOWED, _refusal()]


def _program(machine: Machine, *, guard_signals: bool) -> list[Instruction]:
    numbers = machine.numbers
    program: list[Instruction] = [
        (LOAD, 0, 0, ARCHITECTURE),
        (EQUAL, 1, 0, machine.word),
        (RETURN, 0, 0, KILL),
        (LOAD, 0, 0, NUMBER),
        (AT_LEAST, 0, 1, FIRST_X32_NUMBER),
        _refusal(),
    ]
    for name in sorted(REFUSED & numbers.keys()):
        program += _rule(numbers[name], [_refusal(errno.EACCES if name == "socket" else errno.EPERM)])
    for name in sorted(PRETENDED & numbers.keys()):
        program += _rule(numbers[name], [_refusal(0)])
    program += _rule(numbers["socketpair"], _stream_pairs_only())
    program += _rule(numbers["prctl"], _keeping_the_death_signal())
    program += _rule(numbers["prlimit64"], _reading_limits_only())
    if guard_signals:
        program += _rule(numbers["kill"], _to_itself_only()) + _rule(numbers["tgkill"], _to_itself_only())
        for name in ("tkill", "pidfd_send_signal", "rt_sigqueueinfo", "rt_tgsigqueueinfo"):
            program += _rule(numbers[name], [_refusal()])
    return [*program, ALLOWED]


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p))


def available() -> bool:
    """Whether this host can refuse system calls to a process without root."""
    if sys.platform != "linux" or platform.machine() not in MACHINES:
        return False
    return int(ctypes.CDLL(None).prctl(21, 0, 0, 0, 0)) >= 0


def restrict(*, guard_signals: bool) -> bool:
    """Install the filter in every thread of this process, for good.

    Args:
        guard_signals: also refuse signals to other processes; needed where Landlock is too old to.

    Returns:
        Whether the filter is in force.

    Raises:
        OSError: if the host has seccomp but refuses the filter.
    """
    if not available():
        return False
    machine = MACHINES[platform.machine()]
    instructions = b"".join(struct.pack("HBBI", *item) for item in _program(machine, guard_signals=guard_signals))
    program = _Program(len(instructions) // 8, instructions)
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(NO_NEW_PRIVILEGES, 1, 0, 0, 0)
    if libc.syscall(machine.seccomp, SET_FILTER, ALL_THREADS, ctypes.byref(program)):
        raise OSError(ctypes.get_errno(), "could not install the seccomp filter")
    return True
