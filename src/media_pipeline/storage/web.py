"""Requests to a bucket's own API, for what obstore does not do, and what their answers mean.

Guarantee: what may work in a moment is `Passing`, whoever asks; no error names an address, which may
be signed.
"""

from __future__ import annotations

import functools
import re
import ssl
from collections.abc import AsyncIterator, Mapping
from typing import Any, Final

import httpx2

from media_pipeline.storage.patience import PASSING, Passing
from media_pipeline.storage.store import ObjectNotFound, PreconditionFailed, StoreError

_REFUSALS: Final[Mapping[int, type[StoreError]]] = {404: ObjectNotFound, 412: PreconditionFailed}
_REASON: Final = re.compile(r'"message": ?"([^"]*)|<Code>([^<]*)')


@functools.cache
def tls() -> ssl.SSLContext:
    """Return what certificates are trusted; read once, for it takes a while."""
    return ssl.create_default_context()


def open_web(timeout: float) -> httpx2.AsyncClient:
    """Open a client whose requests are bound to `timeout` seconds."""
    return httpx2.AsyncClient(timeout=timeout, verify=tls())


async def send(
    web: httpx2.AsyncClient,
    method: str,
    url: str,
    *,
    params: Mapping[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
    json: Any = None,
    content: bytes | AsyncIterator[bytes] | None = None,
) -> httpx2.Response:
    """Send one request; `Passing` where no answer came."""
    try:
        return await web.request(method, url, params=params, headers=headers, json=json, content=content)
    except httpx2.TransportError as error:
        raise Passing(f"the connection failed ({type(error).__name__})") from error


def check(answer: httpx2.Response) -> None:
    """Raise what an answer that is no success means."""
    if answer.is_success:
        return
    status = answer.status_code
    if status in PASSING:
        raise Passing(f"status {status}")
    kind = _REFUSALS.get(status, StoreError)
    raise kind(f"The store refused with status {status}: {_reason(answer)}.")


def _reason(answer: httpx2.Response) -> str:
    found = _REASON.search(answer.text)
    return (found[1] or found[2]).rstrip(".") if found else "no reason given"
