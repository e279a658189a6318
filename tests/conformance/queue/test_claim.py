"""What every queue promises about who runs what, and in which order."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping

import pytest

from media_pipeline.ids import JobId, UserId
from media_pipeline.queue.job import Attempt, Fence, Job, JobState, Priority, WorkerId
from media_pipeline.queue.queue import LeaseLost, Outcome, Queue

from .people import ANN, BOB, BROKEN, LEASE, Floor

ATTEMPT = Attempt(
    number=1, provider="p", model="m", started_at=1.5, submitting=True, handle={"id": "x", "poll": "y"}
)


async def test_jobs_are_claimed_oldest_first(floor: Floor) -> None:
    """Within a lane the job that became available first goes first."""
    asked = [(await floor.ask(UserId(f"user-{n}"))).id for n in range(5)]
    worker = await floor.hire()
    assert [job.id for job in await floor.claim(worker, limit=3)] == asked[:3]
    assert [job.id for job in await floor.claim(worker)] == asked[3:]


async def test_the_better_lane_goes_first(floor: Floor) -> None:
    """A normal job overtakes low ones that were there before, whatever its kind."""
    low = await floor.ask(ANN, priority=Priority.LOW)
    normal = await floor.ask(BOB, kind="video")
    claimed = await floor.claim(await floor.hire())
    assert [job.id for job in claimed] == [normal.id, low.id]


async def test_a_better_job_goes_before_a_lane_in_full_flow(floor: Floor) -> None:
    """A job of a better lane is the next, also while claim after claim is filled from another."""
    low = [await floor.ask(UserId(f"user-{n}"), priority=Priority.LOW) for n in range(4)]
    worker = await floor.hire()
    flow = [await floor.claim(worker, limit=1) for _ in range(2)]
    normal = await floor.ask(BOB)
    flow += [await floor.claim(worker, limit=1) for _ in range(3)]
    expected = [low[0], low[1], normal, low[2], low[3]]
    assert [job.id for claimed in flow for job in claimed] == [job.id for job in expected]


async def test_due_jobs_run_in_the_order_of_their_time(floor: Floor) -> None:
    """Scheduled jobs that came due together run by when they were due, not by when they were made."""
    late = await floor.ask(ANN, run_in=20)
    early = await floor.ask(BOB, run_in=10)
    floor.engine.advance(30)
    await floor.queue.tend()
    assert [job.id for job in await floor.claim(await floor.hire())] == [early.id, late.id]


async def test_a_claimed_job_shows_its_worker(floor: Floor) -> None:
    """A claim counts the attempt, names the worker and keeps the first start time."""
    job = await floor.start()
    assert (job.state, job.attempt, job.failures) == (JobState.RUNNING, 1, 0)
    assert job.started_at == pytest.approx(floor.engine.now(), abs=0.01)
    assert await floor.queue.get(job.id) == job
    floor.engine.advance(5)
    await floor.queue.release(job.fence)
    again = await floor.claim_one()
    assert (again.attempt, again.started_at) == (2, job.started_at)
    assert again.worker_id != job.worker_id


async def test_a_kind_takes_no_more_than_its_slots(floor: Floor) -> None:
    """A claim takes at most the free slots of each kind, its limit in all, and no other kind."""
    for number in range(4):
        for kind in ("image", "video", "import"):
            await floor.ask(UserId(f"user-{number}"), kind=kind)
    worker = await floor.hire()
    first = await floor.claim(worker, free={"image": 1, "video": 2})
    assert sorted(job.kind for job in first) == ["image", "video", "video"]
    assert len(await floor.claim(worker, limit=1, free={"image": 5, "video": 5})) == 1
    assert await floor.claim(worker, free={"process": 5}) == []


async def test_slots_of_a_kind_span_its_lanes(floor: Floor) -> None:
    """One free slot is one job, also when each lane has one."""
    await floor.ask(ANN, priority=Priority.LOW)
    normal = await floor.ask(BOB)
    assert [job.id for job in await floor.claim(await floor.hire(), free={"image": 1})] == [normal.id]


async def test_many_claimers_share_without_overlap(floor: Floor) -> None:
    """Twenty workers claiming at once take each of 300 jobs exactly once."""
    floor.engine.window = 1000
    asked = await asyncio.gather(*(floor.ask(UserId(f"user-{n % 7}")) for n in range(300)))
    workers = [await floor.hire() for _ in range(20)]

    async def work(worker: WorkerId) -> list[JobId]:
        mine: list[JobId] = []
        while claimed := await floor.claim(worker, limit=4):
            mine += [job.id for job in claimed]
        return mine

    taken = [job for mine in await asyncio.gather(*map(work, workers)) for job in mine]
    assert len(taken) == 300
    assert set(taken) == {job.id for job in asked}


FENCED: Mapping[str, Callable[[Queue, Job], Awaitable[object]]] = {
    "record": lambda queue, job: queue.record(job.fence, [ATTEMPT]),
    "finish": lambda queue, job: queue.finish(job.fence, Outcome({})),
    "fail": lambda queue, job: queue.fail(job.fence, BROKEN),
    "release": lambda queue, job: queue.release(job.fence),
    "stop": lambda queue, job: queue.stop(job.fence),
}


async def assert_refused(queue: Queue, stale: Job) -> None:
    """Every fenced method refuses the stale claim and leaves the job as it is."""
    before = await queue.get(stale.id)
    for method in FENCED.values():
        with pytest.raises(LeaseLost):
            await method(queue, stale)
    assert await queue.get(stale.id) == before


@pytest.mark.parametrize("method", ["finish", "fail", "release", "stop"])
async def test_a_claim_is_over_when_its_run_is(floor: Floor, method: str) -> None:
    """After a run's end every write that shows its fence is refused."""
    job = await floor.start()
    await FENCED[method](floor.queue, job)
    await assert_refused(floor.queue, job)


