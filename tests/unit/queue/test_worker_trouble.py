"""What the worker promises when handlers, leases, the audience or the database fail."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import ClassVar

import pytest

from media_pipeline.db.database import Effect
from media_pipeline.db.statements import Statement
from media_pipeline.errors import MediaPipelineError
from media_pipeline.queue.handler import Run
from media_pipeline.queue.job import Attempt, Failure, JobState
from media_pipeline.queue.queue import JobFailed, Outcome
from media_pipeline.queue.worker import Worker, WorkerSettings

from .doubles import NEVER, Gate, Stage, do_nothing, raising

REFUSED = Failure(code="content_policy", message="It would not.")
BUSY = Failure(code="overloaded", message="Not now.", retryable=True)
QUICK_POLL = WorkerSettings(poll=1.0, grace=0.0)


class Busy(MediaPipelineError):
    """A provider asks for patience."""

    code: ClassVar[str] = "provider_busy"
    retryable: ClassVar[bool] = True
    retry_after = 77.0


@pytest.mark.parametrize(
    ("error", "code", "state"),
    [
        (lambda: ValueError("secret"), "internal", JobState.SCHEDULED),
        (lambda: TimeoutError("of a socket"), "internal", JobState.SCHEDULED),
        (lambda: MediaPipelineError("It cannot."), "internal", JobState.FAILED),
        (lambda: JobFailed(REFUSED), "content_policy", JobState.FAILED),
        (lambda: JobFailed(BUSY), "overloaded", JobState.SCHEDULED),
        (lambda: Busy("Later."), "provider_busy", JobState.SCHEDULED),
    ],
)
async def test_an_error_says_what_becomes_of_the_job(
    stage: Stage, error: Callable[[], Exception], code: str, state: JobState
) -> None:
    """The error's class decides code and retry; a stranger's text never reaches the job's owner."""
    rung = stage.doorbell.listen("schedule")
    asked = await stage.ask()
    async with stage.working(raising(error)):
        await (rung.wait(10) if state is JobState.SCHEDULED else stage.audience.told.until(1))
    job = await stage.queue.get(asked.id)
    assert job.error is not None
    assert (job.state, job.error.code, job.failures) == (state, code, 1)
    assert "secret" not in job.error.message


async def test_a_provider_may_ask_for_patience(stage: Stage) -> None:
    """An error's `retry_after` is how long the job waits at least."""
    rung = stage.doorbell.listen("schedule")
    asked = await stage.ask()
    async with stage.working(raising(lambda: Busy("Later."))):
        await rung.wait(10)
    assert (await stage.queue.get(asked.id)).run_at == pytest.approx(stage.clock.now() + 77, abs=0.01)


async def test_a_job_past_its_deadline_fails(stage: Stage) -> None:
    """A handler that takes longer than it may is interrupted; its job fails as `deadline`."""
    gate = Gate()
    await stage.ask(max_failures=1)
    settings = WorkerSettings(poll=NEVER, grace=0.0, deadline=0.01)
    async with stage.working(gate, settings=settings):
        await stage.audience.told.until(1)
    (job,) = stage.audience.ends
    assert job.error is not None
    assert (job.state, job.error.code, gate.interrupted.count) == (JobState.FAILED, "deadline", 1)


async def test_a_failing_effect_fails_the_run(stage: Stage) -> None:
    """A result that cannot be written fails the run; the job is not left running for ever."""
    wrong = Effect(Statement("wrong", "INSERT INTO nowhere VALUES (1)"), {})

    async def handler(_run: Run) -> Outcome:
        return Outcome({}, [wrong])

    await stage.ask(max_failures=1)
    async with stage.working(handler):
        await stage.audience.told.until(1)
    assert [(job.state, job.result) for job in stage.audience.ends] == [(JobState.FAILED, None)]


async def test_a_lost_lease_interrupts_and_writes_nothing(stage: Stage) -> None:
    """When a worker's jobs were given away it interrupts them; the next claim alone ends the job."""
    gate = Gate()
    asked = await stage.ask()
    async with stage.working(gate):
        await gate.started.until(1)
        await stage.clock.until_sleeping()
        stage.clock.advance(31)
        await stage.queue.bury()
        await stage.queue.tend()
        await gate.interrupted.until(1)
        await gate.started.until(2)
        gate.open.set()
        await stage.audience.told.until(1)
    assert [(job.id, job.result) for job in stage.audience.ends] == [(asked.id, {"attempt": 2})]
    assert stage.audience.heard.count(("lost", asked.id)) == 1


async def test_an_expired_worker_goes_on_without_a_false_crash(stage: Stage) -> None:
    """A worker that overslept its lease renews it before it claims; no claim counts as a crash."""
    async with stage.working(do_nothing):
        await stage.clock.until_sleeping()
        stage.clock.suspend(60)
        asked = await stage.ask()
        await stage.audience.told.until(1)
        await stage.queue.bury()
        await stage.queue.tend()
    assert (await stage.queue.get(asked.id)).attempt == 1


