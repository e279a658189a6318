"""A server that speaks Google's wire formats (google-genai 3.4.0): Gemini API and Veo on Vertex AI.

Pictures by `models/…:generateContent`, films by `/interactions` and the Files API, and Veo's long-running
operations under `projects/…`. A film moves one stage with each look at it, and stays where a test holds it.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tests.servers.standin import Json, ProviderServer, film, picture

KEY: Final = "AIza-test-0123456789"
TOKEN: Final = "ya29.test-token"
PROJECT: Final = "projects/studio/locations/us-central1"
PICTURE_MODELS: Final = ("gemini-3.1-flash-image", "gemini-3-pro-image", "gemini-3.1-flash-lite-image")
FILM_MODELS: Final = ("gemini-omni-1.2-flash", "gemini-omni-1.1-flash")
VEO_MODELS: Final = ("veo-3.1-generate-001", "veo-3.1-fast-generate-001", "veo-3.1-lite-generate-001")
RATIOS: Final = frozenset(
    "1:1 2:3 3:2 3:4 4:3 4:5 5:4 9:16 16:9 21:9 1:4 4:1 1:8 8:1".split()  # noqa: SIM905 - read as one line
)
SIDES: Final = {"512": 512, "1K": 1024, "2K": 2048, "4K": 4096}
URL_SAFE: Final = str.maketrans("-_", "+/")
HEIGHTS: Final = {"360p": 360, "720p": 720, "1080p": 1080, "4k": 2160}

KNOWN: Final[Mapping[str, frozenset[str]]] = {
    "": frozenset({"contents", "generationConfig", "safetySettings", "systemInstruction"}),
    "generationConfig": frozenset({"responseModalities", "imageConfig", "seed", "candidateCount"}),
    "imageConfig": frozenset({"aspectRatio", "imageSize"}),
    "interaction": frozenset(
        {
            "model",
            "input",
            "background",
            "store",
            "stream",
            "response_format",
            "generation_config",
            "webhook_config",
            "service_tier",
        }
    ),
    "response_format": frozenset({"type", "aspect_ratio", "resolution", "duration", "delivery"}),
    "instance": frozenset({"prompt", "image", "lastFrame", "video", "referenceImages", "mask"}),
    "parameters": frozenset(
        {
            "sampleCount",
            "durationSeconds",
            "aspectRatio",
            "resolution",
            "seed",
            "negativePrompt",
            "storageUri",
            "generateAudio",
            "personGeneration",
        }
    ),
}


class Refusal(Exception):
    """An error in Google's envelope."""

    def __init__(self, status: int, name: str, message: str, **detail: object) -> None:
        super().__init__(message)
        self.status = status
        error: Json = {"code": status, "message": message, "status": name}
        if detail:
            error["details"] = [detail]
        self.body = {"error": error}


@dataclass(eq=False)
class Film:
    """One interaction or operation: what was asked, and how often it was looked at."""

    id: str
    asked: Json
    stage: int = 0
    cancelled: bool = False


