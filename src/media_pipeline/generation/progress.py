"""Telling how far a generation is: what really happened, at most five times a second, the last always.

Guarantees: within a run the number never falls and stays below 100, for only a committed result is
done; where a provider gives no number there is none.
"""

from __future__ import annotations

from typing import Self

from media_pipeline.clock import Clock
from media_pipeline.generation.manager import AttemptStarted, ManagerEvent
from media_pipeline.generation.provider import Advanced, Fetched, GenerationRequest, Output, Queued, Running
from media_pipeline.media.pace import CEILING, Paced, Publisher
from media_pipeline.realtime.events import GenerationProgress

__all__ = ["ProgressReporter", "Publisher"]


class ProgressReporter:
    """Report one run of a job; use as an async context manager."""

    def __init__(self, publisher: Publisher, request: GenerationRequest, *, clock: Clock) -> None:
        self._paced = Paced(publisher, request.user_id, clock=clock)
        self._job_id = request.job_id
        self._shares = [0.0] * request.n
        self._reached: float | None = None

    async def __aenter__(self) -> Self:
        await self._paced.__aenter__()
        return self

    async def __aexit__(self, *about: object) -> None:
        await self._paced.__aexit__(*about)

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
        self._paced.put(GenerationProgress(job_id=self._job_id, progress=self._reached, message=message))


def _received(done: int, total: int | None) -> str:
    whole = "" if total is None else f" of {total / 1e6:.1f}"
    return f"received {done / 1e6:.1f}{whole} MB"