async def test_a_record_of_attempts_waits_for_the_database(stage: Stage) -> None:
    """An outage while a run notes its attempts spends no run: the note is written when it is over."""
    calls = 0

    async def handler(run: Run) -> Outcome:
        nonlocal calls
        calls += 1
        await run.record([Attempt(number=1, provider="one", model="still", started_at=0)])
        return Outcome({})

    stage.queue.down = frozenset({"record"})
    asked = await stage.ask()
    async with stage.working(handler, settings=QUICK_POLL):
        await stage.queue.refused.until(1)
        await stage.clock.until_sleeping(2)
        stage.queue.down = frozenset()
        stage.clock.advance(1)
        await stage.audience.told.until(1)
    job = await stage.queue.get(asked.id)
    assert (job.state, job.failures, len(job.attempts), calls) == (JobState.SUCCEEDED, 0, 1, 1)


async def test_a_result_waits_for_the_database(stage: Stage) -> None:
    """A result that the database could not take is written when it is back; the work is not repeated."""
    gate = Gate()
    gate.open.set()
    await stage.ask()
    async with stage.working(gate, settings=QUICK_POLL):
        stage.queue.down = frozenset({"finish"})
        await stage.queue.refused.until(1)
        await stage.clock.until_sleeping(2)
        stage.clock.advance(1)
        await stage.queue.refused.until(2)
        stage.queue.down = frozenset()
        await stage.clock.until_sleeping(2)
        stage.clock.advance(1)
        await stage.audience.told.until(1)
    assert [(job.state, job.attempt) for job in stage.audience.ends] == [(JobState.SUCCEEDED, 1)]
    assert gate.started.count == 1


async def test_a_worker_that_cannot_beat_stops_its_jobs(stage: Stage) -> None:
    """Well before others may take them a cut-off worker stops its jobs; it gives them back when it can."""
    gate = Gate()
    asked = await stage.ask()
    async with stage.working(gate, settings=QUICK_POLL):
        await gate.started.until(1)
        stage.queue.down = frozenset({"beat", "release", "claim"})
        for beats in (1, 2):
            await stage.clock.until_sleeping()
            assert gate.interrupted.count == 0
            stage.clock.advance(10)
            await stage.queue.refused.until(beats)
        await gate.interrupted.until(1)
        await stage.clock.until_sleeping(2)
        stage.queue.down = frozenset({"claim"})
        available = stage.doorbell.listen("work")
        stage.clock.advance(1)
        assert await available.wait(10)
        assert (await stage.queue.get(asked.id)).state is JobState.AVAILABLE


async def test_a_worker_waits_for_the_database_at_its_start(stage: Stage) -> None:
    """A worker that cannot register tries again, and works once it can."""
    stage.queue.down = frozenset({"register"})
    await stage.ask()
    async with stage.working(do_nothing, settings=QUICK_POLL):
        await stage.queue.refused.until(1)
        stage.queue.down = frozenset()
        await stage.clock.until_sleeping()
        stage.clock.advance(1)
        await stage.audience.told.until(1)


async def test_a_drain_does_not_wait_for_the_database(stage: Stage) -> None:
    """With the database away, a stopped worker still returns; its job is left to the rescue."""
    gate = Gate()
    asked = await stage.ask()
    async with stage.working(gate):
        await gate.started.until(1)
        stage.queue.down = frozenset({"release", "retire"})
    assert (await stage.queue.get(asked.id)).state is JobState.RUNNING


async def test_a_cancel_during_the_last_write_hurts_nobody(stage: Stage) -> None:
    """A cancel that comes while the result is being written changes nothing: the job has succeeded."""
    asked = await stage.ask()
    async with stage.working(do_nothing, settings=QUICK_POLL):
        stage.queue.down = frozenset({"finish"})
        await stage.queue.refused.until(1)
        await stage.queue.cancel(asked.id)
        stage.queue.down = frozenset()
        await stage.clock.until_sleeping(2)
        stage.clock.advance(1)
        await stage.audience.told.until(1)
    assert (await stage.queue.get(asked.id)).state is JobState.SUCCEEDED


@pytest.mark.parametrize("deafness", [MediaPipelineError("The bus is down."), ConnectionError("reset")])
async def test_a_deaf_audience_stops_no_work(stage: Stage, deafness: Exception) -> None:
    """Jobs run and end while nobody can be told; they stay unsettled."""
    stage.audience.deafness = deafness
    asked = await stage.ask()
    async with stage.working(do_nothing):
        await stage.audience.told.until(2)
    assert [job.id for job in await stage.queue.unsettled(older_than=0)] == [asked.id]


async def test_a_cancelled_worker_interrupts_its_jobs(stage: Stage) -> None:
    """When `run` itself is cancelled no handler is left behind."""
    gate = Gate()
    await stage.ask()
    worker = Worker(stage.queue, {"image": gate}, stage.audience, stage.doorbell, clock=stage.clock)
    running = asyncio.create_task(worker.run())
    await gate.started.until(1)
    running.cancel()
    await asyncio.wait([running])
    await gate.interrupted.until(1)
    assert running.cancelled()
