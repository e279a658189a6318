"""Telling how far an upload is, by whoever counts its bytes."""

from __future__ import annotations

import contextlib
from typing import Final, Literal

from media_pipeline.clock import Clock
from media_pipeline.errors import MediaPipelineError
from media_pipeline.ids import JobId
from media_pipeline.media.pace import INTERVAL, percent
from media_pipeline.media.uploads import Uploads
from media_pipeline.queue.job import Job
from media_pipeline.realtime.events import UploadProgress
from media_pipeline.realtime.publisher import Publisher

REMEMBERED: Final = 10_000
"""Uploads that broke off are forgotten some day."""


def count_bytes(
    job_id: JobId, loaded: int, total: int | None, *, reported_by: Literal["server", "client"] = "server"
) -> UploadProgress:
    """Return the event that says how many bytes came."""
    message = f"{loaded:,} bytes" if total is None else f"{loaded:,} of {total:,} bytes"
    progress = percent(loaded, total)
    return UploadProgress(job_id=job_id, progress=progress, message=message, reported_by=reported_by)


class UploadMeter:
    """Publish counts of bytes, at most five a second for each upload, the last always."""

    def __init__(self, uploads: Uploads, publisher: Publisher, *, clock: Clock) -> None:
        self._uploads = uploads
        self._publisher = publisher
        self._clock = clock
        self._told: dict[JobId, float] = {}

    async def note_stored(self, path: str, loaded: int, total: int | None) -> None:
        """Take what the store itself counted; never raises."""
        with contextlib.suppress(MediaPipelineError):
            job = await self._uploads.job_of(path) if self._due(path, loaded, total) else None
            if job is not None:
                await self.note(job, loaded, total, reported_by="server")

    async def note(
        self, job: Job, loaded: int, total: int | None, *, reported_by: Literal["server", "client"]
    ) -> None:
        """Publish one count of an upload that has not ended."""
        if job.ended:
            return
        await self._publisher.publish(
            job.user_id, count_bytes(job.id, loaded, total, reported_by=reported_by)
        )

    def _due(self, path: str, loaded: int, total: int | None) -> bool:
        """Tell whether this count is worth telling; forgets an upload with its last byte."""
        key, now = JobId(path), self._clock.monotonic()
        if loaded == total:
            self._told.pop(key, None)
            return True
        if now - self._told.get(key, -INTERVAL) < INTERVAL:
            return False
        if len(self._told) >= REMEMBERED:
            self._told.clear()
        self._told[key] = now
        return True
