"""Files of the public web: fetched by the worker, within limits, then looked into like any upload."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from typing import Final
from urllib.parse import unquote

import httpx2

from media_pipeline.clock import Clock
from media_pipeline.ids import JobId, UserId
from media_pipeline.media.announcer import JobAnnouncer
from media_pipeline.media.fetch import Fetched, FetchLimits, fetch
from media_pipeline.media.ingest import Ingest, read_head, write_file
from media_pipeline.media.intake import Intake
from media_pipeline.media.meter import count_bytes
from media_pipeline.media.netguard import NetRules, parse_url
from media_pipeline.media.pace import Paced, Publisher
from media_pipeline.media.quota import Quota
from media_pipeline.queue.handler import Run
from media_pipeline.queue.job import NewJob
from media_pipeline.queue.queue import Outcome
from media_pipeline.storage.paths import safe_filename, upload_path

KIND: Final = "import"


class Imports:
    """Begin and run imports; `transport` is what keeps `rules`."""

    def __init__(
        self,
        announcer: JobAnnouncer,
        publisher: Publisher,
        quota: Quota,
        *,
        intake: Intake,
        ingest: Ingest,
        transport: httpx2.AsyncBaseTransport,
        rules: NetRules,
        seconds: float,
        clock: Clock,
    ) -> None:
        self._announcer = announcer
        self._publisher = publisher
        self._quota = quota
        self._intake = intake
        self._ingest = ingest
        self._transport = transport
        self._rules = rules
        self._limits = FetchLimits(max_bytes=intake.max_bytes, total_seconds=seconds)
        self._clock = clock

    async def begin(
        self,
        user_id: UserId,
        *,
        url: str,
        filename: str | None,
        idempotency_key: str | None = None,
        request_hash: str | None = None,
    ) -> JobId:
        """Enqueue the import of `url`; raises `QuotaExceeded` or `UrlRefused`."""
        parsed = parse_url(url, self._rules)
        known = await self._announcer.find_repeated(user_id, idempotency_key, request_hash)
        if known is not None:
            return known.id
        await self._quota.check_room(user_id)
        name = safe_filename(filename or unquote(parsed.path).rpartition("/")[2])
        enqueued = await self._announcer.enqueue(
            NewJob(
                id=JobId(str(uuid.uuid4())),
                user_id=user_id,
                kind=KIND,
                payload={"url": url, "filename": name},
                idempotency_key=idempotency_key,
                request_hash=request_hash,
            )
        )
        return enqueued.job.id

    async def run(self, run: Run) -> Outcome:
        """Fetch the file and make an item of it; the handler of the kind `import`."""
        job, payload = run.job, run.job.payload
        name = str(payload["filename"])
        path = upload_path(job.user_id, job.id, name)
        url = parse_url(str(payload["url"]), self._rules)
        async with self._ingest.desk(job, path) as desk:
            async with (
                Paced(self._publisher, job.user_id, clock=self._clock) as paced,
                fetch(url, self._transport, self._limits) as fetched,
            ):
                await write_file(desk.file, _counted(fetched, job.id, paced))
            head, size = await read_head(desk.file)
            content_type = self._intake.check_bytes(head, size)
            await self._quota.reserve(job.user_id, job.id, size)
            return await self._ingest.keep_file(desk, path, content_type, name=name, source="import")


async def _counted(fetched: Fetched, job_id: JobId, paced: Paced) -> AsyncIterator[bytes]:
    loaded = 0
    async for chunk in fetched.chunks:
        loaded += len(chunk)
        paced.put(count_bytes(job_id, loaded, fetched.total))
        yield chunk
