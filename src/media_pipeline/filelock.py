"""One process a thing: an advisory lock on a file, which dies with its process."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path


class FileLock:
    """Hold `path` exclusively, so that a second process is told and nothing is corrupted."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: int | None = None

    def acquire(self) -> None:
        """Take the lock at once, or raise `BlockingIOError` when another process has it."""
        file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(file)
            raise
        self._file = file

    def release(self) -> None:
        """Give the lock back; twice is no error."""
        if self._file is not None:
            os.close(self._file)
            self._file = None
