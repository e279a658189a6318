"""What a file really is, by its first bytes; what its sender says is not believed."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from typing import Final

import filetype

from media_pipeline.media.item import ItemKind

HEAD_BYTES: Final = 8192
"""How much of a file `sniff` wants to see."""

_HEIC: Final[Mapping[str, ItemKind]] = {"image/heic": "image"} if find_spec("pillow_heif") else {}

ACCEPTED: Final[Mapping[str, ItemKind]] = {
    "image/png": "image",
    "image/jpeg": "image",
    "image/gif": "image",
    "image/webp": "image",
    "image/avif": "image",
    "video/mp4": "video",
    "video/webm": "video",
    "video/quicktime": "video",
    **_HEIC,
}
"""The types a library takes, and what they are; none can carry a script. HEIC needs the extra `heic`."""

_ALIASES: Final[Mapping[str, str]] = {
    "image/apng": "image/png",
    "video/x-m4v": "video/mp4",
    "image/heif": "image/heic",
}
_UNSAID: Final = frozenset({"", "application/octet-stream", "binary/octet-stream"})


def sniff(head: bytes) -> str | None:
    """Return the accepted content type that `head` begins, or None."""
    guessed = filetype.guess_mime(head)
    mime = _ALIASES.get(guessed, guessed)
    return mime if mime in ACCEPTED else None


def may_be_accepted(declared: str) -> bool:
    """Tell whether a file declared so is worth receiving; an unsaid type is decided by its bytes."""
    mime = declared.partition(";")[0].strip().lower()
    return mime in _UNSAID or mime in ACCEPTED or mime in _ALIASES or mime == "image/jpg"
