"""Making library rows of stored objects, where a database was lost or is new.

Guarantees: an object that has a row is left as it is, so a run that was cut off goes on with the next; each
object is decoded for real before it gets a row; memory holds a batch, however many objects there are. What
cannot be read stays where it is. Not guaranteed: what stood in rows alone, which are new names, descriptions
and what a thing was made of; and an import cannot be told from an upload once its job is forgotten.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from media_pipeline.media.finish import Looks, as_it_looks, look, write_rungs
from media_pipeline.media.ingest import BytesChanged, Ingest, read_head
from media_pipeline.media.intake import EmptyFile, FileTooLarge, Intake, TypeNotAllowed
from media_pipeline.media.item import Item, Rung, Source
from media_pipeline.media.library import Library
from media_pipeline.media.sniff import ACCEPTED
from media_pipeline.media.workshop.orders import LADDER
from media_pipeline.media.workshop.refusal import BadPicture
from media_pipeline.media.workshop.workshop import TooMuchWork, Workshop, WorkshopFailed
from media_pipeline.queue.job import Job, JobState
from media_pipeline.queue.queue import JobNotFound, Queue
from media_pipeline.storage.paths import Owned, derived_prefix, read_path, thumbnail_path
from media_pipeline.storage.store import MediaObject, ObjectNotFound, Store, StoreError

ROOT: Final = "media/"
MAX_NAME: Final = 80
_BATCH: Final = 100
_AT_ONCE: Final = 4
_UNREADABLE: Final = (BadPicture, TooMuchWork, TypeNotAllowed, FileTooLarge, EmptyFile)
_SOURCES: Final[Mapping[str, Source]] = {"import": "import", "process": "process"}

Verdict = Literal["there", "added", "passed over", "unreadable", "failed"]


@dataclass(frozen=True, slots=True)
class Looked:
    """What became of one object, and why where it got no row; one that `failed` may do better next time."""

    path: str
    verdict: Verdict
    reason: str = ""


class Reindexer:
    """Give every stored object its row."""

    def __init__(
        self,
        library: Library,
        store: Store,
        queue: Queue,
        *,
        intake: Intake,
        ingest: Ingest,
        workshop: Workshop,
    ) -> None:
        self._library = library
        self._store = store
        self._queue = queue
        self._intake = intake
        self._ingest = ingest
        self._workshop = workshop
        self._turns = asyncio.Semaphore(_AT_ONCE)

    async def run(self) -> AsyncGenerator[Looked, None]:
        """Look at every object under `media/` and yield what became of it; raises `StoreError`."""
        async for batch in _batches(self._store.walk(ROOT)):
            there = await self._library.standing([stored.path for stored in batch])
            for looked in await asyncio.gather(*(self._look(stored, there) for stored in batch)):
                yield looked

    async def _look(self, stored: MediaObject, there: frozenset[str]) -> Looked:
        path = stored.path
        if path in there:
            return Looked(path, "there")
        if (owned := read_path(path)) is None:
            return Looked(path, "passed over", "No item of the library has such a path.")
        async with self._turns:
            try:
                return await self._add(stored, owned)
            except ObjectNotFound:
                return Looked(path, "passed over", "It was deleted meanwhile.")
            except _UNREADABLE as error:
                return Looked(path, "unreadable", str(error))
            except (StoreError, BytesChanged, WorkshopFailed) as error:
                return Looked(path, "failed", str(error))

    async def _add(self, stored: MediaObject, owned: Owned) -> Looked:
        job = await self._job(owned)
        if job is not None and job.state is not JobState.SUCCEEDED:
            return Looked(stored.path, "passed over", f"Its job is {job.state} and decides itself.")
        await self._library.restore(await self._item(stored, owned, job))
        return Looked(stored.path, "added")

    async def _job(self, owned: Owned) -> Job | None:
        try:
            return await self._queue.get(owned.job_id)
        except JobNotFound:
            return None

    async def _item(self, stored: MediaObject, owned: Owned, job: Job | None) -> Item:
        with tempfile.TemporaryDirectory(prefix="media-pipeline-") as name:
            file = Path(name) / "file"
            await self._ingest.fetch(stored, file)
            content_type = self._intake.check_bytes(*await read_head(file))
            looks = await look(self._workshop, file, content_type)
            facts = {} if owned.index is None else await self._workshop.recall(file, content_type)
        stored = await self._ingest.under_true_type(stored, looks.examined.content_type)
        rungs = await self._write_rungs(owned, looks)
        prompt, seed = facts.get("prompt"), facts.get("seed", "")
        item = Item(
            path=stored.path,
            user_id=owned.user_id,
            job_id=owned.job_id,
            kind=ACCEPTED[looks.examined.content_type],
            source=_source(owned, job),
            name=await self._title(owned, prompt),
            content_type=looks.examined.content_type,
            size=stored.size,
            version=stored.version,
            created_at=stored.created_at.timestamp(),
            prompt=prompt,
            model=facts.get("model"),
            seed=int(seed) if seed.removeprefix("-").isdecimal() else None,
        )
        return as_it_looks(item, looks.examined, rungs)

    async def _write_rungs(self, owned: Owned, looks: Looks) -> tuple[Rung, ...]:
        """Return the ladder; what stands there in the same size is not written again."""
        prefix = derived_prefix(owned.user_id, owned.job_id)
        there = {each.path: each.size for each in await self._store.list(prefix)}

        async def write(path: str, data: bytes, content_type: str) -> None:
            if there.get(path) != len(data):
                await self._store.upload(path, data, content_type)

        paths = [
            thumbnail_path(owned.user_id, owned.job_id, rung, index=owned.index)
            for rung in range(len(LADDER))
        ]
        return await write_rungs(write, looks, paths)

    async def _title(self, owned: Owned, prompt: str | None) -> str:
        """Name an item as it was named first: an upload by its file, a result by its prompt."""
        if owned.index is None:
            return owned.filename
        words = " ".join((prompt or "").split())[:MAX_NAME].strip() or owned.filename
        siblings = await self._store.list(owned.path.rpartition("_")[0] + "_") if owned.index == 0 else []
        return f"{words} ({owned.index + 1})" if owned.index or len(siblings) > 1 else words


def _source(owned: Owned, job: Job | None) -> Source:
    if owned.index is not None:
        return "generated"
    return _SOURCES.get(job.kind, "upload") if job else "upload"


async def _batches(objects: AsyncIterator[MediaObject]) -> AsyncIterator[list[MediaObject]]:
    batch: list[MediaObject] = []
    async for each in objects:
        batch.append(each)
        if len(batch) == _BATCH:
            yield batch
            batch = []
    if batch:
        yield batch