async def test_an_earlier_attempt_is_refused(floor: Floor) -> None:
    """A zombie whose job was claimed again, even by the same worker, writes nothing."""
    await floor.ask()
    worker = await floor.hire()
    (stale,) = await floor.claim(worker)
    await floor.queue.release(stale.fence)
    (fresh,) = await floor.claim(worker)
    assert (fresh.worker_id, fresh.attempt) == (stale.worker_id, stale.attempt + 1)
    await assert_refused(floor.queue, stale)
    assert (await floor.succeed(fresh)).state is JobState.SUCCEEDED


async def test_another_worker_is_refused(floor: Floor) -> None:
    """The right attempt in the wrong hands writes nothing."""
    job = await floor.start()
    thief = await floor.hire()
    stolen = Fence(job.id, job.attempt, thief)
    with pytest.raises(LeaseLost):
        await floor.queue.finish(stolen, Outcome({}))
    assert await floor.state(job) is JobState.RUNNING


async def test_a_rescued_worker_is_refused(floor: Floor) -> None:
    """After a rescue the old worker's writes are refused, before and after the next claim."""
    job = await floor.start()
    await floor.die()
    await assert_refused(floor.queue, job)
    await floor.claim_one()
    await assert_refused(floor.queue, job)


async def test_attempts_are_durable_at_once(floor: Floor) -> None:
    """What a run recorded stands there after a crash, for the next run to go on from."""
    job = await floor.start()
    await floor.queue.record(job.fence, [ATTEMPT])
    await floor.engine.reopen()
    await floor.die()
    assert list((await floor.claim_one()).attempts) == [ATTEMPT]


async def test_a_beating_worker_keeps_its_jobs(floor: Floor) -> None:
    """A worker that beats within its lease loses nothing, however long the job."""
    worker = await floor.hire()
    await floor.ask()
    (job,) = await floor.claim(worker)
    for _ in range(10):
        floor.engine.advance(LEASE - 1)
        await floor.rescue()
        await floor.queue.beat(worker, lease_seconds=LEASE)
    assert (await floor.succeed(job)).state is JobState.SUCCEEDED


async def test_a_silent_worker_loses_its_jobs(floor: Floor) -> None:
    """When the lease ran out the job goes to another, unspent, behind those that waited meanwhile."""
    lost = await floor.start()
    waited = await floor.ask(BOB)
    floor.engine.advance(LEASE - 1)
    await floor.rescue()
    assert await floor.state(lost) is JobState.RUNNING
    assert await floor.die() == []
    assert (await floor.claim_one()).id == waited.id
    again = await floor.claim_one()
    assert (again.id, again.attempt, again.failures) == (lost.id, 2, 0)


async def test_a_worker_whose_jobs_were_given_away_is_told(floor: Floor) -> None:
    """Beat and claim raise `LeaseLost` after the rescue; registering anew lets the worker go on."""
    worker = await floor.hire()
    await floor.die()
    with pytest.raises(LeaseLost):
        await floor.queue.beat(worker, lease_seconds=LEASE)
    await floor.ask()
    with pytest.raises(LeaseLost):
        await floor.claim(worker)
    await floor.queue.register(worker, lease_seconds=LEASE)
    assert len(await floor.claim(worker)) == 1


