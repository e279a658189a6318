"""How fast a library of 100,000 items answers: `python -m bench.library`.

One user owns everything, words are as unequal as in real prompts (a Pareto distribution), and every
case is asked through `Library`, as a request does: first while the library has no index of words, where
every search reads it in order, then with the index. Beside it stands the naive way in the same run: every
item's words read with LIKE and the whole sorted. Targets: a page within 5 ms, a search within 50 ms.
"""

from __future__ import annotations

import asyncio
import random
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Final

from tests.clocks import FakeClock
from tests.servers.postgres import shared_server

from media_pipeline.db.database import Database, Effect
from media_pipeline.db.migrate import migrate
from media_pipeline.db.postgres import PostgresDatabase
from media_pipeline.db.sqlite import SqliteDatabase
from media_pipeline.db.statements import Statement
from media_pipeline.ids import JobId, UserId
from media_pipeline.media.indexer import Indexer
from media_pipeline.media.item import Item
from media_pipeline.media.library import Library, Listing, Place, keep_item
from media_pipeline.storage.memory import MemoryStore

ITEMS: Final = 100_000
BATCH: Final = 1_000
ROUNDS: Final = 9
ANN: Final = UserId("ann")
PAGE_MS, SEARCH_MS = 5.0, 50.0
NAIVE: Final = Statement(
    "naive",
    "SELECT * FROM media WHERE user_id = 'ann' AND removing = 0 AND words LIKE '% zebra%'"
    " ORDER BY created_at DESC LIMIT 51",
)


def build_items(words: list[str]) -> list[Item]:
    """Return the library: one zebra, 3,000 oldest that alone are old, five films."""
    return [_build(number, words) for number in range(ITEMS)]


def _build(number: int, words: list[str]) -> Item:
    prompt = [words[min(len(words), int(random.paretovariate(0.6))) - 1] for _ in range(12)]
    prompt += ["zebra"] * (number == 17) + ["old"] * (number < ITEMS * 0.03)
    return Item(
        path=f"media/ann/images/{number:06}_0.png",
        user_id=ANN,
        job_id=JobId(f"{number:06}"),
        kind="video" if number % (ITEMS // 5) == 0 else "image",
        source="generated",
        name=" ".join(prompt[:3]),
        content_type="image/png",
        size=number % 977,
        version="1",
        created_at=float(number),
        prompt=" ".join(prompt),
    )


def cases(words: list[str]) -> dict[str, tuple[Listing, float]]:
    """Return what is asked, and within how many milliseconds an answer should come."""
    middle = Place("newest", ITEMS // 2 * 1_000_000, "")
    pages = {
        "newest page": Listing(),
        "page in the middle": Listing(after=middle),
        "oldest page": Listing(sort="oldest"),
        "largest page": Listing(sort="largest"),
        "five films": Listing(kind="video"),
    }
    searches = {
        "a word of one item": "zebra",
        "a word of none": "qqqq",
        "a word of most": words[0],
        "two words of many": f"{words[0]} {words[1]}",
        "a word of some": words[30],
        "one letter": "a",
        "three letters": "b c d",
        "only the oldest": "old",
        "the oldest and most": f"old {words[0]}",
    }
    return {name: (listing, PAGE_MS) for name, listing in pages.items()} | {
        name: (Listing(words=text), SEARCH_MS) for name, text in searches.items()
    }


async def measure(name: str, database: Database) -> None:
    """Fill a database and print the median and the longest of every case."""
    rng = random.Random(1)
    words = ["".join(rng.choices("abcdefghijklmnop", k=rng.randint(3, 9))) for _ in range(5000)]
    random.seed(2)
    await database.open()
    await migrate(database)
    items = build_items(words)
    began = time.perf_counter()
    for start in range(0, ITEMS, BATCH):
        await database.apply([effect for item in items[start : start + BATCH] for effect in keep_item(item)])
    each = (time.perf_counter() - began) / ITEMS
    if database.dialect == "postgres":  # as its autovacuum would by and by
        await database.alter([Effect(Statement("vacuum", "VACUUM ANALYZE"), {})])
    print(f"\n{name}: {ITEMS:,} items, kept in {each * 1e6:.0f} us each")
    store = MemoryStore("", clock=FakeClock(), secret=b"x" * 32, max_upload_bytes=1, max_bytes=1)
    library = Library(database, store)
    print(" read in order")
    await ask_all(library, words)
    began = time.perf_counter()
    await Indexer(database, library, clock=FakeClock()).finish_due(settled=0)
    each = (time.perf_counter() - began) / ITEMS
    if database.dialect == "postgres":
        await database.alter([Effect(Statement("vacuum", "VACUUM ANALYZE"), {})])
    print(f" with the index of words, made in {each * 1e6:.0f} us an item")
    await ask_all(library, words)
    took, most = await time_ms(partial(database.fetch, NAIVE, {}))
    print(f"  {'naive, one item':<22} {took:8.2f} ms, at most {most:8.2f} ms")
    await database.aclose()


async def ask_all(library: Library, words: list[str]) -> None:
    for case, (listing, target) in cases(words).items():
        took, most = await time_ms(partial(library.list_items, ANN, listing))
        verdict = "reached" if took <= target else "NOT reached"
        print(f"  {case:<22} {took:8.2f} ms, at most {most:8.2f} ms   {verdict}: {target:.0f} ms")


async def time_ms(ask: Callable[[], Awaitable[object]]) -> tuple[float, float]:
    """Ask a few times and return the median and the longest, in milliseconds."""
    took = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        await ask()
        took.append((time.perf_counter() - began) * 1e3)
    return statistics.median(took), max(took)


async def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        await measure("SQLite", SqliteDatabase(Path(folder) / "library.db"))
    await measure("PostgreSQL", PostgresDatabase(shared_server().create_database("bench_library")))


if __name__ == "__main__":
    asyncio.run(main())
