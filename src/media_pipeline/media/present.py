"""How items and results look on the wire: camelCase, with complete URLs.

Rows and results keep paths, never URLs, so that a URL is always of today's settings.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from media_pipeline.jsonvalue import Json, JsonObject
from media_pipeline.media.item import Item
from media_pipeline.storage.store import Store

_THUMBNAIL = "thumbnailPath"
_LADDER = "thumbnails"
_ORIGINAL = "originalPath"


def iso(seconds: float) -> str:
    """Write Unix seconds as an RFC 3339 instant in UTC, with milliseconds."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def describe(item: Item, *, original: str | None = None) -> dict[str, Json]:
    """Write an item as a result keeps it: as on the wire, with its thumbnail's path and no URL.

    `original` is the path of the untouched bytes, where they stand beside the item.
    """
    wire: dict[str, Json] = {
        "path": item.path,
        "contentType": item.content_type,
        "size": item.size,
        "createdAt": iso(item.created_at),
        "kind": item.kind,
        "source": item.source,
        "name": item.name,
        "width": item.width,
        "height": item.height,
        "duration": item.duration,
        _THUMBNAIL: item.thumbnail_path,
        _LADDER: [{"path": rung.path, "width": rung.width, "height": rung.height} for rung in item.thumbnails]
        or None,
        "thumbhash": item.thumbhash,
        "sourcePath": item.source_path,
        _ORIGINAL: original,
        "alt": item.alt,
        "jobId": item.job_id,
        "prompt": item.prompt,
        "model": item.model,
        "seed": item.seed,
    }
    return {name: value for name, value in wire.items() if value is not None}


async def with_urls(store: Store | None, described: JsonObject) -> dict[str, Json]:
    """Give a described item its URLs; without a store it already has the provider's."""
    wire = dict(described)
    thumbnail, original = wire.pop(_THUMBNAIL, None), wire.pop(_ORIGINAL, None)
    if store is None:
        return wire
    wire["url"] = await store.get_url(str(wire["path"]))
    if isinstance(thumbnail, str):
        wire["thumbnailUrl"] = await store.get_url(thumbnail)
    if _LADDER in wire:
        wire[_LADDER] = [await _with_url(store, rung) for rung in _listed(wire[_LADDER])]
    if isinstance(original, str):
        wire["originalUrl"] = await store.get_url(original)
    return wire


async def _with_url(store: Store, rung: JsonObject) -> dict[str, Json]:
    return {"url": await store.get_url(str(rung["path"])), "width": rung["width"], "height": rung["height"]}


def named_objects(result: JsonObject) -> frozenset[str]:
    """Return the path of every object that a job's result stands for."""
    items = [*_listed(result.get("items")), *_listed([result.get("item")])]
    named = [*items, *(rung for item in items for rung in _listed(item.get(_LADDER)))]
    keys = ("path", _THUMBNAIL, _ORIGINAL)
    return frozenset(str(each[name]) for each in named for name in keys if name in each)


def _listed(values: Json) -> list[JsonObject]:
    return [value for value in values if isinstance(value, Mapping)] if isinstance(values, list) else []


async def present_item(store: Store, item: Item) -> dict[str, Json]:
    """Write an item as the wire shows it."""
    return await with_urls(store, describe(item))


async def present_result(store: Store | None, result: JsonObject) -> dict[str, Json]:
    """Give every item of a job's result its URLs."""
    wire = dict(result)
    items, item = wire.get("items"), wire.get("item")
    if isinstance(items, list):
        wire["items"] = [await with_urls(store, each) for each in items]
    if isinstance(item, Mapping):
        shown = await with_urls(store, item)
        wire |= {"item": shown, "url": shown["url"]}
    return wire
