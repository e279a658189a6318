"""Any order of events leaves the queue where a model on paper says it is.

The times are chosen so that no lease, schedule or retry falls due in the very moment of a question.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import AbstractAsyncContextManager
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)

from media_pipeline.ids import JobId, UserId
from media_pipeline.queue.job import TRANSITIONS, Fence, Job, JobState, Priority, WorkerId
from media_pipeline.queue.queue import JobEnded, LeaseLost, Outcome

from .engines import ENGINES, Engine
from .harness import WINDOW
from .model import WAITING, Model, Paper
from .people import BROKEN, REFUSED, Floor

T = TypeVar("T")
USERS = [UserId("ann"), UserId("bob")]
LEASE = 30.3
STEPPED_ASIDE = (JobState.AVAILABLE, JobState.SCHEDULED)
DRAW = 0.37
"""Retries wait 0.74, 1.48, 2.96… seconds."""


class Machine(RuleBasedStateMachine):
    """An engine and the model, side by side."""

    open: Callable[[], AbstractAsyncContextManager[Engine]]
    jobs = Bundle("jobs")
    claims = Bundle("claims")
    workers = Bundle("workers")

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.opened = type(self).open()
        self.engine = self.do(self.opened.__aenter__())
        self.engine.draw = DRAW
        self.floor = Floor(self.engine)
        self.model = Model()
        self.seen: dict[JobId, JobState] = {}

    def do(self, work: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(work)

    def teardown(self) -> None:
        self.do(self.opened.__aexit__(None, None, None))
        self.runner.close()

    @property
    def now(self) -> float:
        return self.engine.now()

    @rule(
        target=jobs,
        user=st.sampled_from(USERS),
        priority=st.sampled_from(Priority),
        run_in=st.sampled_from([None, None, None, 10.1]),
        max_failures=st.sampled_from([1, 3]),
    )
    def enqueue(self, user: UserId, priority: Priority, run_in: float | None, max_failures: int) -> JobId:
        asked = self.floor.ask(user, priority=priority, run_in=run_in, max_failures=max_failures)
        job = self.do(asked)
        paper = Paper(job.id, user, priority, max_failures, WAITING)
        if run_in is not None:
            paper.schedule(self.now + run_in)
        self.model.jobs[job.id] = paper
        return job.id

    @rule(target=workers)
    def hire(self) -> WorkerId:
        worker = self.do(self.floor.hire(lease=LEASE))
        self.model.leases[worker] = self.now + LEASE
        return worker

    @rule(target=claims, worker=workers, limit=st.integers(1, 3))
    def claim(self, worker: WorkerId, limit: int) -> Any:
        if not self.model.alive(worker, self.now):
            self.refuse(self.floor.claim(worker, limit))
            return multiple()
        before = self.states()
        claimed = self.do(self.floor.claim(worker, limit))
        after = self.states()
        apart = [job for job, state in before.items() if (state, after[job]) == STEPPED_ASIDE]
        waiting = [self.model.jobs[job] for job, state in before.items() if state is JobState.AVAILABLE]
        assert {job.id for job in claimed} <= {paper.id for paper in waiting}
        best = sorted(paper.priority for paper in waiting)[:limit]
        assert [job.priority for job in claimed] == sorted(job.priority for job in claimed)
        assert (
            sorted([job.priority for job in claimed] + [self.model.jobs[job].priority for job in apart])
            == best
        )
        for job in claimed:
            assert job.fence == self.model.claim(job.id, worker)
        for job_id in apart:
            self.model.step_aside(job_id, worker, now=self.now)
        assert len(self.model.suspects(worker)) <= 1
        return multiple(*(job.fence for job in claimed))

    @rule(worker=workers)
    def beat(self, worker: WorkerId) -> None:
        if worker not in self.model.leases:
            self.refuse(self.engine.queue.beat(worker, lease_seconds=LEASE))
            return
        beat = self.do(self.engine.queue.beat(worker, lease_seconds=LEASE))
        self.model.leases[worker] = self.now + LEASE
        assert beat.cancelled == {
            paper.id
            for paper in self.model.jobs.values()
            if paper.fence is not None and paper.fence.worker_id == worker and paper.cancel_requested
        }

    @rule(fence=claims)
    def finish(self, fence: Fence) -> None:
        paper, work = self.model.jobs[fence.job_id], self.engine.queue.finish(fence, Outcome({}))
        if fence == paper.finished_by:
            with contextlib.suppress(
                LeaseLost
            ):  # where an answer is lost nobody can tell it from the first time
                assert self.do(_awaited(work)).state is JobState.SUCCEEDED
        elif self.write(fence, work):
            paper.end(JobState.SUCCEEDED)
            paper.finished_by = fence

    @rule(fence=claims, retryable=st.booleans())
    def fail(self, fence: Fence, *, retryable: bool) -> None:
        failure = BROKEN if retryable else REFUSED
        if self.write(fence, self.engine.queue.fail(fence, failure)):
            paper = self.model.jobs[fence.job_id]
            delay = DRAW * 2.0 ** (paper.failures + 1)
            self.model.fail(paper, retryable=retryable, delay=delay, now=self.now)

    @rule(fence=claims)
    def release(self, fence: Fence) -> None:
        if self.write(fence, self.engine.queue.release(fence)):
            self.model.release(self.model.jobs[fence.job_id])

    @rule(fence=claims)
    def stop(self, fence: Fence) -> None:
        if self.write(fence, self.engine.queue.stop(fence)):
            self.model.jobs[fence.job_id].end(JobState.CANCELLED)

    @rule(job_id=jobs)
    def cancel(self, job_id: JobId) -> None:
        paper = self.model.jobs[job_id]
        if paper.ended:
            with pytest.raises(JobEnded):
                self.do(self.engine.queue.cancel(job_id))
            return
        self.do(self.engine.queue.cancel(job_id))
        self.model.cancel(paper)

    @rule(job_id=jobs)
    def hasten(self, job_id: JobId) -> None:
        self.do(self.engine.queue.hasten(job_id))
        if self.model.jobs[job_id].run_at is not None:
            self.model.jobs[job_id].wait()

    @rule(job_id=jobs)
    def settle(self, job_id: JobId) -> None:
        self.do(self.engine.queue.settle(job_id))
        self.model.jobs[job_id].settled = self.model.jobs[job_id].ended

    @rule(seconds=st.sampled_from([1, 20, 40, 300_000]))
    def pass_time(self, seconds: int) -> None:
        self.engine.advance(seconds)

    @rule(worker=workers)
    def leave(self, worker: WorkerId) -> None:
        self.do(self.engine.queue.retire(worker))
        self.model.leases.pop(worker, None)

    @rule()
    def tend(self) -> None:
        ended = self.do(self.floor.rescue())
        assert {job.id for job in ended} == self.model.tend(self.now)

    @rule()
    def kill(self) -> None:
        """Let every worker die, and the rescuer notice."""
        self.engine.advance(LEASE + 1)
        self.tend()

    @rule()
    def reopen(self) -> None:
        self.do(self.engine.reopen())
        self.model.leases.clear()

    def write(self, fence: Fence, work: Awaitable[object]) -> bool:
        """Try a fenced write; it must pass for the newest claim and for no other."""
        if not self.model.jobs[fence.job_id].owned_by(fence):
            self.refuse(work)
            return False
        self.do(_awaited(work))
        return True

    def refuse(self, work: Awaitable[object]) -> None:
        with pytest.raises(LeaseLost):
            self.do(_awaited(work))

    def records(self) -> list[Job]:
        pages = [self.do(self.engine.queue.list_jobs(user, limit=10_000)) for user in USERS]
        return [job for page in pages for job in page.jobs]

    def states(self) -> dict[JobId, JobState]:
        return {job.id: job.state for job in self.records()}

    @invariant()
    def keeps_its_promises(self) -> None:
        """Agree with the model, move along the arrows, keep each window full and no fuller."""
        records = self.records()
        assert {job.id for job in records} == set(self.model.jobs)
        for job in records:
            self.check_record(job, self.model.jobs[job.id])
            before = self.seen.get(job.id, job.state)
            assert job.state is before or job.state in TRANSITIONS[before]
        for user in USERS:
            self.check_window([job.state for job in records if job.user_id == user])
        self.seen = {job.id: job.state for job in records}

    def check_record(self, job: Job, paper: Paper) -> None:
        assert job.state in paper.states
        assert (job.attempt, job.failures) == (paper.attempt, paper.failures)
        assert (job.fence if job.worker_id else None) == paper.fence
        assert (job.cancel_requested, job.settled) == (paper.cancel_requested, paper.settled)

    def check_window(self, states: list[JobState]) -> None:
        in_play = sum(state in {JobState.AVAILABLE, JobState.RUNNING} for state in states)
        assert in_play <= WINDOW
        assert in_play == WINDOW or JobState.BLOCKED not in states


async def _awaited(work: Awaitable[T]) -> T:
    return await work


EXAMPLES = {"sqlite-memory": 50}


@pytest.mark.parametrize("name", list(ENGINES))
def test_any_order_of_events_agrees_with_the_model(name: str) -> None:
    """Whatever happens in whatever order: one owner a job, one end, only drawn arrows, the right window."""
    machine = type("Machine", (Machine,), {"open": staticmethod(ENGINES[name])})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=EXAMPLES.get(name, 12),
            stateful_step_count=40,
            deadline=None,
            phases=set(Phase)
            - ({Phase.shrink} if name.startswith("postgres") else set()),  # it takes minutes
            suppress_health_check=list(HealthCheck),
        ),
    )
