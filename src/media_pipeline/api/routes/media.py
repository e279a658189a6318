"""`/media`: the caller's library."""

from __future__ import annotations

import uuid
from typing import Annotated

from fastapi import APIRouter, Path, Query

from media_pipeline.api.auth import Caller
from media_pipeline.api.bodies import MediaItem, MediaList
from media_pipeline.api.cursors import read_cursor, write_cursor
from media_pipeline.api.problems import documented
from media_pipeline.media.item import ItemKind
from media_pipeline.media.library import Library, Listing, Place, Sort
from media_pipeline.media.present import present_item
from media_pipeline.realtime.events import MediaDeleted
from media_pipeline.realtime.publisher import Publisher
from media_pipeline.storage.store import Store


def media_routes(library: Library, store: Store, publisher: Publisher) -> APIRouter:
    """Build the routes of the library."""
    router = APIRouter(tags=["media"])

    @router.get("/media", responses=documented(401, 422, 503), summary="Your library")
    async def list_media(
        caller: Caller,
        prefix: Annotated[str, Query(max_length=1024, description="under your own root")] = "",
        kind: ItemKind | None = None,
        q: Annotated[str, Query(max_length=200, description="words of name and prompt")] = "",
        sort: Sort = "newest",
        cursor: Annotated[str | None, Query(max_length=2048)] = None,
        limit: Annotated[int, Query(ge=1, le=200)] = 50,
    ) -> MediaList:
        after = read_cursor(cursor, Place) if cursor else None
        listing = Listing(prefix=prefix, kind=kind, words=q, sort=sort, after=after, limit=limit)
        page = await library.list_items(caller.user_id, listing)
        items = [MediaItem.model_validate(await present_item(store, item)) for item in page.items]
        return MediaList(items=items, next_cursor=write_cursor(page.next) if page.next else None)

    @router.delete(
        "/media/{path:path}", status_code=204, responses=documented(401, 404, 503), summary="Delete an item"
    )
    async def delete_media(path: Annotated[str, Path(max_length=1024)], caller: Caller) -> None:
        item = await library.remove(caller.user_id, path)
        await publisher.publish(caller.user_id, MediaDeleted(id=str(uuid.uuid4()), paths=[item.path]))

    return router
