"""Local models by `diffusers`: one child process holds the pipeline and makes one result after the other.

`callback_on_step_end` gives real steps (diffusers 0.42). Work ends with its process: a run that was killed
begins again, and a cancel stops the process, so the next order loads the model anew. No money is spent, so
nothing is submitted.
"""

from __future__ import annotations

import importlib.util
import secrets
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Final

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
    ProviderError,
    ProviderEvent,
    Queued,
    Running,
)
from media_pipeline.generation.providers.diffusers.order import Order
from media_pipeline.generation.providers.local import refuse_to_resume
from media_pipeline.generation.providers.said import Failed, Finished, Message, Partial, Step

SEEDS: Final = 2**32
STEPS: Final = 30
FPS: Final = 8
LIBRARY: Final = frozenset(
    {
        *("HOME", "XDG_CACHE_HOME", "HF_HOME", "HF_HUB_CACHE", "HF_HUB_OFFLINE", "HF_TOKEN"),
        *("HTTPS_PROXY", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CUDA_VISIBLE_DEVICES"),
    }
)
"""Variables by which the libraries of models find them, and the machine's processors."""
PAINTER: Final = "media_pipeline.generation.providers.diffusers.painter"


class DiffusersProvider:
    """Make media with the pipeline in `source`, a folder or an id of the Hugging Face hub."""

    name = "diffusers"

    def __init__(self, models: Sequence[ModelInfo], *, source: str) -> None:
        self._models, self._source = models, source
        self._pool = ChildPool[Order, Message](PAINTER, Message, size=1, inherits=LIBRARY)

    @property
    def working(self) -> tuple[int, ...]:
        """The process ids that work at this moment."""
        return self._pool.working

    async def models(self) -> Sequence[ModelInfo]:
        return self._models

    async def generate(
        self, request: GenerationRequest, model: ModelInfo
    ) -> AsyncGenerator[ProviderEvent, None]:
        """Make `request.n` results one after the other; output i has the seed of the first plus i."""
        first = secrets.randbelow(SEEDS) if request.seed is None else request.seed
        orders = [self._order(request, model, seed=first + index) for index in range(request.n)]
        if (ahead := self._pool.ahead) is not None:
            yield Queued(ahead)
        running = False
        for index, order in enumerate(orders):
            async with aclosing(self._work(order)) as messages:
                async for message in messages:
                    if not running:
                        yield Running()
                        running = True
                    yield self._event(message, order, index)

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
        for name in ("diffusers", "torch"):
            if importlib.util.find_spec(name) is None:
                sentence = f"{name} is not installed: pip install 'media-pipeline[diffusers]'"
                raise ProviderError(ErrorCode.UNSUPPORTED, sentence, provider=self.name)
        return f"will load {self._source}"

    async def aclose(self) -> None:
        await self._pool.aclose()

    def _order(self, request: GenerationRequest, model: ModelInfo, *, seed: int) -> Order:
        width, height = resolve_size(request, model)
        fps = request.fps or min(model.fps, default=FPS)
        seconds = request.seconds or model.default_seconds or 0.0
        film = model.kind == "video"
        return Order(
            source=str(model.wire.get("source", self._source)),
            prompt=request.prompt,
            negative_prompt=request.negative_prompt,
            seed=seed,
            width=width,
            height=height,
            steps=int(model.wire.get("steps", STEPS)),
            frames=max(1, round(seconds * fps)) if film else 0,
            fps=fps if film else 0,
            fixed=dict(model.wire.get("fixed", {})),
        )

    async def _work(self, order: Order) -> AsyncGenerator[Message, None]:
        try:
            async with aclosing(self._pool.ask(order)) as messages:
                async for message in messages:
                    yield message
        except ChildLost as error:
            sentence = "The process with the model ended unexpectedly; its memory may have run out."
            raise ProviderError(ErrorCode.PROVIDER, sentence, provider=self.name) from error

    def _event(self, message: Message, order: Order, index: int) -> ProviderEvent:
        match message:
            case Step(done, total):
                return Advanced(done, total, "step", index)
            case Partial(data):
                return Preview(index, data, "image/webp")
            case Finished(data):
                return Output(
                    index=index,
                    content_type="video/mp4" if order.fps else "image/png",
                    data=data,
                    duration=order.frames / order.fps if order.fps else None,
                    seed=order.seed,
                )
            case Failed(reason):
                raise ProviderError(ErrorCode.PROVIDER, reason, provider=self.name)
