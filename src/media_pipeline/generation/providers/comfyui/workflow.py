"""A workflow as ComfyUI exports it (API format), and a request bound to its nodes.

A model's `wire` names the `workflow` (a file of the user's folder, else a packaged one) and its `bind`: which
inputs of which nodes take which of our fields, such as `prompt = ["6", "text"]`; several as a list of pairs.
Fields: prompt, negative_prompt, seed, width, height, n, seconds, fps, frames, and the roles of images.
`choose` lists inputs that take the first thing the server has, such as its checkpoint; `fixed` gives others a
value.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

from media_pipeline.generation.fitting import resolve_size
from media_pipeline.generation.provider import ErrorCode, GenerationRequest, ModelInfo, ProviderError

Graph = dict[str, dict[str, Any]]
"""Nodes by id, each with `class_type` and `inputs`."""
Place = tuple[str, str]
"""A node's id and one of its inputs."""

_PACKAGE: Final = "media_pipeline.generation.providers.comfyui"


def load_graph(model: ModelInfo, folder: Path | None) -> Graph:
    """Read a model's workflow; `ProviderError(UNSUPPORTED)` for one that is not there or no workflow."""
    name = str(model.wire.get("workflow", ""))
    own = folder / Path(name).name if folder else None
    source = own if own and own.is_file() else files(_PACKAGE).joinpath("workflows", Path(name).name)
    try:
        graph = json.loads(source.read_text("utf-8"))
        return {str(id_): {**node, "inputs": {**node["inputs"]}} for id_, node in graph.items()}
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        sentence = (
            f"{name or 'Its workflow'} is no workflow in ComfyUI's API format; see MEDIA_COMFYUI_WORKFLOWS."
        )
        raise ProviderError(ErrorCode.UNSUPPORTED, sentence, provider="comfyui") from None


def fill(
    graph: Graph, request: GenerationRequest, model: ModelInfo, values: Mapping[Place, object]
) -> dict[str, object]:
    """Return the graph with the request in it; `values` are for single inputs, such as uploaded pictures."""
    filled = json.loads(json.dumps(graph))
    for field, value in _fields(request, model).items():
        for node, name in places(model, field) if value is not None else ():
            _input(filled, node)[name] = value
    for (node, name), value in [*_fixed(model), *values.items()]:
        _input(filled, node)[name] = value
    return dict(filled)


def places(model: ModelInfo, field: str) -> list[Place]:
    """Return the inputs that take a field: one pair, or a list of them."""
    return list(_pairs(model.wire.get("bind", {}).get(field, ())))


def choices(model: ModelInfo) -> list[Place]:
    """Return the inputs that take the first thing the server has."""
    return list(_pairs(model.wire.get("choose", ())))


def steps_of(graph: Mapping[str, Any]) -> dict[str, int]:
    """Return the nodes that count steps, and how many: those with a number as their input `steps`."""
    found = {id_: node["inputs"].get("steps") for id_, node in graph.items()}
    return {id_: steps for id_, steps in found.items() if isinstance(steps, int) and steps > 0}


def _fields(request: GenerationRequest, model: ModelInfo) -> dict[str, object]:
    width, height = resolve_size(request, model)
    seconds = request.seconds or model.default_seconds
    fps = request.fps or min(model.fps, default=None)
    return {
        "prompt": request.prompt,
        "negative_prompt": request.negative_prompt or "",
        "seed": request.seed,
        "width": width,
        "height": height,
        "n": request.n,
        "seconds": seconds,
        "fps": fps,
        "frames": round(seconds * fps) if seconds and fps else None,
    }


def _fixed(model: ModelInfo) -> Iterator[tuple[Place, object]]:
    for node, inputs in model.wire.get("fixed", {}).items():
        for name, value in inputs.items():
            yield (str(node), str(name)), value


def _pairs(given: Sequence[Any]) -> Iterator[Place]:
    for pair in [given] if given and isinstance(given[0], str) else given:
        node, name = pair
        yield str(node), str(name)


def _input(graph: Mapping[str, Any], node: str) -> dict[str, Any]:
    if node not in graph:
        sentence = f"The workflow has no node {node}, which its binding names."
        raise ProviderError(ErrorCode.UNSUPPORTED, sentence, provider="comfyui")
    inputs: dict[str, Any] = graph[node]["inputs"]
    return inputs
