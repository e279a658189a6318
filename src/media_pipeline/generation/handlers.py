"""What a worker does with a generation job: ask the manager, tell what happens, keep the results."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import Any, ClassVar, Final, Protocol

import msgspec
import structlog

from media_pipeline.clock import Clock, SystemClock
from media_pipeline.failpoints import failpoint
from media_pipeline.generation.attempts import AttemptLog
from media_pipeline.generation.credentials import CredentialSigner
from media_pipeline.generation.manager import (
    AttemptEnded,
    AttemptStarted,
    ManagerEvent,
    MediaGenerationManager,
)
from media_pipeline.generation.persist import Keeper
from media_pipeline.generation.previews import Previews
from media_pipeline.generation.progress import ProgressReporter, Publisher
from media_pipeline.generation.provider import (
    TRY_AGAIN,
    GenerationRequest,
    MediaKind,
    Preview,
    ProviderError,
    Submitted,
    Submitting,
    Usage,
)
from media_pipeline.generation.results import Results
from media_pipeline.ids import JobId, UserId
from media_pipeline.jsonvalue import JsonObject
from media_pipeline.media.workshop.workshop import Workshop
from media_pipeline.queue.handler import Run
from media_pipeline.queue.job import Failure
from media_pipeline.queue.queue import JobFailed, Outcome
from media_pipeline.storage.store import Store

TOO_LONG: Final = "The job took longer than it may; what its provider still does is of no use to it."


class Logger(Protocol):
    """Where events of the log go, with fields."""

    def info(self, event: str, **fields: Any) -> Any: ...

    def warning(self, event: str, **fields: Any) -> Any: ...


class GenerationHandler:
    """Run generation jobs of one kind. Without a store, results pass through unpersisted.

    A job whose run takes more than `deadline` seconds fails. The time in which nobody ran it does not count:
    what a provider made while the program was away is fetched. Whatever ends a run here, what a provider may
    still do for it is stopped by whoever tells the job's end (`withdrawals.py`).
    `signer` gives results content credentials of ours.
    """

    kind: ClassVar[MediaKind]

    def __init__(
        self,
        manager: MediaGenerationManager,
        store: Store | None,
        publisher: Publisher,
        logger: Logger | None = None,
        *,
        workshop: Workshop | None = None,
        clock: Clock | None = None,
        deadline: float | None = None,
        signer: CredentialSigner | None = None,
    ) -> None:
        self._manager = manager
        self._workshop = workshop or Workshop()
        self._store = store
        self._publisher = publisher
        self._log = logger or structlog.get_logger(__name__)
        self._clock = clock or SystemClock()
        self._deadline = deadline
        self._signer = signer

    async def __call__(self, run: Run) -> Outcome:
        """Do one run of a job; `JobFailed` says why there is no result."""
        job = run.job
        request = read_request(job.payload, job_id=job.id, user_id=job.user_id, kind=self.kind)
        attempts, limit = AttemptLog(run, clock=self._clock), asyncio.timeout(self._deadline)
        try:
            async with limit:
                return await self._generate(request, attempts, run=job.attempt)
        except TimeoutError as error:
            if not limit.expired():
                raise
            raise JobFailed(Failure(code="deadline", message=TOO_LONG)) from error
        except ProviderError as error:
            attempts.note_out_of_sight(error)
            self._log.warning("generation.failed", job_id=run.job.id, reason=error.reason)
            failure = Failure(
                code=error.reason, message=str(error), retryable=error.reason in TRY_AGAIN and not error.final
            )
            raise JobFailed(failure, retry_after=error.retry_after) from error

    async def _generate(self, request: GenerationRequest, attempts: AttemptLog, *, run: int) -> Outcome:
        keeper = await self._open_keeper(request, run)
        results = Results(request, keeper)
        previews = self._open_previews(request)
        reporter = ProgressReporter(self._publisher, request, clock=self._clock)
        events = self._manager.run(request, resume=attempts.resume_point(), first_number=attempts.next_number)
        async with reporter, aclosing(events):
            async for event in events:
                failpoint("mid_provider")
                match event:
                    case AttemptStarted() | AttemptEnded() | Submitting() | Submitted() | Usage():
                        await attempts.note(event)
                    case Preview() if previews is not None:
                        await previews.show(event)
                    case _:
                        pass
                await self._keep(event, results, attempts)
                reporter.note(event)
        return results.outcome()

    async def _keep(self, event: ManagerEvent, results: Results, attempts: AttemptLog) -> None:
        """Keep what `event` brings; of what may be lost with it the attempt's record knows."""
        try:
            await results.note(event)
        except Exception as raised:
            error = await attempts.note_unkept(raised)
            if error is raised:
                raise
            raise error from raised

    async def _open_keeper(self, request: GenerationRequest, run: int) -> Keeper | None:
        if self._store is None:
            return None
        return await Keeper.open(
            self._store, request, self._workshop, attempt=run, clock=self._clock, signer=self._signer
        )

    def _open_previews(self, request: GenerationRequest) -> Previews | None:
        if self._store is None:
            return None
        return Previews(request, self._store, self._publisher, self._workshop, clock=self._clock)


class ImageHandler(GenerationHandler):
    """Run jobs of the kind `generate.image`."""

    kind = "image"


class VideoHandler(GenerationHandler):
    """Run jobs of the kind `generate.video`."""

    kind = "video"


def read_request(
    payload: JsonObject, *, job_id: JobId, user_id: UserId, kind: MediaKind
) -> GenerationRequest:
    """Read a job's payload; `JobFailed` (`undecodable`) for one that is not a request."""
    fields = {**payload, "job_id": job_id, "user_id": user_id, "kind": kind}
    try:
        return msgspec.convert(fields, GenerationRequest)
    except msgspec.ValidationError as error:
        failure = Failure(code="undecodable", message="The job's request cannot be read.")
        raise JobFailed(failure) from error
