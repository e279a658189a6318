"""Signed permissions to PUT one object to a store that this service serves itself, as pure functions.

Guarantees: nobody without the secret makes or alters a ticket; the same arguments give the same
URL. Not guaranteed: single use. A ticket without `size` may be used again until it expires.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final
from urllib.parse import quote, urlencode

from media_pipeline.storage.paths import check_path
from media_pipeline.storage.store import UploadRefused

_NUMBER: Final = re.compile(r"[0-9]{1,18}", re.ASCII)
_HEADER_VALUE: Final = re.compile(r"(?:[!-~]+(?: [!-~]+)*)?")


class Refusal(StrEnum):
    """Why an upload is refused; the value is the code on the wire."""

    SIGNATURE = "upload_forbidden"
    EXPIRED = "upload_expired"
    TYPE = "upload_type_mismatch"
    SIZE = "upload_size_mismatch"
    TOO_LARGE = "too_large"


class TicketRefused(UploadRefused):
    """The ticket does not allow this upload; `reason` says why."""

    def __init__(self, reason: Refusal, message: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticket:
    """What one signed URL allows.

    An empty `content_type` allows any; a `size` (bytes) allows exactly that length, and only where
    nothing stands; without it `max_bytes` bounds the length. `expires_at` has whole seconds.
    """

    path: str
    content_type: str
    size: int | None
    max_bytes: int
    expires_at: datetime

    @property
    def create_only(self) -> bool:
        """Whether the ticket may not overwrite."""
        return self.size is not None


def object_url(base_url: str, path: str) -> str:
    """Return the address of `path` under `/storage/`."""
    return f"{base_url.rstrip('/')}/storage/{quote(check_path(path), safe='/')}"


def sign(ticket: Ticket, *, base_url: str, secret: bytes) -> str:
    """Return the URL that carries `ticket`; `UploadRefused` if no header could carry its type."""
    if not _HEADER_VALUE.fullmatch(ticket.content_type):
        raise UploadRefused("The content type is not one line of printable ASCII.")
    fields = {"exp": str(int(ticket.expires_at.timestamp()))}
    if ticket.size is not None:
        fields["size"] = str(ticket.size)
    if ticket.content_type:
        fields["ct"] = ticket.content_type
    signature = _signature(ticket.path, fields, secret=secret)
    return f"{object_url(base_url, ticket.path)}?{urlencode({**fields, 'sig': signature})}"


def verify(path: str, query: Mapping[str, str], *, secret: bytes, now: datetime, max_bytes: int) -> Ticket:
    """Return the ticket that `query` carries for `path`, or raise `TicketRefused`."""
    fields = {name: query[name] for name in ("exp", "size", "ct") if name in query}
    expected = _signature(path, fields, secret=secret)
    if not hmac.compare_digest(expected.encode(), query.get("sig", "").encode(errors="replace")):
        raise TicketRefused(Refusal.SIGNATURE, "The upload URL is not one that this service signed.")
    expires_at = datetime.fromtimestamp(_number(fields.get("exp")), UTC)
    if now >= expires_at:
        raise TicketRefused(Refusal.EXPIRED, "The upload URL has expired; ask for a new one.")
    size = _number(fields["size"]) if "size" in fields else None
    return Ticket(
        path=path,
        content_type=fields.get("ct", ""),
        size=size,
        max_bytes=max_bytes if size is None else size,
        expires_at=expires_at,
    )


def check_declared(ticket: Ticket, *, content_type: str, content_length: int | None) -> None:
    """Raise `TicketRefused` where the headers alone show that the body is not what is allowed."""
    if ticket.content_type and content_type != ticket.content_type:
        raise TicketRefused(
            Refusal.TYPE, f"The upload URL is for Content-Type {ticket.content_type!r} and no other."
        )
    if content_length is None:
        return
    check_not_over(ticket, content_length)
    check_complete(ticket, content_length)


def check_not_over(ticket: Ticket, loaded: int) -> None:
    """Raise `TicketRefused` where `loaded` bytes are more than the ticket allows."""
    if loaded > ticket.max_bytes:
        raise TicketRefused(Refusal.TOO_LARGE, f"The upload may have {ticket.max_bytes} bytes at most.")


def check_complete(ticket: Ticket, loaded: int) -> None:
    """Raise `TicketRefused` where a body of `loaded` bytes ends before the signed size."""
    if ticket.size is not None and loaded != ticket.size:
        raise TicketRefused(Refusal.SIZE, f"The upload must have {ticket.size} bytes, not {loaded}.")


def _signature(path: str, fields: Mapping[str, str], *, secret: bytes) -> str:
    signed = json.dumps(["PUT", path, sorted(fields.items())]).encode()
    return urlsafe_b64encode(hmac.digest(secret, signed, hashlib.sha256)).decode().rstrip("=")


def _number(text: str | None) -> int:
    if text is None or not _NUMBER.fullmatch(text):
        raise TicketRefused(Refusal.SIGNATURE, "The upload URL is not one that this service signed.")
    return int(text)
