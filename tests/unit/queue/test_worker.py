"""What the worker promises while everything around it works."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Mapping

import pytest

from media_pipeline.queue.handler import Run
from media_pipeline.queue.job import Job, JobState, WorkerId
from media_pipeline.queue.queue import Outcome
from media_pipeline.queue.worker import WorkerSettings

from .doubles import NEVER, Audience, Gate, Stage, do_nothing


def settings(concurrency: int, *, grace: float = 0.0, **per_kind: int) -> WorkerSettings:
    return WorkerSettings(concurrency=concurrency, per_kind=per_kind, poll=NEVER, grace=grace)


async def test_work_wakes_an_idle_worker(stage: Stage) -> None:
    """A job enqueued while the worker waits runs at once, though its poll is an hour away."""
    async with stage.working(do_nothing):
        for number in range(1, 4):
            await stage.ask()
            await stage.audience.told.until(number)
    assert {job.state for job in stage.audience.ends} == {JobState.SUCCEEDED}


async def test_a_freed_slot_wakes_the_worker(stage: Stage) -> None:
    """With more jobs than slots every job runs, one after the other, without a poll."""
    for _ in range(10):
        await stage.ask()
    async with stage.working(do_nothing, settings=settings(1)):
        await stage.audience.told.until(10)


async def test_no_more_run_than_the_concurrency(stage: Stage) -> None:
    """Of ten jobs on three slots never more than three run."""
    gate = Gate()
    for _ in range(10):
        await stage.ask()
    async with stage.working(gate, settings=settings(3)) as worker:
        await gate.started.until(3)
        assert worker.busy == 3
        gate.open.set()
        await stage.audience.told.until(10)
    assert gate.most == 3


@pytest.mark.parametrize(("jobs", "order"), [(2, ["ask", "ask", "begin"]), (1, ["ask", "begin", "ask"])])
async def test_a_full_claim_is_followed_by_the_next_at_once(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, jobs: int, order: list[str]
) -> None:
    """The jobs of a full claim begin when the next was asked for; those of another begin at once."""
    heard: list[str] = []
    claim = stage.queue.claim

    async def take(worker_id: WorkerId, free: Mapping[str, int], limit: int) -> list[Job]:
        heard.append("ask")
        return await claim(worker_id, free, limit=limit)

    def ask(worker_id: WorkerId, free: Mapping[str, int], *, limit: int) -> Awaitable[list[Job]]:
        return asyncio.create_task(take(worker_id, free, limit))

    async def handler(_run: Run) -> Outcome:
        heard.append("begin")
        return Outcome({})

    monkeypatch.setattr(stage.queue, "claim", ask)
    for _ in range(jobs):
        await stage.ask()
    async with stage.working(handler, settings=settings(4)):
        await stage.audience.told.until(jobs)
    assert heard[:3] == order


async def test_a_kind_runs_within_its_limit(stage: Stage) -> None:
    """A kind with a limit never runs more than that, however many of it wait and slots are free."""
    video, image = Gate(), Gate()
    for kind in ["video"] * 5 + ["image"]:
        await stage.ask(kind)
    handlers = {"video": video, "image": image}
    async with stage.working(handlers, settings=settings(4, video=2)) as worker:
        await video.started.until(2)
        await image.started.until(1)
        assert worker.busy == 3
        image.open.set()
        await stage.audience.told.until(1)
        video.open.set()
        await stage.audience.told.until(6)
    assert video.most == 2


async def test_a_cancel_reaches_the_handler(stage: Stage) -> None:
    """Cancel of a running job interrupts its handler and ends the job as cancelled, its neighbour runs on."""
    gate = Gate()
    job, other = await stage.ask(), await stage.ask()
    async with stage.working(gate):
        await gate.started.until(2)
        await stage.queue.cancel(job.id)
        await stage.audience.told.until(1)
        assert gate.interrupted.count == 1
        assert [(end.id, end.state) for end in stage.audience.ends] == [(job.id, JobState.CANCELLED)]
        gate.open.set()
        await stage.audience.told.until(2)
    assert (await stage.queue.get(other.id)).state is JobState.SUCCEEDED


async def test_a_lost_cancel_ring_is_found_by_the_beat(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cancel whose ring was lost reaches the handler with the next heartbeat."""
    gate = Gate()
    job = await stage.ask()
    async with stage.working(gate):
        await gate.started.until(1)
        await stage.clock.until_sleeping()
        with monkeypatch.context() as deaf:
            deaf.setattr(stage.doorbell, "ring", lambda _ring: None)
            await stage.queue.cancel(job.id)
        stage.clock.advance(10)
        await stage.audience.told.until(1)
    assert (await stage.queue.get(job.id)).state is JobState.CANCELLED


