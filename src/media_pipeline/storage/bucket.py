"""The data path of a bucket over obstore: bytes in one piece, reads, and what a store says of an object.

Guarantees: every write carries a precondition, so none is repeated unsafely; bytes are compared with
the store's checksum both ways; a read that breaks off goes on with the same version. Not guaranteed:
a checksum for a range, which no store gives.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from datetime import UTC
from typing import TYPE_CHECKING, Any, Final, Protocol
from uuid import uuid4

import obstore

from media_pipeline.storage.bucket_errors import NotThere, PastTheEnd, told
from media_pipeline.storage.checksums import Checksum, Crc32c, Md5, digest, md5_of
from media_pipeline.storage.disposition import disposition
from media_pipeline.storage.patience import Passing, Patience
from media_pipeline.storage.store import (
    ABSENT,
    MediaObject,
    ObjectNotFound,
    PreconditionFailed,
    StoreError,
    Version,
)

if TYPE_CHECKING:
    from obstore import Attributes, GetResult, ObjectMeta
    from obstore.store import ObjectStore

WRITE_MARK: Final = "write"
"""The metadata field that names the write that made an object, so that a lost answer can be told."""
ANY_TYPE: Final = "application/octet-stream"
_READ_BYTES: Final = 512 * 1024
"""Each chunk of a stream costs its reader a turn or two, so they are as few as memory allows."""


class Dialect(Protocol):
    """How one kind of store names a version and holds a request to it."""

    def version(self, meta: ObjectMeta, mark: str) -> Version: ...

    def write_mode(self, version: Version) -> Any: ...

    def read_options(self, version: Version) -> dict[str, Any]: ...


class Corrupt(Passing):
    """What was written as `version` is not what was sent."""

    def __init__(self, version: Version) -> None:
        super().__init__("the bytes were changed on their way in")
        self.version = version


class Bucket:
    """`crc32c_of` tells the checksum of a version whose entity tag is none, None where there is none.

    `tag_is_md5` is asked of an object whose tag looks like an MD5 and is not that of its bytes.
    """

    def __init__(
        self,
        objects: ObjectStore,
        dialect: Dialect,
        *,
        patience: Patience,
        crc32c_of: Callable[[str, Version], Awaitable[str | None]] | None = None,
        tag_is_md5: Callable[[str], Awaitable[bool]] | None = None,
    ) -> None:
        self._objects = objects
        self._dialect = dialect
        self._patience = patience
        self._crc32c_of = crc32c_of
        self._tag_is_md5 = tag_is_md5 or _always

    async def look(self, path: str) -> MediaObject:
        """Describe an object; `ObjectNotFound` if there is none."""
        found = await self._look(path)
        return MediaObject(
            path=path,
            size=found.meta["size"],
            content_type=str(found.attributes.get("Content-Type", "")),
            created_at=found.meta["last_modified"].astimezone(UTC).replace(microsecond=0),
            version=self._version_of(found),
        )

    async def version_at(self, path: str) -> Version:
        """Return the version of what stands at `path`, `ABSENT` where nothing does."""
        found = await self._standing(path)
        return ABSENT if found is None else self._version_of(found)

    async def require(self, path: str, version: Version | None) -> MediaObject:
        """Describe an object; raise `PreconditionFailed` where it is another version."""
        item = await self.look(path)
        if version not in {None, item.version}:
            raise PreconditionFailed(f"The object at {path} is not the version that was expected.")
        return item

    async def put(self, path: str, data: bytes, content_type: str, *, if_version: Version | None) -> Version:
        """Write an object in one request and return its version.

        A lost answer is no failure: the mark of the write tells whether it landed.
        """
        mark, attempts, unsure = uuid4().hex, self._patience.begin(), False
        wanted = await self.version_at(path) if if_version is None else if_version
        while True:
            try:
                return await self._put_once(path, data, content_type, mark=mark, over=wanted)
            except Corrupt as error:
                wanted = error.version  # what stands there is ours, and wrong
                await attempts.again(error)
            except Passing as error:
                unsure = True
                await attempts.again(error)
            except PreconditionFailed:
                found = await self._standing(path)
                wanted = ABSENT if found is None else self._version_of(found)
                if found is None or not unsure or _mark_of(found) != mark:
                    if if_version is not None:
                        raise
                    await attempts.again(Passing("others keep writing there"))
                elif await self._is_whole(path, data, found.meta["e_tag"], wanted):
                    return wanted
                else:
                    await attempts.again(Corrupt(wanted))

    async def delete(
        self, path: str, *, if_version: Version | None, delete: Callable[[Version], Awaitable[None]]
    ) -> None:
        """Remove an object by `delete`, which removes exactly one version; obstore has no such call."""
        attempts = self._patience.begin()
        while (found := await self.version_at(path)) != ABSENT:
            if if_version not in {None, found}:
                raise PreconditionFailed(f"The object at {path} is not the version that was expected.")
            try:
                await delete(found)
            except ObjectNotFound:
                return
            except PreconditionFailed:
                if if_version is not None:
                    raise
                await attempts.again(Passing("others keep writing there"))
            else:
                return

    async def _put_once(
        self, path: str, data: bytes, content_type: str, *, mark: str, over: Version
    ) -> Version:
        attributes: Attributes = {
            "Content-Type": content_type or ANY_TYPE,
            "Content-Disposition": disposition(path, content_type),
            WRITE_MARK: mark,
        }
        mode: Any = "create" if over == ABSENT else self._dialect.write_mode(over)
        try:
            with told(path):
                put = await obstore.put_async(
                    self._objects, path, data, mode=mode, attributes=attributes, use_multipart=False
                )
        except NotThere as error:
            if over == ABSENT:
                raise StoreError("There is no such bucket.") from error
            raise PreconditionFailed(f"The object at {path} is no longer there.") from error
        version = self._dialect.version({"e_tag": put["e_tag"], "version": put["version"]}, mark)  # type: ignore[typeddict-item] # what both have
        if not await self._is_whole(path, data, put["e_tag"], version):
            raise Corrupt(version)
        return version

    async def stream(
        self, path: str, *, start: int = 0, end: int | None = None, version: Version | None = None
    ) -> AsyncIterator[bytes]:
        """Yield the bytes of one version; after a break it goes on from the same byte of the same version."""
        if end is not None and end <= start:
            await self.require(path, version)
            return
        place, attempts = start, self._patience.begin()
        checksum: Checksum = Md5()
        expected = None
        while True:
            try:
                if (found := await self._open(path, place, end, version)) is None:
                    return
                if version is None or place == 0:
                    version = self._version_of(found)
                    if start == 0 and end is None:
                        checksum, expected = await self._checksum(path, found.meta["e_tag"], version)
                async for chunk in _chunks(found):
                    if expected is not None:
                        checksum.update(chunk)
                    place += len(chunk)
                    attempts.progress()
                    yield chunk
                _check_end(place, found.range[1])
                break
            except Passing as error:
                await attempts.again(error)
        if expected not in {None, checksum.text()} and await self._tag_is_md5(path):
            raise StoreError("The bytes that came are not those of the object's checksum.")

    async def read(
        self, path: str, *, start: int = 0, end: int | None = None, version: Version | None = None
    ) -> bytes:
        """Return the same bytes at once; corrupted ones are asked for again."""
        if start == 0 and end is None:
            return await self._patience.run(lambda: self._read_whole(path, version))
        return b"".join([chunk async for chunk in self.stream(path, start=start, end=end, version=version)])

    async def _read_whole(self, path: str, version: Version | None) -> bytes:
        if (found := await self._open(path, 0, None, version)) is None:
            return b""
        with told(path):
            data = bytes(await found.bytes_async())
        if not await self._is_whole(path, data, found.meta["e_tag"], self._version_of(found)):
            raise Passing("the bytes were changed on their way out")
        return data

    async def _open(
        self, path: str, start: int, end: int | None, version: Version | None
    ) -> GetResult | None:
        """Begin a read; None where the range begins behind the end."""
        try:
            return await self._get(path, start, end, version)
        except PastTheEnd:
            await self.require(path, version)
            return None
        except NotThere:
            await self.require(path, version)
            raise Passing("the object came into being just now") from None

    async def _get(self, path: str, start: int, end: int | None, version: Version | None) -> GetResult:
        options: dict[str, Any] = {} if version is None else self._dialect.read_options(version)
        if end is not None:
            options["range"] = (start, end)
        elif start:
            options["range"] = {"offset": start}
        with told(path):
            try:
                found = await obstore.get_async(self._objects, path, options=options)  # type: ignore[arg-type] # a plain dict
            except PreconditionFailed:
                raise NotThere from None
        if version not in {None, self._version_of(found)}:
            raise NotThere
        return found

    async def _look(self, path: str) -> GetResult:
        return await self._patience.run(lambda: self._look_once(path))

    async def _look_once(self, path: str) -> GetResult:
        try:
            with told(path):
                return await obstore.get_async(self._objects, path, options={"head": True})
        except NotThere:
            raise ObjectNotFound(f"There is no object at {path}.") from None

    async def _standing(self, path: str) -> GetResult | None:
        with suppress(ObjectNotFound):
            return await self._look(path)
        return None

    def _version_of(self, found: GetResult) -> Version:
        return self._dialect.version(found.meta, _mark_of(found))

    async def _is_whole(self, path: str, data: bytes, e_tag: str | None, version: Version) -> bool:
        """Tell whether `data` has the checksum that the store has for this version, where it has one."""
        checksum, expected = await self._checksum(path, e_tag, version)
        if expected is None or await digest(data, checksum) == expected:
            return True
        return not await self._tag_is_md5(path)

    async def _checksum(self, path: str, e_tag: str | None, version: Version) -> tuple[Checksum, str | None]:
        """Return an empty checksum of the kind that the store has for this version, and its value."""
        if (md5 := md5_of(e_tag)) is not None or self._crc32c_of is None:
            return Md5(), md5
        return Crc32c(), await self._crc32c_of(path, version)


def _mark_of(found: GetResult) -> str:
    return str(found.attributes.get(WRITE_MARK, ""))


def _check_end(place: int, end: int) -> None:
    if place != end:
        raise Passing("the answer broke off")


async def _always(path: str) -> bool:  # noqa: ARG001 - whichever it is
    return True


async def _chunks(found: GetResult) -> AsyncIterator[bytes]:
    with told(""):
        async for buffer in found.stream(min_chunk_size=_READ_BYTES):
            view = memoryview(buffer)
            for place in range(0, len(view), 2 * _READ_BYTES):
                yield bytes(view[place : place + 2 * _READ_BYTES])
