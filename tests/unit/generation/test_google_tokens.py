"""Access tokens for Vertex AI, from a service account's file and a token endpoint of our own."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from media_pipeline.generation.provider import ErrorCode, ProviderError
from media_pipeline.generation.providers.google import default_token
from tests.servers.web import HTML_PAGE, Answer, Request, Web, as_json


class TokenServer(Web):
    """Gives a token for an assertion (RFC 7523)."""

    def place(self, request: Request) -> str:
        return "token"

    def answer(self, request: Request) -> Answer:
        assert b"assertion=" in request.body
        return as_json({"access_token": "ya29.test", "expires_in": 3600, "token_type": "Bearer"})


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[TokenServer]:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    with TokenServer.served() as server:
        account = {
            "type": "service_account",
            "client_email": "studio@example.test",
            "private_key": pem.decode(),
            "project_id": "studio",
            "token_uri": f"{server.url}/token",
        }
        (tmp_path / "account.json").write_text(json.dumps(account))
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "account.json"))
        yield server


async def test_a_token_is_fetched_once_and_kept(server: TokenServer) -> None:
    """The first question fetches a token, and the next ones get the same while it is good."""
    token = default_token()
    assert [await token() for _ in range(3)] == ["ya29.test"] * 3
    assert server.count("token") == 1


@pytest.mark.parametrize("broken", ["endpoint", "file"])
async def test_no_token_is_a_fault_of_the_key(
    server: TokenServer, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    """A token endpoint that is away, or a file that is not there, is `auth`, in one line."""
    if broken == "file":
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", "/nowhere.json")
    server.arm("token", *[HTML_PAGE] * 8)
    with pytest.raises(ProviderError) as caught:
        await default_token()()
    assert caught.value.reason is ErrorCode.AUTH
    assert "\n" not in str(caught.value)
