"""A fake of ComfyUI's server, by its `server.py`, `comfy_execution/jobs.py` and `progress.py` (autumn 2026).

One prompt runs at a time, in the order of the queue, and tells of itself on the WebSocket of the client that
sent it: texts as `{"type", "data"}`, pictures as binary frames. There is no official client to prove it by;
`test_comfyui.py` proves it by frames quoted from that source.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import struct
import threading
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final

from tests.servers.forms import read_form
from tests.servers.media import Shelf, still
from tests.servers.provider import ProviderServer, Stage
from tests.servers.web import HTML_PAGE, PATIENCE, UPGRADE, Answer, Fault, Request, as_json
from tests.servers.websocket import Socket

CHECKPOINTS: Final = ("sd_xl_base_1.0.safetensors", "v1-5-pruned.safetensors")
PREVIEW, PREVIEW_WITH_METADATA = 1, 4
JPEG: Final = 1
STEPS: Final = 4

Json = dict[str, Any]


def invalid(kind: str, message: str, node_errors: Json | None = None) -> Answer:
    """Answer as ComfyUI refuses a prompt."""
    said = {"type": kind, "message": message, "details": "", "extra_info": {}}
    return as_json({"error": said, "node_errors": node_errors or {}}, 400)


MISSING: Final = {
    "4": {
        "errors": [
            {
                "type": "value_not_in_list",
                "message": "Value not in list",
                "details": "ckpt_name: 'gone.safetensors' not in ['sd_xl_base_1.0.safetensors']",
                "extra_info": {"input_name": "ckpt_name"},
            }
        ],
        "class_type": "CheckpointLoaderSimple",
    }
}
OUT_OF_MEMORY: Final = {
    "exception_type": "torch.cuda.OutOfMemoryError",
    "exception_message": "Allocation on device",
    "node_type": "KSampler",
}
BROKEN_NODE: Final = {
    "exception_type": "RuntimeError",
    "exception_message": "mat1 and mat2 shapes cannot be multiplied",
    "node_type": "KSampler",
}


@dataclass(eq=False)
class Prompt:
    """One prompt in the queue, and what became of it."""

    id: str
    number: int
    graph: Mapping[str, Any]
    client: str
    ending: str
    interrupted: bool = False
    entry: Json = field(default_factory=dict)


class ComfyUIServer(ProviderServer):
    """Runs prompts; `old` has no `/api/jobs`, and previews without metadata."""

    FAULTS: ClassVar[Mapping[str, tuple[Fault, str]]] = {
        "bad graph": (
            Fault(invalid("prompt_outputs_failed_validation", "Prompt outputs failed validation")),
            "invalid_request",
        ),
        "no such file": (
            Fault(invalid("prompt_outputs_failed_validation", "Prompt outputs failed validation", MISSING)),
            "model_gone",
        ),
        "a guard in front": (Fault(as_json({"message": "Unauthorized"}, 401)), "auth"),
        "throttled in front": (Fault(as_json({"message": "Slow"}, 429, retry_after="7")), "rate_limited"),
        "broken": (Fault(Answer(500, b"500 Internal Server Error")), "provider_error"),
        "restarting": (Fault(Answer(503, b"")), "overloaded"),
        "a proxy's page": (HTML_PAGE, "network"),
    }
    ENDINGS: ClassVar[Mapping[str, str]] = {
        "out of memory": "provider_error",
        "broken node": "provider_error",
        "interrupted by its owner": "cancelled_at_provider",
        "saved nothing": "bad_output",
    }
    CANCELS: ClassVar[Mapping[Stage, str]] = {
        "queued": "cancelled",
        "running": "cancelled",
        "done": "too_late",
    }

    def __init__(self, shelf: Shelf) -> None:
        super().__init__(shelf)
        self.old = False
        self.deaf = False
        """Whether WebSockets are refused, as some proxies do."""
        self.drops = 0
        """How many sockets break in the middle of a prompt."""
        self.freed = 0
        self.pending: list[Prompt] = []
        self.running: Prompt | None = None
        self.history: dict[str, Prompt] = {}
        self.files: dict[str, bytes] = {}
        self.uploads: dict[str, bytes] = {}
        self.features: dict[str, Json] = {}
        self._sockets: dict[str, Socket] = {}
        self._numbers = itertools.count()
        self._pulse = asyncio.Event()
        self._working: asyncio.Task[None] | None = None

    def hold(self, stage: Stage | None) -> None:
        super().hold(stage)
        if self._loop.is_running():
            self._loop.call_soon_threadsafe(self._beat)

    def forget(self) -> None:
        """Be as after a restart: what waited, ran or was kept is not known any more."""
        forgotten = threading.Event()

        def restart() -> None:
            self.history.clear()
            self.pending.clear()
            self.running = None
            forgotten.set()

        self._loop.call_soon_threadsafe(restart)
        assert forgotten.wait(PATIENCE)

    def check_pictures(self) -> None:
        assert any(name.startswith("media-pipeline") for name in self.uploads)

    def place(self, request: Request) -> str:
        path = request.path.removeprefix("/api")
        if request.method == "GET":
            return "poll" if path.startswith("/history/") else path.split("/")[1]
        if path == "/prompt":
            return "submit"
        cancels = path.endswith("/cancel") or path in {"/interrupt", "/queue"}
        return "cancel" if cancels else path.split("/")[1]

    def answer(self, request: Request) -> Answer:  # noqa: PLR0911 - one a route
        if request.headers.get("authorization") != f"Bearer {self.key}":
            return as_json({"message": "Unauthorized"}, 401)
        path = request.path.removeprefix("/api").strip("/").split("/")
        match request.method, path:
            case "GET", ["ws"]:
                return Answer(426) if self.deaf else Answer(UPGRADE)
            case "GET", ["system_stats"]:
                return as_json({"system": {"comfyui_version": "0.4.0", "os": "posix"}, "devices": []})
            case "GET", ["object_info", "CheckpointLoaderSimple"]:
                inputs = {"required": {"ckpt_name": [list(CHECKPOINTS), {"tooltip": "…"}]}}
                return as_json({"CheckpointLoaderSimple": {"input": inputs}})
            case "GET", ["view"]:
                return self._view(request.query)
            case "POST", ["upload", "image"]:
                return self._upload(request)
            case _:
                return self._of_queue(request, path)

    def _of_queue(self, request: Request, path: list[str]) -> Answer:  # noqa: PLR0911 - one a route
        match request.method, path:
            case "POST", ["prompt"]:
                return self._submit(request.json)
            case "GET", ["history", id_]:
                found = self.history.get(id_)
                return as_json({id_: found.entry} if found else {})
            case "GET", ["queue"]:
                running = [_item(self.running)] if self.running else []
                return as_json({"queue_running": running, "queue_pending": [*map(_item, self.pending)]})
            case "POST", ["jobs", id_, "cancel"] if not self.old:
                return as_json({"cancelled": self._interrupt(id_) or self._dequeue(id_)})
            case "POST", ["interrupt"]:
                self._interrupt(request.json.get("prompt_id"))
                return Answer()
            case "POST", ["queue"]:
                _ = [self._dequeue(id_) for id_ in request.json.get("delete", ())]
                return Answer()
            case "POST", ["free"]:
                self.freed += 1
                return Answer()
            case _:
                return Answer(404, b"404: Not Found")

    async def converse(
        self, request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        client, socket = request.query.get("clientId") or uuid.uuid4().hex, Socket(reader, writer)
        await socket.accept(request.headers)
        self._sockets[client] = socket
        self._tell(client, "status", {"status": self._info(), "sid": client})
        try:
            while (message := await socket.receive()) is not None:
                said = json.loads(message)
                if said.get("type") == "feature_flags" and client not in self.features:
                    self.features[client] = said["data"]
                    self._tell(client, "feature_flags", {"supports_preview_metadata": True})
        finally:
            if self._sockets.get(client) is socket:
                del self._sockets[client]
            self.features.pop(client, None)

    def _submit(self, body: Json) -> Answer:
        if not isinstance(graph := body.get("prompt"), dict):
            return invalid("no_prompt", "No prompt provided")
        id_ = body.get("prompt_id") or str(uuid.uuid4())
        if not _is_canonical(id_):
            return invalid("invalid_prompt_id", "prompt_id must be a valid UUID")
        if refused := _refused(graph, self.uploads):
            return refused
        self.billed += 1
        prompt = Prompt(id_, next(self._numbers), graph, str(body.get("client_id")), self.take_ending())
        self.pending.append(prompt)
        self._tell_all()
        if self._working is None or self._working.done():
            self._working = self._loop.create_task(self._work())
        return as_json({"prompt_id": id_, "number": prompt.number, "node_errors": {}})

    def _view(self, query: Mapping[str, str]) -> Answer:
        data = self.files.get(query.get("filename", "")) if query.get("type") == "output" else None
        return Answer(200, data, {"content-type": "image/png"}) if data else Answer(404)

    def _upload(self, request: Request) -> Answer:
        form = {part.name: part for part in read_form(request.headers, request.body)}
        if "image" not in form or not form["image"].filename:
            return Answer(400)
        name = form["image"].filename
        self.uploads[name] = form["image"].data
        return as_json({"name": name, "subfolder": "", "type": "input"})

    def _interrupt(self, id_: str | None) -> bool:
        if self.running is None or id_ not in {None, self.running.id}:
            return False
        self.running.interrupted = True
        self._beat()
        return True

    def _dequeue(self, id_: str) -> bool:
        before = len(self.pending)
        self.pending = [prompt for prompt in self.pending if prompt.id != id_]
        self._beat()
        return len(self.pending) < before

    def _beat(self) -> None:
        pulse, self._pulse = self._pulse, asyncio.Event()
        pulse.set()

    async def _work(self) -> None:
        while self.pending:
            if self._held == "queued":
                await self._pulse.wait()
                continue
            self.running = self.pending.pop(0)
            self._tell_all()
            await self._execute(self.running)
            self.running = None
            self._tell_all()

    async def _execute(self, it: Prompt) -> None:
        told: list[Any] = [["execution_start", {"prompt_id": it.id, "timestamp": 1}]]
        self._tell(it.client, "execution_start", {"prompt_id": it.id, "timestamp": 1})
        self._tell(it.client, "execution_cached", {"nodes": ["4"], "prompt_id": it.id, "timestamp": 1})
        if self.strange:
            self._tell(it.client, "pondering", {"prompt_id": it.id})
        for node in ("5", "6", "7"):
            self._tell(it.client, "executing", {"node": node, "display_node": node, "prompt_id": it.id})
        await self._sample(it)
        if self.running is not it:
            return
        event, more, outputs = self._ended(it)
        told.append([event, {"prompt_id": it.id, **more}])
        for node, output in outputs.items():
            self._tell(it.client, "executed", {"node": node, "output": output, "prompt_id": it.id})
        good = event == "execution_success"
        status = {"status_str": "success" if good else "error", "completed": good, "messages": told}
        it.entry = {"prompt": _item(it), "outputs": outputs, "status": status, "meta": {}}
        self.history[it.id] = it
        self._tell(it.client, event, {"prompt_id": it.id, **more})
        self._tell(it.client, "executing", {"node": None, "prompt_id": it.id})

    async def _sample(self, it: Prompt) -> None:
        self._tell(it.client, "executing", {"node": "3", "display_node": "3", "prompt_id": it.id})
        for value in range(1, STEPS + 1):
            if it.interrupted or self.running is not it:
                return
            self._tell(it.client, "progress", {"value": value, "max": STEPS, "prompt_id": it.id, "node": "3"})
            self._tell(
                it.client, "progress_state", {"prompt_id": it.id, "nodes": {"3": _state(it.id, value)}}
            )
            self._show(it)
            if value == 2 and self.drops:
                self.drops -= 1
                self._sockets[it.client].drop()
            while self._held == "running" and not it.interrupted:
                await self._pulse.wait()
            await asyncio.sleep(0)

    def _ended(self, it: Prompt) -> tuple[str, Json, Json]:
        errors = {"out of memory": OUT_OF_MEMORY, "broken node": BROKEN_NODE}
        if it.interrupted or it.ending.startswith("interrupted"):
            return "execution_interrupted", {"node_id": "3", "node_type": "KSampler", "executed": []}, {}
        if it.ending in errors:
            return "execution_error", {"node_id": "3", **errors[it.ending]}, {}
        return "execution_success", {"timestamp": 2}, {"9": {"images": self._saved(it)}}

    def _saved(self, it: Prompt) -> list[Json]:
        shape = it.graph["10" if "10" in it.graph else "5"]["inputs"]
        seed = it.graph["3"]["inputs"]["seed"]
        images = []
        for index in range(shape.get("batch_size", 1)):
            name = f"{it.graph['9']['inputs']['filename_prefix']}_{it.number:05}_{index}_.png"
            self.files[name] = still(seed + index, shape["width"], shape["height"])
            images.append({"filename": name, "subfolder": "", "type": "output"})
        if it.ending:
            return [{**image, "type": "temp"} for image in images]
        return images

    def _show(self, it: Prompt) -> None:
        """Send a preview: with its metadata to a client that said it reads them, else bare."""
        data = still(900, 64, 64, "JPEG")
        if not self.features.get(it.client, {}).get("supports_preview_metadata") or self.old:
            self._send(it.client, struct.pack(">II", PREVIEW, JPEG) + data)
            return
        facts = {"node_id": "3", "prompt_id": it.id, "display_node_id": "3", "image_type": "image/jpeg"}
        head = json.dumps(facts).encode()
        self._send(it.client, struct.pack(">II", PREVIEW_WITH_METADATA, len(head)) + head + data)

    def _tell(self, client: str, kind: str, data: Json) -> None:
        self._send(client, json.dumps({"type": kind, "data": data}))

    def _tell_all(self) -> None:
        """Say that the queue has changed, to everybody."""
        for client in self._sockets:
            self._tell(client, "status", {"status": self._info()})

    def _send(self, client: str, message: str | bytes) -> None:
        if client in self._sockets:
            self._sockets[client].send(message)

    def _info(self) -> Json:
        return {"exec_info": {"queue_remaining": len(self.pending) + (self.running is not None)}}


def _item(prompt: Prompt) -> list[Any]:
    return [prompt.number, prompt.id, prompt.graph, {"client_id": prompt.client}, ["9"]]


def _state(prompt_id: str, value: int) -> Json:
    return {
        "value": value,
        "max": STEPS,
        "state": "running",
        "node_id": "3",
        "prompt_id": prompt_id,
        "display_node_id": "3",
        "parent_node_id": None,
        "real_node_id": "3",
    }


def _is_canonical(value: object) -> bool:
    try:
        return isinstance(value, str) and str(uuid.UUID(value)) == value
    except ValueError:
        return False


def _refused(graph: Mapping[str, Any], uploads: Mapping[str, bytes]) -> Answer | None:
    """Return what `validate_prompt` would refuse."""
    if not graph or any("class_type" not in node for node in graph.values()):
        return invalid("invalid_prompt", "Cannot execute because a node is missing the class_type property.")
    if not any(node["class_type"].startswith("Save") for node in graph.values()):
        return invalid("prompt_no_outputs", "Prompt has no outputs")
    for id_, node in graph.items():
        for name, value in node["inputs"].items():
            if isinstance(value, list) and str(value[0]) not in graph:
                return invalid("prompt_outputs_failed_validation", f"{id_}.{name} leads nowhere")
            if name == "ckpt_name" and value not in CHECKPOINTS:
                return invalid(
                    "prompt_outputs_failed_validation", "Prompt outputs failed validation", MISSING
                )
            if node["class_type"] == "LoadImage" and name == "image" and value not in uploads:
                return invalid("prompt_outputs_failed_validation", f"Invalid image file: {value}")
    return None
