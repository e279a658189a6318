"""What every queue promises about how jobs end: success, failure and retry, cancel, effects."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from media_pipeline.ids import UserId
from media_pipeline.queue.job import Attempt, JobState
from media_pipeline.queue.queue import JobEnded, LeaseLost, Outcome

from .engines import Engine
from .people import ANN, BOB, BROKEN, REFUSED, Floor


async def test_a_finished_job_keeps_its_result(floor: Floor) -> None:
    """The result is on the record, the job has ended, and its worker is gone from it."""
    job = await floor.start()
    floor.engine.advance(3)
    done = await floor.queue.finish(job.fence, Outcome({"items": [{"path": "ä"}]}))
    assert done == await floor.queue.get(job.id)
    assert (done.state, done.result, done.worker_id) == (
        JobState.SUCCEEDED,
        {"items": [{"path": "ä"}]},
        None,
    )
    assert done.finished_at == pytest.approx(floor.engine.now(), abs=0.01)


async def test_effects_land_with_the_finish(engine: Engine, floor: Floor) -> None:
    """What an outcome writes beside the result is there when `finish` returns, in its order."""
    job = await floor.start()
    await floor.queue.finish(job.fence, Outcome({}, [engine.note("a"), engine.note("b")]))
    assert await engine.notes() == ["a", "b"]


async def test_a_failing_effect_undoes_its_own_finish_alone(engine: Engine, floor: Floor) -> None:
    """Of finishes committed together, the one whose effect fails leaves no trace; the others stand."""
    engine.window = 100
    for _ in range(9):
        await floor.ask()
    jobs = await floor.claim(await floor.hire())
    outcomes = [Outcome({}, [engine.note(f"{n}"), engine.note(f"{n % 8}x")]) for n in range(9)]
    ends = await asyncio.gather(
        *(floor.queue.finish(job.fence, outcome) for job, outcome in zip(jobs, outcomes, strict=True)),
        return_exceptions=True,
    )
    assert [isinstance(end, Exception) for end in ends] == [False] * 8 + [True]
    assert await engine.notes() == sorted([f"{n}" for n in range(8)] + [f"{n}x" for n in range(8)])
    assert await floor.state(jobs[8]) is JobState.RUNNING
    assert (await floor.succeed(jobs[8])).state is JobState.SUCCEEDED


async def test_a_refused_finish_has_no_effects(engine: Engine, floor: Floor) -> None:
    """A zombie's finish writes nothing beside the job either."""
    job = await floor.start()
    await floor.queue.release(job.fence)
    with pytest.raises(Exception, match="owns this job"):
        await floor.queue.finish(job.fence, Outcome({}, [engine.note("late")]))
    assert await engine.notes() == []


async def test_a_zombies_finish_hurts_no_neighbour(engine: Engine, floor: Floor) -> None:
    """A finish that comes too late beside others is refused alone, also when its write is already there."""
    stale = await floor.start()
    await floor.queue.release(stale.fence)
    newest = await floor.claim_one()
    await floor.queue.finish(newest.fence, Outcome({}, [engine.note("picture")]))
    others = [await floor.start(UserId(f"user-{n}")) for n in range(4)]
    late = [Outcome({}, [engine.note("picture")]), *(Outcome({}, [engine.note(f"{n}")]) for n in range(4))]
    ends = await asyncio.gather(
        *(floor.queue.finish(job.fence, end) for job, end in zip([stale, *others], late, strict=True)),
        return_exceptions=True,
    )
    assert [isinstance(end, LeaseLost) for end in ends] == [True, False, False, False, False]
    assert [await floor.state(job) for job in [newest, *others]] == [JobState.SUCCEEDED] * 5
    assert await engine.notes() == ["0", "1", "2", "3", "picture"]


async def test_a_final_failure_ends_the_job(floor: Floor) -> None:
    """A failure that is not retryable ends the job at once, with its reason."""
    job = await floor.start()
    failed = await floor.queue.fail(job.fence, REFUSED)
    assert (failed.state, failed.error, failed.failures) == (JobState.FAILED, REFUSED, 1)


@pytest.mark.parametrize(("draw", "share"), [(0.0, 0.0), (0.5, 0.5), (0.999, 0.999)])
async def test_retries_back_off_with_full_jitter(
    engine: Engine, floor: Floor, draw: float, share: float
) -> None:
    """The n-th retry waits the drawn share of 2, 4, 8… seconds."""
    engine.draw = draw
    job = await floor.start()
    for ceiling in (2, 4, 8, 16):
        again = await floor.queue.fail(job.fence, BROKEN)
        assert (again.state, again.error) == (JobState.SCHEDULED, BROKEN)
        assert again.run_at == pytest.approx(engine.now() + ceiling * share, abs=0.01)
        engine.advance(ceiling)
        await floor.queue.tend()
        job = await floor.claim_one()


async def test_a_retry_respects_what_the_provider_asked_for(engine: Engine, floor: Floor) -> None:
    """`retry_after` is the least the next run waits."""
    job = await floor.start()
    again = await floor.queue.fail(job.fence, BROKEN, retry_after=77.0)
    assert again.run_at == pytest.approx(engine.now() + 77, abs=0.01)


