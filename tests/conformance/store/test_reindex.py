"""Giving rows to what any store holds."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing
from uuid import uuid4

import pytest

from media_pipeline.clock import SystemClock
from media_pipeline.db.migrate import migrate
from media_pipeline.db.sqlite import SqliteDatabase
from media_pipeline.ids import JobId, UserId
from media_pipeline.media.ingest import Ingest
from media_pipeline.media.intake import Intake
from media_pipeline.media.library import Library, Listing
from media_pipeline.media.reindex import Reindexer
from media_pipeline.media.workshop.workshop import Workshop
from media_pipeline.queue.doorbell import LocalDoorbell
from media_pipeline.queue.sqlite import SqliteQueue
from media_pipeline.storage.paths import upload_path
from media_pipeline.storage.store import Store
from tests.integration.program import picture

ANN, BOB = UserId("ann@example.com"), UserId("bob")


@pytest.fixture
async def workshop() -> AsyncIterator[Workshop]:
    workshop = Workshop(processes=1)
    yield workshop
    await workshop.aclose()


@pytest.fixture
async def database() -> AsyncIterator[SqliteDatabase]:
    database = SqliteDatabase()
    await database.open()
    await migrate(database)
    yield database
    await database.aclose()


async def test_every_object_gets_its_row(store: Store, workshop: Workshop, database: SqliteDatabase) -> None:
    """Pictures become items under their true type, what is none stays; a run that was cut off goes on."""
    library = Library(database, store)
    queue = SqliteQueue(database, LocalDoorbell(), window=lambda _kind: 1)
    ingest = Ingest(store, workshop, clock=SystemClock())
    reindexer = Reindexer(
        library,
        store,
        queue,
        intake=Intake(store, max_bytes=10**6),
        ingest=ingest,
        workshop=workshop,
    )
    pictures = [upload_path(owner, JobId(str(uuid4())), "a.png") for owner in (ANN, ANN, BOB)]
    for path in pictures:
        await store.upload(path, picture(), "text/html")
    broken = upload_path(BOB, JobId(str(uuid4())), "b.png")
    await store.upload(broken, picture()[:200], "image/png")
    await store.upload("media/bob/by-hand.png", picture(), "image/png")
    async with aclosing(reindexer.run()) as run:
        await anext(run)
    verdicts = {each.path: (each.verdict, each.reason) async for each in reindexer.run()}
    assert verdicts.pop(broken) == ("unreadable", "The picture is damaged or cut off.")
    assert verdicts.pop("media/bob/by-hand.png")[0] == "passed over"
    assert verdicts == dict.fromkeys(pictures, ("there", ""))
    for owner, count in ((ANN, 2), (BOB, 1)):
        items = (await library.list_items(owner, Listing())).items
        assert len(items) == count
        for item in items:
            stored = await store.stat(item.path)
            assert (stored.content_type, stored.version) == ("image/png", item.version)
            assert [item.path for item in await store.list(f"derived/{item.path.split('/')[1]}/")]
    assert (await store.stat(broken)).size == 200
