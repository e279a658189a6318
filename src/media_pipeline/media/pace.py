"""Telling progress: at most five times a second, the last always, and 100 never before the end."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Final, Protocol, Self

from media_pipeline.clock import Clock
from media_pipeline.errors import MediaPipelineError
from media_pipeline.ids import UserId
from media_pipeline.realtime.events import Event

INTERVAL: Final = 0.2
CEILING: Final = 99.0
"""Only a committed result is done."""


class Publisher(Protocol):
    """Who takes events to their user."""

    async def publish(self, user_id: UserId, event: Event) -> None:
        """Send `event`."""
        ...


def percent(done: float, total: float | None) -> float | None:
    """Return how much of `total` is done, below 100; None where the total is not known."""
    return round(min(CEILING, 100 * done / total), 1) if total else None


class Paced:
    """Send the newest event of one run; use as an async context manager. What cannot be sent is dropped."""

    def __init__(self, publisher: Publisher, user_id: UserId, *, clock: Clock) -> None:
        self._publisher = publisher
        self._user_id = user_id
        self._clock = clock
        self._latest: Event | None = None
        self._changed = asyncio.Event()
        self._sending: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._sending = asyncio.create_task(self._send_changes())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._sending:
            self._sending.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._sending
        await self._send_latest()

    def put(self, event: Event) -> None:
        """Take the newest event; an older one that was not sent yet is passed over."""
        self._latest = event
        self._changed.set()

    async def _send_changes(self) -> None:
        while True:
            await self._changed.wait()
            await self._send_latest()
            await self._clock.sleep(INTERVAL)

    async def _send_latest(self) -> None:
        event, self._latest = self._latest, None
        self._changed.clear()
        if event is not None:
            with contextlib.suppress(MediaPipelineError):  # progress is worth no retry
                await self._publisher.publish(self._user_id, event)
