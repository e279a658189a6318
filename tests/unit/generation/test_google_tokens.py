"""Access tokens for Vertex AI, from a service account's file and a token endpoint of our own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from media_pipeline.generation.provider import ErrorCode, ProviderError
from media_pipeline.generation.providers.google import default_token
from tests.servers.google_tokens import TOKEN, TokenServer
from tests.servers.web import HTML_PAGE


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[TokenServer]:
    with TokenServer.served() as server:
        account = server.write_account(tmp_path / "account.json")
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(account))
        yield server


async def test_a_token_is_fetched_once_and_kept(server: TokenServer) -> None:
    """The first question fetches a token, and the next ones get the same while it is good."""
    token = default_token()
    assert [await token() for _ in range(3)] == [TOKEN] * 3
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