@dataclass(eq=False)
class GoogleServer(ProviderServer):
    """Films by id; `held` is the status at which they stay, `empty` how often a finished one shows nothing."""

    stages: tuple[str, ...] = ("in_progress", "in_progress", "completed")
    held: str | None = None
    empty: int = 0
    errors: list[Json] = field(default_factory=list)
    """Every film fails with these."""
    file_states: list[str] = field(default_factory=lambda: ["PROCESSING", "ACTIVE"])
    inline: bool = False
    expired: bool = False
    filtered: list[str] = field(default_factory=list)
    """Why Veo keeps its films to itself."""
    picture_kind: str = "JPEG"
    bodies: list[Json] = field(default_factory=list)
    films: dict[str, Film] = field(default_factory=dict)
    cancelled: list[str] = field(default_factory=list)

    def app(self) -> Starlette:
        veo = f"/{{v}}/{PROJECT}/publishers/google/models"
        return Starlette(
            routes=[
                Route("/{v:str}/models", self.models),
                Route("/{v:str}/models/{call:str}", self.generate, methods=["POST"]),
                Route("/{v:str}/interactions", self.create, methods=["POST"]),
                Route("/{v:str}/interactions/{id}", self.look, methods=["GET"]),
                Route("/{v:str}/interactions/{id}", self.delete, methods=["DELETE"]),
                Route("/{v:str}/interactions/{id}/cancel", self.cancel, methods=["POST"]),
                Route("/{v:str}/files/{call:str}", self.file),
                Route(f"{veo}/{{call:str}}", self.veo, methods=["POST"]),
                Route(veo, self.veo_models),
            ],
            exception_handlers={Refusal: _refused},
        )

    # the Gemini API

    async def models(self, request: Request) -> Response:
        _authorize(request)
        names = [{"name": f"models/{name}"} for name in (*PICTURE_MODELS, *FILM_MODELS)]
        return JSONResponse({"models": names})

    async def generate(self, request: Request) -> Response:
        _authorize(request)
        model, _, verb = request.path_params["call"].partition(":")
        if verb != "generateContent":
            raise Refusal(404, "NOT_FOUND", f"Unknown method {verb}.")
        if model not in PICTURE_MODELS:
            raise _no_model(model)
        body = await _read(request)
        prompt = _checked_contents(body)
        self.bodies.append(body)
        self.charged += 1
        usage = {"promptTokenCount": 9, "candidatesTokenCount": 1290, "totalTokenCount": 1299}
        head = {"modelVersion": model, "responseId": "r1", "usageMetadata": usage}
        if "forbidden" in prompt:
            return JSONResponse({**head, "promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}})
        if "unsafe result" in prompt:
            return JSONResponse({**head, "candidates": [{"finishReason": "IMAGE_SAFETY", "index": 0}]})
        made = [] if "only words" in prompt else [{"inlineData": self._picture(body)}]
        parts = [{"text": "Here it is."}, *made]
        candidate = {"content": {"role": "model", "parts": parts}, "finishReason": "STOP", "index": 0}
        return JSONResponse({**head, "candidates": [candidate]})

    def _picture(self, body: Json) -> Json:
        config = body.get("generationConfig", {})
        wanted = config.get("imageConfig", {})
        width, height = shape(wanted.get("aspectRatio", "1:1"), SIDES[wanted.get("imageSize", "1K")])
        data = picture(width, height, shade=config.get("seed", 0), kind=self.picture_kind)
        return {"mimeType": f"image/{self.picture_kind.lower()}", "data": base64.b64encode(data).decode()}

    async def create(self, request: Request) -> Response:
        _authorize(request)
        body = await _read(request)
        _checked_interaction(body)
        if "forbidden" in json.dumps(body["input"]):
            message = "The prompt was blocked because it may violate the safety policies."
            raise Refusal(400, "INVALID_ARGUMENT", message)
        self.bodies.append(body)
        self.charged += 1
        made = Film(f"v1_{len(self.films) + 1:04}", body)
        self.films[made.id] = made
        return JSONResponse(self._described(made, request))

    async def look(self, request: Request) -> Response:
        _authorize(request)
        made = self._find(request)
        if self.stages[made.stage] != self.held:
            made.stage = min(made.stage + 1, len(self.stages) - 1)
        return JSONResponse(self._described(made, request))

    async def cancel(self, request: Request) -> Response:
        _authorize(request)
        made = self._find(request)
        if self.stages[made.stage] == "completed":
            raise Refusal(400, "FAILED_PRECONDITION", "The interaction is not running.")
        made.cancelled = True
        self.cancelled.append(made.id)
        return JSONResponse(self._described(made, request))

    async def delete(self, request: Request) -> Response:
        _authorize(request)
        del self.films[self._find(request).id]
        return JSONResponse({})

    async def file(self, request: Request) -> Response:
        _authorize(request)
        id_, _, verb = request.path_params["call"].partition(":")
        made = self.films.get(f"v1_{id_.removeprefix('film')}")
        if made is None or self.expired:
            raise Refusal(403, "PERMISSION_DENIED", "You do not have permission to access the File.")
        if verb == "download" and request.query_params.get("alt") == "media":
            return Response(_film(made), media_type="video/mp4")
        state = self.file_states.pop(0) if len(self.file_states) > 1 else self.file_states[0]
        uri = f"{request.base_url}v1beta/files/{id_}"
        return JSONResponse({"name": f"files/{id_}", "state": state, "mimeType": "video/mp4", "uri": uri})

    def _described(self, made: Film, request: Request) -> Json:
        status = "cancelled" if made.cancelled else self.stages[made.stage]
        steps: list[Json] = [{"type": "user_input", "content": [{"type": "text", "text": "…"}]}]
        described: Json = {"id": made.id, "status": status, "model": made.asked["model"], "steps": steps}
        if self.errors and made.stage:
            return {**described, "status": "failed", "errors": self.errors}
        if status == "completed" and self.empty:
            self.empty -= 1
        elif status == "completed":
            steps.append({"type": "model_output", "content": [self._content(made, request)]})
            described["usage"] = {
                "total_input_tokens": 20,
                "total_output_tokens": 5200,
                "total_tokens": 5220,
                "output_tokens_by_modality": [{"modality": "video", "tokens": 5200}],
            }
        return described

    def _content(self, made: Film, request: Request) -> Json:
        if self.inline:
            data = base64.b64encode(_film(made)).decode()
            return {"type": "video", "mime_type": "video/mp4", "data": data}
        uri = f"{request.base_url}v1beta/files/film{made.id.removeprefix('v1_')}"
        return {"type": "video", "mime_type": "video/mp4", "uri": uri}

    def _find(self, request: Request) -> Film:
        if (made := self.films.get(request.path_params["id"])) is None:
            raise Refusal(404, "NOT_FOUND", "Interaction not found.")
        return made

    # Veo on Vertex AI

    async def veo_models(self, request: Request) -> Response:
        _authorize_vertex(request)
        return JSONResponse({"publisherModels": [{"name": name} for name in VEO_MODELS]})

    async def veo(self, request: Request) -> Response:
        _authorize_vertex(request)
        model, _, verb = request.path_params["call"].partition(":")
        body = await _read(request)
        if model not in VEO_MODELS:
            raise _no_model(model)
        if verb == "fetchPredictOperation":
            return self._operation(body)
        if verb != "predictLongRunning":
            raise Refusal(404, "NOT_FOUND", f"Unknown method {verb}.")
        _checked_veo(body)
        self.bodies.append(body)
        self.charged += 1
        name = f"{PROJECT}/publishers/google/models/{model}/operations/{len(self.films) + 1:04}"
        self.films[name] = Film(name, body)
        return JSONResponse({"name": name})

    def _operation(self, body: Json) -> Response:
        made = self.films.get(body.get("operationName", ""))
        if made is None:
            raise Refusal(404, "NOT_FOUND", "Operation not found.")
        if self.stages[made.stage] != self.held:
            made.stage = min(made.stage + 1, len(self.stages) - 1)
        if self.stages[made.stage] != "completed":
            return JSONResponse({"name": made.id})
        if self.errors:
            return JSONResponse({"name": made.id, "done": True, "error": self.errors[0]})
        kind = "type.googleapis.com/cloud.ai.large_models.vision.GenerateVideoResponse"
        count = made.asked.get("parameters", {}).get("sampleCount", 1)
        if self.filtered:
            reasons = {"raiMediaFilteredCount": count, "raiMediaFilteredReasons": self.filtered}
            return JSONResponse({"name": made.id, "done": True, "response": {"@type": kind, **reasons}})
        videos = [
            {"bytesBase64Encoded": base64.b64encode(_veo(made, index)).decode(), "mimeType": "video/mp4"}
            for index in range(count)
        ]
        response = {"@type": kind, "raiMediaFilteredCount": 0, "videos": videos}
        return JSONResponse({"name": made.id, "done": True, "response": response})


def shape(ratio: str, side: int) -> tuple[int, int]:
    """Return the size of a picture of the area `side` squared, in steps of 16."""
    across, down = map(int, ratio.split(":"))
    width = side * (across / down) ** 0.5
    return max(16, round(width / 16) * 16), max(16, round(width * down / across / 16) * 16)


def _film(made: Film) -> bytes:
    wanted = made.asked["response_format"]
    height = HEIGHTS[wanted.get("resolution", "720p")]
    across, down = map(int, wanted.get("aspect_ratio", "16:9").split(":"))
    width = round(height * max(across, down) / min(across, down) / 2) * 2
    size = (width, height) if across > down else (height, width)
    return film(*size, seconds=float(wanted.get("duration", "5s").removesuffix("s")))


def _veo(made: Film, index: int) -> bytes:
    wanted = made.asked.get("parameters", {})
    height = HEIGHTS[wanted.get("resolution", "720p")]
    size = (round(height * 16 / 9), height)
    if wanted.get("aspectRatio") == "9:16":
        size = size[::-1]
    return film(*size, seconds=wanted.get("durationSeconds", 8), shade=wanted.get("seed", 0) * 7 + index)


async def _refused(_: Request, refusal: Exception) -> Response:
    assert isinstance(refusal, Refusal)
    return JSONResponse(refusal.body, refusal.status)


def _authorize(request: Request) -> None:
    if request.headers.get("x-goog-api-key") == KEY:
        return
    raise Refusal(
        400,
        "INVALID_ARGUMENT",
        "API key not valid. Please pass a valid API key.",
        **{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"},
    )


def _authorize_vertex(request: Request) -> None:
    if request.headers.get("authorization") != f"Bearer {TOKEN}":
        raise Refusal(401, "UNAUTHENTICATED", "Request had invalid authentication credentials.")


def _no_model(model: str) -> Refusal:
    message = f"models/{model} is not found for API version v1beta, or is not supported for generateContent."
    return Refusal(404, "NOT_FOUND", message)


async def _read(request: Request) -> Json:
    try:
        body = json.loads(await request.body())
    except ValueError:
        raise Refusal(400, "INVALID_ARGUMENT", "Invalid JSON payload received.") from None
    if not isinstance(body, dict):
        raise Refusal(400, "INVALID_ARGUMENT", "Invalid JSON payload received. Not an object.")
    return body


def _only(known: str, value: Any) -> Json:
    if not isinstance(value, dict):
        raise _invalid(f"Invalid value at '{known}'.")
    if unknown := sorted(value.keys() - KNOWN[known]):
        raise _invalid(f'Invalid JSON payload received. Unknown name "{unknown[0]}" at \'{known}\'.')
    return value


def _one_of(value: object, allowed: Any, name: str) -> None:
    if value is not None and value not in allowed:
        raise _invalid(f"Invalid value at '{name}': {value!r}.")


def _checked_contents(body: Json) -> str:
    _only("", body)
    config = _only("generationConfig", body.get("generationConfig", {}))
    wanted = _only("imageConfig", config.get("imageConfig", {}))
    _one_of(wanted.get("aspectRatio"), RATIOS, "image_config.aspect_ratio")
    _one_of(wanted.get("imageSize"), SIDES, "image_config.image_size")
    if not isinstance(config.get("seed", 0), int):
        raise _invalid("Invalid value at 'generation_config.seed' (TYPE_INT32).")
    parts = [part for content in body.get("contents", ()) for part in content.get("parts", ())]
    texts = [part["text"] for part in parts if "text" in part]
    if not texts:
        raise _invalid("* GenerateContentRequest.contents: contents is not specified")
    for part in parts:
        if "text" not in part:
            _check_data(part["inlineData"])
    return " ".join(texts)


def _check_data(data: Json) -> None:
    kind = data.get("mimeType") or data.get("mime_type") or ""  # protobuf's JSON takes both spellings
    if not re.fullmatch(r"image/(png|jpeg|webp)", kind):
        raise _invalid("Unsupported MIME type.")
    base64.b64decode(data["data"].translate(URL_SAFE), validate=True)


def _checked_interaction(body: Json) -> None:
    _only("interaction", body)
    if body.get("model") not in FILM_MODELS:
        raise _no_model(str(body.get("model")))
    if not body.get("input"):
        raise _invalid("input is required.")
    if body.get("background") and not body.get("store"):
        raise _invalid("background requires store.")
    wanted = _only("response_format", body.get("response_format", {}))
    _one_of(wanted.get("type"), {"video"}, "response_format.type")
    _one_of(wanted.get("aspect_ratio"), {"16:9", "9:16"}, "response_format.aspect_ratio")
    _one_of(wanted.get("resolution"), HEIGHTS, "response_format.resolution")
    _one_of(wanted.get("duration"), {f"{number}s" for number in range(3, 16)}, "response_format.duration")
    _one_of(wanted.get("delivery"), {"inline", "uri"}, "response_format.delivery")
    for part in body["input"] if isinstance(body["input"], list) else ():
        if part.get("type") == "image":
            _check_data({"mimeType": part.get("mime_type"), "data": part.get("data")})


def _checked_veo(body: Json) -> None:
    for instance in body.get("instances", ()):
        _only("instance", instance)
    wanted = _only("parameters", body.get("parameters", {}))
    if not body.get("instances") or not body["instances"][0].get("prompt"):
        raise _invalid("Text prompt is required.")
    _one_of(wanted.get("aspectRatio"), {"16:9", "9:16"}, "aspectRatio")
    _one_of(wanted.get("resolution"), {"720p", "1080p", "4k"}, "resolution")
    _one_of(wanted.get("durationSeconds"), {4, 6, 8}, "durationSeconds")
    _one_of(wanted.get("sampleCount"), {1, 2, 3, 4}, "sampleCount")
    if "forbidden" in body["instances"][0]["prompt"]:
        raise _invalid("The prompt could not be submitted. It contains words that violate the usage guidelines.")


def _invalid(message: str) -> Refusal:
    return Refusal(400, "INVALID_ARGUMENT", message)
