"""Object paths: which are allowed, and where each kind of object lives.

Guarantees: two users never share a root, a built path never leaves its user's root, and what is
built always passes `check_path`. Not checked here: whether anything stands at a path.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from media_pipeline.ids import JobId, UserId
from media_pipeline.storage.store import InvalidPath

MAX_PATH_BYTES: Final = 1024
MAX_FILENAME_BYTES: Final = 200
FALLBACK_FILENAME: Final = "file"

_SAFE_BYTES: Final = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-")
_ENCODED: Final = re.compile(r"(?:[A-Za-z0-9_-]|=[0-9A-F]{2})+")
_ESCAPE: Final = re.compile(r"=([0-9A-F]{2})")
_RESULT: Final = {
    shelf: re.compile(rf"(.+)_(0|[1-9]\d{{0,8}})\.{suffix}")
    for shelf, suffix in (("images", "png"), ("videos", "mp4"))
}
_BIDI: Final = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_UNSEEN: Final = frozenset({"Cc", "Cs", "Zl", "Zp"})
_LONGEST_CHARACTER: Final = 4


@dataclass(frozen=True, slots=True)
class Owned:
    """Whose an object is and which job wrote it; `index` counts results, an upload has none."""

    path: str
    user_id: UserId
    job_id: JobId
    index: int | None

    @property
    def filename(self) -> str:
        """The last segment of the path."""
        return self.path.rpartition("/")[2]


def check_path(path: str) -> str:
    """Return `path` if the store takes it, else raise `InvalidPath`; the rules are at `Store`."""
    try:
        length = len(path.encode())
    except UnicodeEncodeError as error:
        raise InvalidPath("The path is not valid Unicode.") from error
    if not 0 < length <= MAX_PATH_BYTES:
        raise InvalidPath(f"A path has 1 to {MAX_PATH_BYTES} bytes of UTF-8, not {length}.")
    if not {"", ".", ".."}.isdisjoint(path.split("/")):
        raise InvalidPath("The path has an empty, '.' or '..' segment.")
    if any(character == "\\" or unicodedata.category(character) == "Cc" for character in path):
        raise InvalidPath("The path has a backslash or a control character.")
    return path


def encode_user(user_id: UserId) -> str:
    """Write a user's id as one path segment; `decode_user` reads it back, byte for byte."""
    try:
        data = user_id.encode()
    except UnicodeEncodeError as error:
        raise InvalidPath("The user id is not valid Unicode.") from error
    if not data:
        raise InvalidPath("The user id is empty.")
    return "".join(chr(byte) if byte in _SAFE_BYTES else f"={byte:02X}" for byte in data)


def decode_user(segment: str) -> UserId:
    """Return the user whom `segment` names; `InvalidPath` for what `encode_user` never writes."""
    if not _ENCODED.fullmatch(segment):
        raise InvalidPath("The path does not name a user.")
    try:
        text = _ESCAPE.sub(lambda escape: chr(int(escape[1], 16)), segment).encode("latin-1").decode()
    except UnicodeDecodeError as error:
        raise InvalidPath("The path does not name a user.") from error
    if encode_user(UserId(text)) != segment:
        raise InvalidPath("The path does not name a user.")
    return UserId(text)


def user_root(user_id: UserId) -> str:
    """Return the prefix of everything that `user_id` sees in the library, with its slash."""
    return f"media/{encode_user(user_id)}/"


def image_path(user_id: UserId, job_id: JobId, index: int) -> str:
    """Return where the `index`-th generated image of a job lives."""
    return check_path(f"{user_root(user_id)}images/{job_id}_{index}.png")


def video_path(user_id: UserId, job_id: JobId, index: int) -> str:
    """Return where the `index`-th generated video of a job lives."""
    return check_path(f"{user_root(user_id)}videos/{job_id}_{index}.mp4")


def upload_path(user_id: UserId, job_id: JobId, filename: str) -> str:
    """Return where an upload lives; `filename` may be anything that the user's file is called."""
    return check_path(f"{user_root(user_id)}{job_id}/{safe_filename(filename)}")


def derived_root(user_id: UserId) -> str:
    """Return the prefix of everything that was made from a user's objects, with its slash."""
    return f"derived/{encode_user(user_id)}/"


def derived_prefix(user_id: UserId, job_id: JobId) -> str:
    """Return the prefix of what was made from a job's objects, with its slash; listings omit it."""
    return f"{derived_root(user_id)}{job_id}/"


def thumbnail_path(user_id: UserId, job_id: JobId, rung: int, *, index: int | None = None) -> str:
    """Return where a rung of the ladder lives, of result `index` or of a job's only file."""
    stem = "thumbnail" if index is None else f"thumbnail_{index}"
    return f"{derived_prefix(user_id, job_id)}{stem}_{rung}.webp"


def original_prefix(user_id: UserId, job_id: JobId, index: int) -> str:
    """Return the prefix of the untouched bytes of output `index`, where they differ from what is shown."""
    return f"{derived_prefix(user_id, job_id)}original_{index}."


def read_path(path: str) -> Owned | None:
    """Read back what `image_path`, `video_path` or `upload_path` wrote; None for any other path."""
    match path.split("/"):
        case ["media", user, "images" | "videos" as shelf, name] if found := _RESULT[shelf].fullmatch(name):
            job_id, index = found[1], found[2]
        case ["media", user, job_id, _]:
            index = ""
        case _:
            return None
    try:
        if str(UUID(job_id)) != job_id:
            return None
        return Owned(path, decode_user(user), JobId(job_id), int(index) if index else None)
    except (ValueError, InvalidPath):
        return None


def job_of_path(path: str) -> JobId | None:
    """Return the job that an object was written for, None for a path that no job writes."""
    match path.split("/"):
        case ["derived", _, job_id, _]:
            return JobId(job_id)
    return owned.job_id if (owned := read_path(path)) else None


def preview_path(user_id: UserId, job_id: JobId, index: int, *, number: int = 0) -> str:
    """Return where the `number`-th partial picture of output `index` lives.

    Each partial picture has its own path, because a page that shows one asks for a new URL only.
    """
    return check_path(f"{derived_prefix(user_id, job_id)}preview_{index}_{number}")


def safe_filename(name: str) -> str:
    """Return `name` as one segment that shows no other name than it has.

    NFC, without separators, control and bidirectional characters and leading dots, at most
    200 bytes of UTF-8 with the extension kept; `file` if nothing is left.
    """
    seen = "".join(character for character in name if not _is_unsafe(character))
    return _shorten(unicodedata.normalize("NFC", seen).lstrip(".")) or FALLBACK_FILENAME


def _is_unsafe(character: str) -> bool:
    return character in "/\\" or character in _BIDI or unicodedata.category(character) in _UNSEEN


def _shorten(name: str) -> str:
    stem, dot, extension = name.rpartition(".")
    suffix = dot + extension if stem else ""
    if len(suffix.encode()) > MAX_FILENAME_BYTES - _LONGEST_CHARACTER:
        suffix = ""
    kept = name.removesuffix(suffix).encode()[: MAX_FILENAME_BYTES - len(suffix.encode())]
    return kept.decode(errors="ignore") + suffix
