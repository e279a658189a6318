"""What a resumable upload does with a store that breaks Google's rules, as no working fake does."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

import httpx2
import pytest

from media_pipeline.storage.gcs_api import GcsApi
from media_pipeline.storage.gcs_session import Session
from media_pipeline.storage.google_credentials import GoogleCredentials
from media_pipeline.storage.patience import Patience
from media_pipeline.storage.store import StoreError
from tests.servers.gcs_server import shared_gcs

URL = "http://127.0.0.1:9/upload?upload_id=1"
TRIES = 4


async def one_piece() -> AsyncIterator[bytes]:
    yield b"film"


async def send_to(answer: Callable[[httpx2.Request], httpx2.Response]) -> list[str]:
    """Send a piece to a store that answers so, in vain; return the methods and targets it was asked."""
    asked: list[str] = []

    def handle(request: httpx2.Request) -> httpx2.Response:
        asked.append(f"{request.method} {request.url.raw_path.decode()}")
        return answer(request)

    credentials = GoogleCredentials(shared_gcs().account)
    api = GcsApi("media", credentials, patience=Patience(tries=TRIES, pause=0.001), url="http://127.0.0.1:9")
    await api.aclose()
    api.web = httpx2.AsyncClient(transport=httpx2.MockTransport(handle))
    with pytest.raises(StoreError):
        await Session(api, URL).send(one_piece())
    await api.aclose()
    return asked


async def test_a_store_that_keeps_nothing_is_given_up() -> None:
    """A piece of which the store takes nothing is sent as often as tries are allowed, and no more."""
    asked = await send_to(lambda _: httpx2.Response(308))
    assert asked[-1].startswith("DELETE /upload")
    sent_and_asked = [each for each in asked if each.startswith("PUT")]
    assert len(sent_and_asked) == 2 * TRIES - 1


async def test_bytes_that_are_not_what_was_sent_do_not_stay() -> None:
    """An object that has another checksum than the stream is removed, that generation of it alone."""

    def answer(request: httpx2.Request) -> httpx2.Response:
        if request.method == "DELETE":
            return httpx2.Response(204)
        return httpx2.Response(200, json={"name": "m/a", "generation": "7", "crc32c": "AAAAAA=="})

    asked = await send_to(answer)
    assert "DELETE /storage/v1/b/media/o/m%2Fa?ifGenerationMatch=7" in asked
