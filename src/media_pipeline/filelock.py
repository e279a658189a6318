"""One process a thing, or many that share it: an advisory lock on a file, which dies with its process."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path


class FileLock:
    """Hold `path`, so that a second process is told and nothing is corrupted."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: int | None = None

    def acquire(self, *, shared: bool = False) -> None:
        """Take the lock at once, alone or `shared`, or raise `BlockingIOError` when others stand against it.

        Who holds it already changes how he does so, and loses it where that is refused.
        """
        if self._file is None:
            self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except OSError:
            self.release()
            raise

    def release(self) -> None:
        """Give the lock back; twice is no error."""
        if self._file is not None:
            fcntl.flock(self._file, fcntl.LOCK_UN)  # a child that inherited the file would keep it locked
            os.close(self._file)
            self._file = None
