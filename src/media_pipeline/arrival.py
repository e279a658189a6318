"""Waiting, when the program starts, for a database that is away: whatever starts last, all begin."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

import structlog

from media_pipeline.clock import Clock
from media_pipeline.db.database import DatabaseRefused, DatabaseUnavailable

FIRST_WAIT: Final = 0.25
LONGEST_WAIT: Final = 2.0
_log = structlog.get_logger(__name__)


async def arrive(reach: Callable[[], Awaitable[None]], *, clock: Clock, on_wait: Callable[[], None]) -> None:
    """Return when `reach`, which bears repeating, succeeds; raise what no waiting mends.

    Calls `on_wait` before each wait, and logs why it waits once for each reason.
    """
    began, wait, reason = clock.monotonic(), FIRST_WAIT, ""
    while True:
        try:
            await reach()
        except DatabaseRefused:
            raise
        except DatabaseUnavailable as error:
            if str(error) != reason:
                reason = str(error)
                _log.warning("start.waits", error=reason)
            on_wait()
            await clock.sleep(wait)
            wait = min(2 * wait, LONGEST_WAIT)
        else:
            if reason:
                _log.info("start.goes_on", seconds=round(clock.monotonic() - began, 3))
            return
