"""Every route that takes an id, asked by everybody; the OpenAPI document says which there are."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final
from uuid import uuid4

import httpx2
import pytest
import pytest_asyncio

from media_pipeline.api.scopes import ALL, EVERYDAY
from media_pipeline.app import build_tokens, create_app
from media_pipeline.environment import read_settings
from media_pipeline.ids import UserId
from media_pipeline.program import Program
from tests.integration.program import Api, Running, Scripted, picture, running

pytestmark = pytest.mark.asyncio(loop_scope="session")

IDS: Final = frozenset({"job_id", "jobId", "path", "paths", "objectPath", "user"})
"""What parameters and fields that name a thing are called."""
OWN_PROOF: Final = ("/storage/", "/m/", "/webhooks/")
NOBODYS_JOB: Final = "00000000-0000-4000-8000-000000000000"
NOBODYS_PATH: Final = f"media/nobody/{NOBODYS_JOB}/a.png"

Sent = tuple[str, object]
Make = Callable[[Api], Awaitable[str]]


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One route: how its owner gets an id, how it is asked, and what is answered to whom."""

    make: Make
    ask: Callable[[str], Sent]
    nobodys: str
    scope: str
    owner: int
    other: int = 404
    admin: bool = False


async def name(api: Api) -> str:
    return api.user


async def job(api: Api) -> str:
    return await api.generate()


async def stopped_job(api: Api) -> str:
    job_id = await api.generate()
    assert (await api.ask("POST", f"/jobs/{job_id}/cancel")).status_code == 202
    await api.end(job_id)
    return job_id


async def item(api: Api) -> str:
    return str((await api.upload(picture()))["objectPath"])


async def put(api: Api) -> str:
    permission = await api.init(filename="a.png", contentType="image/png")
    assert (await api.put(permission, picture())).status_code == 200
    return str(permission["objectPath"])


def entry_of_job(path: str, *, make: Make = job, **facts: Any) -> Entry:
    return Entry(make=make, ask=lambda it: (path.format(it), None), nobodys=NOBODYS_JOB, **facts)


def entry_of_path(ask: Callable[[str], Sent], *, make: Make = item, **facts: Any) -> Entry:
    return Entry(make=make, ask=ask, nobodys=NOBODYS_PATH, **facts)


def drawn_from(kind: str) -> Callable[[str], Sent]:
    role = {"image": "init", "video": "first_frame"}[kind]
    return lambda it: (f"/generate/{kind}", {"prompt": "x", "images": [{"path": it, "role": role}]})


MATRIX: Final[Mapping[tuple[str, str], Entry]] = {
    ("GET", "/jobs/{job_id}"): entry_of_job("/jobs/{}", scope="read", owner=200, admin=True),
    ("POST", "/jobs/{job_id}/cancel"): entry_of_job(
        "/jobs/{}/cancel", scope="generate", owner=202, admin=True
    ),
    ("POST", "/jobs/{job_id}/retry"): entry_of_job(
        "/jobs/{}/retry", make=stopped_job, scope="generate", owner=202
    ),
    ("GET", "/events"): entry_of_job("/events?jobId={}", scope="read", owner=200),
    ("GET", "/jobs"): Entry(
        make=name, ask=lambda it: (f"/jobs?user={it}", None),
        nobodys="nobody", scope="read", owner=200, other=403, admin=True,
    ),
    ("DELETE", "/media/{path}"): entry_of_path(lambda it: (f"/media/{it}", None), scope="upload", owner=204),
    ("PATCH", "/media/{path}"): entry_of_path(
        lambda it: (f"/media/{it}", {"name": "b.png"}), scope="upload", owner=200
    ),
    ("POST", "/media/delete"): entry_of_path(
        lambda it: ("/media/delete", {"paths": [it]}), scope="upload", owner=200, other=200
    ),
    ("POST", "/media/process"): entry_of_path(
        lambda it: ("/media/process", {"path": it, "operation": {"type": "strip"}}), scope="upload", owner=202
    ),
    ("POST", "/media/upload/complete"): entry_of_path(
        lambda it: ("/media/upload/complete", {"objectPath": it}), make=put, scope="upload", owner=200
    ),
    ("POST", "/media/upload/progress"): entry_of_path(
        lambda it: ("/media/upload/progress", {"objectPath": it, "loaded": 1, "total": 2}),
        make=put, scope="upload", owner=204,
    ),
    # The scripted model takes no pictures, so an owner is refused for that, after his picture was found.
    ("POST", "/generate/image"): entry_of_path(drawn_from("image"), scope="generate", owner=422),
    ("POST", "/generate/video"): entry_of_path(drawn_from("video"), scope="generate", owner=422),
}  # fmt: skip


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def held() -> AsyncIterator[Running]:
    """A program whose provider never answers."""
    async with running(
        providers=[Scripted(scripts=[[asyncio.Event()]])], media_grace_seconds=0, media_concurrency=50
    ) as service:
        yield service


