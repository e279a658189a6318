"""Who puts the words of a large library into its index.

An index begins when a large library is searched: from then on each new item's words are kept with it.
Once whoever did not know of that has ended, the items that were there before are put in, by batches.
Guarantees that an index is called whole only when every item is in it; that what is cut off is begun anew;
and that two processes may do the same at once. Not guaranteed: the words of an item whose write stood still
for longer than `SETTLED` and then went on.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import structlog

from media_pipeline.clock import Clock
from media_pipeline.db.database import Database, DatabaseUnavailable
from media_pipeline.db.statements import load_dialects
from media_pipeline.ids import UserId
from media_pipeline.media.library import Library, Listing, index_words

SETTLED: Final = 600.0
"""Seconds after which no write goes on that began before an index did."""
BATCH: Final = 500

_SQL: Final = load_dialects("media_pipeline.media", "sql/library")
_log = structlog.get_logger(__name__)


class Indexer:
    """Make what indexes are due whole, every `interval` seconds until cancelled."""

    def __init__(self, database: Database, library: Library, *, clock: Clock, interval: float = 60.0) -> None:
        self._db = database
        self._library = library
        self._clock = clock
        self._interval = interval

    async def run(self) -> None:
        """Look, wait, look again."""
        while True:
            try:
                await self.finish_due()
            except DatabaseUnavailable as error:
                _log.warning("indexer.failed", error=str(error))
            await self._clock.sleep(self._interval)

    async def finish_due(self, *, settled: float = SETTLED) -> None:
        """Make every index whole that began more than `settled` seconds ago."""
        age = round(settled * 1_000_000)
        while rows := await self._db.fetch(_SQL["index_due"], {"age": age}):
            await self._finish(UserId(str(rows[0]["user_id"])))

    async def _finish(self, user_id: UserId) -> None:
        items, page = 0, Listing(sort="oldest", limit=BATCH)
        while True:
            found = await self._library.list_items(user_id, page)
            await self._db.apply([index_words(item) for item in found.items])
            items += len(found.items)
            if found.next is None:
                break
            page = replace(page, after=found.next)
        await self._db.execute(_SQL["finish_index"], {"user_id": user_id})
        _log.info("indexer.finished", items=items)