async def test_a_retry_has_an_end(floor: Floor) -> None:
    """The `max_failures`-th failure ends the job; runs that were given back or rescued do not count."""
    job = await floor.start(max_failures=2)
    await floor.queue.release(job.fence)
    job = await floor.claim_one()
    await floor.die()
    job = await floor.claim_one()
    assert (await floor.queue.fail(job.fence, BROKEN)).failures == 1
    floor.engine.advance(300)
    await floor.queue.tend()
    job = await floor.claim_one()
    failed = await floor.queue.fail(job.fence, BROKEN)
    assert (failed.state, failed.failures, failed.attempt) == (JobState.FAILED, 2, 4)
    assert failed.error == BROKEN


async def test_a_success_clears_the_last_error(floor: Floor) -> None:
    """A job that succeeds after a failed run shows no error."""
    job = await floor.start()
    await floor.queue.fail(job.fence, BROKEN)
    await floor.queue.hasten(job.id)
    job = await floor.claim_one()
    assert job.error == BROKEN
    assert (await floor.succeed(job)).error is None


async def test_a_released_job_is_unspent_and_first(floor: Floor) -> None:
    """A job given back is claimed next, with its failures as they were."""
    job = await floor.start()
    await floor.ask(BOB)
    back = await floor.queue.release(job.fence)
    assert (back.state, back.failures) == (JobState.AVAILABLE, 0)
    assert (await floor.claim_one()).id == job.id


async def test_a_waiting_job_is_cancelled_at_once(floor: Floor) -> None:
    """Cancel ends a scheduled, a blocked and an available job; none of them ever runs."""
    floor.engine.window = 1
    available = await floor.ask()
    blocked = await floor.ask()
    scheduled = await floor.ask(run_in=1)
    assert await floor.state(blocked) is JobState.BLOCKED
    for job in (blocked, scheduled, available):
        ended = await floor.queue.cancel(job.id)
        assert (ended.state, ended.run_at) == (JobState.CANCELLED, None)
        assert ended.finished_at is not None
    floor.engine.advance(5)
    await floor.queue.tend()
    assert await floor.claim(await floor.hire()) == []


async def test_a_running_job_is_asked_to_stop(floor: Floor) -> None:
    """Cancel of a running job marks it, the worker's next beat names it, and `stop` ends it."""
    job = await floor.start()
    assert job.worker_id is not None
    other = await floor.hire()
    asked = await floor.queue.cancel(job.id)
    assert (asked.state, asked.cancel_requested) == (JobState.RUNNING, True)
    assert (await floor.queue.beat(job.worker_id, lease_seconds=9)).cancelled == {job.id}
    assert (await floor.queue.beat(other, lease_seconds=9)).cancelled == frozenset()
    assert await floor.queue.cancel(job.id) == asked
    assert (await floor.queue.stop(job.fence)).state is JobState.CANCELLED
    assert (await floor.queue.beat(job.worker_id, lease_seconds=9)).cancelled == frozenset()


@pytest.mark.parametrize(
    ("end", "state"),
    [
        ("finish", JobState.SUCCEEDED),
        ("fail", JobState.CANCELLED),
        ("refuse", JobState.CANCELLED),
        ("release", JobState.CANCELLED),
        ("rescue", JobState.CANCELLED),
    ],
)
async def test_a_cancelled_run_ends_as_it_came(floor: Floor, end: str, state: JobState) -> None:
    """After a cancel a run that still succeeds has succeeded; any other way it ends is cancelled."""
    job = await floor.start()
    await floor.queue.cancel(job.id)
    if end == "rescue":
        assert [ended.id for ended in await floor.die()] == [job.id]
    else:
        await {
            "finish": lambda: floor.succeed(job),
            "fail": lambda: floor.queue.fail(job.fence, BROKEN),
            "refuse": lambda: floor.queue.fail(job.fence, REFUSED),
            "release": lambda: floor.queue.release(job.fence),
        }[end]()
    assert await floor.state(job) is state


async def test_an_ended_job_cannot_be_cancelled(floor: Floor) -> None:
    """Cancel after the end raises `JobEnded` and changes nothing."""
    done = await floor.succeed(await floor.start())
    cancelled = await floor.queue.cancel((await floor.ask()).id)
    failing = await floor.start(BOB)
    failed = await floor.queue.fail(failing.fence, REFUSED)
    for ended in (done, cancelled, failed):
        with pytest.raises(JobEnded):
            await floor.queue.cancel(ended.id)
        assert await floor.queue.get(ended.id) == ended


async def test_a_failed_run_that_waits_can_be_cancelled(floor: Floor) -> None:
    """A job between two tries is cancelled like any job that waits."""
    job = await floor.start(ANN)
    await floor.queue.fail(job.fence, BROKEN)
    assert (await floor.queue.cancel(job.id)).state is JobState.CANCELLED


async def test_what_became_known_after_the_end_is_put_on_the_record(floor: Floor) -> None:
    """The attempts of an ended job can be amended until it is settled, those of a running one not."""
    tried = Attempt(number=1, provider="acme", model="m", started_at=1.0)
    stopped = msgspec.structs.replace(tried, cancel="requested")
    job = await floor.start()
    await floor.queue.record(job.fence, [tried])
    assert (await floor.queue.amend(job.id, [stopped])).attempts == [tried]
    await floor.queue.stop(job.fence)
    assert (await floor.queue.amend(job.id, [stopped])).attempts == [stopped]
    await floor.queue.settle(job.id)
    assert (await floor.queue.amend(job.id, [tried])).attempts == [stopped]
