"""How a prompt ended, as its entry in the history says: pictures and films, or why there are none."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any, Final
from urllib.parse import urlencode

from media_pipeline.generation.provider import ErrorCode, Output, ProviderError
from media_pipeline.generation.providers.wire import Wire

TYPES: Final[Mapping[str, Mapping[str, str]]] = {
    "image": {".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".webp": "image/webp"},
    "video": {
        ".mp4": "video/mp4",
        ".webm": "video/webm",
        ".mov": "video/quicktime",
        ".mkv": "video/x-matroska",
    },
}
"""What each kind of result may be, by the file's suffix."""
MISSING_FILE: Final = "value_not_in_list"


def reason_of(body: Mapping[str, Any]) -> ErrorCode | None:
    """Return why a prompt was refused: a checkpoint or another file that is not there is a model gone."""
    nodes = body.get("node_errors")
    errors = [
        error
        for node in (nodes.values() if isinstance(nodes, Mapping) else ())
        for error in node.get("errors", ())
    ]
    return ErrorCode.GONE if any(error.get("type") == MISSING_FILE for error in errors) else None


def failure(wire: Wire, entry: Mapping[str, Any]) -> ProviderError | None:
    """Return the error of a prompt that did not succeed."""
    messages = dict(_messages(entry))
    if "execution_interrupted" in messages:
        return wire.error(ErrorCode.CANCELLED, "The prompt was interrupted at comfyui.")
    status = entry.get("status")
    if not isinstance(status, Mapping) or status.get("status_str") != "error":
        return None
    told = messages.get("execution_error", {})
    said = f"{told.get('node_type', 'a node')}: {told.get('exception_message', 'it failed')}"
    return wire.error(ErrorCode.PROVIDER, f"comfyui: {said}")


def ran_out_of_memory(entry: Mapping[str, Any]) -> bool:
    """Tell whether the graphics card was too small for what was loaded."""
    return "OutOfMemory" in str(dict(_messages(entry)).get("execution_error", {}).get("exception_type"))


def outputs(
    wire: Wire, entry: Mapping[str, Any], *, kind: str, keys: Mapping[str, str], seed: str | None
) -> Iterator[Output]:
    """Yield the files that were saved, as addresses; raises `ProviderError(BAD_OUTPUT)` where none was."""
    found = list(_saved(entry, kind))
    if not found:
        raise wire.error(ErrorCode.BAD_OUTPUT, f"The workflow saved no {kind} as an output.")
    for index, (content_type, file) in enumerate(found):
        query = urlencode({name: file.get(name, "") for name in ("filename", "subfolder", "type")})
        yield Output(
            index=index,
            content_type=content_type,
            url=wire.locate(f"view?{query}"),
            url_headers=keys,
            seed=int(seed) if seed is not None and index == 0 else None,
        )


def seconds(entry: Mapping[str, Any]) -> float | None:
    """Return how long a prompt ran, where the server notes both times (milliseconds)."""
    times = [data.get("timestamp") for _, data in _messages(entry)]
    known = [time for time in times if isinstance(time, int | float)]
    return (max(known) - min(known)) / 1000 if len(known) > 1 else None


def _saved(entry: Mapping[str, Any], kind: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield type and file of each output of `kind`; the key that a node files them under tells nothing."""
    nodes = entry.get("outputs")
    for node in nodes.values() if isinstance(nodes, Mapping) else ():
        for items in node.values() if isinstance(node, Mapping) else ():
            for item in items if isinstance(items, list) else ():
                if isinstance(item, Mapping) and item.get("type") == "output":
                    suffix = PurePosixPath(str(item.get("filename"))).suffix.lower()
                    if suffix in TYPES[kind]:
                        yield TYPES[kind][suffix], item


def _messages(entry: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    status = entry.get("status")
    messages = status.get("messages") if isinstance(status, Mapping) else None
    for message in messages if isinstance(messages, list) else ():
        match message:
            case [str(name), dict(data)]:
                yield name, data
            case _:
                pass
