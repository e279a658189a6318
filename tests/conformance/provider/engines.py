"""The providers that must keep the promises of `MediaProvider`: one line each."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass

from media_pipeline.generation.provider import MediaProvider
from media_pipeline.generation.providers.procedural import ProceduralProvider


@dataclass(frozen=True)
class Bench:
    """A provider under test, and how to see from outside whether it works on anything."""

    provider: MediaProvider
    at_work: Callable[[], bool]


Engine = Callable[[], AbstractAsyncContextManager[Bench]]


@asynccontextmanager
async def procedural() -> AsyncIterator[Bench]:
    provider = ProceduralProvider(processes=1)
    yield Bench(provider, at_work=lambda: bool(provider.working))
    await provider.aclose()


ENGINES: Mapping[str, Engine] = {"procedural": procedural}
"""Every test here runs against every provider."""
