"""A provider that is elsewhere, from the key in the settings to the picture in the library."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from tests.integration.program import Running, read_problem, running
from tests.servers.fal import FalServer
from tests.servers.media import Shelf
from tests.servers.replicate import NSFW, ReplicateServer


@pytest.fixture
def shelf() -> Iterator[Shelf]:
    with Shelf.served() as shelf:
        yield shelf


@pytest.fixture
def replicate(shelf: Shelf) -> Iterator[ReplicateServer]:
    with ReplicateServer.served(shelf) as server:
        yield server


@pytest.fixture
def fal(shelf: Shelf) -> Iterator[FalServer]:
    with FalServer.served(shelf) as server:
        yield server


@pytest.fixture
async def service(shelf: Shelf, replicate: ReplicateServer, fal: FalServer) -> AsyncIterator[Running]:
    async with running(
        replicate_api_token=replicate.key,
        replicate_base_url=replicate.url,
        fal_key=fal.key,
        fal_base_url=fal.url,
        media_result_origins=shelf.url,
    ) as service:
        yield service


async def test_what_can_be_asked_for_and_what_it_gives(
    service: Running, replicate: ReplicateServer, fal: FalServer
) -> None:
    """What `GET /providers` shows is checked before anything is queued, and what fits becomes a result."""
    api = service.user("ann")
    offered = (await api.get("/providers"))["providers"]
    first = offered[0]
    assert {each["provider"] for each in offered} == {"replicate", "fal"}
    assert (first["provider"], first["progress"], first["sizes"]["16:9"]) == (
        "replicate",
        "logs",
        [1344, 768],
    )
    assert first["price"] == {"usd": 0.003, "per": "image"}

    wrong = {"prompt": "x", "provider": "replicate", "model": first["model"], "width": 100, "height": 100}
    refused = await api.ask("POST", "/generate/image", wrong)
    assert read_problem(refused) == (422, "invalid_request")
    assert "1344x768 (16:9)" in refused.json()["detail"]

    job_id = await api.generate(aspectRatio="1:1", n=2, seed=7)
    history = await api.history(job_id)
    result = history[-1].data["result"]
    assert [(item["width"], item["contentType"]) for item in result["items"]] == [(1024, "image/png")] * 2
    assert (result["provider"], result["seed"], result["usage"]["predict_time"]) == ("replicate", 7, 1.25)
    assert (replicate.billed, fal.billed) == (1, 0)


async def test_the_provider_s_refusal_is_the_job_s(
    service: Running, replicate: ReplicateServer, fal: FalServer
) -> None:
    """A refusal of the content fails the job at once with the provider's words, and nobody else is asked."""
    replicate.end_next("flagged")
    api = service.user("ann")
    job_id = await api.generate(aspectRatio="1:1")
    end = await api.end(job_id)
    assert end.data == {
        "jobId": job_id,
        "error": NSFW,
        "code": "content_policy_output",
        "retryable": False,
    }
    assert (replicate.billed, fal.billed) == (1, 0)


async def test_the_next_provider_takes_over_on_the_wire(
    service: Running, replicate: ReplicateServer, fal: FalServer
) -> None:
    """A provider that is overloaded loses the job to the next one, and the job shows both."""
    replicate.arm("submit", ReplicateServer.FAULTS["unavailable"][0])
    api = service.user("ann")
    job_id = await api.generate(aspectRatio="1:1")
    assert (await api.end(job_id)).name == "generation_complete"
    attempts = (await api.job(job_id))["attempts"]
    assert [(each["provider"], each["error"]) for each in attempts] == [
        ("replicate", "replicate: Try again later"),
        ("fal", None),
    ]
    assert (replicate.billed, fal.billed) == (0, 1)
