"""One program for all, and a user of its own for each test."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from uuid import uuid4

import pytest
import pytest_asyncio

from media_pipeline.settings import Settings
from tests.integration.program import Api, Running, running


@pytest.fixture(scope="session", autouse=True)
def bare_environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Hide the machine's settings and state from the programs of these tests."""
    with pytest.MonkeyPatch.context() as patch:
        for name in Settings.model_fields:
            patch.delenv(name.upper(), raising=False)
        folder = tmp_path_factory.mktemp("state")
        patch.setenv("XDG_STATE_HOME", str(folder))
        yield folder


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def service() -> AsyncIterator[Running]:
    """The program as it runs without any settings."""
    async with running() as program:
        yield program


@pytest_asyncio.fixture(loop_scope="session")
async def api(service: Running) -> Api:
    """A user whom no other test knows."""
    return service.user(f"user-{uuid4().hex}")
