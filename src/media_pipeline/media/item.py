"""One thing in a user's library."""

from __future__ import annotations

import base64
import re
import unicodedata
from collections.abc import Sequence
from typing import Final, Literal

import msgspec

from media_pipeline.ids import JobId, UserId

ItemKind = Literal["image", "video", "file"]
Source = Literal["generated", "upload", "import", "process"]

MAX_WORDS: Final = 200
MAX_WORD: Final = 64
"""Characters; what is longer is compared by its beginning."""
_WORD: Final = re.compile(r"[^\W_]+")
_BLANKED: Final = bytes(code if chr(code).isalnum() else ord(" ") for code in range(128)) + bytes(128)
"""ASCII, a blank for whatever is in no word."""


SHOWN_SIDE: Final = 512
"""A page shows the largest thumbnail of at most this side, unless it chooses one itself."""


class Rung(msgspec.Struct, frozen=True):
    """One thumbnail of the ladder; sides in pixels."""

    path: str
    width: int
    height: int


class Item(msgspec.Struct, frozen=True, kw_only=True):
    """A library row. `size` in bytes, sides in pixels, `duration` in seconds, `created_at` in Unix seconds.

    `version` is the stored object's; the item stands for exactly those bytes. `thumbnails` are the ladder,
    the largest first; `source_path` is the item that this one was made of.
    """

    path: str
    user_id: UserId
    job_id: JobId
    kind: ItemKind
    source: Source
    name: str
    content_type: str
    size: int
    version: str
    created_at: float
    width: int | None = None
    height: int | None = None
    duration: float | None = None
    thumbnail_path: str | None = None
    thumbnails: tuple[Rung, ...] = ()
    thumbhash: str | None = None
    source_path: str | None = None
    alt: str | None = None
    prompt: str | None = None
    model: str | None = None
    seed: int | None = None


def derived_paths(item: Item) -> list[str]:
    """Return the path of every object that was made from an item and goes with it."""
    paths = [rung.path for rung in item.thumbnails]
    return list(dict.fromkeys([*paths, item.thumbnail_path] if item.thumbnail_path else paths))


def shown_rung(rungs: Sequence[Rung]) -> Rung:
    """Return the thumbnail that a page shows by itself; the ladder has at least one."""
    return next((rung for rung in rungs if max(rung.width, rung.height) <= SHOWN_SIDE), rungs[-1])


def write_thumbhash(data: bytes) -> str:
    """Write a ThumbHash as the wire has it."""
    return base64.b64encode(data).decode()


def fold_words(text: str) -> list[str]:
    """Split text into words as search compares them: no case, no accents, no punctuation, each once."""
    if text.isascii():
        found = text.lower().encode().translate(_BLANKED).decode().split()  # half the time of the other way
    else:
        found = _WORD.findall(_strip_accents(text).casefold())
    return list(dict.fromkeys([word[:MAX_WORD] for word in found]))


def _strip_accents(text: str) -> str:
    plain = unicodedata.normalize("NFKD", text)
    return "".join(character for character in plain if not unicodedata.combining(character))


def searchable_words(item: Item) -> list[str]:
    """Return what search reads of an item: the first `MAX_WORDS` words of its name and prompt."""
    return fold_words(f"{item.name} {item.prompt or ''}")[:MAX_WORDS]
