"""How long one run may take: `asyncio.timeout` for what every job needs, at a fifth of its cost."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Any

from media_pipeline.queue.handler import DeadlineExceeded


class Deadline:
    """Cancel `task` when it stays inside for more than `seconds`; that comes out as `DeadlineExceeded`.

    A cancel by anybody else stays one, also when both come at once.
    """

    __slots__ = ("_expired", "_seconds", "_task", "_timer")

    def __init__(self, task: asyncio.Task[Any], seconds: float) -> None:
        self._task = task
        self._seconds = seconds
        self._expired = False

    def __enter__(self) -> None:
        self._timer = self._task.get_loop().call_later(self._seconds, self._expire)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._timer.cancel()
        if self._expired and not self._task.uncancel() and isinstance(error, asyncio.CancelledError):
            raise DeadlineExceeded("The job took longer than it may.") from error

    def _expire(self) -> None:
        self._expired = True
        self._task.cancel()
