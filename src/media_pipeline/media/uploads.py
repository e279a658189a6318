"""Files that users bring: permission, proof, ingest.

The upload's job is made at `init`, scheduled for when its URL expires. `complete` makes it due at
once; a client that dies after the PUT loses nothing, for the job then finds the bytes by itself.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import ClassVar, Final, Literal

from media_pipeline.clock import Clock
from media_pipeline.errors import MediaPipelineError
from media_pipeline.ids import JobId, UserId
from media_pipeline.media.announcer import JobAnnouncer
from media_pipeline.media.claimed import see_version
from media_pipeline.media.ingest import Ingest
from media_pipeline.media.intake import EmptyFile, FileTooLarge, Intake, TypeNotAllowed, WrongSize
from media_pipeline.media.quota import Quota, QuotaExceeded
from media_pipeline.queue.handler import Run
from media_pipeline.queue.job import Job, JobState, NewJob
from media_pipeline.queue.queue import JobNotFound, Outcome, Queue
from media_pipeline.storage.paths import safe_filename, upload_path
from media_pipeline.storage.store import ABSENT, MediaObject, PresignedUpload, Store

KIND: Final = "upload"
URL_LIFE: Final = timedelta(minutes=15)
SESSION_LIFE: Final = timedelta(days=1)
"""How long an upload in chunks may take."""
LINGER: Final = timedelta(hours=1)
"""A PUT that began just before its URL expired, or a session's last chunk, may end this much later."""


class UploadNotFound(MediaPipelineError):
    """The user has no upload at this path."""

    code: ClassVar[str] = "upload_not_found"


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
    """Begin, complete and ingest uploads."""

    def __init__(
        self,
        queue: Queue,
        store: Store,
        announcer: JobAnnouncer,
        quota: Quota,
        *,
        intake: Intake,
        ingest: Ingest,
        clock: Clock,
    ) -> None:
        self._queue = queue
        self._quota = quota
        self._store = store
        self._announcer = announcer
        self._intake = intake
        self._ingest = ingest
        self._clock = clock

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
        self._intake.check_declared(content_type, size)
        known = await self._announcer.find_repeated(user_id, idempotency_key, request_hash)
        if known is not None:
            return await self._permit(known, origin)
        job_id = JobId(str(uuid.uuid4()))
        path = upload_path(user_id, job_id, filename)
        # before anything is kept, for a file may be refused here
        permission = await self._sign(path, content_type, size, self._clock.now(), origin)
        await self._quota.reserve(user_id, job_id, size or 0)
        enqueued = await self._announcer.enqueue(
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
            await self._check_stored(job)
        except (TypeNotAllowed, FileTooLarge, EmptyFile, WrongSize, QuotaExceeded):
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
        async with self._ingest.desk(run.job) as desk:
            stored, content_type = await self._check_stored(run.job)
            await self._ingest.fetch(stored, desk.file)
            name = str(run.job.payload["name"])
            return await self._ingest.keep_stored(desk, stored, content_type, name=name)

    async def _check_stored(self, job: Job) -> tuple[MediaObject, str]:
        """Return the object and its type, or raise what is wrong; bytes not announced need room."""
        size = job.payload["size"]
        announced = size if isinstance(size, int) else None
        stored, content_type = await self._intake.check_stored(str(job.payload["path"]), announced=announced)
        if announced is None:
            await self._quota.reserve(job.user_id, job.id, stored.size)
        return stored, content_type

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
