from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from media_pipeline.generation.provider import MediaKind, ModelInfo

from .engines import AT_ONCE, ENGINES, HEAVY, MAKES, REMOTE, Bench


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run each rule against every provider it is for, once for each kind that the provider makes."""
    if "model" not in metafunc.fixturenames:
        return
    names = [name for name in ENGINES if "server" not in metafunc.fixturenames or name in REMOTE]
    if "resumable" in metafunc.fixturenames:
        names = [name for name in names if name not in AT_ONCE]
    metafunc.parametrize(
        ("bench", "model"),
        [
            pytest.param(name, kind, marks=_marks(name), id=f"{name}-{kind}")
            for name in names
            for kind in MAKES[name]
        ],
        indirect=True,
        scope="module",
    )


def _marks(name: str) -> list[pytest.MarkDecorator]:
    return [pytest.mark.long, pytest.mark.timeout(600)] if name in HEAVY else []


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def bench(request: pytest.FixtureRequest) -> AsyncIterator[Bench]:
    """One provider for all tests of the module: a local one takes a second to start its process."""
    if request.param in HEAVY:
        pytest.importorskip(request.param, reason=f"the extra {request.param} is not installed")
    async with ENGINES[request.param]() as engine:
        assert {model.kind for model in await engine.provider.models()} == set(MAKES[request.param])
        yield engine


@pytest_asyncio.fixture(loop_scope="module")
async def model(request: pytest.FixtureRequest, bench: Bench) -> ModelInfo:
    """The provider's first model of the kind."""
    kind: MediaKind = request.param
    return next(model for model in await bench.provider.models() if model.kind == kind)
