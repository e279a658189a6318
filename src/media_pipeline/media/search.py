"""Where a search begins: with the few items that may be its answer, or with none, when a page is soon read.

A library of up to `LARGE` items is read in order. The first search of a larger one begins its index of words,
see `indexer.py`; until that is whole it is read in order too. Guarantees, with the index, however many items
a user has: no more than `FEW` are looked up, and no more than `MANY` entries of the index read for each word.
Not guaranteed: that few are found where each word, or all but one, is in more than `MANY` items; those are
read in order until the page is full.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from media_pipeline.db.database import Database, Value
from media_pipeline.db.statements import load_dialects
from media_pipeline.ids import UserId

LARGE: Final = 10_000
"""So many items, of some 300 bytes each, are read within the time that a search may take."""
FEW: Final = 4000
"""So many items are looked up and sorted; of more, a page is soon found by reading them in order."""
MANY: Final = 20_000
"""So many are compared with another word's in the index of words, for few may have both."""
TRIED: Final = 4
"""So many words are looked for in the index; the longest are in the fewest items as a rule."""
_SQL: Final = load_dialects("media_pipeline.media", "sql/library")


async def find_few(
    database: Database, user_id: UserId, words: Sequence[str], *, marks: Sequence[str]
) -> str | None:
    """Return where all items are that have one of `words` or `marks`, or the rarest two words; None if many.

    The paths come as the database writes them for itself, and are read by its own statements alone.
    The longest word is tried first, since it is in the fewest items as a rule.
    """
    if not (words or marks) or not await _is_indexed(database, user_id):
        return None
    counts = {}
    most = MANY if len(words) > 1 else FEW
    for word in [*sorted(words, key=len, reverse=True)[:TRIED], *marks]:
        bound = FEW if word in marks else most
        count = await _count(database, _span(user_id, word), bound)
        if count < FEW:
            (row,) = await database.fetch(_SQL["matches"], _span(user_id, word))
            return str(row["paths"])
        if count < bound:
            counts[word] = count
    rarest = sorted(counts, key=counts.__getitem__)[:2]
    return await _find_both(database, user_id, *rarest) if len(rarest) > 1 else None


def marks_of(*facts: str | None) -> list[str]:
    """Return what is looked up like a word and is none: a kind, a source."""
    return [f"={fact}" for fact in facts if fact]


async def _is_indexed(database: Database, user_id: UserId) -> bool:
    """Tell whether a user's index of words is whole; begin one where the library has become large."""
    if rows := await database.fetch(_SQL["indexed"], {"user_id": user_id}):
        return rows[0]["ready_at"] is not None
    (row,) = await database.fetch(_SQL["count_items"], {"user_id": user_id, "most": LARGE + 1})
    if int(row["items"] or 0) > LARGE:
        await database.execute(_SQL["begin_index"], {"user_id": user_id})
    return False


async def _find_both(database: Database, user_id: UserId, one: str, other: str) -> str | None:
    begins, ends = _span(user_id, other)["word"], _span(user_id, other)["beyond"]
    both = {**_span(user_id, one), "other": begins, "beyond_other": ends, "most": FEW}
    (row,) = await database.fetch(_SQL["matches_of_both"], both)
    return None if row["paths"] is None else str(row["paths"])


async def _count(database: Database, span: dict[str, Value], most: int) -> int:
    (row,) = await database.fetch(_SQL["count_matches"], {**span, "most": most})
    return int(row["matches"] or 0)


def _span(user_id: UserId, word: str) -> dict[str, Value]:
    """Return the part of the index of words that holds those beginning so."""
    return {"user_id": user_id, "word": word.encode(), "beyond": word.encode() + b"\xff"}
