"""No network and no other program, for the rest of this process's life.

On Linux (x86-64 and ARM64) the kernel itself refuses, by a seccomp filter that needs no privilege and that
nothing can take off again; it holds for libraries written in C, too. Elsewhere only Python's own sockets and
programs are refused. Not guaranteed anywhere: that files which this user may read stay unread.
"""

from __future__ import annotations

import ctypes
import errno
import platform
import struct
import sys
from collections.abc import Sequence
from typing import Final

_NO_NEW_PRIVILEGES: Final = 38
_SECCOMP: Final = 22
_FILTER: Final = 2
_ALLOW: Final = 0x7FFF0000
_REFUSE: Final = 0x00050000 | errno.EPERM
_LOAD, _EQUAL, _AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06
_NUMBER_AT, _MACHINE_AT = 0, 4
_X32: Final = 0x40000000
"""Numbers from here on are x86-64's second set of calls."""

_MACHINES: Final = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_CALLS: Final = {
    # socket, connect, accept, sendto, sendmsg, bind, listen, socketpair, execve, kill, ptrace, accept4,
    # sendmmsg, process_vm_writev, execveat, io_uring_setup
    "x86_64": (41, 42, 43, 44, 46, 49, 50, 53, 59, 62, 101, 288, 307, 311, 322, 425),
    "aarch64": (198, 203, 202, 206, 211, 200, 201, 199, 221, 129, 117, 242, 269, 271, 281, 425),
}
_AUDITED: Final = ("socket.", "subprocess.", "os.exec", "os.posix_spawn", "os.system", "pty.")


def forbid_network() -> bool:
    """Refuse sockets and other programs from now on; tell whether the kernel does it."""
    sys.addaudithook(_refuse)
    machine = platform.machine()
    if sys.platform != "linux" or machine not in _MACHINES:
        return False
    return _install(_program(_MACHINES[machine], _CALLS[machine]))


def _refuse(event: str, _: object) -> None:
    if event.startswith(_AUDITED):
        raise PermissionError(errno.EPERM, f"{event} is not allowed here")


def _program(machine: int, calls: Sequence[int]) -> bytes:
    """Return the filter: another machine's calls and these numbers are refused, the rest is allowed."""
    refused = len(calls) + 2
    lines = [
        (_LOAD, 0, 0, _MACHINE_AT),
        (_EQUAL, 1, 0, machine),
        (_RETURN, 0, 0, _REFUSE),
        (_LOAD, 0, 0, _NUMBER_AT),
        (_AT_LEAST, refused - 1, 0, _X32),
        *((_EQUAL, refused - 2 - index, 0, call) for index, call in enumerate(calls)),
        (_RETURN, 0, 0, _ALLOW),
        (_RETURN, 0, 0, _REFUSE),
    ]
    return b"".join(struct.pack("=HBBI", *line) for line in lines)


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("lines", ctypes.c_char_p))


def _install(lines: bytes) -> bool:
    libc = ctypes.CDLL(None, use_errno=True)
    program = _Program(len(lines) // 8, lines)
    if libc.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0):
        return False
    return bool(libc.prctl(_SECCOMP, _FILTER, ctypes.byref(program), 0, 0) == 0)
