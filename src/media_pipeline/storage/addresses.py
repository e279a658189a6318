"""Permanent addresses of objects in a bucket: what rows, events and answers carry instead of signed URLs.

A stable address is `/m/` and the object's path, sealed with AES-SIV (RFC 5297). Nothing is stored: the
same path gives the same address for as long as the secret stays, and one that was not made here
opens to nothing, found out in constant time. Sealed rather than signed, so that an address which is
passed on tells neither the user's id nor the file's name, only about how long they are. Not guaranteed:
that anything stands at the path, nor that an address can be taken back while its object is there.
"""

from __future__ import annotations

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Final, Protocol
from urllib.parse import quote

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV

from media_pipeline.storage.paths import check_path
from media_pipeline.storage.store import InvalidPath

KEY_BYTES: Final = 32
_ALPHABET: Final = re.compile(r"[A-Za-z0-9_-]{23,}", re.ASCII)
"""A tag of 16 bytes and at least one of a path."""


class Addresses(Protocol):
    """Where the world finds an object."""

    def url(self, path: str) -> str:
        """Return the permanent URL of `path`; it need not exist. `InvalidPath` for what names no object."""
        ...


class StableAddresses:
    """Addresses of the service itself, which it answers with a redirect to a fresh signed URL."""

    def __init__(self, base_url: str, key: bytes) -> None:
        self._base_url = base_url.rstrip("/")
        self._cipher = AESSIV(key)

    def url(self, path: str) -> str:
        """Return the address that `open` reads back."""
        return f"{self._base_url}/m/{_write(self._cipher.encrypt(check_path(path).encode(), None))}"

    def open(self, capability: str) -> str:
        """Return the path behind the last part of an address, or raise `InvalidPath`."""
        try:
            return self._cipher.decrypt(_read(capability), None).decode()
        except (InvalidTag, ValueError) as error:
            raise InvalidPath("This is no address of this service.") from error


class PublicAddresses:
    """Addresses under the base URL of a public bucket or of the CDN before it."""

    def __init__(self, base_url: str) -> None:
        self._base_url = base_url.rstrip("/")

    def url(self, path: str) -> str:
        """Return the address of `path` under the base URL."""
        return f"{self._base_url}/{quote(check_path(path), safe='/')}"


def _write(sealed: bytes) -> str:
    return urlsafe_b64encode(sealed).decode().rstrip("=")


def _read(capability: str) -> bytes:
    """Return the bytes of a capability in its one spelling; `ValueError` for any other."""
    if not _ALPHABET.fullmatch(capability):
        raise ValueError(capability)
    sealed = urlsafe_b64decode(capability + "=" * (-len(capability) % 4))
    if _write(sealed) != capability:
        raise ValueError(capability)
    return sealed
