"""`/healthz`: the process lives. `/readyz`: it can serve. `/metrics`: how it does."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence

from fastapi import APIRouter, Response
from pydantic import BaseModel

from media_pipeline.api.problems import Problem, documented
from media_pipeline.errors import MediaPipelineError
from media_pipeline.metrics import CONTENT_TYPE, Gauges, render


class Health(BaseModel):
    """What was looked at, and that it is well."""

    status: str = "ok"
    checks: dict[str, str] = {}


Probe = Callable[[], Awaitable[object]]


def health_routes(probes: Mapping[str, Probe], gauges: Sequence[Gauges]) -> APIRouter:
    """Build the routes; `probes` each raise when their part cannot work, `gauges` tell how they stand."""
    router = APIRouter(tags=["health"])

    @router.get("/healthz", summary="Is the process alive?")
    async def healthz() -> Health:
        return Health()

    @router.get("/readyz", responses=documented(503), summary="Can it serve?")
    async def readyz() -> Health:
        for name, probe in probes.items():
            try:
                await probe()
            except MediaPipelineError as error:
                raise Problem(503, "not_ready", f"{name}: {error}") from error
        return Health(checks=dict.fromkeys(probes, "ok"))

    @router.get("/metrics", response_class=Response, summary="Metrics in Prometheus' text format")
    async def metrics() -> Response:
        return Response(await render(gauges), media_type=CONTENT_TYPE)

    return router
