"""How much a child process may take: the kernel ends it when it takes more.

Guarantees on Linux: memory (`RLIMIT_DATA`: the heap and private mappings), processor time of one order, size
of a written file, no core dump. On macOS memory is not limited, since its kernel does not do so.
"""

from __future__ import annotations

import resource
from typing import Self

import msgspec


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What one child may take; the processor time is that of one order."""

    cpu_seconds: int
    memory_bytes: int
    file_bytes: int

    def write(self) -> str:
        """Return the limits as a word of a command line."""
        return msgspec.json.encode(self).decode()

    @classmethod
    def read(cls, word: str) -> Self:
        """Return the limits that `write` wrote."""
        return msgspec.json.decode(word, type=cls)


def confine(limits: Limits) -> None:
    """Set what holds for the life of this process; nothing can raise it again."""
    _set(resource.RLIMIT_CORE, 0)
    _set(resource.RLIMIT_DATA, limits.memory_bytes)
    _set(resource.RLIMIT_FSIZE, limits.file_bytes)


def allow_cpu(seconds: int) -> None:
    """Let this process compute for `seconds` more; past them it is killed (SIGXCPU)."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    soft = int(used.ru_utime + used.ru_stime) + seconds + 1
    resource.setrlimit(resource.RLIMIT_CPU, (soft if hard < 0 else min(soft, hard), hard))


def _set(what: int, most: int) -> None:
    _, hard = resource.getrlimit(what)
    most = most if hard < 0 else min(most, hard)
    resource.setrlimit(what, (most, most))
