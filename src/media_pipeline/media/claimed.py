"""Writing objects as a claim allows: only over what stood there when the job was claimed.

A worker that was declared dead may still write; what its successor wrote meanwhile is another
version, and the late write is refused.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
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
    async def look(cls, store: Store, paths: Iterable[str]) -> ClaimedObjects:
        """See what stands at `paths` now, at the beginning of a run."""
        return cls(store, {path: await see_version(store, path) for path in paths})

    async def write(self, path: str, data: bytes | AsyncIterator[bytes], content_type: str) -> Version:
        """Write one of the objects and return its version; `Overtaken` when another run did so first."""
        failpoint("before_upload")
        try:
            with span("store.write", content_type=content_type):
                await self._store.upload(path, data, content_type, if_version=self._seen[path])
        except PreconditionFailed as error:
            raise Overtaken(str(error)) from error
        failpoint("after_upload")
        self._seen[path] = await see_version(self._store, path)
        return self._seen[path]

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
