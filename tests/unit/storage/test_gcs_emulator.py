"""The JSON calls against an emulator that others wrote. It checks neither tokens nor preconditions."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
from gcp_storage_emulator.server import create_server

from media_pipeline.storage.gcs_api import GcsApi
from media_pipeline.storage.gcs_session import PIECE, Session
from media_pipeline.storage.google_credentials import GoogleCredentials
from media_pipeline.storage.patience import Patience
from media_pipeline.storage.store import ObjectNotFound
from tests.servers.gcs_server import shared_gcs


@pytest.fixture
def emulator() -> Iterator[str]:
    server = create_server("127.0.0.1", 0, in_memory=True, default_bucket="media")
    server.start()
    host, port = server._api._httpd.server_address[:2]
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
async def api(emulator: str) -> AsyncIterator[GcsApi]:
    credentials = GoogleCredentials(shared_gcs().account)
    opened = GcsApi("media", credentials, patience=Patience(tries=3, pause=0.01), url=emulator)
    yield opened
    await opened.aclose()


async def test_a_session_a_listing_and_a_delete_are_understood(api: GcsApi) -> None:
    """An upload in pieces ends in an object that is listed with its type and size, and can be deleted."""

    async def pieces() -> AsyncIterator[bytes]:
        yield b"a" * PIECE
        yield b"b" * 1000

    url = await api.start_session("m/ä b.mp4", "video/mp4", metadata={"write": "1"}, if_generation="0")
    done = await Session(api, url).send(pieces())
    assert int(done["size"]) == PIECE + 1000
    (item,) = [item async for item in api.walk("m/")]
    assert (item.path, item.size, item.content_type) == ("m/ä b.mp4", PIECE + 1000, "video/mp4")
    assert await api.crc32c_of(item.path, item.version) == done["crc32c"]
    await api.delete(item.path, item.version)
    assert [item async for item in api.walk("")] == []
    with pytest.raises(ObjectNotFound):
        await api.delete(item.path, item.version)
