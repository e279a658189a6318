"""`POST /webhooks/{provider}`: a provider says that a job has news. Signed by it, so without a token."""

from __future__ import annotations

from collections.abc import Sequence

from fastapi import APIRouter, Request, Response

from media_pipeline.api.problems import Problem, documented
from media_pipeline.generation.callbacks import Callbacks


def webhooks_routes(callbacks: Sequence[Callbacks]) -> APIRouter:
    """Build the route for every provider that calls back."""
    router = APIRouter(tags=["webhooks"])
    by_name = {each.provider: each for each in callbacks}

    @router.post(
        "/webhooks/{provider}",
        status_code=204,
        responses=documented(401, 404, 413, 503),
        summary="A provider's signed call",
    )
    async def take_call(provider: str, request: Request) -> Response:
        if provider not in by_name:
            raise Problem(404, "not_found", "No configured provider of this name calls back.")
        await by_name[provider].take(request.headers, await request.body())
        return Response(status_code=204)

    return router
