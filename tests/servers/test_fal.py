"""The fake of fal is understood by fal's own client, and refuses what fal would."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator

import httpx
import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from fal_client import Completed, InProgress, Queued, SyncClient
from fal_client.client import FalClientHTTPError, SyncRequestHandle

from tests.servers.fal import FalServer
from tests.servers.media import Shelf

APP = "fal-ai/flux/schnell"
INPUT = {"prompt": "a lighthouse", "num_images": 2}


class Redirected(httpx.HTTPTransport):
    """The client knows only https://queue.fal.run; here that is the fake."""

    def __init__(self, server: FalServer) -> None:
        super().__init__()
        self._to = httpx.URL(server.url)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        if request.url.host == "queue.fal.run":
            request.url = request.url.copy_with(scheme="http", host=self._to.host, port=self._to.port)
        return super().handle_request(request)


@pytest.fixture
def server() -> Iterator[FalServer]:
    with Shelf.served() as shelf, FalServer.served(shelf) as fake:
        yield fake


@pytest.fixture
def client(server: FalServer) -> Iterator[SyncClient]:
    with wired(server, FalServer.key) as http:
        client = SyncClient(key=FalServer.key)
        client.__dict__["_client"] = http
        yield client


def wired(server: FalServer, key: str) -> httpx.Client:
    return httpx.Client(transport=Redirected(server), headers={"Authorization": f"Key {key}"})


def begun(client: SyncClient, **changes: object) -> SyncRequestHandle:
    return client.submit(APP, arguments={**INPUT, **changes})


def test_the_client_follows_a_request(client: SyncClient, server: FalServer) -> None:
    """Submit, status with logs and the result go as the client expects; the addresses drop the sub-path."""
    handle = begun(client)
    assert handle.status_url.endswith(f"/fal-ai/flux/requests/{handle.request_id}/status")
    seen = list(handle.iter_events(with_logs=True, interval=0))
    assert [type(status) for status in seen] == [Queued, InProgress, InProgress, InProgress, Completed]
    assert len(handle.get(interval=0)["images"]) == 2
    assert server.billed == 1


def test_the_client_cancels(client: SyncClient, server: FalServer) -> None:
    """A cancel in the queue, a cancel of a running request and one too late are answered as documented."""
    begun(client).cancel()
    server.hold("running")
    running = begun(client)
    while not isinstance(running.status(), InProgress):
        pass
    running.cancel()
    server.hold(None)
    running.get(interval=0)
    with pytest.raises(FalClientHTTPError) as caught:
        running.cancel()
    assert caught.value.status_code == 400


def test_the_client_sees_a_refusal_of_the_content(client: SyncClient, server: FalServer) -> None:
    """A refused request completes, and its result is the model's error."""
    server.end_next("content refused")
    handle = begun(client)
    with pytest.raises(FalClientHTTPError) as caught:
        handle.get(interval=0)
    assert caught.value.status_code == 422
    assert caught.value.response_headers["x-fal-retryable"] == "false"


def test_the_webhook_is_signed_as_documented(client: SyncClient, server: FalServer) -> None:
    """The key set's key verifies a call; with another body it does not."""
    id_ = begun(client).request_id
    body, headers = server.webhook(id_, at=1_795_000_000)
    [published] = httpx.get(f"{server.url}/.well-known/jwks.json").json()["keys"]
    key = Ed25519PublicKey.from_public_bytes(base64.urlsafe_b64decode(published["x"] + "="))
    signature = bytes.fromhex(headers["x-fal-webhook-signature"])

    def message(of: bytes) -> bytes:
        return "\n".join([id_, "user-1", "1795000000", hashlib.sha256(of).hexdigest()]).encode()

    key.verify(signature, message(body))
    with pytest.raises(InvalidSignature):
        key.verify(signature, message(body + b" "))


@pytest.mark.parametrize("change", [{"prompt": 3}, {"num_images": 9}, {"seed": "seven"}])
def test_a_mutated_input_is_refused(change: dict[str, object], client: SyncClient, server: FalServer) -> None:
    """An input outside the model's schema is 422 and not billed."""
    with pytest.raises(FalClientHTTPError) as caught:
        begun(client, **change)
    assert (caught.value.status_code, server.billed) == (422, 0)


def test_an_unknown_app_is_refused(client: SyncClient, server: FalServer) -> None:
    """An application that does not exist is 404."""
    with pytest.raises(FalClientHTTPError) as caught:
        client.submit("fal-ai/nothing", arguments=INPUT)
    assert (caught.value.status_code, server.billed) == (404, 0)


def test_another_key_is_refused(server: FalServer) -> None:
    """A wrong key is 401."""
    client = SyncClient(key="wrong")
    with wired(server, "wrong") as http:
        client.__dict__["_client"] = http
        with pytest.raises(FalClientHTTPError) as caught:
            begun(client)
    assert (caught.value.status_code, server.billed) == (401, 0)
