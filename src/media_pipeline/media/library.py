"""What a user owns: the rows behind `GET /media`.

Guarantees: a row appears in the same transaction as its job's result; a page never shows an item
twice or skips one that stood there throughout; a removed item is out of sight at once, and its
bytes go even if the program dies in between.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Final, Literal, NamedTuple

import msgspec
import structlog

from media_pipeline.db.database import Database, Effect, Params, Row
from media_pipeline.db.statements import load_statements
from media_pipeline.errors import MediaPipelineError
from media_pipeline.ids import JobId, UserId
from media_pipeline.media.item import Item, ItemKind, fold_words, searchable_words
from media_pipeline.storage.paths import original_prefix, user_root
from media_pipeline.storage.store import Store, StoreError

Sort = Literal["newest", "oldest", "largest"]

_log = structlog.get_logger(__name__)
_SQL: Final = load_statements("media_pipeline.media", "sql/library.sql")
_FIRST_PLACE: Final[Mapping[Sort, int]] = {"newest": 1 << 62, "oldest": -1, "largest": 1 << 62}
_AFTER_ALL: Final = "\U0010ffff"


class MediaNotFound(MediaPipelineError):
    """The user has no such item."""

    code: ClassVar[str] = "media_not_found"


class InvalidCursor(MediaPipelineError):
    """The cursor belongs to another listing."""

    code: ClassVar[str] = "invalid_cursor"


class Place(NamedTuple):
    """A place in a listing: just after the item at `path`, which sorts by `value`."""

    sort: Sort
    value: Annotated[int, msgspec.Meta(ge=-1, le=1 << 62)]
    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """What to list. `prefix` is relative to the user's own root; `after` comes from the page before."""

    prefix: str = ""
    kind: ItemKind | None = None
    words: str = ""
    sort: Sort = "newest"
    after: Place | None = None
    limit: int = 50


@dataclass(frozen=True, slots=True)
class ItemPage:
    """Items, and where the next page begins if there is one."""

    items: Sequence[Item]
    next: Place | None


class Library:
    """Read and remove a user's items."""

    def __init__(self, database: Database, store: Store) -> None:
        self._db = database
        self._store = store
        self._listings = load_statements("media_pipeline.media", f"sql/library.{database.dialect}.sql")

    async def list_items(self, user_id: UserId, listing: Listing) -> ItemPage:
        """Return one page; `InvalidCursor` for a cursor that no page gave."""
        after = listing.after or Place(listing.sort, _FIRST_PLACE[listing.sort], "")
        if after.sort != listing.sort:
            raise InvalidCursor("The cursor belongs to another sort order; start without it.")
        words = fold_words(listing.words)
        if listing.words and not words:
            return ItemPage([], None)
        low = user_root(user_id) + listing.prefix.lstrip("/")
        params: Params = {
            "user_id": user_id,
            "place": after.value,
            "path": after.path,
            "low": low,
            "high": low + _AFTER_ALL,
            "kind": listing.kind,
            "words": msgspec.json.encode(words).decode(),
            "limit": listing.limit + 1,
        }
        rows = await self._db.fetch(self._listings[listing.sort], params)
        shown = rows[: listing.limit]
        following = _place(listing.sort, shown[-1]) if len(rows) > listing.limit else None
        return ItemPage([_read_item(row) for row in shown], following)

    async def get(self, user_id: UserId, path: str) -> Item:
        """Return one item, or raise `MediaNotFound`, also for another user's."""
        rows = await self._db.fetch(_SQL["get"], {"user_id": user_id, "path": path})
        if not rows:
            raise MediaNotFound("There is no such item in your library.")
        return _read_item(rows[0])

    async def remove(self, user_id: UserId, path: str) -> Item:
        """Take an item out of the library for good and delete its bytes; return what it was.

        Bytes that the store cannot delete now are deleted by `finish_removals`.
        """
        rows = await self._db.execute(_SQL["mark_removing"], {"user_id": user_id, "path": path})
        if not rows:
            raise MediaNotFound("There is no such item in your library.")
        item = _read_item(rows[0])
        try:
            await self._erase(item)
        except MediaPipelineError as error:
            _log.warning("media.not_erased", path=item.path, error=str(error))
        return item

    async def finish_removals(self) -> None:
        """Delete the bytes of items whose removal was cut short, as far as the store allows now."""
        for row in await self._db.fetch(_SQL["removing"], {}):
            try:
                await self._erase(_read_item(row))
            except StoreError as error:
                _log.warning("media.not_erased", path=row["path"], error=str(error))

    async def _erase(self, item: Item) -> None:
        await self._store.delete(item.path)
        if item.thumbnail_path:
            await self._store.delete(item.thumbnail_path)
        if item.source == "generated":
            await self._erase_original(item)
        await self._db.execute(_SQL["forget"], {"path": item.path})

    async def _erase_original(self, item: Item) -> None:
        """Delete the provider's untouched bytes; their path follows from the item's, but for its type."""
        index = item.path.rpartition("_")[2].partition(".")[0]
        for left in await self._store.list(original_prefix(item.user_id, item.job_id, int(index))):
            await self._store.delete(left.path)


def keep_item(item: Item) -> Effect:
    """Return the write that puts `item` into the library, to land with its job's end."""
    row = msgspec.structs.asdict(item)
    row |= {"words": searchable_words(item), "created_at": round(item.created_at * 1_000_000)}
    return Effect(_SQL["insert"], row)


def _read_item(row: Row) -> Item:
    columns: dict[str, Any] = {name: row[name] for name in Item.__struct_fields__}
    columns["created_at"] /= 1e6
    columns["user_id"], columns["job_id"] = UserId(columns["user_id"]), JobId(columns["job_id"])
    return Item(**columns)


def _place(sort: Sort, row: Row) -> Place:
    return Place(sort, int(row["place"] or 0), str(row["path"]))
