"""HTTP to a provider: every fault in one vocabulary, keys to one origin, no secret in an error."""

from __future__ import annotations

from collections.abc import Iterator
from email.utils import formatdate

import httpx2
import pytest

from media_pipeline.generation.provider import ErrorCode, ProviderError
from media_pipeline.generation.providers import wire as wires
from media_pipeline.generation.providers.wire import Wire, find_message, read_retry_after
from tests.servers.web import (
    CUT,
    HTML_PAGE,
    LOST,
    MALFORMED,
    Answer,
    Fault,
    Gate,
    Request,
    Web,
    as_json,
    held,
)
from tests.unit.generation.scripted import NotingClock

KEY = "sk-very-secret"
NOW = NotingClock().now()


class Echo(Web):
    """Answers with what it was asked."""

    def place(self, request: Request) -> str:
        return "ask"

    def answer(self, request: Request) -> Answer:
        return as_json({"path": request.path, "key": request.headers.get("authorization")})


@pytest.fixture
def server() -> Iterator[Echo]:
    with Echo.served() as echo:
        yield echo


def wired(url: str) -> Wire:
    return Wire(
        "acme",
        base_url=f"{url}/v1",
        clock=NotingClock(),
        headers={"Authorization": f"Bearer {KEY}"},
        secrets=[KEY],
    )


async def failure(server: Web, fault: Fault) -> ProviderError:
    server.arm("ask", fault)
    wire = wired(server.url)
    try:
        with pytest.raises(ProviderError) as caught:
            await wire.ask_object("POST", "jobs", json={"a": 1})
    finally:
        await wire.aclose()
    assert caught.value.provider == "acme"
    return caught.value


async def test_a_relative_address_is_the_provider_s(server: Echo) -> None:
    """An address without an origin is below the base URL and gets the key."""
    wire = wired(server.url)
    assert await wire.ask_object("GET", "jobs/1") == {"path": "/v1/jobs/1", "key": f"Bearer {KEY}"}
    await wire.aclose()


async def test_the_key_stays_with_its_origin(server: Echo) -> None:
    """An address of another origin is asked without the key, also where only the port differs."""
    wire = wired("http://127.0.0.1:1")
    assert await wire.ask_object("GET", f"{server.url}/v1/jobs") == {"path": "/v1/jobs", "key": None}
    await wire.aclose()


async def test_a_redirect_is_not_followed(server: Echo) -> None:
    """An answer that points elsewhere is a fault, not a second request."""
    moved = Answer(307, b"", {"location": "http://127.0.0.1:1/"})
    assert (await failure(server, Fault(moved))).reason is ErrorCode.PROVIDER
    assert len(server.requests) == 1


@pytest.mark.parametrize(("status", "reason"), list(wires.REASONS.items()))
async def test_a_status_has_its_reason(status: int, reason: ErrorCode, server: Echo) -> None:
    """Every status of the table raises its reason with the provider's sentence."""
    error = await failure(server, Fault(as_json({"error": {"message": "No."}}, status)))
    assert (error.reason, str(error), error.sent) == (reason, "acme: No.", True)


@pytest.mark.parametrize(("status", "reason"), [(418, ErrorCode.INVALID_REQUEST), (599, ErrorCode.PROVIDER)])
def test_an_unknown_status_goes_by_its_class(status: int, reason: ErrorCode) -> None:
    """A status that is not in the table means what its class says."""
    reply = wires.Reply(status, httpx2.Headers(), b"")
    assert wired("http://acme.test").refusal(reply).reason is reason


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        pytest.param(HTML_PAGE, ErrorCode.NETWORK, id="a proxy's page"),
        pytest.param(Fault(Answer(200, b"<html>sign in</html>")), ErrorCode.NETWORK, id="a portal's page"),
        pytest.param(MALFORMED, ErrorCode.NETWORK, id="half an object"),
        pytest.param(Fault(as_json(["list"])), ErrorCode.NETWORK, id="no object"),
        pytest.param(CUT, ErrorCode.NETWORK, id="cut off"),
        pytest.param(LOST, ErrorCode.NETWORK, id="hung up"),
    ],
)
async def test_an_answer_that_cannot_be_read_is_lost(fault: Fault, reason: ErrorCode, server: Echo) -> None:
    """What cannot be read is as if it had been lost on the way: the request may have had its effect."""
    error = await failure(server, fault)
    assert (error.reason, error.sent) == (reason, True)


async def test_a_slow_answer_is_a_timeout(server: Echo) -> None:
    """An answer that takes longer than it may is TIMEOUT."""
    gate = Gate()
    server.arm("ask", held(gate))
    wire = wired(server.url)
    with pytest.raises(ProviderError) as caught:
        await wire.ask("GET", "jobs", seconds=0.05)
    gate.open()
    assert (caught.value.reason, caught.value.sent) == (ErrorCode.TIMEOUT, True)
    await wire.aclose()


async def test_a_dead_server_was_asked_nothing() -> None:
    """Where no connection came about the request was surely not sent."""
    wire = wired("http://127.0.0.1:1")
    with pytest.raises(ProviderError) as caught:
        await wire.ask("POST", "jobs")
    assert (caught.value.reason, caught.value.sent) == (ErrorCode.NETWORK, False)
    await wire.aclose()


async def test_an_endless_answer_is_given_up(server: Echo, monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer larger than any real one is not read to its end."""
    monkeypatch.setattr(wires, "MAX_ANSWER", 100)
    error = await failure(server, Fault(Answer(200, [b"x" * 60] * 10)))
    assert error.reason is ErrorCode.BAD_OUTPUT


async def test_no_error_holds_the_key(server: Echo) -> None:
    """A provider that repeats the key in its refusal does not get it into the job's record."""
    error = await failure(server, Fault(as_json({"detail": f"Bad key {KEY}\nretry"}, 401)))
    assert str(error) == "acme: Bad key … retry"


async def test_the_wait_is_the_provider_s(server: Echo) -> None:
    """`Retry-After` of a refusal is on the error."""
    error = await failure(server, Fault(as_json({}, 429, retry_after="7")))
    assert (error.reason, error.retry_after) == (ErrorCode.RATE_LIMITED, 7.0)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "3"}, 3.0),
        ({"retry-after": "1.5"}, 1.5),
        ({"retry-after": formatdate(NOW + 60, usegmt=True)}, 60.0),
        ({"retry-after": formatdate(NOW - 60, usegmt=True)}, 0.0),
        ({"retry-after-ms": "250", "retry-after": "9"}, 0.25),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "-5"}, None),
        ({"retry-after-ms": "nan"}, None),
        ({"retry-after": "inf"}, None),
    ],
)
def test_retry_after_is_read_in_every_form(headers: dict[str, str], seconds: float | None) -> None:
    """Seconds, milliseconds and dates are read; nonsense is as good as nothing."""
    assert read_retry_after(headers, now=NOW) == seconds


@pytest.mark.parametrize(
    "body",
    [
        {"error": {"message": "No.", "code": 1}},
        {"error": "No."},
        {"detail": "No."},
        {"detail": [{"loc": ["body"], "msg": "No."}]},
        {"title": "No."},
        {"message": "No."},
    ],
)
def test_the_sentence_is_found(body: dict[str, object]) -> None:
    """The sentence of an error body is found in every shape in use."""
    assert find_message(body) == "No."  # type: ignore[arg-type] # JSON


def test_no_sentence_is_none() -> None:
    """A body without a sentence gives none."""
    assert find_message({"error": {"code": 3}}) is None
    assert find_message(None) is None
