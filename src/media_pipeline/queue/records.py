"""How a job's row in SQL reads as a `Job`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeVar

import msgspec

from media_pipeline.jsonvalue import JsonObject
from media_pipeline.queue.job import Attempt, Failure, Job, JobState, NewJob, Priority
from media_pipeline.queue.queue import IdempotencyConflict

T = TypeVar("T")
JobRow = Mapping[str, Any]
"""A row of the table `jobs`, by column name."""

KEY_LIFE_US: Final = 24 * 3600 * 1_000_000
"""How long an idempotency key stands for the job that it made."""

_STATES: Final[Mapping[str, JobState]] = {state.value: state for state in JobState}
_LANES: Final[Mapping[int, Priority]] = {lane.value: lane for lane in Priority}
_attempts: Final = msgspec.json.Decoder(list[Attempt])
_crashes: Final = msgspec.json.Decoder(list[int])
_object: Final = msgspec.json.Decoder(dict[str, Any])
_failure: Final = msgspec.json.Decoder(Failure)


def encode(value: object) -> str:
    """Write a value as JSON text."""
    return msgspec.json.encode(value).decode()


def read_job(row: JobRow) -> Job:
    """Build the job; what cannot be decoded shows as empty (see `read_claimed`)."""
    payload: JsonObject | None = _lenient(_object.decode, row["payload"])
    return msgspec.structs.replace(
        _read_running(row, payload or {}, _lenient(_attempts.decode, row["attempts"]) or ()),
        state=_STATES[row["state"]],
        run_at=seconds(row["run_at"]),
        finished_at=seconds(row["finished_at"]),
        result=None if row["result"] is None else _lenient(_object.decode, row["result"]),
        settled=bool(row["settled"]),
    )


def read_claimed(row: JobRow) -> Job | None:
    """Build a running job, or None when a worker cannot read what it asks for and what was tried."""
    try:
        return _read_running(row, _object.decode(row["payload"]), _attempts.decode(row["attempts"]) or ())
    except msgspec.DecodeError:
        return None


def read_finished(claimed: Job, row: JobRow, result: str) -> Job:
    """Build a finished job from what was claimed and the few columns that changed since."""
    return msgspec.structs.replace(
        claimed,
        state=JobState.SUCCEEDED,
        worker_id=None,
        error=None,
        result=_object.decode(result),
        attempts=_lenient(_attempts.decode, row["attempts"]) or (),
        cancel_requested=bool(row["cancel_requested"]),
        finished_at=seconds(row["finished_at"]),
    )


def read_new(new: NewJob, row: JobRow) -> Job:
    """Build a job that was just kept from what was asked and the few columns that were decided."""
    return Job(
        id=new.id,
        user_id=new.user_id,
        kind=new.kind,
        state=_STATES[row["state"]],
        priority=new.priority,
        payload=new.payload,
        attempt=0,
        failures=0,
        max_failures=new.max_failures,
        created_at=row["created_at"] / 1e6,
        run_at=seconds(row["run_at"]),
        retry_of=new.retry_of,
        trace=new.trace,
    )


def check_repeated(row: JobRow, request_hash: str | None) -> None:
    """Raise `IdempotencyConflict` when a key's job was made by another request."""
    if row["request_hash"] != request_hash:
        raise IdempotencyConflict("This Idempotency-Key was used for another request; use a new one.")


def decode_crashes(row: JobRow) -> list[int]:
    """Return when (microseconds) workers died while running this job."""
    return _crashes.decode(row["crashes"])


def seconds(microseconds: int | None) -> float | None:
    """Turn a column of time into Unix seconds."""
    return None if microseconds is None else microseconds / 1e6


def _read_running(row: JobRow, payload: JsonObject, attempts: Sequence[Attempt]) -> Job:
    """Build a job from the columns that a claim returns."""
    return Job(
        id=row["id"],
        user_id=row["user_id"],
        kind=row["kind"],
        state=JobState.RUNNING,
        priority=_LANES[row["lane"]],
        payload=payload,
        attempt=row["attempt"],
        failures=row["failures"],
        max_failures=row["max_failures"],
        created_at=row["created_at"] / 1e6,
        started_at=seconds(row["started_at"]),
        error=None if row["error"] is None else _lenient(_failure.decode, row["error"]),
        attempts=attempts,
        cancel_requested=bool(row["cancel_requested"]),
        worker_id=row["worker_id"],
        retry_of=row["retry_of"],
        trace=row["trace"],
    )


def _lenient(decode: Callable[[str], T], text: str) -> T | None:
    """Decode a column; one of another release is None."""
    try:
        return decode(text)
    except msgspec.DecodeError:
        return None
