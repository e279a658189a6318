"""The built-in provider: pictures and films drawn by formulas, without keys, network or weights.

It is a demo and says so everywhere: nothing here is an AI model.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Final

import msgspec

from media_pipeline.children.pool import ChildLost, ChildPool
from media_pipeline.generation.fitting import resolve_size
from media_pipeline.generation.provider import (
    Advanced,
    CancelOutcome,
    ErrorCode,
    GenerationRequest,
    Handle,
    ModelInfo,
    Output,
    Preview,
    ProgressKind,
    ProviderError,
    ProviderEvent,
    Queued,
    Running,
)
from media_pipeline.generation.providers.local import refuse_to_resume
from media_pipeline.generation.providers.procedural.order import Order
from media_pipeline.generation.providers.said import Failed, Finished, Message, Partial, Step

_RENDERER: Final = "media_pipeline.generation.providers.procedural.renderer"
_RATIOS: Final = ("1:1", "3:2", "2:3", "4:3", "3:4", "16:9", "9:16")
_DEFAULT_FPS: Final = 24
_SEEDS: Final = 2**32

SCENE: Final = ModelInfo(
    id="scene",
    kind="image",
    label="Scene (built-in demo, not an AI model)",
    progress=ProgressKind.STEPS,
    n_max=8,
    seed=True,
    aspect_ratios=_RATIOS,
    min_side=64,
    max_side=2048,
    default_size=(768, 768),
    cancel="hard",
    previews=True,
)
LOOP: Final = ModelInfo(
    id="loop",
    kind="video",
    label="Loop (built-in demo, not an AI model)",
    progress=ProgressKind.FRAMES,
    seed=True,
    aspect_ratios=_RATIOS,
    min_side=64,
    max_side=2048,
    multiple_of=2,
    default_size=(512, 512),
    seconds_max=10.0,
    default_seconds=3.0,
    fps=tuple(range(12, 31)),
    cancel="hard",
    previews=True,
)


class ProceduralProvider:
    """Draw pictures and seamless loops in processes of its own, at most `processes` at a time."""

    name = "procedural"

    def __init__(self, *, processes: int | None = None) -> None:
        size = processes or min(4, os.cpu_count() or 1)
        self._pool = ChildPool[Order, Message](_RENDERER, Message, size=size)

    async def models(self) -> Sequence[ModelInfo]:
        return (SCENE, LOOP)

    @property
    def working(self) -> tuple[int, ...]:
        """The process ids that draw at this moment."""
        return self._pool.working

    async def generate(
        self, request: GenerationRequest, model: ModelInfo
    ) -> AsyncGenerator[ProviderEvent, None]:
        """Draw `request.n` results one after the other; output i has the seed of the first plus i."""
        first = _order(request, model)
        if (ahead := self._pool.ahead) is not None:
            yield Queued(ahead)
        running = False
        for index in range(request.n):
            order = msgspec.structs.replace(first, seed=first.seed + index)
            async with aclosing(self._draw(order)) as messages:
                async for message in messages:
                    if not running:
                        yield Running()
                        running = True
                    yield _event(message, order, index)

    def resume(
        self,
        request: GenerationRequest,  # noqa: ARG002 - the protocol's
        model: ModelInfo,  # noqa: ARG002 - the protocol's
        handle: Handle,  # noqa: ARG002 - the protocol's
    ) -> AsyncGenerator[ProviderEvent, None]:
        """Refuse: local work ends with its process and is begun again instead."""
        return refuse_to_resume(self.name)

    async def cancel(self, handle: Handle) -> CancelOutcome:  # noqa: ARG002 - the protocol's
        """Refuse: closing the generator is what stops local work."""
        return "unsupported"

    async def check(self) -> str:
        return "needs no key"

    async def aclose(self) -> None:
        await self._pool.aclose()

    async def _draw(self, order: Order) -> AsyncGenerator[Message, None]:
        try:
            async with aclosing(self._pool.ask(order)) as messages:
                async for message in messages:
                    yield message
        except ChildLost as error:
            raise ProviderError(
                ErrorCode.PROVIDER, "The built-in renderer ended unexpectedly.", provider=self.name
            ) from error


def _order(request: GenerationRequest, model: ModelInfo) -> Order:
    width, height = resolve_size(request, model)
    fps = request.fps or _DEFAULT_FPS
    seconds = request.seconds or model.default_seconds or 0.0
    return Order(
        prompt=request.prompt,
        seed=secrets.randbelow(_SEEDS) if request.seed is None else request.seed,
        width=width,
        height=height,
        frames=max(1, round(seconds * fps)) if model.kind == "video" else 0,
        fps=fps,
    )


def _event(message: Message, order: Order, index: int) -> ProviderEvent:
    match message:
        case Step(done, total):
            return Advanced(done, total, "frame" if order.frames else "step", index)
        case Partial(data):
            return Preview(index, data, "image/webp")
        case Finished(data):
            return _output(data, order, index)
        case Failed(reason):
            raise ProviderError(ErrorCode.PROVIDER, reason, provider=ProceduralProvider.name)


def _output(data: bytes, order: Order, index: int) -> Output:
    return Output(
        index=index,
        content_type="video/mp4" if order.frames else "image/png",
        data=data,
        width=order.width,
        height=order.height,
        duration=order.frames / order.fps if order.frames else None,
        seed=order.seed,
        source_type="algorithmicMedia",
    )
