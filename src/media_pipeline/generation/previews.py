"""Partial pictures on show: small WebP objects, which go when their job has ended.

Guarantees: whatever size and format a provider sends, what is shown is a WebP of at most `SIDE` pixels,
decoded in a child; of those that come faster than can be watched some are left out. Not guaranteed: that
any is shown; a partial picture is worth no run.
"""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from typing import Final

import structlog

from media_pipeline.clock import Clock
from media_pipeline.errors import MediaPipelineError
from media_pipeline.generation.provider import GenerationRequest, Preview
from media_pipeline.media.pace import INTERVAL, Publisher
from media_pipeline.media.sniff import HEAD_BYTES, sniff
from media_pipeline.media.workshop.orders import Made, Thumbnail
from media_pipeline.media.workshop.refusal import BadPicture
from media_pipeline.media.workshop.workshop import Workshop
from media_pipeline.realtime.events import GenerationPreview
from media_pipeline.storage.paths import preview_path
from media_pipeline.storage.store import ABSENT, Store
from media_pipeline.storage.threads import blocking

SIDE: Final = 256
SMALL: Final = 32 * 1024
"""A WebP of at most so many bytes is shown as it came."""
SECONDS: Final = 5.0
"""What one may take; then the run goes on without it."""
_WEBP: Final = "image/webp"
_log = structlog.get_logger(__name__)


class Previews:
    """The partial pictures of one run."""

    def __init__(
        self,
        request: GenerationRequest,
        store: Store,
        publisher: Publisher,
        workshop: Workshop,
        *,
        clock: Clock,
    ) -> None:
        self._request, self._store, self._publisher = request, store, publisher
        self._workshop, self._clock = workshop, clock
        self._shown: dict[int, float] = {}

    async def show(self, preview: Preview) -> None:
        """Put a partial picture where its owner can see it; a new one has a new address."""
        now, request = self._clock.monotonic(), self._request
        if now - self._shown.get(preview.index, float("-inf")) < INTERVAL:
            return
        self._shown[preview.index] = now
        number = round(self._clock.now() * 1000)
        path = preview_path(request.user_id, request.job_id, preview.index, number=number)
        try:
            async with asyncio.timeout(SECONDS):
                small = await self._small(preview.data)
                url = await self._store.upload(path, small, _WEBP, if_version=ABSENT)
                event = GenerationPreview(job_id=request.job_id, index=preview.index, url=url)
                await self._publisher.publish(request.user_id, event)
        except (MediaPipelineError, TimeoutError) as error:
            _log.warning("preview.not_shown", job_id=request.job_id, error=repr(error))

    async def _small(self, data: bytes) -> bytes:
        """Return the picture as a small WebP; `BadPicture` for what is none."""
        found = sniff(data[:HEAD_BYTES])
        if found is None:
            raise BadPicture("A partial picture is no picture.")
        if found == _WEBP and len(data) <= SMALL:
            return data
        with tempfile.TemporaryDirectory(prefix="media-pipeline-") as name:
            folder = Path(name)
            await blocking((folder / "file").write_bytes, data)
            making = self._workshop.make(folder / "file", folder, found, Thumbnail(size=SIDE))
            made = [message async for message in making if isinstance(message, Made)]
            return await blocking((folder / made[0].name).read_bytes)
