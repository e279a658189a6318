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
from media_pipeline.storage.gcs_api import GcsApi, check
from media_pipeline.storage.patience import Passing
from media_pipeline.storage.store import StoreError

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
            raise StoreError("The store has other bytes than were sent.")
        return done

    async def _put(self, piece: bytes, *, last: bool) -> dict[str, Any] | None:
        """Send one piece until Google has all of it; only a cut before its end makes it smaller."""
        await asyncio.to_thread(self._crc.update, piece)
        begin, attempts = self._sent, self._api.patience.begin()
        answer: httpx2.Response | None = None
        while True:
            try:
                if answer is None:
                    answer = await self._put_rest(piece, begin, last=last)
                check_resumable(answer)
                if answer.status_code != _RESUME:
                    loaded = answer.json()
                    return loaded if isinstance(loaded, dict) else None
                if self._advance(_held(answer), begin):
                    attempts.progress()
                if self._sent == begin + len(piece) and not last:
                    return None
                answer = None
            except Passing as error:
                await attempts.again(error)
                answer = await self._ask()

    def _advance(self, held: int, begin: int) -> bool:
        """Note how many bytes Google has, and tell whether they are more than before."""
        if held < begin:
            raise StoreError("The store lost bytes that it had said it has.")
        further, self._sent = held > self._sent, held
        return further

    async def _put_rest(self, piece: bytes, begin: int, *, last: bool) -> httpx2.Response:
        rest = piece[self._sent - begin :]
        total = str(begin + len(piece)) if last else "*"
        extent = f"{self._sent}-{self._sent + len(rest) - 1}" if rest else "*"
        headers = {"Content-Range": f"bytes {extent}/{total}", "Content-Length": str(len(rest))}
        if last:
            headers["X-Goog-Hash"] = f"crc32c={self._crc.text()}"
        return await self._api.send("PUT", self._url, headers=headers, content=_in_turns(rest))

    async def _ask(self) -> httpx2.Response | None:
        """Ask how far the session is; None where no answer came, so that the piece is sent again."""
        with suppress(Passing):
            return await self._api.send("PUT", self._url, headers={"Content-Range": "bytes */*"})
        return None

    async def _cancel(self) -> None:
        with suppress(Passing, TimeoutError):
            async with asyncio.timeout(5):
                await self._api.send("DELETE", self._url)


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
