"""What a user owns: the rows behind `GET /media`.

Guarantees: a row appears in the same transaction as its job's result; a page never shows an item
twice or skips one that stood there throughout; a removed item is out of sight at once, and its
bytes go even if the program dies in between.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Final, Literal, NamedTuple

import msgspec
import structlog
from msgspec.structs import replace

from media_pipeline.db.arrays import write_array
from media_pipeline.db.database import Database, DatabaseUnavailable, Effect, Params, Row, Value
from media_pipeline.db.statements import Statement, load_dialects
from media_pipeline.errors import MediaPipelineError
from media_pipeline.ids import JobId, UserId
from media_pipeline.media.item import (
    Item,
    ItemKind,
    Rung,
    Source,
    derived_paths,
    fold_words,
    searchable_words,
)
from media_pipeline.media.search import find_few, marks_of
from media_pipeline.storage.paths import original_prefix, read_path, user_root
from media_pipeline.storage.store import Store, StoreError

Sort = Literal["newest", "oldest", "largest"]

_log = structlog.get_logger(__name__)
_SQL: Final = load_dialects("media_pipeline.media", "sql/library")
_INSERT: Final = _SQL["insert"]
_UNLESS_THERE: Final = " ON CONFLICT (path) DO NOTHING"
_RESTORE: Final = Statement(
    "restore", _INSERT.text + _UNLESS_THERE, _INSERT.sqlite + _UNLESS_THERE, rows=_INSERT.rows
)
_FIRST_PLACE: Final[Mapping[Sort, int]] = {"newest": 1 << 62, "oldest": -1, "largest": 1 << 62}
_RUNGS: Final = msgspec.json.Decoder(tuple[Rung, ...])
_AFTER_ALL: Final = "\U0010ffff"
_ERASED_AT_ONCE: Final = 16


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
    source: Source | None = None
    words: str = ""
    sort: Sort = "newest"
    after: Place | None = None
    limit: int = 50


@dataclass(frozen=True, slots=True)
class ItemPage:
    """Items, and where the next page begins if there is one."""

    items: Sequence[Item]
    next: Place | None


@dataclass(frozen=True, slots=True)
class Kept:
    """What a row stands for; `removing` while its object is on its way out."""

    path: str
    job_id: JobId
    removing: bool


class Library:
    """Read, rename and remove a user's items."""

    def __init__(self, database: Database, store: Store) -> None:
        self._db = database
        self._store = store
        self.removals_wait = asyncio.Event()
        """Set when bytes wait for `finish_removals`."""

    async def list_items(self, user_id: UserId, listing: Listing) -> ItemPage:
        """Return one page; `InvalidCursor` for a cursor that no page gave."""
        after = listing.after or Place(listing.sort, _FIRST_PLACE[listing.sort], "")
        if after.sort != listing.sort:
            raise InvalidCursor("The cursor belongs to another sort order; start without it.")
        words = fold_words(listing.words)
        if listing.words and not words:
            return ItemPage([], None)
        low = user_root(user_id) + listing.prefix.lstrip("/")
        params: dict[str, Value] = {
            "user_id": user_id,
            "place": after.value,
            "path": after.path,
            "low": low,
            "high": low + _AFTER_ALL,
            "kind": listing.kind,
            "source": listing.source,
            "limit": listing.limit + 1,
            **_conditions(words),
        }
        few = await find_few(self._db, user_id, words, marks=marks_of(listing.kind, listing.source))
        if few is not None:
            params["paths"] = few
        rows = await self._db.fetch(_SQL[listing.sort if few is None else f"{listing.sort}_found"], params)
        shown = rows[: listing.limit]
        following = _place(listing.sort, shown[-1]) if len(rows) > listing.limit else None
        return ItemPage([_read_item(row) for row in shown], following)

    async def get(self, user_id: UserId, path: str) -> Item:
        """Return one item, or raise `MediaNotFound`, also for another user's."""
        rows = await self._db.fetch(_SQL["get"], {"user_id": user_id, "path": path})
        if not rows:
            raise MediaNotFound("There is no such item in your library.")
        return _read_item(rows[0])

    async def rename(self, user_id: UserId, path: str, *, name: str | None, alt: str | None) -> Item:
        """Give an item a name or a description; None leaves it, an empty description takes it away."""
        old = await self.get(user_id, path)
        new = replace(old, name=name or old.name, alt=old.alt if alt is None else alt or None)
        row: Params = {"path": path, "user_id": user_id, "name": new.name, "alt": new.alt}
        renamed = Effect(_SQL["rename"], {**row, "words": _spaced(searchable_words(new))})
        await self._db.apply([_found("forget_words", old), renamed, index_words(new)])
        return await self.get(user_id, path)

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
            _log.warning("media.not_erased", job_id=item.job_id, error=error.code)
        return item

    async def remove_all(self, user_id: UserId, paths: Sequence[str]) -> list[str]:
        """Take many items out of the library; return the paths for which the database had no answer.

        One that is not there is no error. Their bytes are deleted by `finish_removals`.
        """

        async def mark(path: str) -> bool:
            try:
                await self._db.execute(_SQL["mark_removing"], {"user_id": user_id, "path": path})
            except DatabaseUnavailable:
                return False
            return True

        paths = list(dict.fromkeys(paths))
        marked = await asyncio.gather(*map(mark, paths))
        self.removals_wait.set()
        return [path for path, done in zip(paths, marked, strict=True) if not done]

    async def standing(self, paths: Sequence[str]) -> frozenset[str]:
        """Return which of `paths` have a row, whoever owns them."""
        params: Params = {"paths": _json(paths), "path_array": write_array(paths)}
        return frozenset(str(row["path"]) for row in await self._db.fetch(_SQL["standing"], params))

    async def restore(self, item: Item) -> None:
        """Put an item of a stored object into the library, unless there is one at its path."""
        insert, words = keep_item(item)
        await self._db.apply([Effect(_RESTORE, insert.params), words])

    async def kept(self, user_id: UserId) -> list[Kept]:
        """Return all that a user's rows stand for, about 200 bytes an item."""
        rows = await self._db.fetch(_SQL["kept_paths"], {"user_id": user_id})
        return [Kept(str(row["path"]), JobId(str(row["job_id"])), bool(row["removing"])) for row in rows]

    async def finish_removals(self) -> None:
        """Delete the bytes of items whose removal is not complete, as far as the store allows now."""
        self.removals_wait.clear()
        turns = asyncio.Semaphore(_ERASED_AT_ONCE)

        async def erase(item: Item) -> None:
            async with turns:
                try:
                    await self._erase(item)
                except StoreError as error:
                    _log.warning("media.not_erased", job_id=item.job_id, error=error.code)

        rows = await self._db.fetch(_SQL["removing"], {})
        await asyncio.gather(*(erase(_read_item(row)) for row in rows))

    async def _erase(self, item: Item) -> None:
        await self._store.delete(item.path)
        for path in derived_paths(item):
            await self._store.delete(path)
        if item.source == "generated":
            await self._erase_original(item)
        forgotten = Effect(_SQL["forget"], {"path": item.path})
        await self._db.apply([_found("forget_words", item), forgotten])

    async def _erase_original(self, item: Item) -> None:
        """Delete the provider's untouched bytes; their path follows from the item's, but for its type."""
        owned = read_path(item.path)
        if owned is None or owned.index is None:
            return
        for left in await self._store.list(original_prefix(item.user_id, item.job_id, owned.index)):
            await self._store.delete(left.path)


