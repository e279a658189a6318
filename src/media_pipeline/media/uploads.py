"""Files that users bring: permission, proof, ingest.

The upload's job is made at `init`, scheduled for when its URL expires. `complete` makes it due at
once; a client that dies after the PUT loses nothing, for the job then finds the bytes by itself.
"""

from __future__ import annotations

import tempfile
import uuid
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import ClassVar, Final, Literal

from media_pipeline.clock import Clock
from media_pipeline.errors import MediaPipelineError
from media_pipeline.ids import JobId, UserId
from media_pipeline.media.announcer import JobAnnouncer
from media_pipeline.media.claimed import ClaimedObjects, see_version
from media_pipeline.media.inspect import inspect_file
from media_pipeline.media.item import Item
from media_pipeline.media.library import keep_item
from media_pipeline.media.present import describe
from media_pipeline.media.quota import Quota, QuotaExceeded, settle_promise
from media_pipeline.media.sniff import ACCEPTED, HEAD_BYTES, may_be_accepted, sniff
from media_pipeline.queue.job import Job, JobState, NewJob
from media_pipeline.queue.queue import JobNotFound, Outcome, Queue
from media_pipeline.queue.worker import Run
from media_pipeline.storage.paths import derived_prefix, safe_filename, upload_path
from media_pipeline.storage.store import (
    ABSENT,
    MediaObject,
    ObjectNotFound,
    PreconditionFailed,
    PresignedUpload,
    Store,
)
from media_pipeline.storage.threads import blocking

KIND: Final = "upload"
URL_LIFE: Final = timedelta(minutes=15)
MAX_IMAGE_BYTES: Final = 256 * 1024**2
"""A picture is decoded in memory."""
SESSION_LIFE: Final = timedelta(days=1)
"""How long an upload in chunks may take."""
LINGER: Final = timedelta(minutes=5)
"""A PUT that began just before its URL expired may end this much later."""


class UploadNotFound(MediaPipelineError):
    """The user has no upload at this path."""

    code: ClassVar[str] = "upload_not_found"


class UploadIncomplete(MediaPipelineError):
    """The bytes are not there yet."""

    code: ClassVar[str] = "upload_incomplete"


class TypeNotAllowed(MediaPipelineError):
    """The file is not of a type that the library takes."""

    code: ClassVar[str] = "type_not_allowed"


class FileTooLarge(MediaPipelineError):
    """The file is larger than an upload may be."""

    code: ClassVar[str] = "too_large"


class EmptyFile(MediaPipelineError):
    """The file has no bytes."""

    code: ClassVar[str] = "empty_file"


class BytesChanged(MediaPipelineError):
    """The object was replaced while it was looked into."""

    code: ClassVar[str] = "object_changed"
    retryable: ClassVar[bool] = True


class UploadFailed(MediaPipelineError):
    """The upload was refused before; start a new one."""

    code: ClassVar[str] = "upload_failed"


@dataclass(frozen=True, slots=True)
class Beginning:
    """What `init` gives: where to PUT, and the job that follows the bytes."""

    job: Job
    object_path: str
    permission: PresignedUpload


