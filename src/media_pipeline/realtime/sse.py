"""Server-sent events on the wire, as pure functions and one incremental decoder.

Follows the WHATWG HTML standard, section 9.2 (https://html.spec.whatwg.org/multipage/server-sent-events.html).
Guarantees that `Decoder` gives the same events however the bytes are cut, and that what `encode_frame`
takes comes out of it unchanged. Does not look into `data`: JSON is the caller's.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

_UNSAFE: Final = re.compile(r"[\r\n\0]")
_LINE_END: Final = re.compile(rb"\r\n|\r|\n")
_BOM: Final = b"\xef\xbb\xbf"


def encode_frame(event: str, data: bytes) -> bytes:
    """Build one event's frame; `data` is one line of UTF-8, as JSON encoders give it.

    `ValueError` for an empty name, and for a CR, LF or NUL that would begin another line or field.
    """
    if not event:
        raise ValueError("An event needs a name.")
    if b"\n" in data or b"\r" in data:
        raise ValueError("The data of a frame is one line.")
    return b"event: %b\ndata: %b\n\n" % (_field(event), data)


def with_id(frame: bytes, position: str) -> bytes:
    """Put the `id:` line in front of a frame."""
    return b"id: %b\n%b" % (_field(position), frame)


def id_only(position: str) -> bytes:
    """Build a block that moves the reader's last event ID and dispatches nothing."""
    return with_id(b"\n", position)


def comment(text: str = "") -> bytes:
    """Build a comment, which readers drop: a sign of life.

    A line and no more: at the end of a block some clients hand on an event that is none (httpx-sse).
    """
    return b": %b\n" % _field(text) if text else b":\n"


def retry(ms: int) -> bytes:
    """Build the line that tells how many milliseconds to wait before coming back; see `comment`."""
    if ms < 0:
        raise ValueError("A wait is not negative.")
    return b"retry: %d\n" % ms


def _field(text: str) -> bytes:
    if _UNSAFE.search(text):
        raise ValueError("CR, LF and NUL cannot stand in a field of an event stream.")
    return text.encode()


@dataclass(frozen=True, slots=True)
class ServerSentEvent:
    """One dispatched event; `id` and `retry` are those of its own block, None where it had none."""

    event: str
    data: str
    id: str | None = None
    retry: int | None = None


class Decoder:
    """Turn bytes, cut anywhere, into events.

    `last_event_id` and `retry_ms` hold what the stream has said so far, as a reader that comes back
    needs them. An unfinished block at the end of a stream is never dispatched, as the standard says.
    """

    def __init__(self) -> None:
        self.last_event_id = ""
        self.retry_ms: int | None = None
        self._line: list[bytes] = []
        self._after_cr = False
        self._first = True
        self._event = ""
        self._data: list[str] = []
        self._id: str | None = None
        self._retry: int | None = None

    def feed(self, data: bytes) -> list[ServerSentEvent]:
        """Take the next bytes and return the events that they complete."""
        if self._after_cr and data:
            data = data.removeprefix(b"\n")
            self._after_cr = False
        *lines, rest = _LINE_END.split(data)
        # A CR at the very end is a line end now; an LF that follows in the next bytes belongs to it.
        self._after_cr = self._after_cr or data.endswith(b"\r")
        events = [event for line in lines if (event := self._end_line(line)) is not None]
        self._line.append(rest)
        return events

    def _end_line(self, tail: bytes) -> ServerSentEvent | None:
        line = b"".join((*self._line, tail))
        self._line.clear()
        if self._first:
            line = line.removeprefix(_BOM)
            self._first = False
        if not line:
            return self._dispatch()
        name, _, value = line.partition(b":")
        self._set(name, value.removeprefix(b" ").decode(errors="replace"))
        return None

    def _set(self, name: bytes, value: str) -> None:
        if name == b"data":
            self._data.append(value)
        elif name == b"event":
            self._event = value
        elif name == b"id" and "\0" not in value:
            self._id = value
        elif name == b"retry" and value.isascii() and value.isdecimal() and len(value) < 16:  # noqa: PLR2004 - no bigint
            self._retry = self.retry_ms = int(value)

    def _dispatch(self) -> ServerSentEvent | None:
        if self._id is not None:
            self.last_event_id = self._id
        event = ServerSentEvent(self._event or "message", "\n".join(self._data), self._id, self._retry)
        dispatched = bool(self._data)
        self._clear()
        return event if dispatched else None

    def _clear(self) -> None:
        self._event = ""
        self._data = []
        self._id = None
        self._retry = None
