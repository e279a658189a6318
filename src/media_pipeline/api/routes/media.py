"""`/media`: the caller's library."""

from __future__ import annotations

import math
import uuid
from collections.abc import Sequence
from typing import Annotated, Final

from fastapi import APIRouter, Path, Query
from starlette.convertors import PathConvertor, register_url_convertor

from media_pipeline.api.answers import (
    FailedDeletion,
    LimitView,
    MediaDeleted,
    MediaItem,
    MediaList,
    MediaUsage,
)
from media_pipeline.api.auth import Reader, Uploader
from media_pipeline.api.bodies import MAX_DELETED, MediaChange, MediaDeletion
from media_pipeline.api.cursors import read_cursor, write_cursor
from media_pipeline.api.problems import documented
from media_pipeline.ids import UserId
from media_pipeline.media.item import ItemKind, Source
from media_pipeline.media.library import Library, Listing, Place, Sort
from media_pipeline.media.limits import Allowance, RequestRate, Standing
from media_pipeline.media.present import present_item
from media_pipeline.media.quota import Quota
from media_pipeline.realtime import events
from media_pipeline.realtime.publisher import Publisher
from media_pipeline.storage.store import Store

_TOLD_AT_ONCE: Final = 200
_AGAIN: Final = "The database could not be reached; delete it again."


class _ObjectPath(PathConvertor):
    """What `GET /media` may return as a path; the other routes below `/media/` are no objects."""

    regex = "media/.+"


register_url_convertor("object", _ObjectPath())


def media_routes(
    library: Library,
    store: Store,
    publisher: Publisher,
    quota: Quota,
    allowance: Allowance,
    rate: RequestRate,
) -> APIRouter:
    """Build the routes of the library."""
    router = APIRouter(tags=["media"])

    @router.get("/media", responses=documented(401, 422, 503), summary="Your library")
    async def list_media(
        caller: Reader,
        prefix: Annotated[str, Query(max_length=1024, description="under your own root")] = "",
        kind: ItemKind | None = None,
        source: Source | None = None,
        q: Annotated[str, Query(max_length=200, description="words of name and prompt")] = "",
        sort: Sort = "newest",
        cursor: Annotated[str | None, Query(max_length=2048)] = None,
        limit: Annotated[int, Query(ge=1, le=200)] = 50,
    ) -> MediaList:
        after = read_cursor(cursor, Place) if cursor else None
        listing = Listing(
            prefix=prefix, kind=kind, source=source, words=q, sort=sort, after=after, limit=limit
        )
        page = await library.list_items(caller.user_id, listing)
        items = [MediaItem.model_validate(await present_item(store, item)) for item in page.items]
        return MediaList(items=items, next_cursor=write_cursor(page.next) if page.next else None)

    @router.delete(
        "/media/{path:object}", status_code=204, responses=documented(401, 404, 503), summary="Delete an item"
    )
    async def delete_media(path: Annotated[str, Path(max_length=1024)], caller: Uploader) -> None:
        item = await library.remove(caller.user_id, path)
        await _tell(publisher, caller.user_id, [item.path])

    @router.patch(
        "/media/{path:object}",
        responses=documented(400, 401, 404, 422, 503),
        summary="Give an item another name or alt text",
    )
    async def change_media(
        path: Annotated[str, Path(max_length=1024)], body: MediaChange, caller: Uploader
    ) -> MediaItem:
        item = await library.rename(caller.user_id, path, name=body.name, alt=body.alt)
        return MediaItem.model_validate(await present_item(store, item))

    @router.post("/media/delete", responses=documented(400, 401, 422, 503), summary="Delete many items")
    async def delete_many(body: MediaDeletion, caller: Uploader) -> MediaDeleted:
        paths, more = body.paths or [], False
        if body.paths is None:
            listing = Listing(prefix=body.prefix, kind=body.kind, words=body.q, limit=MAX_DELETED)
            page = await library.list_items(caller.user_id, listing)
            paths, more = [item.path for item in page.items], page.next is not None
        left = set(await library.remove_all(caller.user_id, paths))
        deleted = [path for path in dict.fromkeys(paths) if path not in left]
        await _tell(publisher, caller.user_id, deleted)
        failed = [FailedDeletion(path=path, code="database_unavailable", error=_AGAIN) for path in left]
        return MediaDeleted(deleted=deleted, failed=failed, more=more)

    @router.get("/media/usage", responses=documented(401, 503), summary="How much you keep, and may keep")
    async def show_usage(caller: Reader) -> MediaUsage:
        used = await quota.usage(caller.user_id)
        return MediaUsage(
            bytes=used.bytes,
            objects=used.objects,
            quota_bytes=used.quota_bytes,
            quota_objects=used.quota_objects,
            limits=[
                _view(each)
                for each in (*await rate.standing(caller.user_id), *await allowance.standings(caller.user_id))
            ],
        )

    return router


def _view(standing: Standing) -> LimitView:
    resets = None if standing.resets is None else math.ceil(standing.resets)
    return LimitView(
        name=standing.name, limit=standing.limit, left=standing.left, window=standing.window, resets=resets
    )


async def _tell(publisher: Publisher, user_id: UserId, paths: Sequence[str]) -> None:
    for start in range(0, len(paths), _TOLD_AT_ONCE):
        told = paths[start : start + _TOLD_AT_ONCE]
        await publisher.publish(user_id, events.MediaDeleted(id=str(uuid.uuid4()), paths=told))
