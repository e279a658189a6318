"""One process a file: an advisory lock that dies with its process."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from media_pipeline.db.database import DatabaseUnavailable


class FileLock:
    """Hold `<path>.lock` exclusively, so that a second process is told and nothing is corrupted."""

    def __init__(self, path: Path) -> None:
        self._owned = path
        self._path = path.with_name(path.name + ".lock")
        self._file: int | None = None

    def acquire(self) -> None:
        """Take the lock or raise `DatabaseUnavailable` at once."""
        try:
            file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise DatabaseUnavailable(f"SQLite cannot open {self._owned}: {error.strerror}.") from error
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(file)
            raise DatabaseUnavailable(
                f"Another process uses {self._owned}; a SQLite file belongs to one process."
            ) from error
        self._file = file

    def release(self) -> None:
        """Give the lock back; twice is no error."""
        if self._file is not None:
            os.close(self._file)
            self._file = None
