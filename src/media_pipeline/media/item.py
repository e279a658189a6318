"""One thing in a user's library."""

from __future__ import annotations

import re
import unicodedata
from typing import Final, Literal

import msgspec

from media_pipeline.ids import JobId, UserId

ItemKind = Literal["image", "video", "file"]
Source = Literal["generated", "upload", "import", "process"]

MAX_WORDS: Final = 200
MAX_WORD: Final = 64
"""Characters; what is longer is compared by its beginning."""
_WORD: Final = re.compile(r"[^\W_]+")


class Item(msgspec.Struct, frozen=True, kw_only=True):
    """A library row. `size` in bytes, sides in pixels, `duration` in seconds, `created_at` in Unix seconds.

    `version` is the stored object's; the item stands for exactly those bytes.
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
    alt: str | None = None
    prompt: str | None = None
    model: str | None = None
    seed: int | None = None


def fold_words(text: str) -> list[str]:
    """Split text into words as search compares them: no case, no accents, no punctuation, each once."""
    plain = unicodedata.normalize("NFKD", text)
    bare = "".join(character for character in plain if not unicodedata.combining(character))
    return list(dict.fromkeys(word[:MAX_WORD] for word in _WORD.findall(bare.casefold())))


def searchable_words(item: Item) -> list[str]:
    """Return what search reads of an item: the first `MAX_WORDS` words of its name and prompt."""
    return fold_words(f"{item.name} {item.prompt or ''}")[:MAX_WORDS]
