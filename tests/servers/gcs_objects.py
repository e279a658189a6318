"""What the fake of Google Cloud Storage keeps: buckets, objects, resumable sessions."""

from __future__ import annotations

import base64
import hashlib
import time
import uuid
from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import google_crc32c

Json = dict[str, Any]
CHUNK = 256 * 1024
LATEST = 1_700_000_000_000_000


class Refused(Exception):
    """A request that breaks one of Google's rules; `code` is the XML code, `reason` the JSON one."""

    def __init__(self, status: int, code: str, reason: str, message: str = "") -> None:
        super().__init__(message or code)
        self.status = status
        self.code = code
        self.reason = reason


def not_found() -> Refused:
    return Refused(404, "NoSuchKey", "notFound", "The specified key does not exist.")


def changed() -> Refused:
    return Refused(412, "PreconditionFailed", "conditionNotMet", "A precondition did not hold.")


class Body:
    """Bytes as they come in, with their checksums."""

    def __init__(self) -> None:
        self.data = bytearray()
        self._crc = google_crc32c.Checksum()
        self._md5 = hashlib.md5()

    def add(self, chunk: bytes) -> None:
        self.data += chunk
        self._crc.update(bytes(chunk))
        self._md5.update(chunk)

    @property
    def crc32c(self) -> str:
        return base64.b64encode(self._crc.digest()).decode()

    @property
    def md5(self) -> bytes:
        return self._md5.digest()

    @property
    def md5_text(self) -> str:
        return base64.b64encode(self.md5).decode()

    def check(self, hashes: str) -> None:
        """Compare with an `x-goog-hash` value such as `crc32c=…,md5=…`."""
        actual = {"crc32c": self.crc32c, "md5": self.md5_text}
        for part in filter(None, hashes.replace(" ", "").split(",")):
            name, _, value = part.partition("=")
            if actual.get(name, value) != value:
                raise Refused(400, "BadDigest", "invalid", f"The {name} did not match what was received.")


@dataclass(frozen=True, slots=True)
class Stored:
    """One object of one generation."""

    bucket: str
    name: str
    body: Body
    content_type: str
    generation: int
    metadata: dict[str, str] = field(default_factory=dict)
    fields: dict[str, str] = field(default_factory=dict)
    metageneration: int = 1
    created: float = field(default_factory=time.time)

    @property
    def size(self) -> int:
        return len(self.body.data)

    @property
    def etag(self) -> str:
        return f'"{self.body.md5.hex()}"'

    def describe(self, origin: str) -> Json:
        instant = datetime.fromtimestamp(self.created, UTC).isoformat(timespec="milliseconds")
        created = instant.replace("+00:00", "Z")
        return {
            "kind": "storage#object",
            "id": f"{self.bucket}/{self.name}/{self.generation}",
            "bucket": self.bucket,
            "name": self.name,
            "size": str(self.size),
            "contentType": self.content_type,
            "generation": str(self.generation),
            "metageneration": str(self.metageneration),
            "crc32c": self.body.crc32c,
            "md5Hash": self.body.md5_text,
            "etag": f"C{self.generation}",
            "timeCreated": created,
            "updated": created,
            "storageClass": "STANDARD",
            "metadata": self.metadata,
            "mediaLink": f"{origin}/download/storage/v1/b/{self.bucket}/o/x?alt=media",
            **self.fields,
        }


@dataclass(slots=True)
class Session:
    """A resumable upload under way. `lengths` is the size range that its start allowed."""

    id: str
    bucket: str
    name: str
    content_type: str
    origin: str
    lengths: tuple[int, int]
    if_generation: int | None
    metadata: dict[str, str]
    fields: dict[str, str]
    body: Body = field(default_factory=Body)
    done: Stored | None = None
    cancelled: bool = False


@dataclass(slots=True)
class Bucket:
    """`config` is the JSON of the bucket: cors, lifecycle and what else was patched into it.

    `order` holds the names of all objects by their bytes: a listing reads only what it tells.
    """

    name: str
    config: Json = field(default_factory=dict)
    public: bool = False
    objects: dict[str, Stored] = field(default_factory=dict)
    order: list[bytes] = field(default_factory=list)

    def put(self, stored: Stored) -> None:
        if stored.name not in self.objects:
            insort(self.order, stored.name.encode())
        self.objects[stored.name] = stored

    def remove(self, name: str) -> None:
        del self.objects[name]
        del self.order[bisect_left(self.order, name.encode())]

    def names(self, prefix: bytes, after: bytes) -> Iterator[str]:
        """Yield the names that start with `prefix` and come after `after`."""
        first = max(bisect_left(self.order, prefix), bisect_right(self.order, after))
        for place in range(first, len(self.order)):
            if not self.order[place].startswith(prefix):
                return
            yield self.order[place].decode()


