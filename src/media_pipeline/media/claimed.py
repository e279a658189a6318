"""Writing objects as a claim allows: only over what stood there when the job was claimed.

A worker that was declared dead may still write; what its successor wrote meanwhile is another
version, and the late write is refused. The first run looks at nothing: whoever else wrote is another run,
and then this one is refused.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import ClassVar

from media_pipeline.errors import MediaPipelineError
from media_pipeline.failpoints import failpoint
from media_pipeline.storage.store import ABSENT, ObjectNotFound, PreconditionFailed, Store, Version
from media_pipeline.tracing import span


class Overtaken(MediaPipelineError):
    """Another run of the job wrote meanwhile; of the two, the one that still has the job begins again."""

    code: ClassVar[str] = "object_changed"
    retryable: ClassVar[bool] = True


class ClaimedObjects:
    """The objects that one run of a job may write."""

    def __init__(self, store: Store, seen: dict[str, Version]) -> None:
        self._store = store
        self._seen = seen

    @classmethod
    async def claim(cls, store: Store, paths: Sequence[str], *, attempt: int) -> ClaimedObjects:
        """See what stands at `paths` now, at the beginning of the `attempt`-th run."""
        if attempt == 1:
            return cls(store, dict.fromkeys(paths, ABSENT))
        versions = await asyncio.gather(*(see_version(store, path) for path in paths))
        return cls(store, dict(zip(paths, versions, strict=True)))

    async def write(self, path: str, data: bytes | AsyncIterator[bytes], content_type: str) -> Version:
        """Write one of the objects and return its version; `Overtaken` when another run did so first."""
        failpoint("before_upload")
        try:
            with span("store.write", content_type=content_type):
                version = await self._store.write(path, data, content_type, if_version=self._seen[path])
        except PreconditionFailed as error:
            raise Overtaken(str(error)) from error
        failpoint("after_upload")
        self._seen[path] = version
        return version

    async def write_beside(self, path: str, data: bytes, content_type: str) -> None:
        """Write an object whose path the run did not know when it began."""
        self._seen.setdefault(path, await see_version(self._store, path))
        await self.write(path, data, content_type)


async def see_version(store: Store, path: str) -> Version:
    """Return the version of what stands at `path`, `ABSENT` where nothing does."""
    try:
        return (await store.stat(path)).version
    except ObjectNotFound:
        return ABSENT
