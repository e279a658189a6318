"""Making new items of items: resized, cut, converted, stripped; a film's poster, part or other codec."""

from __future__ import annotations

import uuid
from typing import ClassVar, Final

import msgspec

from media_pipeline.clock import Clock
from media_pipeline.errors import MediaPipelineError
from media_pipeline.ids import JobId, UserId
from media_pipeline.jsonvalue import JsonObject
from media_pipeline.media.announcer import JobAnnouncer
from media_pipeline.media.ingest import Desk, Ingest
from media_pipeline.media.item import Item
from media_pipeline.media.library import Library
from media_pipeline.media.pace import Paced, Publisher, percent
from media_pipeline.media.quota import Quota
from media_pipeline.media.workshop.orders import Made, Operation, Step
from media_pipeline.media.workshop.targets import refusal, target_format
from media_pipeline.media.workshop.workshop import Workshop, WorkshopFailed
from media_pipeline.queue.handler import Run
from media_pipeline.queue.job import Job, NewJob
from media_pipeline.queue.queue import Outcome
from media_pipeline.realtime.events import ProcessProgress
from media_pipeline.storage.paths import safe_filename, upload_path
from media_pipeline.storage.store import Store
from media_pipeline.storage.threads import blocking

KIND: Final = "process"


class OperationRefused(MediaPipelineError):
    """The item cannot take this operation."""

    code: ClassVar[str] = "operation_refused"


class Processing:
    """Begin and run operations on a user's items."""

    def __init__(
        self,
        announcer: JobAnnouncer,
        publisher: Publisher,
        quota: Quota,
        *,
        library: Library,
        store: Store,
        ingest: Ingest,
        workshop: Workshop,
        clock: Clock,
    ) -> None:
        self._announcer = announcer
        self._publisher = publisher
        self._quota = quota
        self._library = library
        self._store = store
        self._ingest = ingest
        self._workshop = workshop
        self._clock = clock

    async def begin(
        self,
        user_id: UserId,
        *,
        path: str,
        operation: JsonObject,
        idempotency_key: str | None = None,
        request_hash: str | None = None,
    ) -> JobId:
        """Enqueue `operation` on the item at `path`; `MediaNotFound`, `OperationRefused`, `QuotaExceeded`."""
        known = await self._announcer.find_repeated(user_id, idempotency_key, request_hash)
        if known is not None:
            return known.id
        await self._quota.check_room(user_id)
        await self._choose(user_id, path, operation)
        enqueued = await self._announcer.enqueue(
            NewJob(
                id=JobId(str(uuid.uuid4())),
                user_id=user_id,
                kind=KIND,
                payload={"path": path, "operation": operation},
                idempotency_key=idempotency_key,
                request_hash=request_hash,
            )
        )
        return enqueued.job.id

    async def run(self, run: Run) -> Outcome:
        """Do the operation and make an item of what comes out; the handler of the kind `process`."""
        job = run.job
        wanted = job.payload["operation"]
        assert isinstance(wanted, dict)  # noqa: S101 - `begin` wrote it
        item, operation = await self._choose(job.user_id, str(job.payload["path"]), wanted)
        name = _name(item, operation)
        path = upload_path(job.user_id, job.id, name)
        async with self._ingest.desk(job, path) as desk:
            made = await self._make(desk, item, operation)
            return await self._ingest.keep_file(
                desk, path, made.content_type, name=name, source="process", source_path=item.path
            )

    async def _choose(self, user_id: UserId, path: str, wanted: JsonObject) -> tuple[Item, Operation]:
        item = await self._library.get(user_id, path)
        operation: Operation = msgspec.convert(wanted, Operation)
        if reason := refusal(item, operation):
            raise OperationRefused(reason)
        return item, operation

    async def _make(self, desk: Desk, item: Item, operation: Operation) -> Made:
        """Do the operation; what was made lies in place of the source afterwards."""
        await self._ingest.fetch(await self._store.stat(item.path), desk.file)
        made = None
        async with Paced(self._publisher, item.user_id, clock=self._clock) as paced:
            steps = self._workshop.make(desk.file, desk.folder, item.content_type, operation)
            async for message in steps:
                if isinstance(message, Made):
                    made = message
                else:
                    paced.put(_progress(desk.job, message))
        if made is None:
            raise WorkshopFailed("Nothing was made of the file.")
        await blocking((desk.folder / made.name).replace, desk.file)
        return made


def _name(item: Item, operation: Operation) -> str:
    stem, dot, extension = item.name.rpartition(".")
    made = f"{type(operation).__name__.lower()}.{target_format(item.content_type, operation)}"
    return safe_filename(f"{stem if dot else extension}-{made}")


def _progress(job: Job, step: Step) -> ProcessProgress:
    known = f"frame {step.done:,}" if step.total is None else f"frame {step.done:,} of {step.total:,}"
    return ProcessProgress(job_id=job.id, progress=percent(step.done, step.total), message=known)
