"""What may come into the library: by its size, its first bytes, and at last by decoding it."""

from __future__ import annotations

from typing import ClassVar, Final

from media_pipeline.errors import MediaPipelineError
from media_pipeline.media.sniff import ACCEPTED, HEAD_BYTES, may_be_accepted, sniff
from media_pipeline.storage.store import MediaObject, ObjectNotFound, Store, StoreError

MAX_IMAGE_BYTES: Final = 256 * 1024**2
"""More than any picture of the pixels that are taken."""


class UploadIncomplete(MediaPipelineError):
    """The bytes are not there yet."""

    code: ClassVar[str] = "upload_incomplete"


class TypeNotAllowed(MediaPipelineError):
    """The file is not of a type that the library takes."""

    code: ClassVar[str] = "type_not_allowed"


class FileTooLarge(MediaPipelineError):
    """The file is larger than an upload may be."""

    code: ClassVar[str] = "too_large"


class EmptyFile(MediaPipelineError):
    """The file has no bytes."""

    code: ClassVar[str] = "empty_file"


class WrongSize(MediaPipelineError):
    """The file is not as long as it was announced."""

    code: ClassVar[str] = "wrong_size"


class Intake:
    """The rules at the door; `max_bytes` bounds one file."""

    def __init__(self, store: Store, *, max_bytes: int) -> None:
        self._store = store
        self.max_bytes = max_bytes

    def check_declared(self, content_type: str, size: int | None) -> None:
        """Raise for what need not even be sent."""
        if not may_be_accepted(content_type):
            raise TypeNotAllowed(_not_allowed(f"{content_type!r} is not taken"))
        self._check_size(size or 0, self.max_bytes)
        if size == 0:
            raise EmptyFile("The file has no bytes; choose one that has.")

    async def check_stored(self, path: str, *, announced: int | None) -> tuple[MediaObject, str]:
        """Return the object and what its first bytes say it is, or raise what is wrong with it."""
        try:
            stored = await self._store.stat(path)
            head = await self._read_head(stored)
        except ObjectNotFound as error:
            raise UploadIncomplete("The bytes are not there; PUT them to the upload URL first.") from error
        if announced not in {None, stored.size}:
            raise WrongSize(
                f"The file has {stored.size:,} bytes; {announced:,} were announced. Send it again."
            )
        return stored, self.check_bytes(head, stored.size)

    async def _read_head(self, stored: MediaObject) -> bytes:
        """Read what `sniff` wants; a part has no checksum, so what would be refused must come twice."""
        head = await self._store.read(stored.path, end=HEAD_BYTES, version=stored.version)
        if sniff(head) is None and head != await self._store.read(
            stored.path, end=HEAD_BYTES, version=stored.version
        ):
            raise StoreError("The file's bytes were changed on the way here; try again.")
        return head

    def check_bytes(self, head: bytes, size: int) -> str:
        """Return what a file of `size` that begins with `head` is, or raise."""
        if size == 0:
            raise EmptyFile("The file has no bytes; choose one that has.")
        content_type = sniff(head)
        if content_type is None:
            raise TypeNotAllowed(_not_allowed("The file's content is of no type that is taken"))
        picture = content_type.startswith("image/")
        self._check_size(size, min(self.max_bytes, MAX_IMAGE_BYTES) if picture else self.max_bytes)
        return content_type

    def _check_size(self, size: int, most: int) -> None:
        if size > most:
            raise FileTooLarge(f"The file has {size:,} bytes; {most:,} is the most that is taken.")


def check_decoded(content_type: str) -> None:
    """Raise `TypeNotAllowed` unless what was decoded is taken."""
    if content_type not in ACCEPTED:
        raise TypeNotAllowed(_not_allowed(f"{content_type} is not taken"))


def _not_allowed(what: str) -> str:
    return f"{what}; send one of {', '.join(sorted(ACCEPTED))}."
