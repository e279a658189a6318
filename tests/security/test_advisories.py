"""Known advisories of the framework and of what stands below and beside it, replayed: none finds anything."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import Final

import pytest

from tests.integration.program import Api, Running
from tests.security.test_hostile_http import request, send, status_of

pytestmark = pytest.mark.asyncio(loop_scope="session")

BODY: Final = json.dumps({"prompt": "x"}).encode()
FORM: Final = "multipart/form-data; boundary="
REFUSED: Final = frozenset({400, 401, 404, 405, 413, 415, 422, 431})
FIELD: Final = b'--b\r\nContent-Disposition: form-data; name="prompt"\r\n\r\n'


@dataclass(frozen=True)
class Advisory:
    """What was sent then: a request, of a user or by hand, and what may be answered."""

    id: str
    what: str
    sent: bytes
    answers: frozenset[int] = REFUSED
    never: bytes = b"root:"


def posted(kind: str, body: bytes, *lines: str) -> bytes:
    """Write a POST to a route that makes a job."""
    head = (f"Content-Type: {kind}", f"Content-Length: {len(body)}", "{token}", *lines)
    return request(*head, method="POST", path="/generate/image", body=body)


def got(path: str, *lines: str, host: str = "x") -> bytes:
    return request(*lines, path=path).replace(b"Host: x", f"Host: {host}".encode())


ADVISORIES: Final = (
    Advisory("CVE-2024-47874", "a form field without end", posted(FORM + "b", FIELD + b"x" * 900_000)),
    Advisory("CVE-2025-54121", "a file that is spooled on the loop", posted(FORM + "b", FIELD * 5_000)),
    Advisory("CVE-2025-62727", "ranges of a file that cost their square",
             got("/", "Range: bytes=" + ",".join(f"{n}-{n + 1}" for n in range(0, 16_000, 2))),
             frozenset({200, 206, 400, 416, 431})),
    Advisory("CVE-2026-48710", "a Host that moves the path", got("/jobs", host="x/openapi.json?")),
    Advisory("CVE-2026-48710", "a Host that moves the file", got("/assets/x", host="x/assets/../../?")),
    Advisory("CVE-2026-54282", "a path that moves the host", got("@evil.test/jobs")),
    Advisory("CVE-2026-54283", "limits of forms that are not kept", posted(
        "application/x-www-form-urlencoded", b"&".join(b"f%d=x" % n for n in range(50_000)))),
    Advisory("CVE-2023-29159", "a path out of the folder",
             got("/assets/..%2f..%2f..%2f..%2fetc/passwd")),
    Advisory("CVE-2024-24762", "a content type that takes for ever to read",
             posted('application/x-www-form-urlencoded; !="' + "\\" * 20_000, b"input=1")),
    Advisory("CVE-2021-32677", "JSON as text, as a foreign page may send it", posted("text/plain", BODY)),
    Advisory("CVE-2024-53981", "bytes after the last boundary",
             posted(FORM + "b", FIELD + b"x\r\n--b--\r\n" + b"\n" * 800_000)),
    Advisory("GHSA-59g5-xgcq-4qw3", "a boundary that is long", posted(FORM + "b" * 30_000, b"--b--")),
    Advisory("GHSA-mj87-hwqh-73pj", "a preamble without end", posted(FORM + "b", b"x\r\n" * 300_000)),
    Advisory("GHSA-pp6c-gr5w-3c5g", "headers of a part without end",
             posted(FORM + "b", b"--b\r\n" + b"A: b\r\n" * 100_000)),
    Advisory("GHSA-v9pg-7xvm-68hf", "a negative length", request("Content-Length: -1", method="POST")),
    Advisory("GHSA-vffw-93wf-4j4q", "two names of one part", posted(FORM + "b",
        b"--b\r\nContent-Disposition: form-data; name=\"a\"; name*=utf-8''prompt\r\n\r\nx\r\n--b--")),
    Advisory("CVE-2020-7694", "a path that writes to the log", got("/%0a[info]%20job.ended%1b[31m")),
    Advisory("CVE-2020-7695", "a path that writes a header", got("/m/x%0d%0aSet-Cookie:%20a=b"),
             never=b"\r\nSet-Cookie"),
    Advisory("CVE-2025-43859", "a chunk that ends in something else", request(
        "Transfer-Encoding: chunked", "{token}", "Content-Type: application/json", method="POST",
        path="/generate/image", body=b'f\r\n{"prompt": "x"}XX0\r\n\r\n')),
    Advisory("CVE-2023-37276", "a header after a line feed",
             got("/jobs", "A: b\nTransfer-Encoding: chunked")),
)  # fmt: skip


@pytest.mark.parametrize("advisory", ADVISORIES, ids=lambda each: f"{each.id} {each.what}")
async def test_an_advisory_finds_nothing(service: Running, api: Api, advisory: Advisory) -> None:
    """What once broke a release of the framework is refused, or answered like anything else, and soon."""
    sent = advisory.sent.replace(b"{token}", f"Authorization: {api.headers['Authorization']}".encode())
    began = time.perf_counter()
    answer = await send(service, sent)
    assert status_of(answer) in advisory.answers, answer[:300]
    assert advisory.never not in answer
    assert time.perf_counter() - began < 10
    assert (await api.get("/jobs"))["jobs"] == []