async def test_a_worker_past_its_lease_claims_nothing(floor: Floor) -> None:
    """A healthy worker whose lease ran out takes no job that the next rescue would count as a crash."""
    worker = await floor.hire()
    await floor.ask()
    floor.engine.advance(LEASE + 1)
    with pytest.raises(LeaseLost):
        await floor.claim(worker)
    await floor.queue.beat(worker, lease_seconds=LEASE)
    (job,) = await floor.claim(worker)
    await floor.rescue()
    assert (await floor.succeed(job)).state is JobState.SUCCEEDED


async def test_a_worker_without_a_row_is_dead(floor: Floor) -> None:
    """Jobs of a worker that left, or of an earlier process, are rescued at the next round."""
    left = await floor.start()
    assert left.worker_id is not None
    await floor.queue.retire(left.worker_id)
    await floor.queue.tend()
    assert await floor.state(left) is JobState.AVAILABLE
    crashed = await floor.claim_one()
    await floor.engine.reopen()
    await floor.queue.tend()
    assert await floor.state(crashed) is JobState.AVAILABLE
    await assert_refused(floor.queue, crashed)


async def test_three_crashes_set_a_job_aside(floor: Floor) -> None:
    """A job whose workers died three times within 72 hours fails as `crashed`, and is named once."""
    job = await floor.start()
    for _ in range(2):
        assert await floor.die() == []
        assert (await floor.claim_one()).id == job.id
    (ended,) = await floor.die()
    assert (ended.id, ended.state) == (job.id, JobState.FAILED)
    assert ended.error is not None
    assert (ended.error.code, ended.error.retryable) == ("crashed", False)
    assert await floor.queue.tend() == []


async def test_a_lease_that_ran_out_is_not_judged_by_tending(floor: Floor) -> None:
    """Until somebody who may judge leases buries a worker, it keeps its jobs, and beats again."""
    job = await floor.start()
    assert job.worker_id is not None
    floor.engine.advance(LEASE + 1)
    await floor.queue.tend()
    await floor.queue.beat(job.worker_id, lease_seconds=LEASE)
    assert await floor.rescue() == []
    assert (await floor.succeed(job)).attempt == 1


async def test_neighbours_of_a_killer_are_not_set_aside_with_it(floor: Floor) -> None:
    """Of jobs that saw two deaths a worker runs one at a time: the third death ends that one alone."""
    floor.engine.window = 100
    asked = [await floor.ask() for _ in range(3)]
    for _ in range(2):
        assert len(await floor.claim(await floor.hire())) == 3
        assert await floor.die() == []
    worker = await floor.hire()
    (killer,) = await floor.claim(worker)
    fresh = await floor.ask(BOB)
    assert [job.id for job in await floor.claim(worker)] == [fresh.id]
    apart = [job for job in asked if job.id != killer.id]
    assert {await floor.state(job) for job in apart} == {JobState.SCHEDULED}
    floor.engine.advance(6)
    await floor.queue.tend()
    assert await floor.claim(worker) == []
    assert [job.id for job in await floor.die()] == [killer.id]
    for _ in apart:
        assert (await floor.succeed(await floor.claim_one())).failures == 0


async def test_old_crashes_are_forgotten(floor: Floor) -> None:
    """Crashes more than 72 hours apart never set a job aside; releases are no crashes."""
    job = await floor.start()
    for _ in range(4):
        await floor.die()
        floor.engine.advance(37 * 3600)
        again = await floor.claim_one()
        await floor.queue.release(again.fence)
        assert (await floor.claim_one()).id == job.id


async def test_an_undecodable_job_fails_once(floor: Floor) -> None:
    """A job whose payload cannot be read fails at its first claim; its neighbours run, its slot is free."""
    floor.engine.window = 1
    bad, blocked = await floor.ask(ANN), await floor.ask(ANN)
    good = await floor.ask(BOB)
    await floor.engine.garble(bad.id)
    worker = await floor.hire()
    assert [job.id for job in await floor.claim(worker)] == [good.id]
    failed = await floor.queue.get(bad.id)
    assert failed.state is JobState.FAILED
    assert failed.error is not None
    assert failed.error.code == "undecodable"
    assert [job.id for job in await floor.claim(worker)] == [blocked.id]
    assert [job.id for job in await floor.queue.unsettled(older_than=0)] == [bad.id]
