"""Every test here runs against every engine."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from .engines import ENGINES, Engine
from .people import Floor


@pytest.fixture(params=list(ENGINES))
async def engine(request: pytest.FixtureRequest) -> AsyncIterator[Engine]:
    async with ENGINES[request.param]() as engine:
        yield engine


@pytest.fixture
def floor(engine: Engine) -> Floor:
    return Floor(engine)
