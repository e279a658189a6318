"""What the rescuer and the republisher promise."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager, suppress
from typing import Any

from media_pipeline.ids import JobId
from media_pipeline.queue.job import Job, JobState, WorkerId
from media_pipeline.queue.queue import Outcome
from media_pipeline.queue.republisher import Republisher
from media_pipeline.queue.rescuer import Rescuer

from .doubles import NEVER, Stage

LEASE = 30.0
WORKER = WorkerId("w")


@asynccontextmanager
async def background(loop: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    task = asyncio.create_task(loop)
    yield
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


def rescuer(stage: Stage) -> Rescuer:
    return Rescuer(
        stage.queue, stage.audience, stage.doorbell, interval=NEVER, lease=LEASE, clock=stage.clock
    )


def republisher(stage: Stage) -> Republisher:
    return Republisher(stage.queue, stage.audience, interval=2.0, patience=5.0, keep=100.0, clock=stage.clock)


async def claimed(stage: Stage) -> Job:
    await stage.queue.register(WORKER, lease_seconds=LEASE)
    await stage.ask()
    (job,) = await stage.queue.claim(WORKER, {"image": 1}, limit=1)
    return job


async def ended(stage: Stage) -> JobId:
    job = await claimed(stage)
    await stage.queue.finish(job.fence, Outcome({}))
    return job.id


async def test_a_due_job_starts_by_its_ring(stage: Stage) -> None:
    """A new schedule wakes the rescuer, which lets a due job in."""
    work = stage.doorbell.listen("work")
    async with background(rescuer(stage).run()):
        await stage.queue.tended.until(1)
        job = await stage.ask(run_in=0.02)
        stage.clock.advance(1)
        assert await work.wait(10)
    assert (await stage.queue.get(job.id)).state is JobState.AVAILABLE


async def test_a_rescued_end_is_told(stage: Stage) -> None:
    """A job that ends because its worker died is announced by the rescuer."""
    job = await claimed(stage)
    await stage.queue.cancel(job.id)
    await stage.queue.retire(WORKER)
    async with background(rescuer(stage).run()):
        await stage.audience.told.until(1)
    assert [(end.id, end.state) for end in stage.audience.ends] == [(job.id, JobState.CANCELLED)]


async def test_a_machine_that_slept_rescues_nobody_at_once(stage: Stage) -> None:
    """After the machine slept past every lease, workers may beat before their jobs are given away."""
    job = await claimed(stage)
    async with background(rescuer(stage).run()):
        await stage.queue.tended.until(1)
        stage.clock.suspend(100)
        stage.doorbell.ring("schedule")
        await stage.clock.until_sleeping()
        await stage.queue.beat(WORKER, lease_seconds=2 * LEASE)
        stage.clock.advance(LEASE)
        await stage.queue.tended.until(2)
    assert (await stage.queue.get(job.id)).fence == job.fence


async def test_a_worker_that_did_not_wake_is_rescued(stage: Stage) -> None:
    """After the machine slept, a worker that does not beat for a lease loses its jobs."""
    job = await claimed(stage)
    async with background(rescuer(stage).run()):
        await stage.queue.tended.until(1)
        stage.clock.suspend(100)
        stage.doorbell.ring("schedule")
        await stage.clock.until_sleeping()
        stage.clock.advance(LEASE)
        await stage.queue.tended.until(2)
    assert (await stage.queue.get(job.id)).state is JobState.AVAILABLE


async def test_what_a_crash_left_untold_is_told_at_once(stage: Stage) -> None:
    """An end that an earlier process did not settle is announced when the republisher begins."""
    job_id = await ended(stage)
    async with background(republisher(stage).run()):
        await stage.audience.told.until(1)
    assert [end.id for end in stage.audience.ends] == [job_id]


async def test_an_untold_end_is_told_until_it_is_settled(stage: Stage) -> None:
    """While the audience is deaf the republisher tries again; once it hears, and settles, no more."""
    job_id = await ended(stage)
    stage.audience.deafness = ConnectionError("reset")
    async with background(republisher(stage).run()):
        await stage.audience.told.until(1)
        await stage.clock.until_sleeping()
        stage.audience.deafness = None
        stage.clock.advance(6)
        await stage.audience.told.until(2)
        await stage.queue.settle(job_id)
        await stage.clock.until_sleeping()
        stage.clock.advance(2)
        await stage.clock.until_sleeping()
    assert [end.id for end in stage.audience.ends] == [job_id]


async def test_a_fresh_end_is_left_to_its_worker(stage: Stage) -> None:
    """Within its patience the republisher leaves an end to the worker that wrote it."""
    async with background(republisher(stage).run()):
        await stage.clock.until_sleeping()
        await ended(stage)
        stage.clock.advance(2)
        await stage.clock.until_sleeping()
        assert stage.audience.ends == []
        stage.clock.advance(6)
        await stage.audience.told.until(1)


async def test_a_bus_that_is_back_hears_a_fresh_end_at_once(stage: Stage) -> None:
    """Asked to hurry, the republisher tells what ended a moment ago and could not be told."""
    async with background((republishing := republisher(stage)).run()):
        await stage.clock.until_sleeping()
        job_id = await ended(stage)
        republishing.hurry()
        await stage.audience.told.until(1)
    assert [end.id for end in stage.audience.ends] == [job_id]


async def test_old_settled_jobs_are_forgotten(stage: Stage) -> None:
    """A settled job is pruned when it is older than `keep`."""
    job_id = await ended(stage)
    await stage.queue.settle(job_id)
    stage.clock.advance(101)
    async with background(republisher(stage).run()):
        await stage.clock.until_sleeping()
    assert (await stage.queue.list_jobs((await stage.ask()).user_id)).jobs[1:] == []


async def test_the_republisher_outlives_the_database(stage: Stage) -> None:
    """A database that is away costs a round, not the loop."""
    stage.queue.down = frozenset({"unsettled"})
    await ended(stage)
    async with background(republisher(stage).run()):
        await stage.clock.until_sleeping()
        stage.queue.down = frozenset()
        stage.clock.advance(6)
        await stage.audience.told.until(1)
