"""The folder of a `LocalStore`: `objects/`, `drafts/`, and what keeps its processes out of each other's way.

Guarantees, among processes that share the folder: a change at a path is checked and made by one of
them at a time, and every later look of any of them knows of it. A process that stands still in the
middle of a change (SIGSTOP) holds up the changes at one path in 256, never a look.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final
from uuid import uuid4

from media_pipeline.filelock import FileLock
from media_pipeline.storage.catalog import Catalog
from media_pipeline.storage.journal import Journal
from media_pipeline.storage.objectfile import OBJECT_NAMES, Draft, describe_file, file_name, remove_abandoned
from media_pipeline.storage.store import (
    ABSENT,
    MediaObject,
    PreconditionFailed,
    StoreError,
    Version,
)
from media_pipeline.storage.threads import store_error

_PATIENCE: Final = 5.0
_PAUSE: Final = 0.001


class Busy(StoreError):
    """Another process does not come to the end of its change; try again."""


class Folder:
    """Where objects and drafts of objects are; both in one file system, so a rename is one step.

    `shared` with processes that share it too, else with none.
    """

    def __init__(self, directory: Path, *, shared: bool) -> None:
        self._directory = directory
        self._shared = shared
        self._objects = directory / "objects"
        self._drafts = directory / "drafts"
        self._locks = directory / "locks"
        self._lock = FileLock(directory / "storage.lock")
        self._journal = Journal(directory / "changes")
        self._unsure: set[str] = set()

    def open(self) -> Catalog:
        """Take the folder, remove what a crash left, and return what is there."""
        try:
            for folder in (self._directory, self._objects, self._drafts, self._locks):
                folder.mkdir(parents=True, exist_ok=True)
            self._take()
            self._journal.open()
            remove_abandoned(self._drafts)
            _sync(self._directory)
            return Catalog(filter(None, map(describe_file, self._objects.glob(OBJECT_NAMES))))
        except OSError as error:
            self.close()
            raise StoreError(f"{self._directory}: {store_error(error)}") from error

    def close(self) -> None:
        """Let another process have the folder; twice is no error."""
        self._journal.close()
        self._lock.release()

    def draft(self, path: str, content_type: str) -> Draft:
        """Return a draft of a new version of `path`; nothing is written yet."""
        version = Version(uuid4().hex)
        return Draft(self._drafts / version, path=path, content_type=content_type, version=version)

    def place(self, path: str) -> Path:
        """Return the file that holds the object at `path`."""
        return self._objects / file_name(path)

    def publish(self, draft: Draft, path: str, *, if_version: Version | None) -> None:
        """Make a draft the object at `path`, durably, if what stands there allows it."""
        with self._changing(path, if_version):
            draft.publish(self.place(path))
        _sync(self._objects)

    def remove(self, path: str, *, if_version: Version | None) -> None:
        """Remove the object at `path`, durably, if what stands there allows it; nothing is no error."""
        place = self.place(path)
        if not place.exists():
            return
        with self._changing(path, if_version):
            place.unlink(missing_ok=True)
        _sync(self._objects)

    @property
    def changed(self) -> bool:
        """Whether somebody may have changed something since `read_changes`."""
        return bool(self._unsure) or self._journal.grown

    def read_changes(self) -> list[tuple[str, MediaObject | None]]:
        """Return every path that may have changed since the last call, and what stands there now."""
        paths, self._unsure = {*self._journal.read(), *self._unsure}, set()
        return [(path, self._look(path)) for path in paths]

    def _look(self, path: str) -> MediaObject | None:
        try:
            with self._held(path, patience=0):
                return describe_file(self.place(path))
        except Busy:  # somebody is at it: either answer is right now, and not later
            self._unsure.add(path)
            return describe_file(self.place(path))

    @contextmanager
    def _changing(self, path: str, if_version: Version | None) -> Iterator[None]:
        with self._held(path, patience=_PATIENCE):
            found = describe_file(self.place(path)) if if_version is not None else None
            if if_version not in (None, found.version if found else ABSENT):
                raise PreconditionFailed(f"The object at {path} is not the version that was expected.")
            self._journal.note(path)
            yield

    @contextmanager
    def _held(self, path: str, *, patience: float) -> Iterator[None]:
        lock = FileLock(self._locks / file_name(path)[:2])
        if not _insist(lock.acquire, patience=patience):
            raise Busy(f"Another process is in the middle of a change at {path}.")
        try:
            yield
        finally:
            lock.release()

    def _take(self) -> None:
        if not _insist(self._acquire, patience=_PATIENCE if self._shared else 0):
            raise StoreError(
                f"Another process uses {self._directory}; a storage folder belongs to one process"
                " unless all of them share a database server."
            )

    def _acquire(self) -> None:
        """Hold the folder alone, if only for a moment: then nobody reads the journal."""
        try:
            self._lock.acquire()
            self._journal.clear()
        except BlockingIOError:
            if not self._shared:
                raise
        if self._shared:
            self._lock.acquire(shared=True)


def _insist(acquire: Callable[[], None], *, patience: float) -> bool:
    """Tell whether `acquire` did not meet another's lock within `patience` seconds."""
    until = time.monotonic() + patience
    while True:
        try:
            acquire()
        except BlockingIOError:
            if time.monotonic() >= until:
                return False
            time.sleep(_PAUSE)
        else:
            return True


def _sync(directory: Path) -> None:
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
