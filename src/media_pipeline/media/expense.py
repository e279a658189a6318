"""What a job makes and costs, as far as anybody knows: before it begins, and when it has ended."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from media_pipeline.queue.job import Attempt, Job, JobState, NewJob

GENERATES: Final = "generate."
_LEFT_OPEN: Final = frozenset({None, "interrupted"})


@dataclass(frozen=True, slots=True)
class Expense:
    """Generated items, and millionths of a US dollar; None where what was expected still stands."""

    items: int
    micros: int | None

    @classmethod
    def expected(cls, new: NewJob, usd: float) -> Expense:
        """Return what a job that generates is expected to make and cost; others make nothing new."""
        if not new.kind.startswith(GENERATES):
            return cls(0, 0)
        count = new.payload.get("n", 1)
        return cls(count if isinstance(count, int) else 1, round(usd * 1e6))

    @property
    def usd(self) -> float:
        return (self.micros or 0) / 1e6


def settled_expense(job: Job) -> Expense:
    """Return what an ended job made and cost: what its provider said, else what was expected, or nothing."""
    if not job.kind.startswith(GENERATES):
        return Expense(0, 0)
    items, told = (job.result or {}).get("items"), (job.result or {}).get("cost")
    made = len(items) if isinstance(items, list) else 0
    if isinstance(told, int | float):
        return Expense(made, round(told * 1e6))
    known = job.state is JobState.SUCCEEDED or any(attempt.final for attempt in job.attempts)
    paid = known or any(map(_may_be_paid, job.attempts[-1:]))
    return Expense(made, None if paid else 0)


def _may_be_paid(last: Attempt) -> bool:
    """Tell whether a provider may charge for it: taken, and neither surely failed nor stopped.

    Only of the last one: what an earlier run left open, it went on with.
    """
    return last.submitting and last.code in _LEFT_OPEN and last.cancel != "cancelled"
