"""Pictures of the Gemini API: what `generateContent` is asked, and what its answer means.

A call that succeeds may hold no picture: a blocked prompt has no candidate, a blocked picture a
`finishReason`, and a model that only talked neither.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from media_pipeline.generation.fitting import resolve_size
from media_pipeline.generation.provider import (
    ErrorCode,
    GenerationRequest,
    ModelInfo,
    Output,
    ProviderEvent,
)
from media_pipeline.generation.providers.figures import usage_of
from media_pipeline.generation.providers.wire import Wire
from media_pipeline.jsonvalue import Json

Image = tuple[str, bytes]
"""A picture's type and bytes."""

_DONE: Final = frozenset({"STOP", "MAX_TOKENS", "NO_IMAGE", "OTHER", "IMAGE_OTHER", "MALFORMED_RESPONSE"})
"""How a call ends without a picture and without a refusal; every other reason refuses the content."""


def picture_order(request: GenerationRequest, model: ModelInfo, images: Sequence[Image]) -> dict[str, Json]:
    """Return the body of a call that makes one picture."""
    size = resolve_size(request, model)
    ratio = next((name for name, each in model.sizes.items() if each == size), request.aspect_ratio)
    shape: dict[str, Json] = {"imageSize": model.wire.get("image_size", "1K")}
    config: dict[str, Json] = {
        "responseModalities": ["IMAGE"],
        "imageConfig": shape if ratio is None else {**shape, "aspectRatio": ratio},
    }
    if request.seed is not None:
        config["seed"] = request.seed
    pictures = [
        {"inlineData": {"mimeType": kind, "data": base64.b64encode(data).decode()}} for kind, data in images
    ]
    content: dict[str, Json] = {"role": "user", "parts": [{"text": request.prompt}, *pictures]}
    return {"contents": [content], "generationConfig": config}


def picture_events(wire: Wire, answer: Mapping[str, Any], *, seed: int | None) -> Iterator[ProviderEvent]:
    """Yield the picture and what it took; raises `ProviderError` where there is none."""
    if blocked := _mapping(answer.get("promptFeedback")).get("blockReason"):
        raise wire.error(ErrorCode.POLICY_INPUT, f"google blocked the prompt: {blocked}.")
    candidates = answer.get("candidates")
    candidate = _mapping(candidates[0] if isinstance(candidates, list) and candidates else None)
    parts = _mapping(candidate.get("content")).get("parts")
    found = [_mapping(part).get("inlineData") for part in parts] if isinstance(parts, list) else []
    pictures = [_mapping(data) for data in found if data]
    if not pictures:
        why = str(candidate.get("finishReason") or "no candidate")
        refused = candidate.get("finishReason") and why not in _DONE
        reason = ErrorCode.POLICY_OUTPUT if refused else ErrorCode.BAD_OUTPUT
        raise wire.error(reason, f"google made no picture: {why}.")
    kind = str(pictures[-1].get("mimeType", "image/png"))
    yield Output(index=0, content_type=kind, data=decoded(wire, pictures[-1].get("data")), seed=seed)
    if usage := usage_of(answer.get("usageMetadata")):
        yield usage


def decoded(wire: Wire, data: object) -> bytes:
    """Return the bytes of base64; `ProviderError(BAD_OUTPUT)` for what is none."""
    try:
        return base64.b64decode(data, validate=True) if isinstance(data, str) else b""
    except binascii.Error:
        raise wire.error(ErrorCode.BAD_OUTPUT, f"{wire.provider} sent bytes that cannot be read.") from None


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
