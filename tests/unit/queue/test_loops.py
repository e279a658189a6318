"""What the rescuer and the republisher promise."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
from structlog.testing import capture_logs

from media_pipeline.ids import JobId
from media_pipeline.queue.job import Job, JobState, WorkerId
from media_pipeline.queue.queue import Outcome
from media_pipeline.queue.republisher import Republisher
from media_pipeline.queue.rescuer import Rescuer

from .doubles import NEVER, Audience, Stage

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


@asynccontextmanager
async def in_contact(stage: Stage) -> AsyncIterator[Callable[[float], Awaitable[None]]]:
    """Run a rescuer that has been in contact for a lease; the function lets time pass, then a round."""

    async def after(seconds: float) -> None:
        rounds = stage.queue.rounds.count
        stage.clock.advance(seconds)
        stage.doorbell.ring("schedule")
        await stage.queue.rounds.until(rounds + 1)

    rounds = stage.queue.rounds.count
    async with background(rescuer(stage).run()):
        await stage.queue.rounds.until(rounds + 1)
        for _ in range(3):
            await after(LEASE / 3)
        yield after


async def test_a_rescuer_in_contact_judges_a_lease_at_once(stage: Stage) -> None:
    """A worker that stopped beating loses its jobs in the first round after its lease."""
    async with in_contact(stage) as after:
        job = await claimed(stage)
        await after(LEASE / 3)
        await after(LEASE / 3)
        assert (await stage.queue.get(job.id)).fence == job.fence
        await after(LEASE / 3 + 1)
    assert (await stage.queue.get(job.id)).state is JobState.AVAILABLE


async def test_a_rescuer_that_begins_judges_nobody_for_a_lease(stage: Stage) -> None:
    """A rescuer started in or after an outage cannot know who could beat, and waits for a lease."""
    job = await claimed(stage)
    stage.clock.advance(LEASE + 1)
    async with background(rescuer(stage).run()):
        await stage.queue.rounds.until(1)
        assert (await stage.queue.get(job.id)).fence == job.fence
    async with in_contact(stage):
        assert (await stage.queue.get(job.id)).state is JobState.AVAILABLE


@pytest.mark.parametrize("beats", [True, False])
async def test_an_outage_longer_than_a_lease_kills_no_worker(stage: Stage, *, beats: bool) -> None:
    """After the database was away, workers have a lease to beat in; only who does not loses its jobs."""
    async with in_contact(stage) as after:
        job = await claimed(stage)
        stage.queue.down = frozenset({"tend"})
        stage.clock.advance(2 * LEASE)
        stage.doorbell.ring("schedule")
        await stage.queue.refused.until(1)
        stage.queue.down = frozenset()
        await after(LEASE / 3)
        if beats:
            await stage.queue.beat(WORKER, lease_seconds=2 * LEASE)
        for _ in range(3):
            assert (await stage.queue.get(job.id)).fence == job.fence
            await after(LEASE / 3)
        assert (await stage.queue.get(job.id)).state is (JobState.RUNNING if beats else JobState.AVAILABLE)


async def test_a_call_that_hung_is_an_outage(stage: Stage) -> None:
    """A round that was answered in the end, but late, judges nobody: workers may have hung as well."""
    async with in_contact(stage) as after:
        job = await claimed(stage)
        await after(LEASE + 1)
        await after(LEASE / 3)
        assert (await stage.queue.get(job.id)).fence == job.fence


@pytest.mark.parametrize("wakes", [True, False])
async def test_a_machine_that_slept_rescues_nobody_at_once(stage: Stage, *, wakes: bool) -> None:
    """After the machine slept past every lease, workers may beat before their jobs are given away."""
    async with in_contact(stage) as after:
        job = await claimed(stage)
        stage.clock.suspend(100)
        await after(0)
        if wakes:
            await stage.queue.beat(WORKER, lease_seconds=2 * LEASE)
        for _ in range(3):
            assert (await stage.queue.get(job.id)).fence == job.fence
            await after(LEASE / 3)
        assert (await stage.queue.get(job.id)).state is (JobState.RUNNING if wakes else JobState.AVAILABLE)


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


async def test_an_outage_of_the_bus_is_two_lines_of_the_log(stage: Stage) -> None:
    """However many rounds find ends that cannot be told, the log says so once, and once that it is over."""
    told = {await ended(stage) for _ in range(3)}
    stage.audience.deafness = ConnectionError("reset")
    with capture_logs() as lines:
        async with background(republisher(stage).run()):
            for rounds in range(1, 4):
                await stage.audience.told.until(3 * rounds)
                await stage.clock.until_sleeping()
                stage.clock.advance(6)
            stage.audience.deafness = None
            await stage.audience.told.until(12)
            for job_id in told:
                await stage.queue.settle(job_id)
            await stage.clock.until_sleeping()
            stage.clock.advance(6)
            await stage.clock.until_sleeping()
    said = [(line["log_level"], line["event"], line["jobs"]) for line in lines]
    assert said == [("warning", "republisher.untold", 3), ("info", "republisher.told", 3)]


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


async def test_what_an_outage_left_is_told_side_by_side(stage: Stage) -> None:
    """Of many untold ends some are on their way at once: one that takes its time holds up no other."""
    asked = {await ended(stage) for _ in range(5)}
    all_on_their_way = asyncio.Barrier(len(asked))

    class Slow(Audience):
        async def ended(self, job: Job) -> None:
            await all_on_their_way.wait()
            await super().ended(job)

    stage.audience = Slow()
    async with asyncio.timeout(10), background(republisher(stage).run()):
        await stage.audience.told.until(len(asked))
    assert {end.id for end in stage.audience.ends} == asked


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
