"""How a job's row in SQL reads as a `Job`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeVar

import msgspec

from media_pipeline.jsonvalue import JsonObject
from media_pipeline.queue.job import Attempt, Failure, Job, JobState, Priority

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
    """Build the job; what cannot be decoded shows as empty (see `is_decodable`)."""
    return Job(
        id=row["id"],
        user_id=row["user_id"],
        kind=row["kind"],
        state=_STATES[row["state"]],
        priority=_LANES[row["lane"]],
        payload=_lenient(_object.decode, row["payload"]) or {},
        attempt=row["attempt"],
        failures=row["failures"],
        max_failures=row["max_failures"],
        created_at=row["created_at"] / 1e6,
        run_at=seconds(row["run_at"]),
        started_at=seconds(row["started_at"]),
        finished_at=seconds(row["finished_at"]),
        result=None if row["result"] is None else _lenient(_object.decode, row["result"]),
        error=None if row["error"] is None else _lenient(_failure.decode, row["error"]),
        attempts=_lenient(_attempts.decode, row["attempts"]) or (),
        cancel_requested=bool(row["cancel_requested"]),
        worker_id=row["worker_id"],
        retry_of=row["retry_of"],
        settled=bool(row["settled"]),
    )


def is_decodable(row: JobRow) -> bool:
    """Tell whether a worker can read what the job asks for and what was tried."""
    payload: JsonObject | None = _lenient(_object.decode, row["payload"])
    attempts: Sequence[Attempt] | None = _lenient(_attempts.decode, row["attempts"])
    return payload is not None and attempts is not None


def decode_crashes(row: JobRow) -> list[int]:
    """Return when (microseconds) workers died while running this job."""
    return _crashes.decode(row["crashes"])


def seconds(microseconds: int | None) -> float | None:
    """Turn a column of time into Unix seconds."""
    return None if microseconds is None else microseconds / 1e6


def _lenient(decode: Callable[[str], T], text: str) -> T | None:
    """Decode a column; one of another release is None."""
    try:
        return decode(text)
    except msgspec.DecodeError:
        return None