class Uploads:
    """Begin, complete and ingest uploads; `max_bytes` bounds one file."""

    def __init__(
        self,
        queue: Queue,
        store: Store,
        announcer: JobAnnouncer,
        quota: Quota,
        *,
        clock: Clock,
        max_bytes: int,
    ) -> None:
        self._queue = queue
        self._quota = quota
        self._store = store
        self._announcer = announcer
        self._clock = clock
        self._max_bytes = max_bytes

    async def begin(
        self,
        user_id: UserId,
        *,
        filename: str,
        content_type: str,
        size: int | None,
        origin: str | None = None,
        idempotency_key: str | None = None,
        request_hash: str | None = None,
    ) -> Beginning:
        """Make the job and sign the URL.

        Raises `TypeNotAllowed`, `FileTooLarge`, `EmptyFile` or `QuotaExceeded`. The same key and request
        give the same upload. Its URL is the same too, unless it is a resumable session: that is nowhere
        kept, so another one is begun for pages of `origin`.
        """
        self._check_declared(content_type, size)
        job_id = JobId(str(uuid.uuid4()))
        path = upload_path(user_id, job_id, filename)
        # before anything is kept, for a file may be refused here
        permission = await self._sign(path, content_type, size, self._clock.now(), origin)
        await self._quota.reserve(user_id, job_id, size or 0)
        enqueued = await self._queue.enqueue(
            NewJob(
                id=job_id,
                user_id=user_id,
                kind=KIND,
                payload={
                    "path": path,
                    "name": safe_filename(filename),
                    "contentType": content_type,
                    "size": size,
                },
                run_at=(permission.expires_at + LINGER).timestamp(),
                idempotency_key=idempotency_key,
                request_hash=request_hash,
            )
        )
        if enqueued.created:
            await self._announcer.queued(enqueued.job)
        else:
            await self._quota.release(job_id)
        if enqueued.created and permission.chunk_bytes is not None:
            return Beginning(enqueued.job, path, permission)
        return await self._permit(enqueued.job, origin)

    async def complete(self, user_id: UserId, path: str) -> Job:
        """Check the bytes and let ingest begin; the same answer every time.

        Raises `UploadNotFound`, `UploadIncomplete`, `UploadFailed`, or what is wrong with the bytes.
        """
        job = await self.job_of(path)
        if job is None or job.user_id != user_id:
            raise UploadNotFound("You have no upload at this path; begin with /media/upload/init.")
        if job.state in {JobState.FAILED, JobState.CANCELLED}:
            raise UploadFailed(
                job.error.message if job.error else "The upload was cancelled; start a new one."
            )
        if job.state is JobState.SUCCEEDED and await see_version(self._store, path) == ABSENT:
            raise UploadNotFound("What you uploaded here was deleted; begin a new upload.")
        if job.state is not JobState.SCHEDULED:
            return job
        try:
            await self._check_bytes(job)
        except (TypeNotAllowed, FileTooLarge, EmptyFile, QuotaExceeded):
            await self._queue.hasten(job.id)  # ingest finds the same and ends the job
            raise
        return await self._queue.hasten(job.id)

    async def job_of(self, path: str) -> Job | None:
        """Return the upload job that a path was made for, None if there is none."""
        parts = path.split("/")
        if len(parts) != 4 or parts[0] != "media":  # noqa: PLR2004 - media/{user}/{job}/{filename}
            return None
        try:
            job = await self._queue.get(JobId(parts[2]))
        except JobNotFound:
            return None
        return job if job.kind == KIND and job.payload.get("path") == path else None

    async def standing(self, path: str) -> Literal["open", "closed", "gone"]:
        """Tell whether an address waits for its bytes, has had them, or will never answer again."""
        job = await self.job_of(path)
        if job is None or job.state is JobState.SCHEDULED:
            return "open"
        return "gone" if job.state in {JobState.FAILED, JobState.CANCELLED} else "closed"

    async def ingest(self, run: Run) -> Outcome:
        """Turn the uploaded bytes into a library item; the handler of the kind `upload`."""
        thumbnail_path = derived_prefix(run.job.user_id, run.job.id) + "thumbnail.webp"
        objects = await ClaimedObjects.look(self._store, [thumbnail_path])
        stored, content_type = await self._check_bytes(run.job)
        stored = await self._store_canonical(stored, content_type)
        with tempfile.TemporaryDirectory(prefix="ingest-") as folder:
            file = Path(folder) / "file"
            await self._fetch(stored, file)
            inspected = await inspect_file(file, ACCEPTED[content_type])
        await objects.write(thumbnail_path, inspected.thumbnail, "image/webp")
        if (await self._store.stat(stored.path)).version != stored.version:
            raise BytesChanged("The bytes changed while they were looked into; it is done again.")
        item = Item(
            path=stored.path,
            user_id=run.job.user_id,
            job_id=run.job.id,
            kind=ACCEPTED[content_type],
            source="upload",
            name=str(run.job.payload["name"]),
            content_type=content_type,
            size=stored.size,
            version=stored.version,
            created_at=self._clock.now(),
            width=inspected.width,
            height=inspected.height,
            duration=inspected.duration,
            thumbnail_path=thumbnail_path,
        )
        return Outcome(
            {"path": item.path, "item": describe(item)}, [*keep_item(item), settle_promise(item.job_id)]
        )

    def _check_declared(self, content_type: str, size: int | None) -> None:
        if not may_be_accepted(content_type):
            raise TypeNotAllowed(_not_allowed(f"{content_type!r} is not taken"))
        self._check_size(size or 0, None)
        if size == 0:
            raise EmptyFile("The file has no bytes; choose one that has.")

    def _check_size(self, size: int, limit: int | None) -> None:
        most = min(self._max_bytes, limit or self._max_bytes)
        if size > most:
            raise FileTooLarge(f"The file has {size:,} bytes; {most:,} is the most that is taken.")

    async def _permit(self, job: Job, origin: str | None) -> Beginning:
        payload, size = job.payload, job.payload["size"]
        path, content_type = str(payload["path"]), str(payload["contentType"])
        exact = size if isinstance(size, int) else None
        return Beginning(job, path, await self._sign(path, content_type, exact, job.created_at, origin))

    async def _sign(
        self, path: str, content_type: str, size: int | None, at: float, origin: str | None
    ) -> PresignedUpload:
        now = datetime.fromtimestamp(at, UTC)
        permission = await self._store.upload_presigned(
            path, content_type, size=size, expires_in=URL_LIFE, now=now, origin=origin
        )
        if permission.chunk_bytes is None:
            return permission
        return replace(permission, expires_at=now + SESSION_LIFE)

    async def _check_bytes(self, job: Job) -> tuple[MediaObject, str]:
        """Return the object and what it really is, or raise what is wrong with it."""
        path = str(job.payload["path"])
        try:
            stored = await self._store.stat(path)
            head = await self._store.read(path, end=HEAD_BYTES, version=stored.version)
        except ObjectNotFound as error:
            raise UploadIncomplete("The bytes are not there; PUT them to the upload URL first.") from error
        if stored.size == 0:
            raise EmptyFile("The file has no bytes; choose one that has.")
        content_type = sniff(head)
        if content_type is None:
            raise TypeNotAllowed(_not_allowed("The file's content is of no type that is taken"))
        self._check_size(stored.size, MAX_IMAGE_BYTES if content_type.startswith("image/") else None)
        if stored.size != job.payload["size"]:
            await self._quota.reserve(job.user_id, job.id, stored.size)
        return stored, content_type

    async def _store_canonical(self, stored: MediaObject, content_type: str) -> MediaObject:
        """Write the true content type on an object that was sent under another."""
        if stored.content_type == content_type:
            return stored
        try:
            source = self._store.stream(stored.path, version=stored.version)
            await self._store.upload(stored.path, source, content_type, if_version=stored.version)
        except PreconditionFailed:
            return await self._store.stat(stored.path)
        return await self._store.stat(stored.path)

    async def _fetch(self, stored: MediaObject, file: Path) -> None:
        with file.open("wb") as out:
            async for chunk in self._store.stream(stored.path, version=stored.version):
                await blocking(out.write, chunk)


def _not_allowed(what: str) -> str:
    return f"{what}; send one of {', '.join(sorted(ACCEPTED))}."
