"""A job: its states, the arrows between them, and what stands on its record.

scheduled ──due──▶ blocked ──a slot of its user is free──▶ available ──claim──▶ running
    ▲                                                          ▲                  │
    └──────────────── failed, to be retried ───────────────────┼──────────────────┤
                                released, or its worker died ──┘                  │
                                                                                  ▼
                                                    succeeded · failed · cancelled (ended)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from typing import Final, NamedTuple, NewType

import msgspec

from media_pipeline.ids import JobId, UserId
from media_pipeline.jsonvalue import JsonObject
from media_pipeline.tracing import carried

WorkerId = NewType("WorkerId", str)
"""A fresh random id each time a worker process starts."""


class Priority(IntEnum):
    """The lane a job waits in; a lower lane goes first."""

    NORMAL = 1
    LOW = 2


class JobState(StrEnum):
    """Where a job stands."""

    SCHEDULED = "scheduled"
    BLOCKED = "blocked"
    AVAILABLE = "available"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


ENDED: Final = frozenset({JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED})

TRANSITIONS: Final[Mapping[JobState, frozenset[JobState]]] = {
    JobState.SCHEDULED: frozenset({JobState.BLOCKED, JobState.AVAILABLE, JobState.CANCELLED}),
    JobState.BLOCKED: frozenset({JobState.AVAILABLE, JobState.CANCELLED}),
    JobState.AVAILABLE: frozenset({JobState.RUNNING, JobState.CANCELLED}),
    JobState.RUNNING: frozenset({JobState.AVAILABLE, JobState.SCHEDULED, *ENDED}),
    JobState.SUCCEEDED: frozenset(),
    JobState.FAILED: frozenset(),
    JobState.CANCELLED: frozenset(),
}
"""Every arrow there is; the SQL of each engine re-checks the state it leaves."""


class Attempt(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One try at one provider, as its owner may see it, and what a later worker needs to go on.

    `submitting` is set before a call that may cost money and `handle` from its answer; they stay on
    the record. `final` is set where it failed and may have been paid, so that no other may follow.
    `cancel` is what the provider answered when its job was to be stopped. Times in Unix seconds.
    """

    number: int
    provider: str
    model: str
    started_at: float
    ended_at: float | None = None
    error: str | None = None
    code: str | None = None
    submitting: bool = False
    handle: dict[str, str] | None = None
    final: bool = False
    cancel: str | None = None


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """Why a job, or one run of it, did not succeed; `message` is for a person."""

    code: str
    message: str
    retryable: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class NewJob:
    """A job to enqueue. `run_at` in Unix seconds; None means now.

    `request_hash` tells whether a repeated `idempotency_key` asks for the same thing.
    `max_failures` is how many runs may fail before the job does; `trace` is what its runs go on with.
    """

    id: JobId
    user_id: UserId
    kind: str
    payload: JsonObject
    priority: Priority = Priority.NORMAL
    run_at: float | None = None
    max_failures: int = 5
    idempotency_key: str | None = None
    request_hash: str | None = None
    retry_of: JobId | None = None
    trace: str | None = field(default_factory=carried)


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """A job's record; made thousands of times a second, so not a dataclass. Times in Unix seconds.

    `attempt` counts claims and only grows; `failures` counts runs that were spent.
    """

    id: JobId
    user_id: UserId
    kind: str
    state: JobState
    priority: Priority
    payload: JsonObject
    attempt: int
    failures: int
    max_failures: int
    created_at: float
    run_at: float | None = None
    started_at: float | None = None
    finished_at: float | None = None
    result: JsonObject | None = None
    error: Failure | None = None
    attempts: Sequence[Attempt] = ()
    cancel_requested: bool = False
    worker_id: WorkerId | None = None
    retry_of: JobId | None = None
    trace: str | None = None
    settled: bool = False

    @property
    def ended(self) -> bool:
        return self.state in ENDED

    @property
    def fence(self) -> Fence:
        """What the worker that claimed this must show; only a running job has one."""
        if self.worker_id is None:
            raise ValueError(f"Job {self.id} is {self.state}, not running.")
        return Fence(self.id, self.attempt, self.worker_id)


class Fence(NamedTuple):
    """Proof of a claim: a write that shows an older one is refused."""

    job_id: JobId
    attempt: int
    worker_id: WorkerId
