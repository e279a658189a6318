"""Who deletes the bytes of items that were removed together, or that the store could not delete at once."""

from __future__ import annotations

import asyncio

import structlog

from media_pipeline.clock import Clock
from media_pipeline.db.database import DatabaseUnavailable
from media_pipeline.media.library import Library

_log = structlog.get_logger(__name__)


class Remover:
    """Finish a library's removals until cancelled: at the start, when some wait, every `interval` seconds."""

    def __init__(self, library: Library, *, clock: Clock, interval: float = 60.0) -> None:
        self._library = library
        self._clock = clock
        self._interval = interval

    async def run(self) -> None:
        """Try, wait, try again."""
        while True:
            try:
                await self._library.finish_removals()
            except DatabaseUnavailable as error:
                _log.warning("remover.failed", error=str(error))
            await self._pause()

    async def _pause(self) -> None:
        due = asyncio.create_task(self._clock.sleep(self._interval))
        waits = asyncio.create_task(self._library.removals_wait.wait())
        try:
            await asyncio.wait({due, waits}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            due.cancel()
            waits.cancel()
