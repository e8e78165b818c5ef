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


NAMES = (
    "socket socketpair chmod fchmod fchmodat fchmodat2 chown fchown lchown fchownat setsid setpgid prctl prlimit64 setrlimit "
    "ptrace process_vm_readv process_vm_writev io_uring_setup bpf perf_event_open userfaultfd unshare setns mount umount2 "
    "pivot_root chroot add_key request_key keyctl open_by_handle_at kexec_load init_module finit_module delete_module reboot "
    "swapon swapoff truncate kill tgkill tkill pidfd_send_signal pidfd_getfd rt_sigqueueinfo rt_tgsigqueueinfo"
).split()
X86_64 = (
    41, 53, 90, 91, 268, 452, 92, 93, 94, 260, 112, 109, 157, 302, 160, 101, 310, 311, 425, 321, 298, 323, 272, 308, 165, 166,
    155, 161, 248, 249, 250, 304, 246, 175, 313, 176, 169, 167, 168, 76, 62, 234, 200, 424, 438, 129, 297,
)
AARCH64 = (
    198, 199, None, 52, 53, 452, None, 55, None, 54, 157, 154, 167, 261, 164, 117, 270, 271, 425, 280, 241, 282, 97, 268, 40, 39,
    41, 51, 217, 218, 219, 265, 104, 105, 273, 106, 142, 224, 225, 45, 129, 131, 130, 424, 438, 138, 240,
)


def _numbers(column: tuple[int | None, ...]) -> dict[str, int]:
    return {name: number for name, number in zip(NAMES, column, strict=True) if number is not None}


MACHINES = {
    "x86_64": Machine(word=0xC000003E, seccomp=317, numbers=_numbers(X86_64)),
    "aarch64": Machine(word=0xC00000B7, seccomp=277, numbers=_numbers(AARCH64)),
}

# Pretending success keeps copying files possible: shutil.copy sets the mode of its copy.
PRETENDED = frozenset({"chmod", "fchmod", "fchmodat", "fchmodat2", "chown", "fchown", "lchown", "fchownat"})
LOOKED_INTO = frozenset({"socketpair", "prctl", "prlimit64"})
SIGNALS = frozenset({"kill", "tgkill", "tkill", "pidfd_send_signal", "rt_sigqueueinfo", "rt_tgsigqueueinfo"})
REFUSED = frozenset(NAMES) - PRETENDED - LOOKED_INTO - SIGNALS


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
        _argument(0), (EQUAL, 0, 4, socket.AF_UNIX),
        _argument(1), (AND, 0, 0, 0xF), (EQUAL, 0, 1, socket.SOCK_STREAM), ALLOWED, _refusal(),
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
        (LOAD, 0, 0, ARCHITECTURE), (EQUAL, 1, 0, machine.word), (RETURN, 0, 0, KILL),
        (LOAD, 0, 0, NUMBER), (AT_LEAST, 0, 1, FIRST_X32_NUMBER), _refusal(),
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
