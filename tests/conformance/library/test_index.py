"""An index of words is for libraries that are too large to be read, and begins while they are in use."""

from __future__ import annotations

import asyncio

import pytest

from media_pipeline.db.database import Database, DatabaseUnavailable
from media_pipeline.db.statements import Statement
from media_pipeline.media.indexer import Indexer
from media_pipeline.media.library import Library
from media_pipeline.media.search import find_few
from tests.clocks import FakeClock
from tests.conformance.library.test_library import ANN, BOB, item, keep, names

WORDS = Statement("words", "SELECT path, count(*) AS words FROM media_words GROUP BY path")
FIND_GULLS = ["gull"]


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a library be large that has four items, and two make a batch."""
    monkeypatch.setattr("media_pipeline.media.search.LARGE", 3)
    monkeypatch.setattr("media_pipeline.media.indexer.BATCH", 2)


@pytest.fixture
def indexer(database: Database, library: Library) -> Indexer:
    return Indexer(database, library, clock=FakeClock())


async def counted(database: Database) -> dict[str, int]:
    """Return how many words of each item the index has, by the item's name."""
    rows = await database.fetch(WORDS, {})
    return {str(row["path"]).rpartition("/")[2]: int(row["words"] or 0) for row in rows}


async def fill(database: Database, count: int, *, first: int = 0) -> None:
    await keep(database, *(item(f"{n}", at=float(n), prompt="gull sea") for n in range(first, count)))


async def test_a_small_library_is_searched_without_an_index(
    database: Database, library: Library, indexer: Indexer
) -> None:
    """Whose items are soon read has no words in the index, whatever is kept, sought, renamed and removed."""
    await fill(database, 3)
    assert await names(library, words="gull") == ["2", "1", "0"]
    await library.rename(ANN, item("1").path, name="lighthouse", alt=None)
    await library.remove(ANN, item("2").path)
    await indexer.finish_due(settled=0)
    assert await names(library, words="light") == ["lighthouse"]
    assert await names(library, kind="image", words="gull") == ["lighthouse", "0"]
    assert await counted(database) == {}


async def test_the_first_search_of_a_large_library_begins_its_index(
    database: Database, library: Library, indexer: Indexer
) -> None:
    """From that search on new items are in it; when it is settled the earlier ones are, and it is used."""
    await fill(database, 5)
    await keep(database, *(item(f"b{n}", user=BOB) for n in range(5)))
    assert await names(library) == ["4", "3", "2", "1", "0"]  # a page in order needs none
    assert await counted(database) == {}
    assert await names(library, words="gull") == ["4", "3", "2", "1", "0"]
    await fill(database, 7, first=5)
    assert await counted(database) == {"5": 5, "6": 5}
    await indexer.finish_due()
    assert await find_few(database, ANN, FIND_GULLS, marks=[]) is None
    assert await names(library, words="gull") == list("6543210")
    await indexer.finish_due(settled=0)
    assert await counted(database) == {f"{n}": 5 for n in range(7)}
    assert await find_few(database, ANN, FIND_GULLS, marks=[]) is not None
    assert await names(library, words="gull") == list("6543210")
    assert await find_few(database, BOB, ["b0"], marks=[]) is None


async def test_an_index_that_was_cut_off_is_begun_anew(
    database: Database, library: Library, indexer: Indexer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An index is not called whole before it is, also when the database goes away amid a batch."""
    await fill(database, 5)
    assert await names(library, words="gull") == ["4", "3", "2", "1", "0"]
    apply, calls = database.apply, iter([True, False])

    async def fail_at_second(effects: object) -> None:
        if not next(calls):
            raise DatabaseUnavailable("It is away.")
        await apply(effects)  # type: ignore[arg-type] # handed on as it came

    with monkeypatch.context() as patch:
        patch.setattr(database, "apply", fail_at_second)
        with pytest.raises(DatabaseUnavailable):
            await indexer.finish_due(settled=0)
    assert sorted(await counted(database)) == ["0", "1"]
    assert await find_few(database, ANN, FIND_GULLS, marks=[]) is None
    await asyncio.gather(indexer.finish_due(settled=0), indexer.finish_due(settled=0))
    assert sorted(await counted(database)) == ["0", "1", "2", "3", "4"]
    assert await find_few(database, ANN, FIND_GULLS, marks=[]) is not None