def keep_item(item: Item) -> list[Effect]:
    """Return the writes that put `item` into the library, to land with its job's end."""
    row = msgspec.structs.asdict(item)
    row |= {
        "words": _spaced(searchable_words(item)),
        "created_at": round(item.created_at * 1_000_000),
        "thumbnails": msgspec.json.encode(item.thumbnails).decode(),
    }
    return [Effect(_INSERT, row), index_words(item)]


def index_words(item: Item) -> Effect:
    """Return the write that lets the index of words find an item, where its user has one."""
    return _found("insert_words", item)


def _found(statement: str, item: Item) -> Effect:
    return Effect(_SQL[statement], {"user_id": item.user_id, "path": item.path})


def _conditions(words: Sequence[str]) -> Params:
    """Return what a row's words must hold, as each database reads it fastest."""
    first, *others = [f" {word}" for word in sorted(words, key=len, reverse=True)] or [""]
    patterns = write_array([f"% {word}%" for word in words])
    return {"first": first, "others": _json(others), "patterns": patterns}


def _spaced(words: Sequence[str]) -> str:
    return " ".join(["", *words])


def _json(words: Sequence[str]) -> str:
    return msgspec.json.encode(words).decode()


def _read_item(row: Row) -> Item:
    columns: dict[str, Any] = {name: row[name] for name in Item.__struct_fields__}
    columns["created_at"] /= 1e6
    columns["thumbnails"] = _RUNGS.decode(columns["thumbnails"])
    columns["user_id"], columns["job_id"] = UserId(columns["user_id"]), JobId(columns["job_id"])
    return Item(**columns)


def _place(sort: Sort, row: Row) -> Place:
    return Place(sort, int(row["place"] or 0), str(row["path"]))
