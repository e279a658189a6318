"""What a request will cost by the published prices of who makes it first."""

from __future__ import annotations

from media_pipeline.generation.fitting import resolve_size
from media_pipeline.generation.handlers import read_request
from media_pipeline.generation.manager import MediaGenerationManager
from media_pipeline.generation.provider import GenerationRequest, ModelInfo, ProviderError
from media_pipeline.media.expense import GENERATES
from media_pipeline.queue.job import NewJob


async def expect_cost(manager: MediaGenerationManager, new: NewJob) -> float:
    """Return the US dollars that a job is expected to cost, 0 where nobody publishes a price for it."""
    match new.kind.removeprefix(GENERATES):
        case "image" | "video" as kind:
            request = read_request(new.payload, job_id=new.id, user_id=new.user_id, kind=kind)
        case _:
            return 0.0
    try:
        offers = await manager.choose(request)
    except ProviderError:
        return 0.0  # nobody makes it now; the job will say so
    return price(request, offers[0].model) if offers else 0.0


def price(request: GenerationRequest, model: ModelInfo) -> float:
    """Return what `model` takes for `request`; a price by tokens is not known before."""
    if model.price is None:
        return 0.0
    match model.price.per:
        case "image" | "video":
            units = float(request.n)
        case "second":
            units = request.seconds or model.default_seconds or model.seconds_max or 0.0
        case "megapixel":
            width, height = resolve_size(request, model)
            units = request.n * width * height / 1e6
        case "million_tokens":
            units = 0.0
    return model.price.usd * units
