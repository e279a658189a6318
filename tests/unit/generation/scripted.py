"""Providers that play a script, and a clock that notes what it is asked to wait."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace

from media_pipeline.generation.provider import (
    CancelOutcome,
    ErrorCode,
    GenerationRequest,
    Handle,
    MediaKind,
    ModelInfo,
    Output,
    ProgressKind,
    ProviderError,
    ProviderEvent,
    Submitted,
    Submitting,
)
from media_pipeline.ids import JobId, UserId

PICTURE = Output(index=0, content_type="image/png", data=b"png")
HANDLE = {"id": "42"}
TAKEN: tuple[ProviderEvent, ...] = (Submitting(), Submitted(HANDLE))
MODEL = ModelInfo(id="m", kind="image", label="M", progress=ProgressKind.STATUS)

Script = Sequence[ProviderEvent | Exception]


@dataclass
class Scripted:
    """Each call of `generate` and `resume` plays the next script of its list, the last one for ever."""

    name: str = "one"
    scripts: list[Script] = field(default_factory=lambda: [[PICTURE]])
    resumes: list[Script] = field(default_factory=list)
    offered: tuple[ModelInfo, ...] = (MODEL,)
    generated: int = 0
    resumed: list[Handle] = field(default_factory=list)
    open: int = 0

    async def models(self) -> Sequence[ModelInfo]:
        return self.offered

    def generate(self, request: GenerationRequest, model: ModelInfo) -> AsyncGenerator[ProviderEvent, None]:
        self.generated += 1
        return self._play(self.scripts[min(self.generated, len(self.scripts)) - 1])

    def resume(
        self, request: GenerationRequest, model: ModelInfo, handle: Handle
    ) -> AsyncGenerator[ProviderEvent, None]:
        self.resumed.append(handle)
        return self._play(self.resumes[min(len(self.resumed), len(self.resumes)) - 1])

    async def cancel(self, handle: Handle) -> CancelOutcome:
        return "unsupported"

    async def check(self) -> str:
        return "well"

    async def aclose(self) -> None: ...

    async def _play(self, script: Script) -> AsyncGenerator[ProviderEvent, None]:
        self.open += 1
        try:
            for event in script:
                if isinstance(event, Exception):
                    raise event
                yield event
        finally:
            self.open -= 1


class NotingClock:
    """Sleeps take no time; `slept` tells how long they would have been."""

    def __init__(self) -> None:
        self.slept: list[float] = []

    def now(self) -> float:
        return 1_795_000_000.0  # 18 November 2026

    def monotonic(self) -> float:
        return 0.0

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)


def failing(reason: ErrorCode, *, retry_after: float | None = None) -> ProviderError:
    return ProviderError(reason, f"It failed: {reason}.", provider="one", retry_after=retry_after)


def asked(kind: MediaKind = "image", **changes: object) -> GenerationRequest:
    request = GenerationRequest(job_id=JobId("j"), user_id=UserId("u"), kind=kind, prompt="x")
    return replace(request, **changes)  # type: ignore[arg-type]  # any field may be changed


async def insist(write: Callable[[], Awaitable[None]]) -> None:
    """Write as a worker does whose database is there: once."""
    await write()
