"""What the tests of several files run beside."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_asyncio

from media_pipeline.media.workshop.workshop import Workshop


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def workshop() -> AsyncIterator[Workshop]:
    """One for all of a file: it takes a moment to start its process."""
    workshop = Workshop(processes=1)
    yield workshop
    await workshop.aclose()
