"""The fake's JSON API, and the two Google services beside it: tokens and IAM signBlob."""

from __future__ import annotations

import base64
import json
import re
from urllib.parse import parse_qs, unquote

from .gcs_http import Answer, Request, as_json, check_generation, continue_session, media, receive_body
from .gcs_objects import Body, Bucket, Json, Objects, Refused, Session, Stored, new_id
from .gcs_signature import EMAIL, ServiceAccount

IDENTITY = "an-identity-from-elsewhere"
"""The token of another provider that the fake's identity pool takes."""
_ANYTHING = (0, 5 * 1024**4)


class JsonApi:
    """`/storage/v1`, `/upload/storage/v1` and `/download/storage/v1`; every request carries a token."""

    def __init__(self, objects: Objects, account: ServiceAccount) -> None:
        self._objects = objects
        self._account = account

    async def answer(self, request: Request) -> Answer:
        path = request.path
        if path[0] == "upload":
            return await self._upload(request, path[4])
        self._account.check_bearer(request.asked)
        start = path.index("b") + 1
        bucket, rest = path[start] if len(path) > start else "", path[start + 1 :]
        if not rest:
            return await self._bucket(request, bucket)
        if rest[:2] == ["iam", "testPermissions"]:
            asked = parse_qs(request.asked.raw_query.decode()).get("permissions", [])
            return as_json({"kind": "storage#testIamPermissionsResponse", "permissions": asked})
        if len(rest) == 1:
            return self._list(request, bucket)
        return await self._object(request, bucket, "/".join(rest[1:]))

    async def _bucket(self, request: Request, name: str) -> Answer:
        if request.asked.method == "POST":
            body = await request.json()
            name = str(body["name"])
            self._objects.buckets.setdefault(name, Bucket(name)).config = body
        bucket = self._objects.bucket(name)
        if request.asked.method in {"PATCH", "PUT"}:
            bucket.config = {**bucket.config, **await request.json()}
        return as_json({"kind": "storage#bucket", "id": name, "name": name, **bucket.config})

    def _list(self, request: Request, bucket: str) -> Answer:
        query = request.query
        items, prefixes, after = self._objects.listing(
            bucket,
            prefix=query.get("prefix", ""),
            delimiter=query.get("delimiter", ""),
            after=base64.b64decode(query.get("pageToken", "")).decode(),
            limit=int(query.get("maxResults", 1000)),
        )
        page: Json = {"kind": "storage#objects", "prefixes": prefixes}
        page["items"] = [item.describe(request.origin) for item in items]
        if after:
            page["nextPageToken"] = base64.b64encode(after.encode()).decode()
        return as_json(page)

    async def _object(self, request: Request, bucket: str, name: str) -> Answer:
        if request.asked.method == "DELETE":
            self._objects.delete(bucket, name, _generation(request))
            return Answer(204)
        stored = self._objects.find(bucket, name)
        check_generation(request, stored)
        if request.asked.method == "PATCH":
            stored = self._objects.patch(stored, await request.json())
        elif request.query.get("alt") == "media":
            return media(request, stored)
        return as_json(stored.describe(request.origin))

    async def _upload(self, request: Request, bucket: str) -> Answer:
        if "upload_id" in request.query:
            session = self._objects.session(request.query["upload_id"])
            if request.asked.method == "DELETE":
                session.cancelled = True
                raise Refused(499, "ClientClosedRequest", "clientClosedRequest")
            return await continue_session(request, self._objects, session)
        self._account.check_bearer(request.asked)
        self._objects.bucket(bucket)
        kind = request.query.get("uploadType")
        if kind == "resumable":
            return await self._start(request, bucket)
        if kind == "multipart":
            described, body, content_type = await _parts(request)
        else:
            described, body = {}, await receive_body(request, _ANYTHING)
            content_type = request.header("content-type", "application/octet-stream")
        body.check(request.header("x-goog-hash"))
        _check_described(described, body)
        name = request.query.get("name") or str(described["name"])
        self._objects.require(bucket, name, _generation(request))
        kind = str(described.get("contentType") or content_type)
        stored = Stored(bucket, name, body, kind, 0, described.get("metadata") or {}, _fields(described))
        return as_json(self._objects.put(stored).describe(request.origin))

    async def _start(self, request: Request, bucket: str) -> Answer:
        described = await request.json()
        length = request.header("x-upload-content-length")
        kind = described.get("contentType") or request.header("x-upload-content-type")
        session = self._objects.begin(
            Session(
                new_id(),
                bucket,
                request.query.get("name") or str(described["name"]),
                str(kind or "application/octet-stream"),
                request.header("origin"),
                (int(length), int(length)) if length else _ANYTHING,
                _generation(request),
                described.get("metadata") or {},
                _fields(described),
            )
        )
        place = f"/upload/storage/v1/b/{bucket}/o?uploadType=resumable&upload_id={session.id}"
        return Answer(200, {"Location": request.origin + place, "X-GUploader-UploadID": session.id})


