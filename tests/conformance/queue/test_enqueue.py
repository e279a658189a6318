"""What every queue promises about taking jobs in and showing them."""

from __future__ import annotations

import asyncio

import pytest

from media_pipeline.ids import JobId, UserId
from media_pipeline.queue.job import JobState, NewJob, Priority
from media_pipeline.queue.queue import Depth, IdempotencyConflict, JobNotFound, Outcome

from .engines import Engine
from .people import ANN, BOB, PAYLOAD, Floor

DAY = 24 * 3600.0


async def test_an_enqueued_job_survives_a_restart(floor: Floor) -> None:
    """What was enqueued stands there, whole, after the process began again."""
    asked = await floor.ask(priority=Priority.LOW, max_failures=3)
    await floor.engine.reopen()
    assert await floor.queue.get(asked.id) == asked
    assert (asked.state, asked.priority, asked.max_failures) == (JobState.AVAILABLE, Priority.LOW, 3)
    assert asked.payload == PAYLOAD
    assert (asked.attempt, asked.failures, asked.attempts, asked.settled) == (0, 0, (), False)


async def test_every_owner_is_named_once(floor: Floor) -> None:
    """Going from owner to owner meets every user who has jobs, each once, and ends."""
    for user in (BOB, ANN, BOB):
        await floor.ask(user=user)
    met, last = [], UserId("")
    while (owner := await floor.queue.next_owner(last)) is not None:
        met.append(owner)
        last = owner
    assert sorted(met) == [ANN, BOB]


async def test_a_missing_job_is_not_found(floor: Floor) -> None:
    """Whatever names a job that was never enqueued raises `JobNotFound`."""
    nobody = JobId("00000000-0000-4000-8000-000000000000")
    for ask in (floor.queue.get, floor.queue.cancel, floor.queue.hasten):
        with pytest.raises(JobNotFound):
            await ask(nobody)


async def test_the_record_keeps_what_a_retry_stands_for(floor: Floor) -> None:
    """A job made by a retry names the job it repeats."""
    first = await floor.ask()
    new = NewJob(id=JobId("second"), user_id=ANN, kind="image", payload={}, retry_of=first.id)
    assert (await floor.queue.enqueue(new)).job.retry_of == first.id


async def test_a_repeated_key_gives_the_first_job(floor: Floor) -> None:
    """The same key and request within a day is answered with the first job, as it stands now."""
    first = await floor.start()
    keyed = await floor.ask(key="k")
    again = await floor.ask(key="k")
    assert again == keyed
    assert again.id != first.id
    await floor.queue.cancel(keyed.id)
    assert (await floor.ask(key="k")).state is JobState.CANCELLED


async def test_a_repeated_key_makes_nothing_new(floor: Floor) -> None:
    """`created` tells a first answer from a repeated one, and only one job stands there."""
    new = NewJob(id=JobId("one"), user_id=ANN, kind="image", payload={}, idempotency_key="k")
    assert (await floor.queue.enqueue(new)).created
    other = NewJob(id=JobId("two"), user_id=ANN, kind="image", payload={}, idempotency_key="k")
    assert not (await floor.queue.enqueue(other)).created
    assert len((await floor.queue.list_jobs(ANN)).jobs) == 1


async def test_a_key_for_another_request_conflicts(floor: Floor) -> None:
    """The same key with another request's hash is refused and makes no job."""
    await floor.ask(key="k")
    with pytest.raises(IdempotencyConflict):
        await floor.ask(key="k", request_hash="another")
    assert len((await floor.queue.list_jobs(ANN)).jobs) == 1


async def test_a_key_is_found_while_it_stands_for_a_job(floor: Floor) -> None:
    """A key leads its user, and nobody else, to its job for 24 hours, without making anything."""
    assert await floor.queue.find(ANN, "k", "same") is None
    job = await floor.ask(key="k")
    found = await floor.queue.find(ANN, "k", "same")
    assert found is not None
    assert found.id == job.id
    assert await floor.queue.find(BOB, "k", "same") is None
    with pytest.raises(IdempotencyConflict):
        await floor.queue.find(ANN, "k", "another")
    floor.engine.advance(DAY + 1)
    assert await floor.queue.find(ANN, "k", "same") is None


async def test_users_do_not_share_keys(floor: Floor) -> None:
    """The same key of two users stands for two jobs."""
    assert (await floor.ask(ANN, key="k")).id != (await floor.ask(BOB, key="k")).id


async def test_a_key_is_forgotten_after_a_day(floor: Floor) -> None:
    """A key answers for 24 hours and then begins anew, for another request too."""
    first = await floor.ask(key="k")
    floor.engine.advance(DAY - 1)
    assert (await floor.ask(key="k")).id == first.id
    floor.engine.advance(2)
    second = await floor.ask(key="k", request_hash="another")
    assert second.id != first.id
    assert (await floor.ask(key="k", request_hash="another")).id == second.id


async def test_fifty_parallel_repeats_make_one_job(floor: Floor) -> None:
    """A key sent fifty times at once makes one job and fifty equal answers."""
    answers = await asyncio.gather(*(floor.ask(key="k") for _ in range(50)))
    assert len({job.id for job in answers}) == 1


