from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from media_pipeline.storage.store import Store

from .engines import ENGINES, Engine


@pytest.fixture(params=ENGINES, ids=lambda engine: engine.name)
def engine(request: pytest.FixtureRequest) -> Engine:
    chosen = request.param
    assert isinstance(chosen, Engine)
    return chosen


@pytest.fixture
async def store(engine: Engine, tmp_path: Path) -> AsyncIterator[Store]:
    async with engine.opened(tmp_path) as opened:
        yield opened
