"""What the OpenAPI document promises, tried on the running service."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

import media_pipeline
from media_pipeline.api.problems import STATUS_BY_CODE
from media_pipeline.app import create_app
from media_pipeline.storage.tickets import Refusal
from tests.integration.program import Api, Running, read_problem, running

pytestmark = pytest.mark.asyncio(loop_scope="session")

OPEN = {"/healthz", "/readyz", "/metrics", "/openapi.json", "/docs"}
"""What answers without a token; `/storage/`, `/m/` and `/webhooks/` carry their own proof."""


def operations(document: Mapping[str, Any]) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield method.upper(), path, operation


def needs_token(path: str) -> bool:
    return path not in OPEN and not path.startswith(("/storage/", "/m/", "/webhooks/"))


def problem_codes() -> set[str]:
    """Return every `code` that an answer may carry, as the source names them; the docs list these."""
    source = "\n".join(file.read_text() for file in Path(media_pipeline.__file__).parent.rglob("*.py"))
    raised = set(re.findall(r'(?:Problem|problem_response)\(\s*\d{3},\s*"([a-z_]+)"', source))
    by_status = {"not_found", "method_not_allowed", "bad_request"}
    return raised | set(STATUS_BY_CODE) | {str(refusal) for refusal in Refusal} | by_status


async def test_every_operation_needs_a_token(service: Running) -> None:
    """Crawled from the document: nothing but the named few answers without a token, ids or not."""
    expected = (await service.http.get("/jobs")).content
    crawled = [
        (method, path)
        for method, path, _ in operations(create_app(service.program).openapi())
        if needs_token(path)
    ]
    assert {"/jobs/{job_id}", "/media/{path}", "/events", "/media/upload/complete"} <= {
        path for _, path in crawled
    }
    for method, path in crawled:
        somewhere = re.sub(r"\{\w+\}", "x", path.replace("{path}", "media/x/y"))
        answer = await service.http.request(method, somewhere, json={})
        assert (method, path, answer.status_code, answer.content) == (method, path, 401, expected)


async def test_every_operation_documents_its_errors(service: Running) -> None:
    """Each error is a documented problem: 401 where a token is needed, 404 for an id, 422 for a body."""
    for method, path, operation in operations(create_app(service.program).openapi()):
        answers = operation["responses"]
        for status, answer in answers.items():
            if int(status) >= 400:
                assert list(answer["content"]) == ["application/problem+json"], (method, path, status)
        wanted = {"401"} if needs_token(path) else set()
        wanted |= {"404"} if "{" in path else set()
        wanted |= {"422"} if "requestBody" in operation and needs_token(path) else set()
        assert wanted <= answers.keys(), (method, path)


async def test_every_operation_is_described(service: Running) -> None:
    """Each operation has a summary or a description, and each body an example or described fields."""
    for method, path, operation in operations(create_app(service.program).openapi()):
        assert operation.get("summary") or operation.get("description"), (method, path)


async def test_every_problem_has_a_known_code() -> None:
    """The list of codes that the docs repeat holds what the other tests meet."""
    assert {
        "unauthorized",
        "forbidden",
        "malformed_json",
        "invalid_request",
        "job_not_ended",
        "not_repeatable",
        "object_gone",
        "upload_expired",
        "upload_forbidden",
        "too_many_streams",
        "internal",
    } <= problem_codes()


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Host": "evil.test", "Sec-Fetch-Site": "same-origin"},
        {"Host": "evil.test", "Origin": "http://evil.test"},
        {"Host": "127.0.0.1.evil.test", "Sec-Fetch-Site": "same-origin"},
        {"Host": "localhost.evil.test:80", "Origin": "http://localhost.evil.test:80"},
        {"Origin": "http://evil.test"},
        {"Origin": "null"},
        {"Origin": "https://{host}"},
        {"Origin": "http://{host}.evil.test"},
        {"Origin": "http://localhost:1"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "none"},
        {"Origin": "http://evil.test", "Sec-Fetch-Site": "same-origin"},
        {"Origin": "https://{host}", "X-Forwarded-Proto": "https"},
    ],
)
async def test_the_studios_token_is_for_its_own_page(service: Running, headers: dict[str, str]) -> None:
    """Another host, another origin or another site gets no token."""
    host = service.http.base_url.netloc.decode()
    sent = {name: value.format(host=host) for name, value in headers.items()}
    answer = await service.http.get("/studio/token", headers=sent)
    assert read_problem(answer) == (403, "forbidden")


@pytest.mark.parametrize("headers", [{"Sec-Fetch-Site": "same-origin"}, {"Origin": "http://{host}"}])
async def test_the_studio_gets_its_token(service: Running, headers: dict[str, str]) -> None:
    """The page of this very service gets a token that works."""
    host = service.http.base_url.netloc.decode()
    sent = {name: value.format(host=host) for name, value in headers.items()}
    token = (await service.http.get("/studio/token", headers=sent)).json()["token"]
    answer = await service.http.get("/jobs", headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 200


async def test_a_production_service_gives_no_token() -> None:
    """With `AUTH_JWT_SECRET` set nobody gets a token from us."""
    async with running(auth_jwt_secret="x" * 32, providers=[]) as service:
        answer = await service.http.get("/studio/token", headers={"Sec-Fetch-Site": "same-origin"})
        assert read_problem(answer) == (404, "not_found")


async def test_only_named_origins_may_call() -> None:
    """CORS names exactly the origins of the settings, and none that only looks like one."""
    async with running(cors_origins="https://app.test", providers=[]) as service:

        async def allowed(origin: str) -> str | None:
            asked = {"Origin": origin, "Access-Control-Request-Method": "POST"}
            answer = await service.http.request("OPTIONS", "/generate/image", headers=asked)
            return answer.headers.get("access-control-allow-origin")

        assert await allowed("https://app.test") == "https://app.test"
        for origin in (
            "https://app.test.evil", "https://evil-app.test", "http://app.test", "null", "https://app.test:444",
            "https://APP.test", "https://app.test/", "https://app.test, https://evil.test", "https://x.app.test",
        ):  # fmt: skip
            assert await allowed(origin) is None


async def test_an_answer_to_a_page_is_for_that_page_alone() -> None:
    """No answer allows cookies or every origin, and caches are told that answers differ by origin."""
    async with running(cors_origins="https://app.test", providers=[]) as service:
        for origin in ("https://app.test", "https://evil.test"):
            answer = await service.http.get("/jobs", headers={"Origin": origin})
            mine = origin if origin == "https://app.test" else None
            assert answer.headers.get("access-control-allow-origin") == mine
            assert "access-control-allow-credentials" not in answer.headers
            assert "origin" in answer.headers["vary"].lower()


async def test_health_is_open_and_honest(service: Running, api: Api) -> None:
    """`/healthz` and `/readyz` answer without a token."""
    assert (await service.http.get("/healthz")).json()["status"] == "ok"
    assert (await service.http.get("/readyz")).json()["checks"] == {"database": "ok"}
    assert (await service.http.get("/docs")).status_code == 200
