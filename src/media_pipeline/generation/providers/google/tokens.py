"""Access tokens of Google Cloud: application default credentials, renewed before they run out."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import google.auth
import httpx2
from google.auth.exceptions import GoogleAuthError, TransportError

from media_pipeline.generation.provider import ErrorCode, ProviderError

Token = Callable[[], Awaitable[str]]
"""Return a token that is good for the next minutes."""

SCOPE: Final = "https://www.googleapis.com/auth/cloud-platform"


def default_token() -> Token:
    """Return the source of tokens that the environment names: a file of credentials, gcloud, the machine.

    Looking for them, and renewing, block; both happen in a thread. A source that has none raises
    `ProviderError(AUTH)` when it is asked.
    """
    kept: list[Any] = []
    turn = asyncio.Lock()

    async def token() -> str:
        async with turn:
            return await asyncio.to_thread(_renewed, kept)

    return token


def _renewed(kept: list[Any]) -> str:
    try:
        if not kept:
            kept.append(google.auth.default(scopes=[SCOPE])[0])
        if not kept[0].valid:
            kept[0].refresh(_ask)
    except GoogleAuthError as error:
        said = str(error).partition("\n")[0]
        sentence = f"No credentials for Google Cloud: {said}"
        raise ProviderError(ErrorCode.AUTH, sentence, provider="vertex") from error
    return str(kept[0].token)


@dataclass(frozen=True, slots=True)
class _Reply:
    """An answer as Google's library reads it."""

    status: int
    headers: Mapping[str, str]
    data: bytes


def _ask(
    url: str,
    method: str = "GET",
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
    timeout: float | None = None,
    **_: object,
) -> _Reply:
    """Ask on behalf of Google's library, which brings no HTTP client of its own."""
    try:
        answer = httpx2.request(method, url, content=body, headers=headers, timeout=timeout or 30.0)
    except httpx2.HTTPError as error:
        raise TransportError(error) from error
    return _Reply(answer.status_code, answer.headers, answer.content)
