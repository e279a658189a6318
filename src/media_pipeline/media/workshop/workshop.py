"""Where files that nobody trusts are decoded: in processes of their own, within limits.

Guarantees: whatever a file does to a decoder stays in a child that has no secret in its environment, and
bounded memory, processor time and file size; the service's own memory does not grow with a file. On Linux
the kernel refuses a child every socket and program (`children/cage.py`). Not guaranteed: that a child
cannot read other files of this user.
"""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Final

from media_pipeline.children.limits import Limits
from media_pipeline.children.pool import OVERDUE, ChildLost, ChildPool
from media_pipeline.errors import MediaPipelineError
from media_pipeline.media.workshop.orders import (
    Examine,
    Examined,
    Made,
    Make,
    Mark,
    Message,
    Operation,
    Order,
    Recall,
    Recalled,
    Refused,
    Step,
)
from media_pipeline.media.workshop.refusal import BadPicture

_WORKMAN: Final = "media_pipeline.media.workshop.workman"
_GIB: Final = 1024**3


class WorkshopFailed(MediaPipelineError):
    """The process that decoded the file ended unexpectedly."""

    code: ClassVar[str] = "workshop_failed"
    retryable: ClassVar[bool] = True


class TooMuchWork(MediaPipelineError):
    """The file takes more time than a file may."""

    code: ClassVar[str] = "too_much_work"


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkshopLimits:
    """What one order may take: seconds, bytes of memory, bytes of a written file."""

    examine_seconds: float = 120.0
    make_seconds: float = 1800.0
    memory_bytes: int = 2 * _GIB
    file_bytes: int = 4 * _GIB


class Workshop:
    """Examine files and make others of them, at most `processes` at a time."""

    def __init__(self, limits: WorkshopLimits | None = None, *, processes: int | None = None) -> None:
        self._limits = limits or WorkshopLimits()
        size = processes or min(4, os.cpu_count() or 1)
        confined = Limits(
            cpu_seconds=int(self._limits.make_seconds),
            memory_bytes=self._limits.memory_bytes,
            file_bytes=self._limits.file_bytes,
        )
        self._pool = ChildPool[Order, Message](_WORKMAN, Message, size=size, limits=confined)

    @property
    def working(self) -> tuple[int, ...]:
        """The process ids that work at this moment."""
        return self._pool.working

    async def examine(self, file: Path, folder: Path, content_type: str) -> Examined:
        """Decode `file` for real and write its thumbnails into `folder`; `BadPicture`, `TooMuchWork`."""
        order = Examine(file=str(file), folder=str(folder), content_type=content_type)
        async with aclosing(self._do(order, seconds=self._limits.examine_seconds)) as messages:
            examined = [message async for message in messages if isinstance(message, Examined)]
        return examined[0]

    async def mark(self, order: Mark) -> Path:
        """Encode and mark a file; return where the result lies. `BadPicture`, `TooMuchWork`."""
        async with aclosing(self._do(order, seconds=self._limits.examine_seconds)) as messages:
            made = [message async for message in messages if isinstance(message, Made)]
        return Path(order.folder) / made[0].name

    async def recall(self, file: Path, content_type: str) -> Mapping[str, str]:
        """Return what a file's marks say of how it was made; raises as `examine` does."""
        order = Recall(file=str(file), content_type=content_type)
        async with aclosing(self._do(order, seconds=self._limits.examine_seconds)) as messages:
            recalled = [message async for message in messages if isinstance(message, Recalled)]
        return recalled[0].facts

    async def make(
        self, file: Path, folder: Path, content_type: str, operation: Operation
    ) -> AsyncGenerator[Step | Made, None]:
        """Do `operation` to `file`: yield steps, then what was made; raises as `examine` does."""
        order = Make(file=str(file), folder=str(folder), content_type=content_type, operation=operation)
        async with aclosing(self._do(order, seconds=self._limits.make_seconds)) as messages:
            async for message in messages:
                if isinstance(message, Step | Made):
                    yield message

    async def aclose(self) -> None:
        """Stop every child."""
        await self._pool.aclose()

    async def _do(self, order: Order, *, seconds: float) -> AsyncGenerator[Message, None]:
        try:
            async with aclosing(self._pool.ask(order, seconds=seconds)) as messages:
                async for message in messages:
                    if isinstance(message, Refused):
                        raise BadPicture(message.reason)
                    yield message
        except ChildLost as error:
            if error.status in {OVERDUE, -signal.SIGXCPU}:
                raise TooMuchWork("The file takes longer than a file may.") from error
            raise WorkshopFailed("The process that decoded the file ended unexpectedly.") from error
