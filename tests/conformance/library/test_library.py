"""What the library promises on every database."""

from __future__ import annotations

import re

import pytest
from msgspec.structs import replace

from media_pipeline.db.database import Database
from media_pipeline.db.statements import Statement
from media_pipeline.ids import JobId, UserId
from media_pipeline.media.item import Item
from media_pipeline.media.library import Library, Listing, MediaNotFound, Sort, keep_item
from media_pipeline.media.search import find_few
from media_pipeline.storage.paths import user_root

ANN, BOB = UserId("ann"), UserId("bob")


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
    await database.apply([effect for one in items for effect in keep_item(one)])


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


@pytest.mark.usefixtures("indexed")
async def test_rare_and_common_words_give_the_same_answer(
    database: Database, library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Search answers alike whether it begins with the few items of a word or reads all in order."""
    await keep(
        database,
        *(
            item(f"{n:02}", at=float(n % 5), size=n % 3, prompt=f"sea {'gull' * (n % 4 == 0)}")
            for n in range(20)
        ),
    )
    for sort in ("newest", "oldest", "largest"):
        few = await names(library, words="gull se", sort=sort)
        with monkeypatch.context() as patch:
            patch.setattr("media_pipeline.media.search.FEW", 0)
            assert await names(library, words="gull se", sort=sort) == few
        assert sorted(few) == ["00", "04", "08", "12", "16"]


@pytest.mark.usefixtures("indexed")
async def test_two_common_words_that_few_items_share_are_looked_up(
    database: Database, library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of words that many items have, those which have both are found in the index; nothing else is read."""
    monkeypatch.setattr("media_pipeline.media.search.FEW", 4)
    prompts = ["boat sea"] * 8 + ["cat sea"] * 8 + ["boat cat sea"] * 3
    await keep(database, *(item(f"{n:02}", prompt=prompt) for n, prompt in enumerate(prompts)))
    found = await find_few(database, ANN, ["s", "b", "c"], marks=["=image"])
    assert sorted(re.findall(r"media/ann/images/(\d+)", found or "")) == ["16", "17", "18"]
    assert sorted(await names(library, words="s b c")) == ["16", "17", "18"]
    monkeypatch.setattr("media_pipeline.media.search.MANY", 11)
    assert await find_few(database, ANN, ["b", "c"], marks=[]) is None
    assert sorted(await names(library, words="b c")) == ["16", "17", "18"]


async def test_kind_and_source_narrow(database: Database, library: Library) -> None:
    """A listing holds only the kind and source that were asked for; their signs are no words."""
    film = replace(item("film"), kind="video", source="upload")
    await keep(database, item("still", at=1.0), film)
    assert await names(library, kind="video") == ["film"]
    assert await names(library, source="generated") == ["still"]
    assert await names(library, kind="image", source="upload") == []
    assert await names(library, words="video") == []


@pytest.mark.usefixtures("indexed")
async def test_a_renamed_item_is_found_by_its_new_name(database: Database, library: Library) -> None:
    """A new name is shown and found, the old one is not; what was not given stays; a stranger has no say."""
    await keep(database, item("harbour", prompt="boats"))
    path = item("harbour").path
    named = await library.rename(ANN, path, name="Lighthouse", alt="A tower")
    assert (named.name, named.alt, named.prompt) == ("Lighthouse", "A tower", "boats")
    assert await library.get(ANN, path) == named
    assert await names(library, words="light boat") == ["Lighthouse"]
    assert await names(library, words="harbour") == []
    assert (await library.rename(ANN, path, name=None, alt="")).alt is None
    with pytest.raises(MediaNotFound):
        await library.rename(BOB, path, name="Mine", alt=None)


@pytest.mark.usefixtures("indexed")
async def test_many_are_removed_at_once(database: Database, library: Library) -> None:
    """Every named item of the user is gone, and no other; one that is not there is no error."""
    await keep(database, item("a"), item("b"), item("c"), item("z", user=BOB))
    paths = [item(name).path for name in "abx"] + [item("z", user=BOB).path, "a\0b"]
    assert await library.remove_all(ANN, paths) == []
    assert await library.remove_all(ANN, paths) == []
    assert library.removals_wait.is_set()
    assert await names(library) == ["c"]
    await library.finish_removals()
    assert (await library.get(BOB, item("z", user=BOB).path)).name == "z"
    left = await database.fetch(Statement("left", "SELECT DISTINCT path FROM media_words"), {})
    assert {row["path"] for row in left} == {item("z", user=BOB).path, item("c").path}


async def test_words_without_end_are_kept_short(database: Database, library: Library) -> None:
    """A word of any length is found by itself; an item of any number of words is kept."""
    await keep(
        database, item("long", prompt="w" * 5000), item("many", prompt=" ".join(map(str, range(2000))))
    )
    assert await names(library, words="w" * 5000) == ["long"]
    assert await names(library, words="150") == ["many"]


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
