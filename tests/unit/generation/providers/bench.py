"""What the tests of single adapters share: an adapter against its fake, and a request."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from typing import TypeVar

from media_pipeline.generation.provider import (
    GenerationRequest,
    InputMedia,
    MediaKind,
    MediaProvider,
    ModelInfo,
    ProviderEvent,
    Role,
)
from media_pipeline.ids import JobId, UserId
from tests.conformance.provider.engines import REMOTE
from tests.servers.provider import ProviderServer

S = TypeVar("S", bound=ProviderServer)
E = TypeVar("E")


@asynccontextmanager
async def adapter(name: str, fake: type[S]) -> AsyncIterator[tuple[MediaProvider, S, ModelInfo]]:
    """Give the adapter, its fake and its first model."""
    async with REMOTE[name]() as bench:
        assert isinstance(bench.server, fake)
        yield bench.provider, bench.server, next(iter(await bench.provider.models()))


def asked(model: ModelInfo, **changes: object) -> GenerationRequest:
    """Ask for the model's default."""
    kind: MediaKind = model.kind
    request = GenerationRequest(job_id=JobId("j1"), user_id=UserId("ada"), kind=kind, prompt="a fox")
    return replace(request, **changes)  # type: ignore[arg-type] # any field may be changed


def image(role: Role, path: str = "small.png") -> InputMedia:
    return InputMedia(role=role, path=path, content_type="image/png")


async def made(
    provider: MediaProvider, model: ModelInfo, request: GenerationRequest | None = None
) -> list[ProviderEvent]:
    async with aclosing(provider.generate(request or asked(model), model)) as events:
        return [event async for event in events]


def only(kind: type[E], events: Sequence[object]) -> list[E]:
    return [event for event in events if isinstance(event, kind)]
