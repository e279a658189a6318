"""Every test here runs against every engine."""

from collections.abc import AsyncIterator

import pytest

from media_pipeline.realtime.bus import Bus

from .engines import ENGINES


@pytest.fixture(params=list(ENGINES))
async def bus(request: pytest.FixtureRequest) -> AsyncIterator[Bus]:
    async with ENGINES[request.param]() as engine:
        yield engine
