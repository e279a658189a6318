"""Calls of providers: verified over the raw body, heard once, and never needed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing

import pytest

from media_pipeline.clock import SystemClock
from media_pipeline.generation.callbacks import Callbacks
from media_pipeline.generation.catalogue import Catalogue
from media_pipeline.generation.knocks import Knocks
from media_pipeline.generation.provider import GenerationRequest, Submitted
from media_pipeline.generation.providers.access import Access
from media_pipeline.generation.providers.fal import FalProvider
from media_pipeline.generation.providers.polling import Polling
from media_pipeline.generation.providers.replicate import ReplicateProvider
from media_pipeline.ids import JobId, UserId
from tests.clocks import FakeClock
from tests.integration.program import Running, read_problem, running
from tests.servers.fal import FalServer
from tests.servers.media import Shelf
from tests.servers.replicate import ReplicateServer

Fake = ReplicateServer | FalServer
ASKED = GenerationRequest(job_id=JobId("j"), user_id=UserId("u"), kind="image", prompt="x")


@pytest.fixture(params=[ReplicateServer, FalServer], ids=["replicate", "fal"])
def server(request: pytest.FixtureRequest) -> Iterator[Fake]:
    with Shelf.served() as shelf, request.param.served(shelf) as fake:
        yield fake


def name_of(server: Fake) -> str:
    return "replicate" if isinstance(server, ReplicateServer) else "fal"


def adapter(server: Fake, *, webhook_url: str | None = None) -> ReplicateProvider | FalProvider:
    name = name_of(server)
    access = Access(
        base_url=server.url, models=Catalogue.load().of(name), key=server.key, webhook_url=webhook_url
    )
    return ReplicateProvider(access) if name == "replicate" else FalProvider(access)


async def begun(server: Fake, *, webhook_url: str | None = None) -> str:
    """Submit a job and return the provider's own id of it."""
    provider = adapter(server, webhook_url=webhook_url)
    model = (await provider.models())[0]
    async with aclosing(provider.generate(ASKED, model)) as events:
        handle = await anext(event.handle async for event in events if isinstance(event, Submitted))
    await provider.aclose()
    return handle["id"]


@pytest.fixture
async def service(server: Fake) -> AsyncIterator[Running]:
    at = server.url
    async with running(
        replicate_api_token=server.key,
        replicate_base_url=at,
        fal_key=server.key,
        fal_base_url=at,
        fal_rest_url=at,
    ) as service:
        yield service


async def test_a_signed_call_is_taken(service: Running, server: Fake) -> None:
    """A call that the provider signed is taken, and taken again without complaint."""
    body, headers = server.webhook(await begun(server), at=time.time())
    for _ in range(2):
        answer = await service.http.post(f"/webhooks/{name_of(server)}", content=body, headers=headers)
        assert answer.status_code == 204, answer.text


async def test_any_other_call_is_refused(service: Running, server: Fake) -> None:
    """A changed byte, another time, one outside the window or no signature is 401."""
    job, path = await begun(server), f"/webhooks/{name_of(server)}"
    for fault, off in {"body": 0, "signature": 0, "time": 0, "old": -400, "future": 400, "none": 0}.items():
        body, headers = server.webhook(job, at=time.time() + off)
        stamp = next(name for name in headers if name.endswith("timestamp"))
        signature = next(name for name in headers if name.endswith("signature"))
        if fault == "body":
            body += b" "
        elif fault == "signature":
            headers[signature] = headers[signature].translate(str.maketrans("0123456789ab", "123456789ab0"))
        elif fault == "time":
            headers[stamp] = str(int(headers[stamp]) + 1)
        elif fault == "none":
            del headers[signature]
        answer = await service.http.post(path, content=body, headers=headers)
        assert (fault, *read_problem(answer)) == (fault, 401, "webhook_refused")


@pytest.mark.parametrize("stamp", ["9" * 5000, "-1", "1e9", "\N{SUPERSCRIPT TWO}"])
async def test_a_time_that_is_none_is_refused(service: Running, server: Fake, stamp: str) -> None:
    """Whatever stands where a time should, the answer is 401."""
    body, headers = server.webhook(await begun(server), at=time.time())
    headers[next(name for name in headers if name.endswith("timestamp"))] = stamp
    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    answer = await service.http.post(f"/webhooks/{name_of(server)}", content=body, headers=raw)
    assert read_problem(answer) == (401, "webhook_refused")


async def test_a_call_that_cannot_be_checked_may_come_again(server: Fake) -> None:
    """While a provider does not say how it signs, its calls are 503 and tell nobody's secrets."""
    body, headers = server.webhook(await begun(server), at=time.time())
    away = "http://127.0.0.1:9"
    async with running(
        replicate_api_token="r", replicate_base_url=away, fal_key="f", fal_base_url=away, fal_rest_url=away
    ) as service:
        answer = await service.http.post(f"/webhooks/{name_of(server)}", content=body, headers=headers)
        assert read_problem(answer) == (503, "keys_unavailable")
        assert answer.headers["retry-after"]


async def test_a_provider_that_is_off_takes_no_calls() -> None:
    """A call for a provider that is not configured, or does not call back, is 404."""
    async with running() as service:
        for name in ("replicate", "procedural"):
            answer = await service.http.post(f"/webhooks/{name}", content=b"{}")
            assert read_problem(answer)[0] == 404


@pytest.mark.parametrize("url", ["https://media.example.com/webhooks/x", None])
async def test_a_webhook_is_registered_where_it_can_reach(url: str | None, server: Fake) -> None:
    """The provider is told our public address, and nothing where there is none."""
    await begun(server, webhook_url=url)
    submit = next(request for request in server.requests if server.place(request) == "submit")
    told = submit.json.get("webhook") if name_of(server) == "replicate" else submit.query.get("fal_webhook")
    assert told == url


async def test_a_knock_asks_at_once() -> None:
    """A job that is waited for is asked about as soon as its provider calls, not when its time comes."""
    clock, knocks, asked = FakeClock(), Knocks(), []

    async def ask() -> int:
        asked.append(clock.monotonic())
        return len(asked)

    watching = Polling(clock, provider="acme", knocks=knocks).watch(ask, job="42")
    assert await anext(watching) == 1
    following = asyncio.ensure_future(anext(watching))
    await clock.until_sleeping()
    knocks.knock("acme", "another")
    assert not following.done()
    knocks.knock("acme", "42")
    clock.advance(0.05)  # the place in the line of questions
    assert await following == 2
    await watching.aclose()


async def test_a_repeated_call_knocks_once(server: Fake) -> None:
    """A call that is delivered again has no second effect."""
    heard: list[bytes] = []
    job = await begun(server)
    provider = adapter(server)
    if isinstance(provider, FalProvider):
        access = Access(
            base_url=server.url, models=(), key="k", webhook_keys_url=f"{server.url}/.well-known/jwks.json"
        )
        await provider.aclose()
        provider = FalProvider(access)
    callbacks = Callbacks(provider, Knocks(heard.append))
    body, headers = server.webhook(job, at=SystemClock().now())
    for _ in range(3):
        await callbacks.take(headers, body)
    assert heard == [f"{provider.name}\n{job}".encode()]
    await provider.aclose()
