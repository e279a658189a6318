"""The headers that tell a client how its limits stand (draft-ietf-httpapi-ratelimit-headers).

`RateLimit-Policy: "requests";q=60;w=60` and `RateLimit: "requests";r=12;t=34`: of 60 in 60 seconds 12 are
left, for 34 seconds. Money is counted in cents.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from http import HTTPStatus
from typing import Final

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from media_pipeline.api.detached import Headers
from media_pipeline.errors import MediaPipelineError
from media_pipeline.ids import UserId
from media_pipeline.media.limits import Allowance, LimitReached, RequestRate, Standing

NAMES: Final = ("RateLimit", "RateLimit-Policy")
_UNITS: Final = {"jobs": "concurrent-requests", "spend": "cents"}
_TELLING: Final = frozenset({HTTPStatus.OK, HTTPStatus.ACCEPTED, HTTPStatus.TOO_MANY_REQUESTS})


class RateHeaders:
    """Add to each answer how the caller's limits stand; those of jobs to what makes one, or is refused."""

    def __init__(self, app: ASGIApp, *, allowance: Allowance) -> None:
        self._app = app
        self._allowance = allowance

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def tell(message: Message) -> None:
            if message["type"] == "http.response.start":
                standings = await self._standings(scope, message["status"])
                message = {**message, "headers": [*message["headers"], *rate_headers(standings)]}
            await send(message)

        await self._app(scope, receive, tell)

    async def _standings(self, scope: Scope, status: int) -> list[Standing]:
        state = scope.get("state", {})
        counted: list[Standing] = state.get("counted", [])
        user_id: UserId | None = state.get("user_id")
        if user_id is None or scope["method"] != "POST" or status not in _TELLING:
            return counted
        try:
            return [*counted, *await self._allowance.standings(user_id)]
        except MediaPipelineError:
            return counted  # the answer stands without them


async def count_request(request: Request, user_id: UserId) -> None:
    """Count a request of `user_id` for its limit, and note how that stands; raises `LimitReached`."""
    rate: RequestRate = request.app.state.rate
    request.state.user_id = user_id
    if hasattr(request.state, "counted"):
        return  # at the door, which could not open the stream
    try:
        standing = await rate.take(user_id)
    except LimitReached as refused:
        request.state.counted = [refused.standing]
        raise
    request.state.counted = [] if standing is None else [standing]


def rate_headers(standings: Sequence[Standing]) -> Headers:
    """Write both fields, as lists of structured items (RFC 9651)."""
    if not standings:
        return ()
    limits = ", ".join(_item(each) for each in standings)
    policies = ", ".join(_policy(each) for each in standings)
    return ((b"ratelimit", limits.encode()), (b"ratelimit-policy", policies.encode()))


def _item(standing: Standing) -> str:
    resets = "" if standing.resets is None else f";t={math.ceil(standing.resets)}"
    return f'"{standing.name}";r={_whole(standing, standing.left)}{resets}'


def _policy(standing: Standing) -> str:
    unit = _UNITS.get(standing.name)
    said = "" if unit is None else f';qu="{unit}"'
    window = "" if standing.window is None else f";w={standing.window}"
    return f'"{standing.name}";q={_whole(standing, standing.limit)}{said}{window}'


def _whole(standing: Standing, amount: float) -> int:
    """The fields know whole numbers alone."""
    return math.floor(amount * 100 if standing.name == "spend" else amount)
