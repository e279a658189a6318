"""Where bytes live."""

from media_pipeline.storage.local import LocalStore
from media_pipeline.storage.memory import MemoryStore
from media_pipeline.storage.served import ServedStore
from media_pipeline.storage.store import (
    ABSENT,
    InvalidPath,
    MediaObject,
    ObjectNotFound,
    PreconditionFailed,
    PresignedUpload,
    Store,
    StoreError,
    StoreFull,
    UploadRefused,
    Version,
)

__all__ = [
    "ABSENT",
    "InvalidPath",
    "LocalStore",
    "MediaObject",
    "MemoryStore",
    "ObjectNotFound",
    "PreconditionFailed",
    "PresignedUpload",
    "ServedStore",
    "Store",
    "StoreError",
    "StoreFull",
    "UploadRefused",
    "Version",
]
