"""Films of the Gemini API: what an interaction is asked, and what its answers mean.

The list of statuses is open: one that is not known is taken as running, until the job's own deadline.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import Any, Final

from media_pipeline.generation.fitting import resolve_size
from media_pipeline.generation.provider import (
    ErrorCode,
    GenerationRequest,
    ModelInfo,
    ProviderError,
    ProviderEvent,
    Queued,
    Role,
    Running,
)
from media_pipeline.generation.providers.google.refusals import is_policy
from media_pipeline.generation.providers.wire import Wire
from media_pipeline.jsonvalue import Json

Image = tuple[Role, str, bytes]
"""A picture's role, type and bytes."""

_RESOLUTIONS: Final[Mapping[int, str]] = {360: "360p", 720: "720p", 1080: "1080p", 2160: "4k"}
_STATUS: Final[Mapping[str, ProviderEvent]] = {"queued": Queued(), "in_progress": Running()}
_ENDS: Final[Mapping[str, tuple[ErrorCode, str]]] = {
    "cancelled": (ErrorCode.CANCELLED, "The interaction was cancelled at google."),
    "budget_exceeded": (ErrorCode.QUOTA, "google: the budget is exceeded."),
    "incomplete": (ErrorCode.PROVIDER, "google: the interaction ended before the film was complete."),
    "requires_action": (ErrorCode.PROVIDER, "google asks for an action that nobody can take."),
    "requires_continuation": (ErrorCode.PROVIDER, "google asks for a continuation that nobody can give."),
}


def film_order(request: GenerationRequest, model: ModelInfo, images: Sequence[Image]) -> dict[str, Json]:
    """Return the body that starts a film in the background, to be kept until it is fetched."""
    width, height = resolve_size(request, model)
    seconds = request.seconds or model.default_seconds
    wanted: dict[str, Json] = {
        "type": "video",
        "aspect_ratio": "16:9" if width > height else "9:16",
        "resolution": _RESOLUTIONS.get(min(width, height), "720p"),
        "delivery": "uri",
    }
    if seconds:
        wanted["duration"] = f"{seconds:g}s"
    parts: list[Json] = [{"type": "text", "text": request.prompt}]
    parts += [
        {"type": "image", "mime_type": kind, "data": base64.b64encode(data).decode()}
        for _, kind, data in images
    ]
    roles = {role for role, _, _ in images}
    task = "image_to_video" if "first_frame" in roles else "reference_to_video" if roles else "text_to_video"
    return {
        "model": model.id,
        "input": parts,
        "background": True,
        "store": True,
        "response_format": wanted,
        "generation_config": {"video_config": {"task": task}},
    }


class Interaction:
    """What was told of an interaction so far."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._status = ""

    def news(self, answer: Mapping[str, Any]) -> list[ProviderEvent]:
        """Return what a new answer adds; raises `ProviderError` for a bad end."""
        status = str(answer.get("status"))
        if status == "failed":
            raise self._failure(answer)
        if status in _ENDS:
            raise self._wire.error(*_ENDS[status])
        changed, self._status = status != self._status, status
        return [_STATUS[status]] if changed and status in _STATUS else []

    def _failure(self, answer: Mapping[str, Any]) -> ProviderError:
        errors = answer.get("errors")
        found = [each for each in errors if isinstance(each, Mapping)] if isinstance(errors, list) else []
        said = "; ".join(f"{each.get('message') or each.get('code')}" for each in found)
        codes = " ".join(f"{each.get('code')} {each.get('message')}" for each in found)
        reason = ErrorCode.POLICY_OUTPUT if is_policy(codes) else ErrorCode.PROVIDER
        return self._wire.error(reason, f"google: {said or 'the film failed'}")


def film_of(answer: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the film's content, an empty one where a completed interaction shows none yet, as some did."""
    steps = answer.get("steps")
    for step in steps if isinstance(steps, list) else ():
        contents = step.get("content") if isinstance(step, Mapping) else None
        if step.get("type") == "model_output" and isinstance(contents, list):
            for content in contents:
                if isinstance(content, Mapping) and content.get("type") == "video":
                    return content
    return {}
