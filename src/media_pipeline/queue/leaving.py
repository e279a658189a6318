"""How a run leaves its job when there is no result: decided from the row as it was read.

Every function is pure; an engine writes what they return only over the row they were given.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from media_pipeline.queue.backoff import Backoff
from media_pipeline.queue.job import Failure, JobState
from media_pipeline.queue.records import JobRow, decode_crashes, encode

CRASH_WINDOW_US: Final = 72 * 3600 * 1_000_000
CRASHES_MAX: Final = 3
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
    return _give_back(row, died=())


def crash(row: JobRow) -> Leaving:
    """Give the run of a dead worker back, or set the job aside when workers keep dying of it."""
    return _give_back(row, died=(row["now"],))


def _give_back(row: JobRow, *, died: tuple[int, ...]) -> Leaving:
    if row["cancel_requested"]:
        return stop(row)
    crashes = [*(at for at in decode_crashes(row) if at > row["now"] - CRASH_WINDOW_US), *died]
    if len(crashes) >= CRASHES_MAX:
        return set_aside(CRASHED)(row)
    return Leaving(JobState.AVAILABLE, row["error"], row["failures"], encode(crashes))
