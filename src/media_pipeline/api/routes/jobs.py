"""`/jobs`: what became of what was asked for."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal, NamedTuple

import msgspec
from fastapi import APIRouter, Path, Query, Response
from pydantic.alias_generators import to_camel

from media_pipeline.api.accepted import accepted
from media_pipeline.api.answers import AttemptView, JobError, JobList, JobRef, JobView
from media_pipeline.api.auth import Identity, Reader, Steerer
from media_pipeline.api.cursors import read_cursor, write_cursor
from media_pipeline.api.idempotency import IdempotencyKey, hash_request
from media_pipeline.api.problems import Problem, documented
from media_pipeline.api.scopes import require, scope_of
from media_pipeline.generation.attempts import charged_by
from media_pipeline.ids import JobId, UserId
from media_pipeline.media.announcer import JobAnnouncer
from media_pipeline.media.present import iso, present_result
from media_pipeline.media.quota import Quota
from media_pipeline.queue.announcer import Announcer, announce_end
from media_pipeline.queue.job import Job, JobState, NewJob
from media_pipeline.queue.queue import JobNotFound, Queue
from media_pipeline.realtime.events import Event
from media_pipeline.realtime.hub import UnknownJob
from media_pipeline.storage.store import Store

WireState = Literal["queued", "running", "succeeded", "failed", "cancelled"]
_STATES: Final[Mapping[JobState, WireState]] = {
    JobState.SCHEDULED: "queued",
    JobState.BLOCKED: "queued",
    JobState.AVAILABLE: "queued",
    JobState.RUNNING: "running",
    JobState.SUCCEEDED: "succeeded",
    JobState.FAILED: "failed",
    JobState.CANCELLED: "cancelled",
}
_MESSAGES: Final[Mapping[JobState, str]] = {
    JobState.SCHEDULED: "waiting for its time",
    JobState.BLOCKED: "waiting for your other jobs",
    JobState.AVAILABLE: "waiting for a worker",
    JobState.RUNNING: "running",
    JobState.SUCCEEDED: "done",
    JobState.FAILED: "failed",
    JobState.CANCELLED: "cancelled",
}
_BRINGS_NO_BYTES: Final = frozenset({"upload"})
JobPath = Annotated[JobId, Path(max_length=64)]


class JobPlace(NamedTuple):
    """A place in a list of jobs: just after this one."""

    created_at: Annotated[float, msgspec.Meta(ge=0, le=1e12)]
    job_id: JobId


def jobs_routes(
    queue: Queue, store: Store, announcer: JobAnnouncer, quota: Quota, *, ends: Announcer
) -> APIRouter:
    """Build the routes that show and steer jobs; `ends` hears of those that end here."""
    router = APIRouter(tags=["jobs"])

    @router.get("/jobs", responses=documented(401, 422), summary="Your jobs, newest first")
    async def list_jobs(
        caller: Reader,
        cursor: Annotated[str | None, Query(max_length=512)] = None,
        limit: Annotated[int, Query(ge=1, le=200)] = 50,
        user: Annotated[str | None, Query(max_length=255, description="another's; scope `admin`")] = None,
    ) -> JobList:
        if user is not None and user != caller.user_id:
            require(caller.scopes, "admin")
        after = read_cursor(cursor, JobPlace) if cursor else None
        page = await queue.list_jobs(UserId(user or caller.user_id), after=after, limit=limit)
        views = [await view_job(store, job) for job in page.jobs]
        return JobList(jobs=views, next_cursor=write_cursor(page.next) if page.next else None)

    @router.get("/jobs/{job_id}", responses=documented(401, 404), summary="One job")
    async def get_job(job_id: JobPath, caller: Reader) -> JobView:
        return await view_job(store, await _reach(queue, caller, job_id))

    @router.post(
        "/jobs/{job_id}/cancel", status_code=202, responses=documented(401, 404, 409), summary="Stop a job"
    )
    async def cancel_job(job_id: JobPath, caller: Steerer) -> JobRef:
        reached = await _reach(queue, caller, job_id)
        require(caller.scopes, scope_of(reached.kind))
        job = await queue.cancel(job_id)
        if job.ended:
            await announce_end(ends, job)
        return JobRef(job_id=job_id)

    @router.post(
        "/jobs/{job_id}/retry",
        status_code=202,
        responses=documented(401, 403, 404, 409, 422),
        summary="Do an ended job again, as a new one",
    )
    async def retry_job(
        job_id: JobPath,
        caller: Steerer,
        response: Response,
        key: IdempotencyKey = None,
        *,
        accept_charge: Annotated[
            bool, Query(alias="acceptCharge", description="make it again although the first may be charged")
        ] = False,
    ) -> JobRef:
        first = await own_job(queue, caller.user_id, job_id)
        require(caller.scopes, scope_of(first.kind))
        if not accept_charge:
            _warn_of_charge(first)
        again = _again(first, key)
        known = await announcer.find_repeated(again.user_id, key, again.request_hash)
        if known is not None:
            return accepted(known.id, response)
        await quota.check_room(again.user_id)
        return accepted((await announcer.enqueue(again)).job.id, response)

    return router


async def own_job(queue: Queue, user_id: UserId, job_id: JobId) -> Job:
    """Return a job of `user_id`; another's is `JobNotFound`, exactly like a missing one."""
    job = await queue.get(job_id)
    if job.user_id != user_id:
        raise JobNotFound("There is no such job.")
    return job


