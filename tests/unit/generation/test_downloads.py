"""Results are fetched at once, within limits, and nothing is told to strangers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing, asynccontextmanager

import pytest

from media_pipeline.clock import SystemClock
from media_pipeline.generation.downloads import Downloads, read_data_url
from media_pipeline.generation.origins import origin
from media_pipeline.generation.provider import ErrorCode, Fetched, Output, ProviderError
from tests.servers.media import Shelf, still
from tests.servers.web import CUT, Answer, Fault, Gate, held

PICTURE = still(1, 64, 64)


@pytest.fixture
def shelf() -> Iterator[Shelf]:
    with Shelf.served() as server:
        yield server


@asynccontextmanager
async def downloading(
    *own: str, max_bytes: int = 1_000_000, seconds: float = 20.0
) -> AsyncIterator[Downloads]:
    downloads = Downloads(
        own=[origin(url) for url in own], max_bytes=max_bytes, seconds=seconds, clock=SystemClock()
    )
    yield downloads
    await downloads.aclose()


async def fetched(
    downloads: Downloads, url: str, headers: dict[str, str] | None = None
) -> tuple[list[Fetched], Output]:
    output = Output(index=2, content_type="", url=url, url_headers=headers or {}, seed=3)
    async with aclosing(downloads.fetch(output, kind="image", provider="acme")) as parts:
        found = [part async for part in parts]
    assert isinstance(found[-1], Output)
    return [part for part in found if isinstance(part, Fetched)], found[-1]


async def refused(downloads: Downloads, url: str) -> ErrorCode:
    with pytest.raises(ProviderError) as caught:
        await fetched(downloads, url)
    assert caught.value.provider == "acme"
    return caught.value.reason


async def test_a_result_comes_with_its_bytes(shelf: Shelf) -> None:
    """The bytes, their real type and how many came are told; what was known of the output stays."""
    url = shelf.put("a.png", PICTURE, "application/octet-stream")
    async with downloading(shelf.url) as downloads:
        counts, output = await fetched(downloads, url)
    assert counts == [Fetched(len(PICTURE), len(PICTURE), 2)]
    assert (output.data, output.content_type, output.url, output.seed) == (PICTURE, "image/png", None, 3)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (Answer(404, b"gone"), ErrorCode.EXPIRED),
        (Answer(403, b"<Error>expired</Error>"), ErrorCode.EXPIRED),
        (Answer(410), ErrorCode.EXPIRED),
        (Answer(503), ErrorCode.OVERLOADED),
        (Answer(200, b"<html>", {"content-type": "text/html"}), ErrorCode.NETWORK),
        (Answer(200, b"no picture at all"), ErrorCode.BAD_OUTPUT),
        (Answer(200, b"\x00\x00\x00\x18ftypmp42" + bytes(16)), ErrorCode.BAD_OUTPUT),
        (Answer(200, b"x" * 2000), ErrorCode.BAD_OUTPUT),
        (Answer(200, [b"x" * 600] * 4), ErrorCode.BAD_OUTPUT),
    ],
)
async def test_what_is_not_the_result_says_so(answer: Answer, reason: ErrorCode, shelf: Shelf) -> None:
    """What is gone has expired, a page or an outage may pass, another kind or too much is bad."""
    shelf.arm("file", Fault(answer))
    async with downloading(shelf.url, max_bytes=1000) as downloads:
        assert await refused(downloads, f"{shelf.url}/a.png") is reason


async def test_a_broken_connection_may_be_tried_again(shelf: Shelf) -> None:
    """A connection that breaks in the middle is NETWORK."""
    shelf.arm("file", CUT)
    async with downloading(shelf.url) as downloads:
        assert await refused(downloads, shelf.put("a.png", PICTURE, "image/png")) is ErrorCode.NETWORK


async def test_a_slow_result_is_given_up(shelf: Shelf) -> None:
    """A result that takes longer than it may is TIMEOUT."""
    gate = Gate()
    shelf.arm("file", held(gate))
    async with downloading(shelf.url, seconds=0.05) as downloads:
        assert await refused(downloads, shelf.put("a.png", PICTURE, "image/png")) is ErrorCode.TIMEOUT
    gate.open()


async def test_private_addresses_are_not_fetched(shelf: Shelf) -> None:
    """Where the operator named no such origin, a private address is not connected to."""
    url = shelf.put("a.png", PICTURE, "image/png")
    async with downloading() as downloads:
        assert await refused(downloads, url) is ErrorCode.BAD_OUTPUT
        assert await refused(downloads, url.replace("http:", "https:")) is ErrorCode.BAD_OUTPUT
    assert shelf.requests == []


async def test_a_key_stays_with_its_origin(shelf: Shelf) -> None:
    """A redirect from an own origin to a private one of others is not followed, with or without the key."""
    with Shelf.served() as other:
        target = other.put("a.png", PICTURE, "image/png")
        moved = Fault(Answer(302, b"", {"location": target}))
        async with downloading(shelf.url) as downloads:
            shelf.arm("file", moved)
            with pytest.raises(ProviderError):
                await fetched(downloads, f"{shelf.url}/a.png", {"x-key": "k"})
        assert other.requests == []
        async with downloading(shelf.url) as downloads:
            shelf.put("b.png", PICTURE, "image/png")
            await fetched(downloads, f"{shelf.url}/b.png", {"x-key": "k"})
    assert [request.headers.get("x-key") for request in shelf.requests] == ["k", "k"]


async def test_a_redirect_without_end_is_given_up(shelf: Shelf) -> None:
    """A result that is only ever sent on is NETWORK."""
    shelf.arm("file", *[Fault(Answer(302, b"", {"location": f"{shelf.url}/a.png"}))] * 9)
    async with downloading(shelf.url) as downloads:
        assert await refused(downloads, f"{shelf.url}/a.png") is ErrorCode.NETWORK


def test_a_data_url_holds_its_bytes() -> None:
    """A result inside its own URL needs no fetching."""
    output = read_data_url(Output(index=0, content_type="", url="data:image/png;base64,cG5n"))
    assert (output.data, output.content_type, output.url) == (b"png", "image/png", None)
