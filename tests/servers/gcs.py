"""A fake of Google Cloud Storage, ours: `python -m tests.servers.gcs` prints its address.

It verifies what Google verifies (V4 signatures, tokens, content types, length ranges, generation
preconditions, resumable offsets, checksums, CORS) and injects faults. It knows Google's published
rules only, was never compared with Google's servers, and imports nothing of the program.

`POST /_control` takes `{"reset": true}`, `{"buckets": [name]}`, `{"faults": [rule, …], "seed": 1}`,
`{"public": [name]}`, `{"hosts": {"media.example.com": name}}`, `{"forget_tokens": true}` and answers with
the log of requests, the service account's JSON, open sessions, and the count of signBlob calls.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from typing import Any, Final
from urllib.parse import unquote

import uvicorn

from .gcs_faults import Cut, Entry, Faults, Rule, corrupted, cut, stall
from .gcs_http import Answer, Request, Unsatisfiable, as_json, json_error, xml_error
from .gcs_json import Accounts, JsonApi
from .gcs_objects import Bucket, Objects, Refused
from .gcs_signature import Asked, ServiceAccount
from .gcs_xml import XmlApi

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

BUCKETS: Final = ["media", "other"]
ACCOUNT_PATHS: Final = ("token", "v1", "computeMetadata")
JSON_PATHS: Final = ("storage", "upload", "download")
MEDIA_PIECE: Final = 256 * 1024


class FakeGcs:
    """The ASGI application."""

    def __init__(self) -> None:
        self.account = ServiceAccount()
        self.faults = Faults()
        self._reset()

    def _reset(self) -> None:
        self.objects = Objects(BUCKETS)
        self.accounts = Accounts(self.account)
        self.xml = XmlApi(self.objects, self.account)
        self.json = JsonApi(self.objects, self.account)
        self.faults.set([], 0)
        self.faults.log.clear()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        request = read_request(scope, receive)
        if request.path[0] == "_control":
            await respond(await self._control(request), request, send)
            return
        target = f"/{'/'.join(request.path)}?{request.asked.raw_query.decode('latin-1')}"
        entry = Entry(request.asked.method, target, _precondition(request))
        rule = self.faults.draw(entry.method, target)
        self.faults.log.append(entry)
        try:
            answer = await self._faulted(request, entry, rule)
        except ConnectionError:
            abort(receive)
            return
        entry.status = answer.status
        add_cors(self.objects, self.xml, request, answer)
        broken = rule is not None and rule.kind == "broken"
        await respond(answer, request, send, broken=broken)
        if broken:
            abort(receive)

    async def _faulted(self, request: Request, entry: Entry, rule: Rule | None) -> Answer:
        kind = entry.fault = rule.kind if rule else ""
        if kind in {"unavailable", "too_many"}:
            await request.read()
            status, code = (503, "ServiceUnavailable") if kind == "unavailable" else (429, "SlowDown")
            return self._refusal(request, Refused(status, code, "backendError", "Injected."))
        if rule and kind == "stall":
            await stall(rule.seconds)
        if kind in {"reset", "stall"}:
            raise ConnectionResetError
        length = int(request.header("content-length") or 0)
        if kind == "cut":
            request.body = cut(request.body, length // 2)
        if kind in {"corrupt", "corrupt_lost"} and length:
            request.body = corrupted(request.body)
        answer = await self._answer(request)
        entry.done = answer.status < 400
        if kind in {"lost", "corrupt_lost"} or (kind == "broken" and not answer.body):
            raise ConnectionResetError
        if kind == "corrupt" and not length and isinstance(answer.body, memoryview) and answer.body:
            answer.body = bytes([answer.body[0] ^ 1]) + bytes(answer.body[1:])
        return answer

    async def _answer(self, request: Request) -> Answer:
        try:
            if request.path[0] in ACCOUNT_PATHS or request.path == [""]:
                return await self.accounts.answer(request)
            if request.path[0] in JSON_PATHS and request.path[1:]:
                if request.asked.method == "OPTIONS":
                    return Answer(200)
                return await self.json.answer(request)
            return await self.xml.answer(request)
        except Unsatisfiable as error:
            return Answer(error.status, error.headers)
        except Refused as error:
            return self._refusal(request, error)

    def _refusal(self, request: Request, error: Refused) -> Answer:
        as_told = xml_error if request.path[0] not in (*ACCOUNT_PATHS, *JSON_PATHS) else json_error
        return as_told(error)

    async def _control(self, request: Request) -> Answer:
        given = await request.json()
        if given.get("reset"):
            self._reset()
        if "faults" in given:
            self.faults.set(given["faults"], given.get("seed", 0))
        for name in given.get("buckets", []):
            self.objects.buckets[name] = Bucket(name)
        for name in given.get("public", []):
            self.objects.bucket(name).public = True
        if given.get("forget_tokens"):
            self.account.forget_tokens()
        self.objects.hosts |= given.get("hosts", {})
        return as_json(
            {
                "account": self.account.info(request.origin),
                "log": self.faults.entries(),
                "open_sessions": sum(
                    not (each.done or each.cancelled) for each in self.objects.sessions.values()
                ),
                "signed": self.accounts.signed,
            }
        )


def read_request(scope: Scope, receive: Receive) -> Request:
    headers = [(name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in scope["headers"]]
    raw_path = scope.get("raw_path") or scope["path"].encode()
    asked = Asked(scope["method"], raw_path, scope["query_string"], headers)
    host, port = scope["server"]
    path = [unquote(part) for part in raw_path.decode("latin-1").split("/")[1:]]
    return Request(asked, path, f"http://{host}:{port}", _body(receive))


async def _body(receive: Receive) -> AsyncIterator[bytes]:
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Cut
        yield message.get("body", b"")
        if not message.get("more_body"):
            return


async def respond(answer: Answer, request: Request, send: Send, *, broken: bool = False) -> None:
    headers = {"Content-Length": str(len(answer.body)), **answer.headers}
    raw = [(name.lower().encode(), value.encode("latin-1")) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": answer.status, "headers": raw})
    body = memoryview(b"" if request.asked.method == "HEAD" else answer.body)
    if broken:
        await send({"type": "http.response.body", "body": bytes(body[: len(body) // 2]), "more_body": True})
        return
    for place in range(0, len(body), MEDIA_PIECE):
        piece = bytes(body[place : place + MEDIA_PIECE])
        await send({"type": "http.response.body", "body": piece, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


def abort(receive: Receive) -> None:
    """End the connection at once, as a machine that dies does; uvicorn keeps the transport here."""
    receive.__self__.transport.abort()  # type: ignore[attr-defined]


def add_cors(objects: Objects, xml: XmlApi, request: Request, answer: Answer) -> None:
    """Add CORS headers: a session by the origin that began it, JSON always, XML as the bucket says."""
    origin = request.header("origin")
    if not origin or "origin" in answer.headers:
        return
    session = objects.sessions.get(request.query.get("upload_id", ""))
    allowed: dict[str, str] | None
    if session is not None:
        allowed = _allow(session.origin, ["PUT", "GET", "DELETE"], ["*"]) if session.origin else None
    elif request.path[0] in JSON_PATHS:
        allowed = _allow(origin, ["GET", "PUT", "POST", "DELETE"], ["*"])
    else:
        allowed = _by_bucket(objects, xml.locate(request)[0], request, origin)
    answer.headers |= allowed or {}


def _by_bucket(objects: Objects, name: str, request: Request, origin: str) -> dict[str, str] | None:
    bucket = objects.buckets.get(name)
    method = request.header("access-control-request-method") or request.asked.method
    wanted = [part.strip().lower() for part in request.header("access-control-request-headers").split(",")]
    for rule in bucket.config.get("cors", []) if bucket else []:
        headers = [header.lower() for header in rule.get("responseHeader", [])]
        origin_fits = {"*", origin} & set(rule.get("origin", []))
        method_fits = {"*", method} & set(rule.get("method", []))
        headers_fit = "*" in headers or {each for each in wanted if each} <= set(headers)
        if origin_fits and method_fits and headers_fit:
            return _allow(origin, rule["method"], rule.get("responseHeader", []))
    return None


def _allow(origin: str, methods: list[str], headers: list[str]) -> dict[str, str]:
    return {
        "Access-Control-Allow-Origin": origin,
        "Access-Control-Allow-Methods": ",".join(methods),
        "Access-Control-Allow-Headers": ",".join(headers),
        "Access-Control-Expose-Headers": ",".join([*headers, "Range", "Location", "x-goog-generation"]),
        "Vary": "Origin",
    }


def _precondition(request: Request) -> str:
    return request.header("x-goog-if-generation-match") or request.query.get("ifGenerationMatch", "")


async def serve() -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # connections inherit it
    config = uvicorn.Config(FakeGcs(), log_level="critical", access_log=False, lifespan="off")
    print(f"http://127.0.0.1:{listener.getsockname()[1]}", flush=True)  # noqa: T201 - for who started it
    await uvicorn.Server(config).serve(sockets=[listener])


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(serve())
    sys.exit(0)