async def _reach(queue: Queue, caller: Identity, job_id: JobId) -> Job:
    """Return a job of the caller; with the scope `admin`, of anybody."""
    if "admin" in caller.scopes:
        return await queue.get(job_id)
    return await own_job(queue, caller.user_id, job_id)


async def read_history(queue: Queue, announcer: JobAnnouncer, user_id: UserId, job_id: JobId) -> list[Event]:
    """Return a job's state events so far, for a stream that opens late."""
    try:
        return await announcer.history(await own_job(queue, user_id, job_id))
    except JobNotFound as error:
        raise UnknownJob(str(error)) from error


async def view_job(store: Store, job: Job) -> JobView:
    """Write a job as the wire shows it."""
    error = job.error if job.state is JobState.FAILED else None
    return JobView(
        job_id=job.id,
        kind=job.kind,
        state=_STATES[job.state],
        progress=100.0 if job.state is JobState.SUCCEEDED else None,
        message="stopping" if job.cancel_requested and not job.ended else _MESSAGES[job.state],
        attempts=[
            AttemptView(
                number=attempt.number,
                provider=attempt.provider,
                model=attempt.model,
                started_at=iso(attempt.started_at),
                ended_at=_maybe_iso(attempt.ended_at or job.finished_at),
                error=attempt.error,
                cancel=attempt.cancel,
            )
            for attempt in job.attempts
        ],
        created_at=iso(job.created_at),
        started_at=_maybe_iso(job.started_at),
        finished_at=_maybe_iso(job.finished_at),
        result=await present_result(store, job.result) if job.result is not None else None,
        error=JobError(error=error.message, code=error.code, retryable=error.retryable) if error else None,
        retry_of=job.retry_of,
        request=_camel(job.payload) | {"priority": job.priority.name.lower()},
    )


def _warn_of_charge(first: Job) -> None:
    """Raise for a job that a provider may charge for although nothing was kept of it."""
    if (provider := charged_by(first)) is not None:
        sentence = f"The first try may have been taken by {provider} and may be charged; "
        raise Problem(409, "may_be_charged", sentence + "repeat with ?acceptCharge=true to pay again.")


def _again(first: Job, key: str | None) -> NewJob:
    if not first.ended:
        raise Problem(409, "job_not_ended", "The job has not ended; cancel it first or wait.")
    if first.kind in _BRINGS_NO_BYTES:
        raise Problem(409, "not_repeatable", "An upload's bytes come from you; begin a new upload.")
    return NewJob(
        id=JobId(str(uuid.uuid4())),
        user_id=first.user_id,
        kind=first.kind,
        payload=first.payload,
        priority=first.priority,
        max_failures=first.max_failures,
        idempotency_key=key,
        request_hash=hash_request("retry", first.id),
        retry_of=first.id,
    )


def _maybe_iso(seconds: float | None) -> str | None:
    return None if seconds is None else iso(seconds)


def _camel(value: Any) -> Any:
    """Write a payload as its owner sent it: keys in camelCase, all the way down."""
    if isinstance(value, Mapping):
        return {to_camel(name): _camel(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_camel(inner) for inner in value]
    return value
