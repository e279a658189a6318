"""Which paths of a folder may have changed: one line each, appended by whoever is about to change one.

Guarantees that a change is noted before it can be seen, so who has read to the end and looked at
every path he read about knows everything; a process that dies in between has only said too much.
Everything here blocks, for microseconds.
"""

from __future__ import annotations

import errno
import json
import os
from contextlib import suppress
from pathlib import Path


class Journal:
    """The journal in `file`, read from where it ended when it was opened."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._handle: int | None = None
        self._offset = 0

    def open(self) -> None:
        """Begin at the end; what was before is for whoever looks at the folder itself."""
        self._handle = os.open(self._file, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o666)
        self._offset = self._size()

    def clear(self) -> None:
        """Forget every line; only for who is alone in the folder."""
        with suppress(FileNotFoundError):
            os.truncate(self._file, 0)

    def note(self, path: str) -> None:
        """Say that `path` may change from now on."""
        # Between two line ends: after a line that a full disk cut short, the next one is still whole.
        line = b"\n%b\n" % json.dumps(path).encode()
        if os.write(self._opened(), line) != len(line):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    @property
    def grown(self) -> bool:
        """Whether there is something to read."""
        return self._size() != self._offset

    def read(self) -> list[str]:
        """Return the paths that were noted since the last call."""
        data = os.pread(self._opened(), self._size() - self._offset, self._offset)
        whole = data[: data.rfind(b"\n") + 1]
        self._offset += len(whole)
        return [path for line in whole.split(b"\n") if (path := _parse(line)) is not None]

    def close(self) -> None:
        """Close the file; twice is no error."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None

    def _size(self) -> int:
        return os.fstat(self._opened()).st_size

    def _opened(self) -> int:
        if self._handle is None:
            raise OSError(errno.EBADF, "The folder is closed")
        return self._handle


def _parse(line: bytes) -> str | None:
    with suppress(ValueError):
        path = json.loads(line)
        return path if isinstance(path, str) else None
    return None
