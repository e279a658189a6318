"""One object as one file: a line of JSON that says what it is, then its bytes.

Type, version and bytes are published by one rename, so none of them is ever half there. The file's
name is the hash of the path: any path fits, and no two paths share a name on any file system.
Everything here blocks; `LocalStore` calls it in threads.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, Final

from media_pipeline.storage.store import (
    MediaObject,
    ObjectNotFound,
    StoreError,
    UploadRefused,
    Version,
)

OBJECT_NAMES: Final = "?" * 64
"""The pattern of every `file_name`."""

_MAX_HEADER_BYTES: Final = 16 * 1024


def file_name(path: str) -> str:
    """Return the name of the file that holds the object at `path`."""
    return hashlib.sha256(path.encode()).hexdigest()


class Draft:
    """An object that is being written beside the others, invisible until it is published."""

    def __init__(self, file: Path, *, path: str, content_type: str, version: Version) -> None:
        self._file = file
        self._path = path
        self._content_type = content_type
        self._version = version
        self._size = 0
        self._handle: BinaryIO | None = None

    def open(self, now: datetime) -> None:
        """Create the file and leave room for its first line; `UploadRefused` if that is too long."""
        header = _header(self._describe(now))
        if len(header) > _MAX_HEADER_BYTES:
            raise UploadRefused("The content type is too long.")
        self._handle = _create_locked(self._file)
        self._handle.write(header)

    def write(self, chunk: bytes) -> None:
        """Append bytes."""
        self._size += self._opened().write(chunk)

    def seal(self, now: datetime) -> MediaObject:
        """Write the first line, make everything durable and return what the object will be."""
        item = self._describe(now)
        handle = self._opened()
        handle.seek(0)
        handle.write(_header(item))
        handle.flush()
        os.fsync(handle.fileno())
        return item

    def publish(self, target: Path) -> None:
        """Make it visible at `target` in one step."""
        self._file.replace(target)
        self._opened().close()

    def discard(self) -> None:
        """Remove what was written."""
        if self._handle:
            # closing writes what is buffered, which a full disk refuses again
            with suppress(OSError):
                self._handle.close()
        self._file.unlink(missing_ok=True)

    def _opened(self) -> BinaryIO:
        if self._handle is None:
            raise ValueError("The draft is not open.")
        return self._handle

    def _describe(self, now: datetime) -> MediaObject:
        return MediaObject(
            path=self._path,
            size=self._size,
            content_type=self._content_type,
            created_at=now,
            version=self._version,
        )


class ObjectFile:
    """A stored object open for reading; it stays whole when its path is overwritten or deleted."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._handle: BinaryIO | None = None
        self._offset = 0

    def open(self) -> MediaObject:
        """Open the file and return what it holds; `ObjectNotFound`, or `StoreError` for a damaged file."""
        try:
            self._handle = self._file.open("rb")
        except FileNotFoundError:
            raise ObjectNotFound("There is no object at this path.") from None
        line = self._handle.readline(_MAX_HEADER_BYTES)
        self._offset = len(line)
        return _parse(line, size=os.fstat(self._handle.fileno()).st_size - self._offset)

    def read(self, start: int, end: int) -> bytes:
        """Return bytes `start` to `end`."""
        if self._handle is None:
            raise ValueError("The object is not open.")
        self._handle.seek(self._offset + start)
        return self._handle.read(end - start)

    def close(self) -> None:
        """Close the file; twice is no error."""
        if self._handle:
            self._handle.close()


def describe_file(file: Path) -> MediaObject | None:
    """Return the object that `file` holds, None where it holds none under its right name."""
    found = ObjectFile(file)
    try:
        item = found.open()
    except StoreError:
        return None
    finally:
        found.close()
    return item if file_name(item.path) == file.name else None


def remove_abandoned(folder: Path) -> None:
    """Remove the drafts in `folder` whose writers have died."""
    for file in folder.iterdir():
        with suppress(FileNotFoundError, BlockingIOError), file.open("rb") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            file.unlink()


def _create_locked(file: Path) -> BinaryIO:
    """Create a file that `remove_abandoned` leaves alone for as long as it is open."""
    while True:
        handle = file.open("xb")
        fcntl.flock(handle, fcntl.LOCK_EX)
        if os.fstat(handle.fileno()).st_nlink:
            return handle
        handle.close()  # it was taken for abandoned before it was locked


def _header(item: MediaObject) -> bytes:
    # the length must not depend on what is known only at the end: no size, a time of fixed width
    fields = {
        "path": item.path,
        "contentType": item.content_type,
        "createdAt": item.created_at.isoformat(timespec="microseconds"),
        "version": item.version,
    }
    return json.dumps(fields, ensure_ascii=False).encode(errors="surrogatepass") + b"\n"


def _parse(line: bytes, *, size: int) -> MediaObject:
    try:
        fields = json.loads(line.decode(errors="surrogatepass"))
        return MediaObject(
            path=fields["path"],
            size=size,
            content_type=fields["contentType"],
            created_at=datetime.fromisoformat(fields["createdAt"]),
            version=Version(fields["version"]),
        )
    except (ValueError, KeyError, TypeError) as error:
        raise StoreError("A stored file does not begin with an object's first line.") from error