async def test_a_handler_may_finish_in_spite_of_a_cancel(stage: Stage) -> None:
    """A handler that ends its work when it is interrupted has succeeded."""
    started = asyncio.Event()

    async def stubborn(_run: Run) -> Outcome:
        started.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return Outcome({"kept": True})
        raise AssertionError

    job = await stage.ask()
    async with stage.working(stubborn):
        await started.wait()
        await stage.queue.cancel(job.id)
        await stage.audience.told.until(1)
    assert (await stage.queue.get(job.id)).result == {"kept": True}


async def test_a_drain_gives_back_unspent(stage: Stage) -> None:
    """What the grace does not suffice for is available again, its failures as they were, untold."""
    gate = Gate()
    job = await stage.ask()
    async with stage.working(gate):
        await gate.started.until(1)
    back = await stage.queue.get(job.id)
    assert (back.state, back.attempt, back.failures, back.error) == (JobState.AVAILABLE, 1, 0, None)
    assert gate.interrupted.count == 1
    assert stage.audience.ends == []


async def test_a_drain_finishes_what_ends_in_its_grace(stage: Stage) -> None:
    """A job that ends within the grace has succeeded, and was told, before `run` returns."""
    gate = Gate()
    job = await stage.ask()
    async with stage.working(gate, settings=settings(4, grace=5.0)) as worker:
        await gate.started.until(1)
        worker.stop()
        gate.open.set()
    assert (await stage.queue.get(job.id)).state is JobState.SUCCEEDED
    assert [end.id for end in stage.audience.ends] == [job.id]


async def test_a_stopped_worker_claims_nothing(stage: Stage) -> None:
    """After `stop` no job is claimed, though slots become free and bells ring."""
    gate = Gate()
    first, second = await stage.ask(), await stage.ask()
    async with stage.working(gate, settings=settings(1, grace=5.0)) as worker:
        await gate.started.until(1)
        worker.stop()
        third = await stage.ask()
        gate.open.set()
    assert (await stage.queue.get(first.id)).state is JobState.SUCCEEDED
    assert [(await stage.queue.get(job.id)).attempt for job in (second, third)] == [0, 0]


async def test_the_start_is_told_before_the_end(stage: Stage) -> None:
    """Each job's start is announced before its handler runs, and its end after."""
    heard = stage.audience.heard

    async def handler(run: Run) -> Outcome:
        heard.append(("handled", run.job.id))
        return Outcome({})

    job = await stage.ask()
    async with stage.working(handler):
        await stage.audience.told.until(1)
    assert heard == [("started", job.id), ("handled", job.id), ("ended", job.id)]


async def test_an_end_is_told_after_it_is_durable(stage: Stage) -> None:
    """When the end is announced, whoever asks the queue already sees it."""
    seen: list[JobState] = []

    class Asking(Audience):
        async def ended(self, job: Job) -> None:
            seen.append((await stage.queue.get(job.id)).state)
            await super().ended(job)

    asking = Asking()
    await stage.ask()
    async with stage.working(do_nothing, announcer=asking):
        await asking.told.until(1)
    assert seen == [JobState.SUCCEEDED]
