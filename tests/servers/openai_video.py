"""A server with the OpenAI-compatible `/videos`: openai-python 3.54.0's shape, as vLLM-Omni serves it too.

OpenAI shut its own down on 2026-09-24; the shape lives on in vLLM-Omni (docs/serving/videos_api.md),
LiteLLM and gateways. A job moves one stage with each look at it, and stays where a test holds it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tests.servers.standin import Json, Part, ProviderServer, film, read_form

KEY = "sk-video-0123456789"
MODEL = "wan2.2-t2v"
FIELDS = {"prompt", "model", "seconds", "size", "user", "input_reference"}
EXTENSIONS = {"width", "height", "num_frames", "fps", "seed", "negative_prompt", "num_inference_steps"}
"""What vLLM-Omni takes beside OpenAI's fields."""
STAGES = (("queued", 0), ("in_progress", 10), ("in_progress", 55), ("completed", 100))


@dataclass(eq=False)
class Video:
    """One job and the form it was asked for with."""

    id: str
    form: dict[str, Part]
    stage: int = 0
    error: Json | None = None

    def text(self, name: str, default: str) -> str:
        return self.form[name].data.decode() if name in self.form else default

    @property
    def size(self) -> tuple[int, int]:
        width, height = re.findall(r"\d+", self.text("size", "1280x720"))
        return int(width), int(height)


@dataclass(eq=False)
class OpenAIVideoServer(ProviderServer):
    """The jobs by id; `held` is the stage at which they stay, `gone` those whose content has expired."""

    stages: tuple[tuple[str, int], ...] = STAGES
    extensions: bool = True
    held: str | None = None
    videos: dict[str, Video] = field(default_factory=dict)
    deleted: list[str] = field(default_factory=list)
    refusal: Json | None = None
    """Every job fails with this error."""
    expired: bool = False
    poll_after_ms: int = 5

    def app(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/v1/models", self.models),
                Route("/v1/videos", self.create, methods=["POST"]),
                Route("/v1/videos/{id}", self.look, methods=["GET"]),
                Route("/v1/videos/{id}", self.delete, methods=["DELETE"]),
                Route("/v1/videos/{id}/content", self.content),
            ]
        )

    async def models(self, request: Request) -> Response:
        if (refused := _unauthorized(request)) is not None:
            return refused
        return JSONResponse({"object": "list", "data": [{"id": MODEL, "object": "model"}]})

    async def create(self, request: Request) -> Response:
        if (refused := _unauthorized(request)) is not None:
            return refused
        if not request.headers["content-type"].startswith("multipart/form-data"):
            return _error(415, "unsupported_media_type", "Send multipart/form-data.")
        form = {part.name: part for part in await read_form(request)}
        if (refused := self._refused(form)) is not None:
            return refused
        self.charged += 1
        video = Video(f"video_{len(self.videos) + 1:04}", form)
        self.videos[video.id] = video
        return JSONResponse(self._described(video))

    async def look(self, request: Request) -> Response:
        video = self.videos.get(request.path_params["id"])
        if (refused := _unauthorized(request)) is not None:
            return refused
        if video is None:
            return _error(404, "not_found", "No such video.")
        if self.stages[video.stage][0] != self.held:
            video.stage = min(video.stage + 1, len(self.stages) - 1)
        if self.refusal and self.stages[video.stage][0] != "queued":
            video.error = self.refusal
        headers = {"openai-poll-after-ms": str(self.poll_after_ms)}
        return JSONResponse(self._described(video), headers=headers)

    async def content(self, request: Request) -> Response:
        video = self.videos.get(request.path_params["id"])
        if (refused := _unauthorized(request)) is not None:
            return refused
        if video is None or self.expired:
            return _error(404, "video_expired", "The video's content has expired.")
        if self.stages[video.stage][0] != "completed":
            return _error(409, "video_not_ready", "The video is not ready yet.")
        seconds = float(video.text("seconds", "4"))
        shade = int(video.text("seed", "0")) * 7
        width, height = video.size
        return Response(film(width, height, seconds=seconds, shade=shade), media_type="video/mp4")

    async def delete(self, request: Request) -> Response:
        id_ = request.path_params["id"]
        if (refused := _unauthorized(request)) is not None:
            return refused
        if self.videos.pop(id_, None) is None:
            return _error(404, "not_found", "No such video.")
        self.deleted.append(id_)
        return JSONResponse({"id": id_, "object": "video.deleted", "deleted": True})

    def _refused(self, form: dict[str, Part]) -> Response | None:
        known = FIELDS | EXTENSIONS if self.extensions else FIELDS
        text = {name: part.data.decode(errors="replace") for name, part in form.items()}
        rules = [
            (400, "unknown_parameter", form.keys() <= known),
            (400, "missing_required_parameter", bool(text.get("prompt"))),
            (404, "model_not_found", text.get("model", MODEL) == MODEL),
            (400, "invalid_value", re.fullmatch(r"\d+x\d+", text.get("size", "1x1"))),
            (400, "invalid_value", re.fullmatch(r"\d+(\.\d+)?", text.get("seconds", "1"))),
            (400, "moderation_blocked", "forbidden" not in text.get("prompt", "")),
        ]
        broken = (_error(status, code, f"Refused: {code}.") for status, code, kept in rules if not kept)
        return next(broken, None)

    def _described(self, video: Video) -> Json:
        status, progress = ("failed", 0) if video.error else self.stages[video.stage]
        return {
            "id": video.id,
            "object": "video",
            "created_at": 1_795_000_000,
            "status": status,
            "progress": progress,
            "model": video.text("model", MODEL),
            "prompt": video.text("prompt", ""),
            "seconds": video.text("seconds", "4"),
            "size": video.text("size", "1280x720"),
            "completed_at": 1_795_000_060 if status == "completed" else None,
            "expires_at": 1_795_003_600 if status == "completed" else None,
            "error": video.error,
        }


def _unauthorized(request: Request) -> Response | None:
    if request.headers.get("authorization") == f"Bearer {KEY}":
        return None
    return _error(401, "invalid_api_key", "Incorrect API key provided.")


def _error(status: int, code: str, message: str) -> Response:
    kind = "invalid_request_error" if status < 500 else "server_error"
    return JSONResponse(
        {"error": {"message": message, "type": kind, "param": None, "code": code}}, status_code=status
    )
