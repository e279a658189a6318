"""`doctor` tries every key with a call that costs nothing."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from media_pipeline.doctor import examine
from media_pipeline.environment import read_settings
from tests.servers.fal import FalServer
from tests.servers.media import Shelf
from tests.servers.replicate import ReplicateServer

Fakes = tuple[ReplicateServer, FalServer]


@pytest.fixture
def fakes() -> Iterator[Fakes]:
    with Shelf.served() as shelf, ReplicateServer.served(shelf) as replicate, FalServer.served(shelf) as fal:
        yield replicate, fal


async def findings(fakes: Fakes, key: str) -> dict[str, str | None]:
    replicate, fal = fakes
    settings = read_settings(
        replicate_api_token=key, replicate_base_url=replicate.url, fal_key=key, fal_base_url=fal.url
    )
    found = {finding.subject: finding.problem async for finding in examine(settings)}
    assert (replicate.billed, fal.billed) == (0, 0)
    return found


async def test_good_keys_are_well(fakes: Fakes) -> None:
    """A key that the provider accepts is found well, for nothing."""
    found = await findings(fakes, ReplicateServer.key)
    assert (found["provider replicate"], found["provider fal"]) == (None, None)


async def test_a_bad_key_is_told(fakes: Fakes) -> None:
    """A key that the provider refuses is named with its provider, and does not show itself."""
    found = await findings(fakes, "a-wrong-key")
    for name in ("replicate", "fal"):
        problem = found[f"provider {name}"]
        assert problem is not None
        assert problem.startswith(f"{name}: ")
        assert "a-wrong-key" not in problem
