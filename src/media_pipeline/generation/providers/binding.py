"""A request in the words of one model: what its entry's `wire` table says each field is called.

`input` maps our fields (prompt, negative_prompt, n, seed, seconds, fps, aspect_ratio, size, width, height
and the roles of images) to the model's; `fixed` is sent always; `text` lists fields sent as text, `lists` the
roles sent as a list.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import Any, Final

from media_pipeline.generation.fitting import resolve_size
from media_pipeline.generation.provider import GenerationRequest, ModelInfo, Role
from media_pipeline.jsonvalue import Json

Images = Sequence[tuple[Role, str]]
"""The request's pictures by role, each as a URL that the provider can read."""

_NUMBERS: Final = ("seed", "fps")


def bind(request: GenerationRequest, model: ModelInfo, images: Images = ()) -> dict[str, Json]:
    """Return the model's input for `request`; a field that the model has no name for is left out."""
    names: Mapping[str, str] = model.wire.get("input", {})
    written = {**_plain(request, model), **_shape(request, model), **_pictures(images, model)}
    as_text = model.wire.get("text", ())
    bound: dict[str, Json] = dict(model.wire.get("fixed", {}))
    for field, value in written.items():
        if value is not None and field in names:
            bound[names[field]] = f"{value:g}" if field in as_text else value
    return bound


def data_url(data: bytes, content_type: str) -> str:
    """Write bytes as a URL that holds them (RFC 2397)."""
    return f"data:{content_type};base64,{base64.b64encode(data).decode()}"


def _plain(request: GenerationRequest, model: ModelInfo) -> dict[str, Any]:
    seconds = request.seconds or model.default_seconds
    return {
        "prompt": request.prompt,
        "negative_prompt": request.negative_prompt,
        "n": request.n,
        "seconds": int(seconds) if seconds and seconds.is_integer() else seconds,
        **{name: getattr(request, name) for name in _NUMBERS},
    }


def _shape(request: GenerationRequest, model: ModelInfo) -> dict[str, Any]:
    width, height = resolve_size(request, model)
    ratios = (name for name, size in model.sizes.items() if size == (width, height))
    return {
        "width": width,
        "height": height,
        "size": {"width": width, "height": height},
        "aspect_ratio": next(ratios, request.aspect_ratio),
    }


def _pictures(images: Images, model: ModelInfo) -> dict[str, Any]:
    lists = model.wire.get("lists", ())
    found: dict[str, Any] = {}
    for role, url in images:
        if role in lists:
            found.setdefault(role, []).append(url)
        else:
            found[role] = url
    return found
