"""Whether a bucket does what this service and its pages need, tried for real on a probe object.

Guarantee: what is found well here was done just now, with the bucket's own answers. The probe lives
under a reserved prefix, in no listing, and is deleted. Not looked at: quotas, costs, and pages of
origins that the settings do not name.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import partial
from typing import Final
from uuid import uuid4

import httpx2

from media_pipeline.clock import Clock
from media_pipeline.errors import MediaPipelineError
from media_pipeline.finding import Finding, find
from media_pipeline.jsonvalue import Json, JsonObject
from media_pipeline.storage.store import SigningStore

PREFIX: Final = "derived/doctor/"
PROBE: Final = b"media-pipeline doctor"
KIND: Final = "text/plain"
MAX_SKEW: Final = timedelta(minutes=1)
GUIDE: Final = "See deploy/gcs/README.md."
S3_GUIDE: Final = 'See "A bucket" in docs/operations.md.'
_REFUSED: Final = 400
_INCOMPLETE: Final = 308
_BIG: Final = 64 * 1024**2
_SOON: Final = timedelta(minutes=5)


Describe = Callable[[], Awaitable[JsonObject]]
"""Tells the bucket's own `lifecycle`; raises `StoreError` where it may not be seen."""


class CheckFailed(MediaPipelineError):
    """The bucket answers, but not as it has to."""


class BucketChecks:
    """Checks of one bucket, as pages of `origins` and this service use it; `public` if all may read it."""

    def __init__(
        self,
        store: SigningStore,
        http: httpx2.AsyncClient,
        *,
        origins: tuple[str, ...],
        clock: Clock,
        describe: Describe | None = None,
        public: bool = False,
        guide: str = GUIDE,
    ) -> None:
        self._store = store
        self._http = http
        self._origins = origins
        self._clock = clock
        self._describe = describe
        self._public = public
        self._guide = guide
        self._path = f"{PREFIX}{uuid4().hex}"

    async def run(self) -> AsyncIterator[Finding]:
        """Yield a finding for each check; access comes first, for without it none can work."""
        access = await find(
            "bucket access", self._use, mend=f"May the account read, write, list and delete? {self._guide}"
        )
        yield access
        if access.problem is not None:
            return
        yield await find("bucket clock", self._compare_clocks)
        yield await find("bucket signing", self._sign, mend=f"May the account sign, and write? {self._guide}")
        for origin in self._origins:
            mend = f"Name {origin} in the bucket's CORS rules. {self._guide}"
            yield await find(f"bucket CORS for {origin}", partial(self._ask_as_page, origin), mend=mend)
            yield await find(f"bucket sessions for {origin}", partial(self._resume, origin), mend=mend)
        if self._public:
            mend = f"Let everyone read objects, or leave MEDIA_URLS unset. {self._guide}"
            yield await find("bucket public base", self._read_public, mend=mend)
        if self._describe is not None:
            mend = "Apply deploy/gcs/lifecycle.json."
            yield await find("bucket lifecycle", partial(self._read_lifecycle, self._describe), mend=mend)

    async def _use(self) -> str:
        await self._store.upload(self._path, PROBE, KIND)
        try:
            if await self._store.read(self._path) != PROBE:
                raise CheckFailed("The bucket gives back other bytes than it was given.")
        finally:
            await self._store.delete(self._path)
        return "writes, reads and deletes"

    async def _compare_clocks(self) -> str:
        permission = await self._store.upload_presigned(self._path, KIND, size=len(PROBE))
        answer = await self._http.options(permission.url)
        theirs = parsedate_to_datetime(answer.headers["date"])
        skew = abs(datetime.fromtimestamp(self._clock.now(), UTC) - theirs)
        if skew > MAX_SKEW:
            raise CheckFailed(
                f"This machine's clock and the bucket's differ by {skew.total_seconds():,.0f} seconds, and "
                "signed URLs are judged by the bucket's. Set this clock by NTP."
            )
        return "agrees with this machine's to a minute"

    async def _sign(self) -> str:
        permission = await self._store.upload_presigned(self._path, KIND, size=len(PROBE))
        put = await self._http.put(permission.url, content=PROBE, headers=dict(permission.headers))
        try:
            _check_taken(put, "a signed PUT")
            again = await self._http.put(permission.url, content=PROBE, headers=dict(permission.headers))
            if again.status_code < _REFUSED:
                raise CheckFailed("A second PUT to a create-only URL overwrote the object.")
            got = await self._http.get(await self._sign_read())
            _check_taken(got, "a signed GET")
            if got.content != PROBE:
                raise CheckFailed("A signed GET gives other bytes than the signed PUT took.")
        finally:
            await self._store.delete(self._path)
        return "signed PUT and GET work, a second PUT is refused"

    async def _ask_as_page(self, origin: str) -> str:
        permission = await self._store.upload_presigned(self._path, KIND, size=len(PROBE))
        sent = sorted(name.lower() for name in permission.headers)
        asked = {"Access-Control-Request-Method": "PUT", "Access-Control-Request-Headers": ", ".join(sent)}
        preflight = await self._http.options(permission.url, headers={"Origin": origin, **asked})
        _check_allowed(preflight, origin)
        _check_listed(preflight, "access-control-allow-methods", "PUT")
        _check_listed(preflight, "access-control-allow-headers", *sent)
        got = await self._http.get(await self._sign_read(), headers={"Origin": origin})
        _check_allowed(got, origin)
        return "its pages may upload and read"

    async def _resume(self, origin: str) -> str:
        session = await self._store.upload_presigned(self._path, KIND, size=_BIG, origin=origin)
        if session.chunk_bytes is None:
            return "not used: this store has no resumable sessions"
        headers = {"Origin": origin, "Content-Range": f"bytes */{_BIG}"}
        try:
            asked = await self._http.put(session.url, content=b"", headers=headers)
            if asked.status_code != _INCOMPLETE:
                raise CheckFailed(f"A new session answered {_said(asked)}, not 308.")
            _check_allowed(asked, origin)
            _check_listed(asked, "access-control-expose-headers", "Range")
        finally:
            await self._http.delete(session.url)
        return "big uploads can be resumed"

    async def _read_public(self) -> str:
        url = await self._store.upload(self._path, PROBE, KIND)
        try:
            got = await self._http.get(url)
            _check_taken(got, "a GET of a public address")
            if got.content != PROBE:
                raise CheckFailed("MEDIA_PUBLIC_BASE_URL leads to other bytes than the bucket's.")
        finally:
            await self._store.delete(self._path)
        return "MEDIA_PUBLIC_BASE_URL leads to the bucket's objects"

    async def _read_lifecycle(self, describe: Describe) -> str:
        try:
            bucket = await describe()
        except MediaPipelineError as error:
            return f"cannot be seen ({error}), so it was not checked"
        lifecycle = bucket.get("lifecycle")
        rules = [rule for rule in _listed(lifecycle, "rule") if isinstance(rule, Mapping)]
        for rule in rules:
            if _type_of(rule) == "Delete" and not _spares_media(rule.get("condition")):
                raise CheckFailed(
                    f"A rule deletes what users own: {rule}. Give it a matchesPrefix outside media/."
                )
        if not any(_type_of(rule) == "AbortIncompleteMultipartUpload" for rule in rules):
            raise CheckFailed("No rule removes uploads that were never put together; they are billed.")
        return "removes what was left half-way, and nothing that users own"

    async def _sign_read(self) -> str:
        return await self._store.sign_read(self._path, expires_in=_SOON)


