"""Checksums of bytes on their way, and what a store says theirs is."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import re
from typing import Final

import google_crc32c

_MD5: Final = re.compile(r'"?([0-9a-f]{32})"?')
_LARGE: Final = 1024**2


def md5_of(e_tag: str | None) -> str | None:
    """Return the MD5 that an entity tag is, in hex; None where the store makes its tags otherwise.

    They are for objects written in one piece and not encrypted with a customer's key.
    """
    found = _MD5.fullmatch(e_tag or "")
    return found[1] if found else None


class Md5:
    """The MD5 of a stream of chunks, as an entity tag has it."""

    def __init__(self) -> None:
        self._hash = hashlib.md5(usedforsecurity=False)

    def update(self, chunk: bytes) -> None:
        self._hash.update(chunk)

    def text(self) -> str:
        return self._hash.hexdigest()


class Crc32c:
    """The CRC32C of a stream of chunks, as Google writes it: big-endian, base64."""

    def __init__(self) -> None:
        self._value = 0

    def update(self, chunk: bytes) -> None:
        self._value = google_crc32c.extend(self._value, chunk)

    def text(self) -> str:
        return base64.b64encode(self._value.to_bytes(4, "big")).decode()


Checksum = Md5 | Crc32c


async def content_md5(data: bytes) -> str:
    """Return the value of a `Content-MD5` header for `data`."""
    return base64.b64encode(bytes.fromhex(await digest(data, Md5()))).decode()


async def digest(data: bytes, checksum: Checksum) -> str:
    """Return the checksum of `data`, off the event loop where that takes a while."""
    if len(data) < _LARGE:
        checksum.update(data)
    else:
        await asyncio.to_thread(checksum.update, data)
    return checksum.text()