class Objects:
    """All buckets; `hosts` maps a bucket-bound host name to its bucket."""

    def __init__(self, buckets: list[str]) -> None:
        self.buckets = {name: Bucket(name) for name in buckets}
        self.sessions: dict[str, Session] = {}
        self.hosts: dict[str, str] = {}
        self._generation = max(LATEST, int(time.time() * 1_000_000))

    def bucket(self, name: str) -> Bucket:
        if name not in self.buckets:
            raise Refused(404, "NoSuchBucket", "notFound", "The specified bucket does not exist.")
        return self.buckets[name]

    def find(self, bucket: str, name: str) -> Stored:
        found = self.bucket(bucket).objects.get(name)
        if found is None:
            raise not_found()
        return found

    def require(self, bucket: str, name: str, generation: int | None) -> None:
        """Refuse unless `generation` stands there; 0 means nothing does, None anything."""
        found = self.bucket(bucket).objects.get(name)
        if generation is not None and generation != (found.generation if found else 0):
            raise changed()

    def put(self, stored: Stored) -> Stored:
        self._generation += 1
        stored = replace(stored, generation=self._generation)
        self.bucket(stored.bucket).put(stored)
        return stored

    def patch(self, stored: Stored, change: Json) -> Stored:
        """Change what JSON may change of an object, under the same generation."""
        texts = {name: str(value) for name, value in change.items() if name in PATCHABLE}
        patched = replace(
            stored,
            content_type=str(change.get("contentType", stored.content_type)),
            metadata={**stored.metadata, **(change.get("metadata") or {})},
            fields={**stored.fields, **texts},
            metageneration=stored.metageneration + 1,
        )
        self.bucket(stored.bucket).put(patched)
        return patched

    def delete(self, bucket: str, name: str, generation: int | None) -> None:
        found = self.find(bucket, name)
        if generation is not None and generation != found.generation:
            raise changed()
        self.bucket(bucket).remove(name)

    def listing(
        self, bucket: str, *, prefix: str, delimiter: str, after: str, limit: int
    ) -> tuple[list[Stored], list[str], str]:
        """Return a page, the common prefixes in it, and the name to go on after ("" at the end)."""
        items: list[Stored] = []
        prefixes: list[str] = []
        listed = self.bucket(bucket)
        for name in listed.names(prefix.encode(), after.encode()):
            if len(items) + len(prefixes) >= limit:
                return items, prefixes, items[-1].name if items else after
            head, found, _ = name[len(prefix) :].partition(delimiter) if delimiter else ("", "", "")
            if found:
                common = prefix + head + delimiter
                prefixes += [] if common in prefixes else [common]
            else:
                items.append(listed.objects[name])
        return items, prefixes, ""

    def begin(self, session: Session) -> Session:
        self.require(session.bucket, session.name, session.if_generation)
        self.sessions[session.id] = session
        return session

    def session(self, session_id: str) -> Session:
        found = self.sessions.get(session_id)
        if found is None:
            raise Refused(404, "NoSuchUpload", "notFound", "There is no such upload session.")
        if found.cancelled:
            raise Refused(499, "ClientClosedRequest", "clientClosedRequest", "The upload was cancelled.")
        return found

    def finish(self, session: Session, hashes: str) -> Stored:
        """Turn the bytes of a session into its object."""
        size = len(session.body.data)
        check_length(size, session.lengths)
        session.body.check(hashes)
        self.require(session.bucket, session.name, session.if_generation)
        session.done = self.put(
            Stored(
                session.bucket,
                session.name,
                session.body,
                session.content_type,
                0,
                session.metadata,
                session.fields,
            )
        )
        return session.done


PATCHABLE = frozenset({"cacheControl", "contentDisposition", "contentEncoding", "contentLanguage"})


def new_id() -> str:
    return uuid.uuid4().hex


def check_length(size: int, lengths: tuple[int, int]) -> None:
    if size > lengths[1]:
        raise Refused(400, "EntityTooLarge", "invalid", "Your proposed upload is larger than the maximum.")
    if size < lengths[0]:
        raise Refused(400, "EntityTooSmall", "invalid", "Your proposed upload is smaller than the minimum.")
