"""How much a user may keep: a quota of bytes and items, promised to an upload before its bytes come.

Guarantee: items and promises together never exceed the quota by uploads, however many begin at once,
in however many processes. Not guaranteed: that what a job makes itself (a generation, a transform)
fits; such a job is only refused when the quota is already used up.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final

from media_pipeline.clock import Clock
from media_pipeline.db.database import Database, Effect, Params
from media_pipeline.db.statements import load_statements
from media_pipeline.errors import MediaPipelineError
from media_pipeline.ids import JobId, UserId

_SQL: Final = load_statements("media_pipeline.media", "sql/quota.sql")
_EVERYTHING: Final = 1 << 60
PROMISE_SECONDS: Final = 26 * 3600.0
"""A promise that nobody settles, because its process died, counts no longer than this; uploads take less."""


class QuotaExceeded(MediaPipelineError):
    """The user's library has no room for it; something must be deleted first."""

    code: ClassVar[str] = "quota_exceeded"


@dataclass(frozen=True, slots=True)
class Usage:
    """What a user keeps and is promised, in bytes and items; None as a quota means no limit."""

    bytes: int
    objects: int
    quota_bytes: int | None
    quota_objects: int | None


class Quota:
    """The quota of every user; None is no limit, and costs nothing."""

    def __init__(
        self,
        database: Database,
        *,
        clock: Clock,
        max_bytes: int | None = None,
        max_objects: int | None = None,
    ) -> None:
        self._db = database
        self._clock = clock
        self._bytes = max_bytes
        self._objects = max_objects
        self._limits = max_bytes is not None or max_objects is not None

    async def reserve(self, user_id: UserId, job_id: JobId, size: int) -> None:
        """Promise an upload its `size` in bytes, or change what it was promised; `QuotaExceeded`."""
        if not self._limits:
            return
        moment = self._moment()
        promise: Params = {
            "job_id": job_id,
            "user_id": user_id,
            "bytes": size,
            "moment": moment,
            "expires_at": moment + round(PROMISE_SECONDS * 1e6),
            "max_bytes": _EVERYTHING if self._bytes is None else self._bytes,
            "max_objects": _EVERYTHING if self._objects is None else self._objects,
        }
        await self._db.apply(
            [Effect(_SQL["hold_owner"], {"user_id": user_id}), Effect(_SQL["reserve"], promise)]
        )
        if not await self._db.fetch(_SQL["promised"], promise):
            raise await self._refusal(user_id)

    async def release(self, job_id: JobId) -> None:
        """Take back what an upload was promised; one that was promised nothing is no error."""
        if self._limits:
            await self._db.apply([settle_promise(job_id)])

    async def check_room(self, user_id: UserId) -> None:
        """Raise `QuotaExceeded` when a user's quota is used up."""
        if not self._limits:
            return
        used = await self.usage(user_id)
        if used.bytes >= (self._bytes or _EVERYTHING) or used.objects >= (self._objects or _EVERYTHING):
            raise await self._refusal(user_id)

    async def usage(self, user_id: UserId) -> Usage:
        """Return what a user keeps and is promised."""
        params: Params = {"user_id": user_id, "moment": self._moment()}
        (kept,) = await self._db.fetch(_SQL["kept"], params)
        (promised,) = await self._db.fetch(_SQL["reserved"], params)
        return Usage(
            int(kept["bytes"] or 0) + int(promised["bytes"] or 0),
            int(kept["objects"] or 0) + int(promised["objects"] or 0),
            self._bytes,
            self._objects,
        )

    async def forget_expired(self) -> None:
        """Remove promises whose time is over."""
        await self._db.execute(_SQL["expire"], {"moment": self._moment()})

    async def _refusal(self, user_id: UserId) -> QuotaExceeded:
        used = await self.usage(user_id)
        return QuotaExceeded(
            f"Your library has no room for it: {_of(used.bytes, used.quota_bytes)} bytes and"
            f" {_of(used.objects, used.quota_objects)} items are in use; delete something first."
        )

    def _moment(self) -> int:
        return round(self._clock.now() * 1e6)


def settle_promise(job_id: JobId) -> Effect:
    """Return the write that ends an upload's promise, to land with its item."""
    return Effect(_SQL["release"], {"job_id": job_id})


def _of(used: int, quota: int | None) -> str:
    return f"{used:,}" if quota is None else f"{used:,} of {quota:,}"