def ids_of(document: Mapping[str, Any], operation: Mapping[str, Any]) -> frozenset[str]:
    """Return the names of everything in an operation's request that names a thing."""
    body = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
    return IDS & {
        *(parameter["name"] for parameter in operation.get("parameters", ())),
        *fields_of(document, body, set()),
    }


def fields_of(document: Mapping[str, Any], schema: Any, seen: set[str]) -> Iterator[str]:
    if isinstance(schema, list):
        for each in schema:
            yield from fields_of(document, each, seen)
    elif isinstance(schema, dict):
        name = schema.get("$ref", "").rpartition("/")[2]
        if name and name not in seen:
            seen.add(name)
            yield from fields_of(document, document["components"]["schemas"][name], seen)
        yield from schema.get("properties", {})
        for each in schema.values():
            yield from fields_of(document, each, seen)


async def test_the_matrix_is_complete() -> None:
    """A route that takes an id and is not in the matrix fails here; so does one that is gone."""
    document = create_app(Program(read_settings())).openapi()
    found = {
        (method.upper(), path)
        for path, operations in document["paths"].items()
        if not path.startswith(OWN_PROOF)
        for method, operation in operations.items()
        if ids_of(document, operation)
    }
    assert found - {("GET", "/media")} == MATRIX.keys()


async def asked(http: httpx2.AsyncClient, method: str, sent: Sent, token: str | None) -> tuple[int, bytes]:
    """Ask, and return status and body; of a stream that opens, the status alone."""
    path, body = sent
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    async with http.stream(method, path, headers=headers, json=body) as answer:
        endless = answer.headers.get("content-type", "").startswith("text/event-stream")
        return answer.status_code, b"" if endless else await answer.aread()


@pytest.mark.parametrize("route", MATRIX, ids=" ".join)
async def test_an_id_is_of_use_to_its_owner_alone(held: Running, route: tuple[str, str]) -> None:
    """Anonymous and expired are the one 401, a wrong scope is 403, another's is as if it were missing."""
    method, entry = route[0], MATRIX[route]
    tokens = build_tokens(held.program.settings)
    owner, other = held.user(f"owner-{uuid4().hex}"), UserId(f"other-{uuid4().hex}")
    theirs = await entry.make(owner)

    async def ask(token: str | None, target: str = theirs) -> tuple[int, bytes]:
        status, body = await asked(held.http, method, entry.ask(target), token)
        return status, body.replace(target.encode(), b"ID")

    anonymous = await ask(None)
    assert anonymous == await asked(held.http, "GET", ("/media/usage", None), None)
    assert anonymous[0] == 401
    assert await ask(tokens.issue(UserId(owner.user), seconds=-3600)) == anonymous
    status, body = await ask(tokens.issue(UserId(owner.user), scopes=EVERYDAY - {entry.scope}))
    assert (status, b"insufficient_scope" in body) == (403, True)
    foreign = await ask(tokens.issue(other))
    assert foreign == await ask(tokens.issue(other), entry.nobodys)
    assert foreign[0] == entry.other
    admin = await ask(tokens.issue(other, scopes=ALL), await entry.make(owner))
    assert admin[0] == (entry.owner if entry.admin else entry.other)
    assert (await ask(owner.headers["Authorization"].removeprefix("Bearer ")))[0] == entry.owner


async def test_an_admin_steers_jobs_and_nothing_else(held: Running) -> None:
    """Who lists another's jobs sees them and no others, and sees none of their items."""
    owner = held.user(f"owner-{uuid4().hex}")
    mine = await owner.generate()
    await item(owner)
    token = build_tokens(held.program.settings).issue(UserId("root"), scopes=ALL)
    admin = Api(held.http, "root", token)
    listed = await admin.get(f"/jobs?user={owner.user}")
    assert mine in {each["jobId"] for each in listed["jobs"]}
    assert listed == await owner.get("/jobs")
    assert await admin.items() == []
    assert (await admin.get("/jobs"))["jobs"] == []


async def test_a_list_shows_nothing_of_others(held: Running) -> None:
    """No filter of the library reaches past its user's root."""
    owner, other = (held.user(f"user-{uuid4().hex}") for _ in range(2))
    path = await item(owner)
    for prefix in ("", path, f"media/{owner.user}/", f"../{owner.user}/", "../", "/", "%2e%2e/", "."):
        answer = await other.ask("GET", f"/media?prefix={prefix}")
        assert answer.status_code in {200, 422}
        assert path not in answer.text
