"""What an ended job is taken to have cost."""

from __future__ import annotations

from typing import Any

import pytest

from media_pipeline.ids import JobId, UserId
from media_pipeline.media.expense import settled_expense
from media_pipeline.queue.job import Attempt, Job, JobState, Priority

TAKEN: dict[str, Any] = {"submitting": True, "handle": {"id": "1"}}
LEFT_OPEN: dict[str, Any] = {**TAKEN, "code": "interrupted"}


def ended(*attempts: dict[str, Any], state: JobState = JobState.CANCELLED) -> Job:
    """Return an ended job with these attempts, of which its provider told no cost."""
    return Job(
        id=JobId("j"),
        user_id=UserId("u"),
        kind="generate.image",
        state=state,
        priority=Priority.NORMAL,
        payload={},
        attempt=len(attempts),
        failures=0,
        max_failures=5,
        created_at=0.0,
        attempts=[
            Attempt(number=number, provider="p", model="m", started_at=0.0, **given)
            for number, given in enumerate(attempts, 1)
        ],
    )


@pytest.mark.parametrize(
    ("attempts", "paid"),
    [
        ([], False),
        ([{}], False),
        ([TAKEN], True),
        ([LEFT_OPEN], True),
        ([{**TAKEN, "cancel": "cancelled"}], False),
        ([{**TAKEN, "cancel": "too_late"}], True),
        ([LEFT_OPEN, {**TAKEN, "cancel": "cancelled"}], False),
        ([LEFT_OPEN, {**TAKEN, "code": "provider"}], False),
        ([LEFT_OPEN, TAKEN], True),
        ([{**TAKEN, "code": "timeout", "final": True}], True),
        ([{**TAKEN, "code": "rate_limited"}, {}], False),
    ],
)
def test_a_job_without_a_result_may_have_cost_something(
    attempts: list[dict[str, Any]], *, paid: bool
) -> None:
    """What was taken and neither failed nor was stopped is paid; a run that was gone on with counts once."""
    assert settled_expense(ended(*attempts)).micros == (None if paid else 0)
