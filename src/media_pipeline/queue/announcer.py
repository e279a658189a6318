"""Who tells people how their jobs stand."""

from __future__ import annotations

from typing import Protocol

import structlog

from media_pipeline.queue.job import Job

_log = structlog.get_logger(__name__)


class Announcer(Protocol):
    """Who tells people how their jobs stand."""

    async def started(self, job: Job) -> None:
        """Tell that work on a job begins."""
        ...

    async def ended(self, job: Job) -> None:
        """Tell a job's end, tidy what it leaves, and settle it; called again until it succeeds."""
        ...

    async def lost(self, job: Job) -> None:
        """Tidy what a run wrote after its job was given to another, which may have ended it by now."""
        ...


async def announce_start(announcer: Announcer, job: Job) -> None:
    """Announce now or never: the job runs all the same."""
    try:
        await announcer.started(job)
    except Exception as error:  # noqa: BLE001 - a bus that is down, whatever it raises, stops no work
        _log.warning("job.start_not_announced", job_id=job.id, error=repr(error))


async def announce_end(announcer: Announcer, job: Job) -> None:
    """Announce now; what fails here is announced again by the republisher."""
    if (error := await try_end(announcer, job)) is not None:
        _log.warning("job.not_settled", job_id=job.id, error=repr(error))


async def try_end(announcer: Announcer, job: Job) -> Exception | None:
    """Announce now, and return why that failed, if it did."""
    try:
        await announcer.ended(job)
    except Exception as error:  # noqa: BLE001 - a bus that is down, whatever it raises, stops no work
        return error
    return None


async def announce_loss(announcer: Announcer, job: Job) -> None:
    """Announce that a run lost its job and writes nothing more."""
    try:
        await announcer.lost(job)
    except Exception as error:  # noqa: BLE001 - whatever the store or the database raises, others go on
        _log.warning("job.not_tidied", job_id=job.id, error=repr(error))
