"""A queue as one would draw it on paper: jobs, claims and leases, without SQL, order or speed.

`waiting` stands for both blocked and available; which of them is the window's business and is checked
as an invariant.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from media_pipeline.ids import JobId, UserId
from media_pipeline.queue.job import ENDED, Fence, JobState, Priority, WorkerId

WAITING = frozenset({JobState.BLOCKED, JobState.AVAILABLE})
CRASH_WINDOW = 72 * 3600.0
APART = 5.5


@dataclass(slots=True)
class Paper:
    """One job on paper; `states` is where it may stand now."""

    id: JobId
    user: UserId
    priority: Priority
    max_failures: int
    states: frozenset[JobState]
    run_at: float | None = None
    fence: Fence | None = None
    finished_by: Fence | None = None
    attempt: int = 0
    failures: int = 0
    crashes: list[float] = field(default_factory=list)
    cancel_requested: bool = False
    settled: bool = False

    @property
    def ended(self) -> bool:
        return self.states <= ENDED

    def owned_by(self, fence: Fence) -> bool:
        return self.fence == fence

    def end(self, state: JobState) -> None:
        self.states, self.fence, self.run_at = frozenset({state}), None, None

    def wait(self) -> None:
        self.states, self.fence, self.run_at = WAITING, None, None

    def schedule(self, run_at: float) -> None:
        self.states, self.fence, self.run_at = frozenset({JobState.SCHEDULED}), None, run_at


@dataclass(slots=True)
class Model:
    """Every job and every lease."""

    jobs: dict[JobId, Paper] = field(default_factory=dict)
    leases: dict[WorkerId, float] = field(default_factory=dict)

    def alive(self, worker: WorkerId, now: float) -> bool:
        return self.leases.get(worker, now) > now

    def claim(self, job_id: JobId, worker: WorkerId) -> Fence:
        job = self.jobs[job_id]
        job.attempt += 1
        job.fence = Fence(job_id, job.attempt, worker)
        job.states = frozenset({JobState.RUNNING})
        return job.fence

    def suspects(self, worker: WorkerId) -> list[Paper]:
        """The jobs of two deaths that a worker runs."""
        mine = (job for job in self.jobs.values() if job.fence is not None and job.fence.worker_id == worker)
        return [job for job in mine if len(job.crashes) >= 2]

    def step_aside(self, job_id: JobId, worker: WorkerId, *, now: float) -> None:
        """Put off a suspect that was claimed by a worker that runs another."""
        job = self.jobs[job_id]
        assert len(job.crashes) >= 2
        assert self.suspects(worker)
        job.attempt += 1
        job.schedule(now + APART)

    def fail(self, job: Paper, *, retryable: bool, delay: float, now: float) -> None:
        if job.cancel_requested:
            job.end(JobState.CANCELLED)
            return
        job.failures += 1
        if not retryable or job.failures >= job.max_failures:
            job.end(JobState.FAILED)
        else:
            job.schedule(now + delay)

    def release(self, job: Paper) -> None:
        if job.cancel_requested:
            job.end(JobState.CANCELLED)
        else:
            job.wait()

    def cancel(self, job: Paper) -> None:
        if job.fence is None:
            job.end(JobState.CANCELLED)
        job.cancel_requested = True

    def tend(self, now: float) -> set[JobId]:
        """Rescue and admit; return the jobs that ended by it."""
        ended = set()
        for job in self.jobs.values():
            if job.fence is not None and not self.alive(job.fence.worker_id, now):
                self._rescue(job, now)
                ended |= {job.id} if job.ended else set()
            elif job.run_at is not None and job.run_at <= now:
                job.wait()
        self.leases = {worker: until for worker, until in self.leases.items() if until > now}
        return ended

    def _rescue(self, job: Paper, now: float) -> None:
        job.crashes = [*(at for at in job.crashes if at > now - CRASH_WINDOW), now]
        if not job.cancel_requested and len(job.crashes) >= 3:
            job.end(JobState.FAILED)
        else:
            self.release(job)