def _check_taken(answer: httpx2.Response, what: str) -> None:
    if answer.status_code >= _REFUSED:
        raise CheckFailed(f"The bucket refused {what}: {_said(answer)}.")


def _check_allowed(answer: httpx2.Response, origin: str) -> None:
    if answer.headers.get("access-control-allow-origin") not in {origin, "*"}:
        raise CheckFailed(f"The bucket does not let pages of {origin} use it.")


def _check_listed(answer: httpx2.Response, header: str, *wanted: str) -> None:
    given = {name.strip().lower() for name in answer.headers.get(header, "").split(",")}
    missing = [name for name in wanted if name.lower() not in given]
    if missing and "*" not in given:
        raise CheckFailed(f"The bucket's {header} lacks {', '.join(missing)}.")


def _said(answer: httpx2.Response) -> str:
    code = answer.text.partition("<Code>")[2].partition("</Code>")[0]
    return f"{answer.status_code} {code}".strip()


def _listed(value: Json | None, name: str) -> list[Json]:
    found = value.get(name) if isinstance(value, Mapping) else None
    return list(found) if isinstance(found, list) else []


def _type_of(rule: JsonObject) -> Json | None:
    action = rule.get("action")
    return action.get("type") if isinstance(action, Mapping) else None


def _spares_media(condition: Json | None) -> bool:
    """Whether a rule reaches only prefixes under which nothing of a user lives, or old versions alone."""
    prefixes = _listed(condition, "matchesPrefix")
    old_only = isinstance(condition, Mapping) and condition.get("isLive") is False
    return old_only or (bool(prefixes) and not any(_may_hold_media(str(each)) for each in prefixes))


def _may_hold_media(prefix: str) -> bool:
    return any(root.startswith(prefix) or prefix.startswith(root) for root in ("media/", "derived/")) and (
        not prefix.startswith(PREFIX)
    )
