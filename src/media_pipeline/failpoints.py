"""Named places where a test may kill the process, to prove that nothing is lost there.

Set `MEDIA_FAILPOINT=<name>` (or `<name>:<n>` for the n-th passage) and the process is killed with
SIGKILL when it gets there. Unset, a failpoint is one comparison.
"""

from __future__ import annotations

import os
import signal
from typing import Final, Literal

Failpoint = Literal[
    "after_claim",
    "mid_provider",
    "before_upload",
    "mid_upload",
    "after_upload",
    "before_commit",
    "after_commit",
    "after_publish",
]
"""Places that a job passes."""
Elsewhere = Literal["mid_erase"]


def _read_armed() -> tuple[str | None, int]:
    name, _, count = os.environ.get("MEDIA_FAILPOINT", "").partition(":")
    return (name or None), int(count) if count.isdecimal() else 1


_armed, _passages_left = _read_armed()
FAILPOINT: Final = _armed


def failpoint(name: Failpoint | Elsewhere) -> None:
    """Die here if the environment asked for it."""
    if name == FAILPOINT:
        _pass()


def _pass() -> None:
    global _passages_left  # noqa: PLW0603 - counts over the life of the process
    _passages_left -= 1
    if _passages_left <= 0:
        os.kill(os.getpid(), signal.SIGKILL)
