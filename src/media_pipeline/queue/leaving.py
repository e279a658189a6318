"""How a run leaves its job when there is no result: decided from the row as it was read.

Every function is pure; an engine writes what they return only over the row they were given.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from media_pipeline.queue.backoff import Backoff
from media_pipeline.queue.job import Failure, JobState
from media_pipeline.queue.records import JobRow, decode_crashes, encode

CRASH_WINDOW_US: Final = 72 * 3600 * 1_000_000
CRASHES_MAX: Final = 3
APART_US: Final = 5_500_000
"""How long a suspect waits that was claimed beside another."""

CRASHED: Final = Failure(
    code="crashed", message="The job was set aside: three workers died while running it."
)
UNDECODABLE: Final = Failure(code="undecodable", message="The job's record cannot be read.")


@dataclass(frozen=True, slots=True)
class Leaving:
    """The columns that change; `run_at` in microseconds, of the database's clock."""

    state: JobState
    error: str | None
    failures: int
    crashes: str
    run_at: int | None = None
    behind: bool = False
    """Whether a job given back goes behind those that wait, or keeps its place."""


Decide = Callable[[JobRow], Leaving]
"""Say how a run leaves its job; the row has a column `now`."""


def stop(row: JobRow) -> Leaving:
    """End the job as cancelled."""
    return Leaving(JobState.CANCELLED, None, row["failures"], row["crashes"])


def fail(failure: Failure, backoff: Backoff, *, retry_after: float | None) -> Decide:
    """Schedule the next run, or end the job when it may not be repeated any more."""

    def decide(row: JobRow) -> Leaving:
        if row["cancel_requested"]:
            return stop(row)
        spent = row["failures"] + 1
        if not failure.retryable or spent >= row["max_failures"]:
            return Leaving(JobState.FAILED, encode(failure), spent, row["crashes"])
        delay = backoff.delay(spent, at_least=retry_after)
        run_at = row["now"] + round(delay * 1_000_000)
        return Leaving(JobState.SCHEDULED, encode(failure), spent, row["crashes"], run_at)

    return decide


def set_aside(failure: Failure) -> Decide:
    """End the job as failed without spending a run."""
    return lambda row: Leaving(JobState.FAILED, encode(failure), row["failures"], row["crashes"])


def release(row: JobRow) -> Leaving:
    """Give the run back unspent."""
    if row["cancel_requested"]:
        return stop(row)
    return Leaving(JobState.AVAILABLE, row["error"], row["failures"], row["crashes"])


def crash(row: JobRow) -> Leaving:
    """Give the run of a dead worker back, or set the job aside when workers keep dying of it.

    It goes behind those that wait, so that a fleet that keeps dying does not spend all its deaths on one.
    """
    if row["cancel_requested"]:
        return stop(row)
    crashes = [*(at for at in decode_crashes(row) if at > row["now"] - CRASH_WINDOW_US), row["now"]]
    if len(crashes) >= CRASHES_MAX:
        return set_aside(CRASHED)(row)
    return Leaving(JobState.AVAILABLE, row["error"], row["failures"], encode(crashes), behind=True)


def step_aside(row: JobRow) -> Leaving:
    """Give a suspect back unspent, to be claimed a little later."""
    if row["cancel_requested"]:
        return stop(row)
    return Leaving(JobState.SCHEDULED, row["error"], row["failures"], row["crashes"], row["now"] + APART_US)


def is_suspect(row: JobRow) -> bool:
    """Tell whether one more death would set the job aside."""
    return row["crashes"] != "[]" and len(decode_crashes(row)) >= CRASHES_MAX - 1


def pick_crowded(taken: Iterable[JobRow], held: Iterable[JobRow]) -> list[JobRow]:
    """Return the runs just taken that must step aside, so that a worker runs one suspect at a time.

    Then the death of a worker sets at most one job aside: not its neighbours of the earlier deaths too.
    `held` are all runs of the workers; of several suspects that a worker took the first stays.
    """
    suspects = [row for row in taken if is_suspect(row)]
    new = {row["id"] for row in suspects}
    busy = {row["worker_id"] for row in held if row["id"] not in new and is_suspect(row)}
    crowded = []
    for row in suspects:
        if row["worker_id"] in busy:
            crowded.append(row)
        busy.add(row["worker_id"])
    return crowded