class Accounts:
    """Tokens for signed assertions and for other identities, the metadata server of a machine, and IAM."""

    def __init__(self, account: ServiceAccount) -> None:
        self._account = account
        self.signed = 0

    async def answer(self, request: Request) -> Answer:
        if request.path == ["token"]:
            form = parse_qs((await request.read()).decode())
            token = self._account.grant(form["assertion"][0])
            return as_json({"access_token": token, "expires_in": 3600, "token_type": "Bearer"})
        if request.path == ["v1", "token"]:
            form = parse_qs((await request.read()).decode())
            if form["subject_token"] != [IDENTITY]:
                raise Refused(400, "InvalidGrant", "invalid_grant", "No identity of this pool.")
            granted = {"access_token": self._account.token(), "expires_in": 3600, "token_type": "Bearer"}
            return as_json({**granted, "issued_token_type": "urn:ietf:params:oauth:token-type:access_token"})
        if ":" in request.path[-1]:
            return await self._iam(request)
        return self._metadata(request)

    async def _iam(self, request: Request) -> Answer:
        """Give a token or a signature of the service account to who has a token."""
        self._account.check_bearer(request.asked)
        email, _, method = unquote(request.path[-1]).partition(":")
        if email != EMAIL:
            raise Refused(403, "AccessDenied", "forbidden", "No such service account.")
        if method == "generateAccessToken":
            return as_json({"accessToken": self._account.token(), "expireTime": "2099-01-01T00:00:00Z"})
        if method == "signBlob":
            payload = base64.b64decode((await request.json())["payload"])
            self.signed += 1
            signature = base64.b64encode(self._account.sign(payload)).decode()
            return as_json({"keyId": "fake", "signedBlob": signature})
        raise Refused(404, "NotFound", "notFound", "No such method.")

    def _metadata(self, request: Request) -> Answer:
        """Answer as the metadata server of a Google machine does."""
        flavor = {"Metadata-Flavor": "Google"}
        if request.path[-1] == "token":
            token = {"access_token": self._account.token(), "expires_in": 3600, "token_type": "Bearer"}
            return as_json(token, headers=flavor)
        if request.path[-1] == "email":
            return Answer(200, {**flavor, "Content-Type": "text/plain"}, EMAIL.encode())
        if request.path[-1] == "project-id":
            return Answer(200, {**flavor, "Content-Type": "text/plain"}, b"fake-project")
        if "service-accounts" in request.path:
            found = {
                "email": EMAIL,
                "aliases": ["default"],
                "scopes": ["https://www.googleapis.com/auth/iam"],
            }
            return as_json(found, headers=flavor)
        return Answer(200, {**flavor, "Content-Type": "text/plain"}, b"ok")


def _generation(request: Request) -> int | None:
    text = request.query.get("ifGenerationMatch")
    return None if text is None else int(text)


def _fields(described: Json) -> dict[str, str]:
    return {name: described[name] for name in ("cacheControl", "contentDisposition") if name in described}


def _check_described(described: Json, body: Body) -> None:
    for name, actual in (("crc32c", body.crc32c), ("md5Hash", body.md5_text)):
        if described.get(name, actual) != actual:
            raise Refused(400, "BadDigest", "invalid", f"Provided {name} does not match the bytes.")


async def _parts(request: Request) -> tuple[Json, Body, str]:
    """Read a `multipart/related` upload: a description, then the bytes."""
    boundary = re.search(r'boundary="?\'?([^";\']+)', request.header("content-type"))
    if boundary is None:
        raise Refused(400, "InvalidArgument", "badContent", "No boundary.")
    _, first, second, _ = (await request.read()).split(b"--" + boundary[1].encode())
    _, _, described = first.partition(b"\r\n\r\n")
    headers, _, data = second.partition(b"\r\n\r\n")
    kind = re.search(rb"(?i)content-type: *([^\r\n]+)", headers)
    body = Body()
    body.add(data.removesuffix(b"\r\n"))
    return json.loads(described), body, kind[1].decode() if kind else "application/octet-stream"
