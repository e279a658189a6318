"""What the library promises on every database."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from msgspec.structs import replace

from media_pipeline.db.database import Database
from media_pipeline.db.migrate import migrate
from media_pipeline.db.postgres import PostgresDatabase
from media_pipeline.db.sqlite import SqliteDatabase
from media_pipeline.db.statements import Statement
from media_pipeline.ids import JobId, UserId
from media_pipeline.media.item import Item
from media_pipeline.media.library import Library, Listing, MediaNotFound, Sort, keep_item
from media_pipeline.storage.memory import MemoryStore
from media_pipeline.storage.paths import user_root
from tests.clocks import FakeClock
from tests.servers.postgres import shared_server

ANN, BOB = UserId("ann"), UserId("bob")


@pytest.fixture(scope="module")
def url() -> str:
    return shared_server().create_database("library")


@pytest.fixture(params=["sqlite", "postgres"])
async def database(request: pytest.FixtureRequest) -> AsyncIterator[Database]:
    database: Database = SqliteDatabase()
    if request.param == "postgres":
        database = PostgresDatabase(request.getfixturevalue("url"))
    await database.open()
    await migrate(database)
    await database.execute(Statement("empty", "DELETE FROM media"), {})
    yield database
    await database.aclose()


@pytest.fixture
def library(database: Database) -> Library:
    store = MemoryStore(
        "http://localhost", clock=FakeClock(), secret=b"x" * 32, max_upload_bytes=9, max_bytes=99
    )
    return Library(database, store)


def item(name: str, *, user: UserId = ANN, at: float = 0.0, size: int = 1, prompt: str | None = None) -> Item:
    return Item(
        path=f"{user_root(user)}images/{name}",
        user_id=user,
        job_id=JobId("job"),
        kind="image",
        source="generated",
        name=name,
        content_type="image/png",
        size=size,
        version="1",
        created_at=at,
        width=4,
        height=3,
        duration=1.5,
        prompt=prompt,
        seed=1 << 60,
    )


async def keep(database: Database, *items: Item) -> None:
    await database.apply([keep_item(one) for one in items])


async def names(library: Library, **listing: object) -> list[str]:
    """Page through a listing two by two."""
    seen: list[str] = []
    after = None
    while True:
        page = await library.list_items(ANN, Listing(after=after, limit=2, **listing))  # type: ignore[arg-type] # as tests give it
        seen += [one.name for one in page.items]
        after = page.next
        if after is None:
            return seen


async def test_what_is_not_known_stays_unknown(database: Database, library: Library) -> None:
    """Every field that may be missing may be missing."""
    full = item("bare")
    bare = replace(full, width=None, height=None, duration=None, seed=None, prompt=None)
    await keep(database, full, replace(bare, path=f"{full.path}2"))
    assert await library.get(ANN, f"{full.path}2") == replace(bare, path=f"{full.path}2")


async def test_an_item_comes_back_as_it_was_kept(database: Database, library: Library) -> None:
    """Every field of a kept item reads the same; a stranger sees none of it."""
    kept = item("ünï.png", at=1_750_000_000.25, prompt="a \u2028 harbour 'quoted' %s :name")
    await keep(database, kept)
    assert await library.get(ANN, kept.path) == kept
    with pytest.raises(MediaNotFound):
        await library.get(BOB, kept.path)


@pytest.mark.parametrize(("sort", "order"), [("newest", "dcba"), ("oldest", "abcd"), ("largest", "badc")])
async def test_pages_hold_each_item_once(
    database: Database, library: Library, sort: Sort, order: str
) -> None:
    """Page by page every item appears once, in its order, ties too."""
    sizes = {"a": 3, "b": 3, "c": 1, "d": 2}
    await keep(database, *(item(name, at=float(n), size=sizes[name]) for n, name in enumerate("abcd")))
    await keep(database, item("z", user=BOB))
    assert await names(library, sort=sort) == list(order)


async def test_words_are_found_in_any_order(database: Database, library: Library) -> None:
    """Search wants every word, at a word's beginning, without case or accents; signs of SQL are no words."""
    await keep(database, item("one", prompt="Café at Night"), item("two", prompt="cafeteria by day"))
    assert await names(library, words="NIGHT cafe") == ["one"]
    assert sorted(await names(library, words="cafe")) == ["one", "two"]
    assert await names(library, words="ight") == []
    assert await names(library, words="% _") == []


async def test_a_prefix_is_taken_byte_for_byte(database: Database, library: Library) -> None:
    """A prefix lists what begins with it, whatever the database's collation, and its signs mean nothing."""
    await keep(database, item("a_1"), item("ab1"), item("A_2"))
    assert await names(library, prefix="images/a_") == ["a_1"]
    assert sorted(await names(library, prefix="images/")) == ["A_2", "a_1", "ab1"]
    assert await names(library, prefix="videos/") == []
    assert await names(library, kind="video") == []


async def test_a_removed_item_is_gone(database: Database, library: Library) -> None:
    """Removal takes an item out of sight once; one that was cut short is finished later."""
    first, second = item("first"), item("second")
    await keep(database, first, second)
    assert await library.remove(ANN, first.path) == first
    with pytest.raises(MediaNotFound):
        await library.remove(ANN, first.path)
    await database.execute(Statement("cut", "UPDATE media SET removing = 1"), {})
    assert await names(library) == []
    await library.finish_removals()
    assert await database.fetch(Statement("left", "SELECT path FROM media"), {}) == []


async def test_one_bad_effect_keeps_the_rest_out(database: Database, library: Library) -> None:
    """Items that are kept together are kept all or none."""
    await keep(database, item("there"))
    with pytest.raises(Exception, match=r"(?i)unique"):
        await keep(database, item("new"), item("there"))
    assert await names(library) == ["there"]


async def test_what_no_text_can_hold_is_not_found(library: Library) -> None:
    """A NUL in a path or a search finds nothing, like anything else that is not there."""
    for ask in (library.get, library.remove):
        with pytest.raises(MediaNotFound):
            await ask(ANN, "a\0b")
    assert await names(library, prefix="\0") == []
