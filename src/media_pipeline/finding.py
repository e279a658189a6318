"""What `doctor` says of one thing that it looked at."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from media_pipeline.errors import MediaPipelineError


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at; `problem` says how to mend it, None when it is well."""

    subject: str
    detail: str
    problem: str | None = None


async def find(subject: str, use: Callable[[], Awaitable[str]], *, mend: str = "") -> Finding:
    """Try something for real; what it raises is the problem, and `mend` what to do about it."""
    try:
        return Finding(subject, await use())
    except (MediaPipelineError, OSError) as error:
        return Finding(subject, "does not work", f"{error} {mend}".strip())
