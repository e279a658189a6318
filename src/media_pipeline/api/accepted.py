"""The answer to a request that became a job."""

from __future__ import annotations

from fastapi import Response

from media_pipeline.api.answers import JobRef
from media_pipeline.ids import JobId


def accepted(job_id: JobId, response: Response) -> JobRef:
    """Name the job, also as the `Location` of `response`."""
    response.headers["Location"] = f"/jobs/{job_id}"
    return JobRef(job_id=job_id)
