from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from media_pipeline.generation.provider import MediaKind, ModelInfo

from .engines import ENGINES, HEAVY, Bench

PARAMETERS = [
    pytest.param(name, marks=[pytest.mark.long, pytest.mark.timeout(600)] if name in HEAVY else [])
    for name in ENGINES
]


@pytest_asyncio.fixture(params=PARAMETERS, scope="module", loop_scope="module")
async def bench(request: pytest.FixtureRequest) -> AsyncIterator[Bench]:
    """One provider for all tests of the module: a local one takes a second to start its process."""
    if request.param in HEAVY:
        pytest.importorskip(request.param, reason=f"the extra {request.param} is not installed")
    async with ENGINES[request.param]() as engine:
        yield engine


@pytest_asyncio.fixture(params=["image", "video"], loop_scope="module")
async def model(request: pytest.FixtureRequest, bench: Bench) -> ModelInfo:
    """One model of each kind that the provider has."""
    kind: MediaKind = request.param
    for model in await bench.provider.models():
        if model.kind == kind:
            return model
    pytest.skip(f"makes no {kind}")
