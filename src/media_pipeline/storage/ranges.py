"""Range and entity-tag headers of a read (RFC 9110, sections 8.8.3, 13.1 and 14), as pure functions.

One range is served. Several, a malformed one or another unit are ignored, as section 14.2 allows, so
no request makes more work than one read of the object.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Literal

_ONE_RANGE: Final = re.compile(r"bytes=[ \t]*(\d{0,40})-(\d{0,40})[ \t]*", re.ASCII | re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class ByteRange:
    """Bytes `start` (inclusive) to `end` (exclusive)."""

    start: int
    end: int


Extent = ByteRange | Literal["whole", "unsatisfiable"]


def parse_range(header: str | None, size: int) -> Extent:
    """Say what `header` asks of an object of `size` bytes.

    An empty object is always "whole": no Content-Range could describe a part of it.
    """
    asked = _ONE_RANGE.fullmatch(header or "")
    if not asked or not size:
        return "whole"
    first, last = asked.groups()
    if not first:
        return _last_bytes(last, size)
    start, end = int(first), int(last) + 1 if last else size
    if end <= start and last:
        return "whole"
    return ByteRange(start, min(end, size)) if start < size else "unsatisfiable"


def _last_bytes(count: str, size: int) -> Extent:
    if not count:
        return "whole"
    return ByteRange(max(0, size - int(count)), size) if int(count) else "unsatisfiable"


def is_unchanged(if_none_match: str | None, etag: str) -> bool:
    """Tell whether the client holds `etag` already (weak comparison), so 304 will do."""
    if if_none_match is None:
        return False
    tags = (tag.strip().removeprefix("W/") for tag in if_none_match.split(","))
    return if_none_match.strip() == "*" or etag in tags


def may_use_range(if_range: str | None, etag: str) -> bool:
    """Tell whether a range of `etag` continues what the client holds (strong comparison).

    A date never matches: the store sends none.
    """
    return if_range is None or if_range.strip() == etag
