"""What one run of a generation job has brought so far."""

from __future__ import annotations

import base64

from media_pipeline.generation.manager import AttemptStarted, ManagerEvent
from media_pipeline.generation.persist import Keeper, Kept
from media_pipeline.generation.provider import (
    ErrorCode,
    GenerationRequest,
    Output,
    ProviderError,
    Usage,
)
from media_pipeline.jsonvalue import Json
from media_pipeline.media.library import keep_item
from media_pipeline.media.present import describe
from media_pipeline.queue.queue import Outcome


class Results:
    """Collect outputs, kept by `keeper`, or passed through as they came where there is none."""

    def __init__(self, request: GenerationRequest, keeper: Keeper | None) -> None:
        self._request = request
        self._keeper = keeper
        self._provider = self._model = ""
        self._items: dict[int, Kept] = {}
        self._passed: dict[int, dict[str, Json]] = {}
        self._seed: int | None = None
        self._cost: float | None = None
        self._usage: dict[str, Json] = {}

    async def note(self, event: ManagerEvent) -> None:
        """Take what an attempt brings; a new attempt starts from nothing."""
        match event:
            case AttemptStarted():
                self._begin(event.provider, event.model)
            case Output():
                await self._take(event)
            case Usage():
                self._cost, self._usage = event.cost_usd, dict(event.figures)
            case _:
                pass

    def outcome(self) -> Outcome:
        """Return the job's result, and the library rows that land with it."""
        items = [self._items[index] for index in sorted(self._items)]
        result: dict[str, Json] = {
            "items": [describe(kept.item, original=kept.original) for kept in items]
            or [*self._passed.values()],
            "provider": self._provider,
            "model": self._model,
            "seed": self._seed,
        }
        if self._cost is not None:
            result["cost"] = self._cost
        if self._usage:
            result["usage"] = self._usage
        return Outcome(result, [effect for kept in items for effect in keep_item(kept.item)])

    def _begin(self, provider: str, model: str) -> None:
        self._provider, self._model = provider, model
        self._items, self._passed = {}, {}
        self._seed, self._cost, self._usage = None, None, {}

    async def _take(self, output: Output) -> None:
        if not 0 <= output.index < self._request.n:
            sentence = f"The provider answered with a result {output.index} that nobody asked for."
            raise ProviderError(ErrorCode.BAD_OUTPUT, sentence, provider=self._provider)
        if output.index == 0:
            self._seed = output.seed
        if self._keeper is None:
            self._passed[output.index] = self._pass_through(output)
        else:
            self._items[output.index] = await self._keeper.keep(
                output, provider=self._provider, model=self._model
            )

    def _pass_through(self, output: Output) -> dict[str, Json]:
        """Describe an output that nobody keeps, under the provider's own URL or its bytes inline."""
        inline = base64.b64encode(output.data or b"").decode()
        wire: dict[str, Json] = {
            "url": output.url or f"data:{output.content_type};base64,{inline}",
            "contentType": output.content_type,
            "kind": self._request.kind,
            "source": "generated",
            "jobId": self._request.job_id,
            "prompt": self._request.prompt,
            "model": self._model,
            "seed": output.seed,
        }
        return {name: value for name, value in wire.items() if value is not None}
