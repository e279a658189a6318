"""Telling how far a generation is: what really happened, at most five times a second, the last always.

Guarantees: within a run the number never falls and stays below 100, for only a committed result is
done; where a provider gives no number there is none.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import Final, Protocol, Self

from media_pipeline.clock import Clock
from media_pipeline.errors import MediaPipelineError
from media_pipeline.generation.manager import AttemptStarted, ManagerEvent
from media_pipeline.generation.provider import Advanced, Fetched, GenerationRequest, Output, Queued, Running
from media_pipeline.ids import UserId
from media_pipeline.realtime.events import Event, GenerationProgress

INTERVAL: Final = 0.2
CEILING: Final = 99.0


class Publisher(Protocol):
    """Who takes events to their user."""

    async def publish(self, user_id: UserId, event: Event) -> None:
        """Send `event`."""
        ...


class ProgressReporter:
    """Report one run of a job; use as an async context manager."""

    def __init__(self, publisher: Publisher, request: GenerationRequest, *, clock: Clock) -> None:
        self._publisher = publisher
        self._user_id = request.user_id
        self._job_id = request.job_id
        self._clock = clock
        self._shares = [0.0] * request.n
        self._reached: float | None = None
        self._latest: GenerationProgress | None = None
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

    def note(self, event: ManagerEvent) -> None:
        """Take what happened; whatever tells nothing new is passed over."""
        match event:
            case AttemptStarted():
                self._shares, self._reached = [0.0] * len(self._shares), None
            case Queued(position=None):
                self._put("queued at provider")
            case Queued(position=position):
                self._put(f"queued at provider, position {position}")
            case Running():
                self._put("provider is working")
            case Advanced():
                self._advance(event)
            case Fetched(done, total, index):
                self._put(self._of_many(_received(done, total), index))
            case Output():
                self._raise_to(event.index, 1.0)
                self._put(self._of_many("stored", event.index))
            case _:
                pass

    def _advance(self, event: Advanced) -> None:
        if event.total > 0:
            self._raise_to(event.index, event.done / event.total)
        counted = f"{event.unit} {event.done:g} of {event.total:g}"
        self._put(self._of_many(counted, event.index))

    def _raise_to(self, index: int, share: float) -> None:
        self._shares[index] = max(self._shares[index], min(1.0, share))
        percent = 100.0 * sum(self._shares) / len(self._shares)
        self._reached = round(min(CEILING, max(percent, self._reached or 0.0)), 1)

    def _of_many(self, message: str, index: int) -> str:
        return message if len(self._shares) == 1 else f"{message}, {index + 1} of {len(self._shares)}"

    def _put(self, message: str) -> None:
        self._latest = GenerationProgress(job_id=self._job_id, progress=self._reached, message=message)
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


def _received(done: int, total: int | None) -> str:
    whole = "" if total is None else f" of {total / 1e6:.1f}"
    return f"received {done / 1e6:.1f}{whole} MB"