async def test_a_job_for_later_waits_for_its_time(floor: Floor) -> None:
    """A scheduled job is claimed when its time has come and not before; a past time means now."""
    later = await floor.ask(run_in=60)
    assert later.state is JobState.SCHEDULED
    assert later.run_at == pytest.approx(floor.engine.now() + 60)
    assert await floor.queue.next_due() == later.run_at
    worker = await floor.hire(lease=1000)
    floor.engine.advance(59)
    await floor.queue.tend()
    assert await floor.claim(worker) == []
    floor.engine.advance(1.01)
    await floor.queue.tend()
    assert [job.id for job in await floor.claim(worker)] == [later.id]
    assert await floor.queue.next_due() is None
    assert (await floor.ask(run_in=-5)).state is JobState.AVAILABLE


async def test_a_scheduled_job_can_be_hastened(floor: Floor) -> None:
    """`hasten` makes a scheduled job due now and leaves any other job as it is."""
    job = await floor.ask(run_in=3600)
    hastened = await floor.queue.hasten(job.id)
    assert (hastened.state, hastened.run_at) == (JobState.AVAILABLE, None)
    running = await floor.claim_one()
    assert await floor.queue.hasten(job.id) == running


async def test_pages_are_stable_under_inserts(floor: Floor) -> None:
    """Paging shows each older job once, newest first, while new jobs arrive between the pages."""
    old = [(await floor.ask()).id for _ in range(7)]
    await floor.ask(BOB)
    seen: list[JobId] = []
    page = await floor.queue.list_jobs(ANN, limit=2)
    seen += [job.id for job in page.jobs]
    while page.next is not None:
        await floor.ask()
        page = await floor.queue.list_jobs(ANN, after=page.next, limit=2)
        seen += [job.id for job in page.jobs]
    assert seen == old[::-1]


async def test_a_stranger_sees_an_empty_page(floor: Floor) -> None:
    """A user's list holds no other user's jobs, and an empty one has no next page."""
    await floor.ask()
    page = await floor.queue.list_jobs(UserId("stranger"))
    assert (page.jobs, page.next) == ([], None)


async def test_depth_counts_what_waits_and_runs(floor: Floor) -> None:
    """`depth` counts jobs by kind and state and says how long the oldest available one has waited."""
    assert await floor.queue.depth() == []
    await floor.start()
    for _ in range(3):
        await floor.ask()
    await floor.ask(kind="video", run_in=60)
    floor.engine.advance(10)
    image, video = await floor.queue.depth()
    assert dict(image.states) == {"running": 1, "available": 1, "blocked": 2}
    assert image.oldest_wait == pytest.approx(10, abs=0.01)
    assert video == Depth("video", {"scheduled": 1}, 0.0)


async def test_ended_jobs_stay_unsettled_until_told(floor: Floor) -> None:
    """An ended job is unsettled, oldest first, until `settle`; a job that runs is not."""
    one, two = await floor.start(), await floor.start(BOB)
    await floor.succeed(one)
    floor.engine.advance(5)
    await floor.queue.stop(two.fence)
    assert [job.id for job in await floor.queue.unsettled(older_than=0)] == [one.id, two.id]
    assert [job.id for job in await floor.queue.unsettled(older_than=4)] == [one.id]
    assert [job.id for job in await floor.queue.unsettled(older_than=0, limit=1)] == [one.id]
    await floor.queue.settle(one.id)
    assert [job.id for job in await floor.queue.unsettled(older_than=0)] == [two.id]
    assert (await floor.queue.get(one.id)).settled


async def test_a_job_that_runs_cannot_be_settled(floor: Floor) -> None:
    """`settle` of a job that has not ended does nothing."""
    job = await floor.start()
    await floor.queue.settle(job.id)
    assert not (await floor.queue.get(job.id)).settled


async def test_pruning_forgets_old_settled_jobs_alone(floor: Floor) -> None:
    """Only settled jobs older than asked for go, at most `limit` at a time."""
    floor.engine.window = 4
    jobs = [await floor.start() for _ in range(4)]
    for job in jobs[:3]:
        await floor.queue.finish(job.fence, Outcome({}))
        await floor.queue.settle(job.id)
    await floor.queue.stop(jobs[3].fence)
    assert await floor.queue.prune(older_than=10) == 0
    floor.engine.advance(11)
    assert await floor.queue.prune(older_than=10, limit=2) == 2
    assert await floor.queue.prune(older_than=10, limit=2) == 1
    assert [job.id for job in (await floor.queue.list_jobs(ANN)).jobs] == [jobs[3].id]


async def test_a_user_s_settled_jobs_are_forgotten_in_bounded_steps(floor: Floor) -> None:
    """However new they are; what has not ended, or was not told, stays, and so do others' jobs."""
    jobs = [await floor.ask() for _ in range(3)]
    others = await floor.ask(BOB)
    for job in (*jobs[:2], others):
        await floor.queue.cancel(job.id)
        await floor.queue.settle(job.id)
    assert await floor.queue.forget(ANN, limit=1) == 1
    assert await floor.queue.forget(ANN, limit=5) == 1
    assert await floor.queue.forget(ANN) == 0
    assert [job.id for job in (await floor.queue.list_jobs(ANN)).jobs] == [jobs[2].id]
    assert [job.id for job in (await floor.queue.list_jobs(BOB)).jobs] == [others.id]


async def test_a_bell_rings_for_what_can_be_done(engine: Engine, floor: Floor) -> None:
    """Work, schedules and cancels each wake those who listen for them."""
    ear = engine.doorbell.listen("work", "schedule", "cancel")
    await floor.ask()
    assert await ear.wait(0) == {"work"}
    await floor.ask(run_in=5)
    assert await ear.wait(0) == {"schedule"}
    job = await floor.claim_one()
    await floor.queue.cancel(job.id)
    assert await ear.wait(0) == {"cancel"}
