"""A fake of the OpenAI-compatible `/videos`, by OpenAI's Python client 3.54.0 and vLLM-Omni's document.

OpenAI shut its own down on 2026-09-24; the shape lives on in vLLM-Omni (docs/serving/videos_api.md),
LiteLLM and gateways. Each look at a job brings it a step on.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from tests.servers.forms import NoForm, Part, read_form
from tests.servers.media import Shelf, film
from tests.servers.provider import ProviderServer, Stage
from tests.servers.web import HTML_PAGE, Answer, Fault, Request, as_json

MODELS: Final = ("wan2.2-t2v", "default")
FIELDS: Final = frozenset({"prompt", "model", "seconds", "size", "user", "input_reference"})
EXTENSIONS: Final = frozenset(
    {"width", "height", "num_frames", "fps", "seed", "negative_prompt", "num_inference_steps"}
)
"""What vLLM-Omni takes beside OpenAI's fields."""
STAGES: Final[Sequence[tuple[str, int]]] = (
    ("queued", 0),
    ("queued", 0),
    ("in_progress", 10),
    ("in_progress", 55),
    ("completed", 100),
)
"""Status and percent, one for each look."""


def error(status: int, code: str, message: str = "", **headers: str) -> Answer:
    """Answer as OpenAI refuses."""
    kind = "invalid_request_error" if status < 500 else "server_error"
    said = {"message": message or f"Refused: {code}.", "type": kind, "param": None, "code": code}
    return as_json({"error": said}, status, **headers)


@dataclass(eq=False)
class Video:
    """One job and the form it was asked for with."""

    id: str
    form: Mapping[str, Part]
    ending: str
    looks: int = 0
    failed: Mapping[str, str] | None = None

    def text(self, name: str, default: str) -> str:
        return self.form[name].data.decode() if name in self.form else default


class OpenAIVideoServer(ProviderServer):
    """Takes videos; `extensions` tells whether it knows vLLM-Omni's fields."""

    FAULTS: ClassVar[Mapping[str, tuple[Fault, str]]] = {
        "throttled": (Fault(error(429, "rate_limit_exceeded", retry_after="7")), "rate_limited"),
        "no credit": (Fault(error(429, "insufficient_quota")), "quota_exhausted"),
        "no key": (Fault(error(401, "invalid_api_key")), "auth"),
        "no model": (Fault(error(404, "model_not_found")), "model_gone"),
        "moderated": (
            Fault(error(400, "moderation_blocked", "Your request was blocked by our moderation system.")),
            "content_policy_input",
        ),
        "bad input": (Fault(error(400, "invalid_value")), "invalid_request"),
        "not loaded": (Fault(error(503, "")), "overloaded"),
        "internal": (Fault(error(500, "server_error")), "provider_error"),
        "a proxy's page": (HTML_PAGE, "network"),
    }
    ENDINGS: ClassVar[Mapping[str, str]] = {
        "moderation_blocked": "content_policy_output",
        "generation_failed": "provider_error",
    }
    CANCELS: ClassVar[Mapping[Stage, str]] = {
        "queued": "requested",
        "running": "requested",
        "done": "too_late",
    }

    def __init__(self, shelf: Shelf) -> None:
        super().__init__(shelf)
        self.extensions = True
        self.expired = False
        self.videos: dict[str, Video] = {}
        self._numbers = itertools.count(1)

    def place(self, request: Request) -> str:
        if request.path.endswith("/content"):
            return "content"
        places = {"POST": "submit", "DELETE": "cancel"}
        return places.get(request.method, "poll" if "/videos/" in request.path else "check")

    def answer(self, request: Request) -> Answer:
        if request.headers.get("authorization") != f"Bearer {self.key}":
            return error(401, "invalid_api_key", "Incorrect API key provided.")
        return self._routed(request)

    def _routed(self, request: Request) -> Answer:
        match request.method, request.path.strip("/").split("/"):
            case "GET", ["v1", "models"]:
                return as_json({"object": "list", "data": [{"id": name} for name in MODELS]})
            case "POST", ["v1", "videos"]:
                return self._create(request)
            case "GET", ["v1", "videos", id_] if id_ in self.videos:
                return self._look(self.videos[id_])
            case "GET", ["v1", "videos", id_, "content"] if id_ in self.videos:
                return self._content(self.videos[id_])
            case "DELETE", ["v1", "videos", id_] if id_ in self.videos:
                del self.videos[id_]
                return as_json({"id": id_, "object": "video.deleted", "deleted": True})
            case _:
                return error(404, "not_found", "No such video.")

    def forget(self) -> None:
        self.videos.clear()

    def check_pictures(self) -> None:
        sent = [it.form["input_reference"] for it in self.videos.values() if "input_reference" in it.form]
        assert sent
        assert {part.content_type for part in sent} == {"image/png"}

    def _create(self, request: Request) -> Answer:
        try:
            form = {part.name: part for part in read_form(request.headers, request.body)}
        except NoForm:
            return error(415, "unsupported_media_type", "Send multipart/form-data.")
        if refused := self._refused(form):
            return refused
        self.billed += 1
        video = Video(f"video_{next(self._numbers):04}", form, self.take_ending())
        self.videos[video.id] = video
        return as_json(self._shown(video))

    def _look(self, video: Video) -> Answer:
        status = STAGES[video.looks][0]
        if not (self._held == "queued" or (self._held == "running" and status == "in_progress")):
            video.looks = min(video.looks + 1, len(STAGES) - 1)
        if video.ending and STAGES[video.looks][0] == "completed":
            video.failed = {"code": video.ending, "message": f"The video failed: {video.ending}."}
        return as_json(self._shown(video), openai_poll_after_ms="5")

    def _content(self, video: Video) -> Answer:
        if self.expired:
            return error(404, "video_expired", "The video's content has expired.")
        if STAGES[video.looks][0] != "completed":
            return error(409, "video_not_ready", "The video is not ready yet.")
        width, height = map(int, video.text("size", "1280x720").split("x"))
        frames = max(1, round(float(video.text("seconds", "1")) * 4))
        data = film(int(video.text("seed", "0")), width, height, frames=frames)
        return Answer(200, data, {"content-type": "video/mp4"})

    def _refused(self, form: Mapping[str, Part]) -> Answer | None:
        known = FIELDS | EXTENSIONS if self.extensions else FIELDS
        text = {name: part.data.decode(errors="replace") for name, part in form.items()}
        rules = [
            (400, "unknown_parameter", form.keys() <= known),
            (400, "missing_required_parameter", bool(text.get("prompt"))),
            (404, "model_not_found", text.get("model", MODELS[0]) in MODELS),
            (400, "invalid_value", re.fullmatch(r"\d+x\d+", text.get("size", "1x1"))),
            (400, "invalid_value", re.fullmatch(r"\d+(\.\d+)?", text.get("seconds", "1"))),
            (400, "moderation_blocked", "forbidden" not in text.get("prompt", "")),
        ]
        return next((error(status, code) for status, code, kept in rules if not kept), None)

    def _shown(self, video: Video) -> dict[str, Any]:
        status, progress = ("failed", 0) if video.failed else STAGES[video.looks]
        if self.strange and status == "in_progress":
            status = "pondering"
        return {
            "id": video.id,
            "object": "video",
            "created_at": 1_795_000_000,
            "status": status,
            "progress": progress,
            "model": video.text("model", MODELS[0]),
            "prompt": video.text("prompt", ""),
            "seconds": video.text("seconds", "4"),
            "size": video.text("size", "1280x720"),
            "error": video.failed,
        }
