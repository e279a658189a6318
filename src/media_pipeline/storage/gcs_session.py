"""A resumable upload to Google: a stream of any length in bounded memory.

Guarantees: one object or none; after any break it goes on from what Google has; the CRC32C of the
whole is sent with the last chunk and compared with the object's. Not guaranteed: going on in another
process. Source: https://cloud.google.com/storage/docs/performing-resumable-uploads.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any, Final

import httpx2

from media_pipeline.storage.checksums import Crc32c
from media_pipeline.storage.gcs_api import GcsApi
from media_pipeline.storage.patience import Passing
from media_pipeline.storage.store import ObjectNotFound, PreconditionFailed, StoreError
from media_pipeline.storage.web import check, send

CHUNK: Final = 256 * 1024
"""Every chunk but the last is a multiple of this."""
PIECE: Final = 8 * 1024**2
"""How much is held in memory and sent at once."""
_RESUME: Final = 308
_HELD: Final = re.compile(r"bytes=0-(\d+)")


class Session:
    """One upload under way at `url`."""

    def __init__(self, api: GcsApi, url: str) -> None:
        self._api = api
        self._url = url
        self._sent = 0
        self._crc = Crc32c()

    async def send(self, pieces: AsyncIterator[bytes]) -> dict[str, Any]:
        """Send all pieces and return the object's description; what fails for good is cancelled."""
        try:
            return await self._send(pieces)
        except BaseException:
            await self._cancel()
            raise

    async def _send(self, pieces: AsyncIterator[bytes]) -> dict[str, Any]:
        held = b""
        async for piece in pieces:
            if held:
                await self._put(held, last=False)
            held = piece
        done = await self._put(held, last=True)
        if done is None or done.get("crc32c") != self._crc.text():
            await self._remove(done or {})
            raise StoreError("The store had other bytes than were sent.")
        return done

    async def _remove(self, done: dict[str, Any]) -> None:
        """Take away what is not what was sent; Google refuses such bytes itself, so this is a second lock."""
        if "name" in done and "generation" in done:
            with suppress(ObjectNotFound, PreconditionFailed):
                await self._api.delete(done["name"], done["generation"])

    async def _put(self, piece: bytes, *, last: bool) -> dict[str, Any] | None:
        """Send one piece until Google has all of it; only a cut before its end makes it smaller."""
        await asyncio.to_thread(self._crc.update, piece)
        begin, attempts = self._sent, self._api.patience.begin()
        told: httpx2.Response | None = None
        while True:
            try:
                answer = await self._put_rest(piece, begin, last=last) if told is None else told
                check_resumable(answer)
                if answer.status_code != _RESUME:
                    loaded = answer.json()
                    return loaded if isinstance(loaded, dict) else None
                if self._advance(_held(answer), begin, sent=told is None):
                    attempts.progress()
                if self._sent == begin + len(piece) and not last:
                    return None
                told = None
            except Passing as error:
                await attempts.again(error)
                told = await self._ask()

    def _advance(self, held: int, begin: int, *, sent: bool) -> bool:
        """Note how many bytes Google has, and tell whether they are more than before; `sent` ones must be."""
        if held < begin:
            raise StoreError("The store lost bytes that it had said it has.")
        if sent and held <= self._sent:
            raise Passing("the store kept nothing of a piece")
        further, self._sent = held > self._sent, held
        return further

    async def _put_rest(self, piece: bytes, begin: int, *, last: bool) -> httpx2.Response:
        rest = piece[self._sent - begin :]
        total = str(begin + len(piece)) if last else "*"
        extent = f"{self._sent}-{self._sent + len(rest) - 1}" if rest else "*"
        headers = {"Content-Range": f"bytes {extent}/{total}", "Content-Length": str(len(rest))}
        if last:
            headers["X-Goog-Hash"] = f"crc32c={self._crc.text()}"
        return await send(self._api.web, "PUT", self._url, headers=headers, content=_in_turns(rest))

    async def _ask(self) -> httpx2.Response | None:
        """Ask how far the session is; None where no answer came, so that the piece is sent again."""
        with suppress(Passing):
            return await send(self._api.web, "PUT", self._url, headers={"Content-Range": "bytes */*"})
        return None

    async def _cancel(self) -> None:
        with suppress(Passing, TimeoutError):
            async with asyncio.timeout(5):
                await send(self._api.web, "DELETE", self._url)


async def _in_turns(piece: bytes) -> AsyncIterator[bytes]:
    """Yield a piece in slices, so that others on the event loop have their turn in between."""
    for place in range(0, len(piece), CHUNK):
        yield piece[place : place + CHUNK]


def check_resumable(answer: httpx2.Response) -> None:
    """Raise what an answer means that is neither a success nor `go on`."""
    if answer.status_code != _RESUME:
        check(answer)


def _held(answer: httpx2.Response) -> int:
    found = _HELD.fullmatch(answer.headers.get("range", ""))
    return int(found[1]) + 1 if found else 0
