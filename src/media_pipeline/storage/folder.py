"""The folder that a `LocalStore` owns: `objects/`, `drafts/` and the lock that keeps others out."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Final
from uuid import uuid4

from media_pipeline.filelock import FileLock
from media_pipeline.storage.catalog import Catalog
from media_pipeline.storage.objectfile import OBJECT_NAMES, Draft, describe_file, file_name
from media_pipeline.storage.store import StoreError, Version
from media_pipeline.storage.threads import store_error

_LOCK_NAME: Final = "storage.lock"


class Folder:
    """Where objects and drafts of objects are; both in one file system, so a rename is one step."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._objects = directory / "objects"
        self._drafts = directory / "drafts"
        self._lock = FileLock(directory / _LOCK_NAME)

    def open(self) -> Catalog:
        """Take the folder, remove what a crash left, and return what is there."""
        try:
            self._directory.mkdir(parents=True, exist_ok=True)
            self._take()
            shutil.rmtree(self._drafts, ignore_errors=True)
            self._drafts.mkdir(exist_ok=True)
            self._objects.mkdir(exist_ok=True)
            _sync(self._directory)
            return Catalog(filter(None, map(describe_file, self._objects.glob(OBJECT_NAMES))))
        except OSError as error:
            self.close()
            raise StoreError(f"{self._directory}: {store_error(error)}") from error

    def close(self) -> None:
        """Let another process have the folder; twice is no error."""
        self._lock.release()

    def draft(self, path: str, content_type: str) -> Draft:
        """Return a draft of a new version of `path`; nothing is written yet."""
        version = Version(uuid4().hex)
        return Draft(self._drafts / version, path=path, content_type=content_type, version=version)

    def place(self, path: str) -> Path:
        """Return the file that holds the object at `path`."""
        return self._objects / file_name(path)

    def sync(self) -> None:
        """Make published and removed names durable."""
        _sync(self._objects)

    def _take(self) -> None:
        try:
            self._lock.acquire()
        except BlockingIOError as error:
            raise StoreError(
                f"Another process uses {self._directory}; a storage folder belongs to one process."
            ) from error


def _sync(directory: Path) -> None:
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
