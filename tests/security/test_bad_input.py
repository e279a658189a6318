"""Bad input: each gets a problem+json that says what to do, and none makes a job."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.integration.program import Api, Running, read_problem

pytestmark = pytest.mark.asyncio(loop_scope="session")

IMAGE, VIDEO = "/generate/image", "/generate/video"
X = {"prompt": "x"}
FOREIGN = "media/somebody/images/0_0.png"


@pytest.mark.parametrize(
    ("path", "body", "status", "code", "field"),
    [
        pytest.param(IMAGE, {}, 422, "invalid_request", "prompt", id="no prompt"),
        pytest.param(IMAGE, {"prompt": None}, 422, "invalid_request", "prompt", id="null prompt"),
        pytest.param(IMAGE, {"prompt": ""}, 422, "invalid_request", "prompt", id="empty prompt"),
        pytest.param(IMAGE, {"prompt": " \n\t"}, 422, "invalid_request", "prompt", id="blank prompt"),
        pytest.param(IMAGE, {"prompt": "x" * 8001}, 422, "invalid_request", "prompt", id="huge prompt"),
        pytest.param(IMAGE, {"prompt": "a\0b"}, 422, "invalid_request", "prompt", id="NUL"),
        pytest.param(IMAGE, {"prompt": "a\x1b[2J"}, 422, "invalid_request", "prompt", id="escape"),
        pytest.param(IMAGE, {"prompt": "\ud800"}, 422, "invalid_request", "prompt", id="lone surrogate"),
        pytest.param(IMAGE, {"prompt": ["x"]}, 422, "invalid_request", "prompt", id="prompt a list"),
        pytest.param(IMAGE, {**X, "n": 0}, 422, "invalid_request", "n", id="n=0"),
        pytest.param(IMAGE, {**X, "n": 9}, 422, "invalid_request", "n", id="n=9"),
        pytest.param(IMAGE, {**X, "n": 1.5}, 422, "invalid_request", "n", id="n=1.5"),
        pytest.param(IMAGE, {**X, "n": 10**30}, 422, "invalid_request", "n", id="n enormous"),
        pytest.param(IMAGE, {**X, "seed": -1}, 422, "invalid_request", "seed", id="seed negative"),
        pytest.param(IMAGE, {**X, "seed": 2**53}, 422, "invalid_request", "seed", id="seed beyond JSON"),
        pytest.param(IMAGE, {**X, "width": 0, "height": 64}, 422, "invalid_request", "width", id="no width"),
        pytest.param(IMAGE, {**X, "width": 8193}, 422, "invalid_request", "width", id="too wide for us"),
        pytest.param(
            IMAGE, {**X, "width": 4096, "height": 4096}, 422, "invalid_request", None, id="too wide"
        ),
        pytest.param(
            IMAGE, {**X, "width": 64, "aspectRatio": "1:1"}, 422, "invalid_request", "body", id="both shapes"
        ),
        pytest.param(
            IMAGE, {**X, "aspectRatio": "wide"}, 422, "invalid_request", "aspectRatio", id="no ratio"
        ),
        pytest.param(IMAGE, {**X, "aspectRatio": "7:5"}, 422, "invalid_request", None, id="other ratio"),
        pytest.param(IMAGE, {**X, "promt": "y"}, 422, "invalid_request", "promt", id="unknown field"),
        pytest.param(IMAGE, {**X, "\ud800": 1}, 422, "invalid_request", "body", id="field a surrogate"),
        pytest.param(
            IMAGE,
            {**X, **{f"f{number}": 1 for number in range(5000)}},
            422,
            "invalid_request",
            "f0",
            id="many fields",
        ),
        pytest.param(IMAGE, {**X, "provider": "midjourney"}, 422, "invalid_request", None, id="provider"),
        pytest.param(IMAGE, {**X, "model": "gpt-image-99"}, 422, "invalid_request", None, id="model"),
        pytest.param(IMAGE, {**X, "model": "loop"}, 422, "invalid_request", None, id="a video's model"),
        pytest.param(IMAGE, {**X, "priority": "high"}, 422, "invalid_request", "priority", id="priority"),
        pytest.param(IMAGE, {**X, "negativePrompt": "y"}, 422, "unsupported", None, id="not supported"),
        pytest.param(IMAGE, {**X, "images": [{"path": FOREIGN}]}, 404, "media_not_found", None, id="foreign"),
        pytest.param(
            IMAGE, {**X, "images": [{"path": "\ud800"}]}, 422, "invalid_request", "images.0.path", id="path"
        ),
        pytest.param(IMAGE, {**X, "images": [{"path": "../../etc"}]}, 404, "media_not_found", None, id=".."),
        pytest.param(
            IMAGE,
            {**X, "images": [{"path": "a", "role": "pose"}]},
            422,
            "invalid_request",
            "images.0.role",
            id="role",
        ),
        pytest.param(
            IMAGE, {**X, "images": [{"path": "a"}] * 9}, 422, "invalid_request", "images", id="nine images"
        ),
        pytest.param(IMAGE, [], 422, "invalid_request", "body", id="a list"),
        pytest.param(IMAGE, "x", 422, "invalid_request", "body", id="a string"),
        pytest.param(IMAGE, None, 422, "invalid_request", "body", id="nothing"),
        pytest.param(VIDEO, {}, 422, "invalid_request", "prompt", id="video without prompt"),
        pytest.param(VIDEO, {**X, "n": 2}, 422, "invalid_request", "n", id="two videos"),
        pytest.param(VIDEO, {**X, "seconds": 0}, 422, "invalid_request", "seconds", id="no seconds"),
        pytest.param(VIDEO, {**X, "seconds": 500}, 422, "invalid_request", None, id="too long"),
        pytest.param(VIDEO, {**X, "fps": 1000}, 422, "invalid_request", "fps", id="too fast"),
        pytest.param(VIDEO, {**X, "width": 65, "height": 64}, 422, "invalid_request", None, id="odd side"),
    ],
)
async def test_a_bad_request_is_explained(
    api: Api, path: str, body: Any, status: int, code: str, field: str | None
) -> None:
    """What cannot be done is refused with its reason and its field before there is a job."""
    answer = await api.ask("POST", path, body)
    assert read_problem(answer) == (status, code)
    fields = [error["field"] for error in answer.json().get("errors", [])]
    assert fields[:1] == ([] if field is None else [field])
    assert len(fields) <= 20
    assert len(answer.content) < 10_000
    assert (await api.get("/jobs"))["jobs"] == []


@pytest.mark.parametrize(
    "content",
    [
        b"{",
        b"",
        b"{'prompt': 'x'}",
        b'{"prompt": "x"} trailing',
        b'{"prompt": "\xff\xfe"}',
        b"[" * 20_000,
        b'{"n": ' + b"9" * 5000 + b"}",
    ],
)
async def test_what_is_not_json_is_told(api: Api, content: bytes) -> None:
    """A body that no JSON parser reads is a 400 or 422, never a 500."""
    headers = {**api.headers, "Content-Type": "application/json"}
    answer = await api.http.post(IMAGE, content=content, headers=headers)
    assert read_problem(answer)[0] in {400, 422}


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""]
)
async def test_a_body_of_another_type_is_refused(api: Api, kind: str) -> None:
    """JSON is read as JSON only where it says so: a page of another site cannot send it unasked."""
    answer = await api.http.post(
        IMAGE, content=b'{"prompt": "x"}', headers={**api.headers, "Content-Type": kind}
    )
    assert read_problem(answer)[0] in {415, 422}


@pytest.mark.parametrize("key", ["", "a b", "x" * 256, "\u00e9", "a\tb"])
async def test_an_odd_idempotency_key_is_refused(api: Api, key: str) -> None:
    """A key is 1 to 255 printable characters."""
    headers = {**api.headers, "Idempotency-Key": key}
    answer = await api.http.post(
        IMAGE, json=X, headers={name.encode(): value.encode() for name, value in headers.items()}
    )
    assert read_problem(answer) == (422, "invalid_request")


async def test_a_body_over_a_megabyte_or_with_too_many_values_is_not_read(api: Api) -> None:
    """Declared or chunked, more than 1 MiB is 413, and so is a small body full of brackets, at once."""

    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(40):
            yield b"x" * 65536

    large = b'{"prompt": "' + b"x" * 2**20 + b'"}'
    for content in (large, chunks(), b"[" * 50_000):
        answer = await api.http.post(IMAGE, content=content, headers=api.headers)
        assert read_problem(answer) == (413, "too_large")


@pytest.mark.parametrize("path", ["/jobs?cursor={}", "/media?cursor={}"])
@pytest.mark.parametrize(
    "cursor",
    [
        "x",
        "%00",
        "%F0%9F%98%80",
        "bnVsbA",
        "WzFlMzAwLCJ4Il0",
        "WyJuZXdlc3QiLDExODA1OTE2MjA3MTc0MTEzMDM0MjQsIngiXQ",
        "W1tbW1tbW1tb",
        "WyJvbGRlc3QiLDEsIngiXQ",
    ],
)
async def test_a_cursor_that_no_page_gave_is_refused(api: Api, path: str, cursor: str) -> None:
    """A made-up cursor is a 422, whatever number hides in it."""
    assert read_problem(await api.ask("GET", path.format(cursor))) == (422, "invalid_cursor")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nothing", 404),
        ("GET", "/jobs/", 404),
        ("GET", "/jobs/%2e%2e/media", 404),
        ("GET", "/jobs/..%2f..%2fetc", 404),
        ("GET", "/jobs/%00", 404),
        ("GET", "/jobs/" + "x" * 65, 422),
        ("GET", "/media?limit=0", 422),
        ("GET", "/media?limit=201", 422),
        ("GET", "/media?kind=poem", 422),
        ("GET", "/jobs?limit=x", 422),
        ("DELETE", "/media/media/" + "x" * 1025, 422),
        ("DELETE", "/media/..%2f..%2fetc%2fpasswd", 404),
        ("DELETE", "/media/%2e%2e/%2e%2e/etc/passwd", 404),
        ("DELETE", "/media/media%2fsomebody%2fimages%2f0_0.png", 404),
        ("DELETE", "/media/a%00b", 404),
        ("GET", "/storage/..%2f..%2fetc%2fpasswd", 404),
        ("GET", "/storage/%2e%2e/%2e%2e/etc/passwd", 404),
        ("GET", "/storage/media/%2e%2e/%2e%2e/x", 404),
        ("GET", "/storage//etc/passwd", 404),
        ("GET", "/storage/media%5c..%5cx", 404),
        ("GET", "/assets/..%2f..%2fpackage.json", 404),
        ("GET", "/assets/%2e%2e/package.json", 404),
        ("GET", "/..%2f..%2fetc%2fpasswd.svg", 404),
        ("POST", "/healthz", 405),
        ("PUT", "/generate/image", 405),
        ("DELETE", "/jobs", 405),
        ("GET", "/media/upload/init", 405),
        ("POST", "/storage/media/x", 405),
        ("GET", "/events?jobId=" + "x" * 65, 422),
    ],
)
async def test_odd_paths_and_methods_are_problems(api: Api, method: str, path: str, status: int) -> None:
    """Unknown paths, ways out of a folder and wrong methods are plain problems."""
    answer = await api.ask(method, path)
    assert read_problem(answer)[0] == status
    assert (status == 405) == ("allow" in answer.headers)


async def test_a_wrong_host_is_not_believed(service: Running, api: Api) -> None:
    """Addresses in answers come from the settings, never from a request's headers."""
    forged = {"Host": "evil.test", "X-Forwarded-Host": "evil.test", "X-Forwarded-Proto": "https"}
    answer = await api.ask(
        "POST", "/media/upload/init", {"filename": "a.png", "contentType": "image/png"}, headers=forged
    )
    assert answer.json()["uploadURL"].startswith(f"{service.http.base_url}".rstrip("/") + "/storage/")
    for path in ("/jobs/", "/media/upload/", "/events/"):
        assert "evil" not in str((await api.ask("GET", path, headers=forged)).headers)
