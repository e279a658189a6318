"""How a bucket's objects are shown by whoever reads them, which every bucket promises."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from datetime import timedelta

import httpx2

from media_pipeline.storage.store import SigningStore


async def check_dispositions(store: SigningStore, pieces: Callable[[int], AsyncIterator[bytes]]) -> None:
    """Assert that what a browser could run is an attachment, in one piece or in many; pictures are shown."""
    async with httpx2.AsyncClient() as anyone:
        for path, kind, shown in (
            ("m/a.svg", "image/svg+xml", "attachment; filename=\"a.svg\"; filename*=UTF-8''a.svg"),
            ("m/b", "text/html; charset=utf-8", "attachment; filename=\"b\"; filename*=UTF-8''b"),
            ("m/a.png", "image/png", "inline"),
        ):
            for data in (b"123", pieces(17)):
                await store.upload(path, data, kind)
                got = await anyone.get(await store.sign_read(path, expires_in=timedelta(minutes=5)))
                assert got.headers["content-disposition"] == shown
