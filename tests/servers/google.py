"""Fakes of Google's Gemini API and of Veo on Vertex AI, by Google's Python client 3.4.0 and its documents.

Pictures by `models/…:generateContent`, films by `/interactions` and the Files API, and Veo's long-running
operations under `projects/…`. Each look at a film brings it a step on.
"""

from __future__ import annotations

import base64
import itertools
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from tests.servers.google_tokens import TOKEN
from tests.servers.media import Shelf, film, still
from tests.servers.provider import ProviderServer, Stage
from tests.servers.web import HTML_PAGE, Answer, Fault, Request, as_json

Json = dict[str, Any]
PROJECT: Final = "projects/studio/locations/us-central1"
PICTURE_MODELS: Final = ("gemini-3.1-flash-image", "gemini-3-pro-image", "gemini-3.1-flash-lite-image")
FILM_MODELS: Final = ("gemini-omni-1.2-flash", "gemini-omni-1.1-flash")
VEO_MODELS: Final = ("veo-3.1-generate-001", "veo-3.1-fast-generate-001", "veo-3.1-lite-generate-001")
RATIOS: Final = frozenset(
    "1:1 2:3 3:2 3:4 4:3 4:5 5:4 9:16 16:9 21:9 1:4 4:1 1:8 8:1".split()  # noqa: SIM905 - read as one line
)
SIDES: Final = {"512": 512, "1K": 1024, "2K": 2048, "4K": 4096}
SIZES_1K: Final = {
    "1:1": (1024, 1024),
    "2:3": (848, 1264),
    "3:2": (1264, 848),
    "3:4": (896, 1200),
    "4:3": (1200, 896),
    "4:5": (928, 1152),
    "5:4": (1152, 928),
    "9:16": (768, 1376),
    "16:9": (1376, 768),
    "21:9": (1584, 672),
}
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
    """A request that Google would refuse; `answer` is its envelope."""

    def __init__(self, status: int, name: str, message: str, detail: Json | None = None) -> None:
        super().__init__(message)
        self.answer = error(status, name, message, detail=detail)


def error(status: int, name: str, message: str = "", *, wait: str = "", detail: Json | None = None) -> Answer:
    """Answer as Google refuses; `wait` is a `Retry-After`."""
    said: Json = {"code": status, "message": message or f"Refused: {name}.", "status": name}
    if detail:
        said["details"] = [detail]
    return as_json({"error": said}, status, **({"retry_after": wait} if wait else {}))


FAULTS: Final[Mapping[str, tuple[Fault, str]]] = {
    "throttled": (Fault(error(429, "RESOURCE_EXHAUSTED", "Quota exceeded.", wait="7")), "rate_limited"),
    "no credit": (
        Fault(
            error(
                429,
                "RESOURCE_EXHAUSTED",
                "You exceeded your current quota, please check your plan and billing details.",
                detail={
                    "@type": "type.googleapis.com/google.rpc.QuotaFailure",
                    "violations": [{"quotaId": "GenerateRequestsPerDayPerProjectPerModel"}],
                },
            )
        ),
        "quota_exhausted",
    ),
    "no permission": (Fault(error(403, "PERMISSION_DENIED")), "auth"),
    "no model": (Fault(error(404, "NOT_FOUND")), "model_gone"),
    "no region": (
        Fault(error(400, "FAILED_PRECONDITION", "User location is not supported for the API use.")),
        "unsupported",
    ),
    "bad input": (Fault(error(400, "INVALID_ARGUMENT")), "invalid_request"),
    "internal": (Fault(error(500, "INTERNAL")), "provider_error"),
    "unavailable": (Fault(error(503, "UNAVAILABLE", "The model is overloaded.")), "overloaded"),
    "a proxy's page": (HTML_PAGE, "network"),
}


@dataclass(eq=False)
class Film:
    """One interaction or operation: what was asked, and how often it was looked at."""

    id: str
    asked: Json
    ending: str = ""
    looks: int = 0
    cancelled: bool = False


class GoogleServer(ProviderServer):
    """What the fakes of Google share: the films and their stages."""

    FAULTS = FAULTS
    STATUSES: ClassVar[tuple[str, ...]] = ("queued", "queued", "in_progress", "in_progress", "completed")

    def __init__(self, shelf: Shelf) -> None:
        super().__init__(shelf)
        self.bodies: list[Json] = []
        self.films: dict[str, Film] = {}
        self._numbers = itertools.count(1)

    def answer(self, request: Request) -> Answer:
        try:
            return self.answered(request)
        except Refusal as refusal:
            return refusal.answer

    def answered(self, request: Request) -> Answer:
        raise NotImplementedError

    def forget(self) -> None:
        self.films.clear()

    def take(self, id_: str, body: Json) -> Film:
        self.bodies.append(body)
        self.billed += 1
        return self.films.setdefault(id_, Film(id_, body, self.take_ending()))

    def looked(self, made: Film) -> str:
        """Return the status after one more look."""
        status = self.STATUSES[made.looks]
        if not (self._held == "queued" or (self._held == "running" and status == "in_progress")):
            made.looks = min(made.looks + 1, len(self.STATUSES) - 1)
        return self.STATUSES[made.looks]


class PictureServer(GoogleServer):
    """Pictures of the Gemini API, in the answer of the call."""

    RESUMES = False
    FAULTS: ClassVar[Mapping[str, tuple[Fault, str]]] = {
        **FAULTS,
        "wrong key": (
            Fault(error(400, "INVALID_ARGUMENT", "API key not valid.", detail={"reason": "API_KEY_INVALID"})),
            "auth",
        ),
    }
    ENDINGS: ClassVar[Mapping[str, str]] = {
        "prompt blocked": "content_policy_input",
        "picture blocked": "content_policy_output",
        "only words": "bad_output",
    }

    def submits_of(self, n: int) -> int:
        return 1

    def place(self, request: Request) -> str:
        return "submit" if request.method == "POST" else "check"

    def check_pictures(self) -> None:
        parts = [part for content in self.bodies[-1]["contents"] for part in content["parts"]]
        assert any("inlineData" in part for part in parts)

    def answered(self, request: Request) -> Answer:
        _authorize(request, self.key)
        match request.method, request.path.strip("/").split("/"):
            case "GET", [_, "models"]:
                return as_json({"models": [{"name": f"models/{name}"} for name in PICTURE_MODELS]})
            case "POST", [_, "models", call]:
                return self._generate(call, _read(request))
            case _:
                raise Refusal(404, "NOT_FOUND", "Not found.")

    def _generate(self, call: str, body: Json) -> Answer:
        model, _, verb = call.partition(":")
        if model not in PICTURE_MODELS or verb != "generateContent":
            raise _no_model(model)
        _check_contents(body)
        self.bodies.append(body)
        self.billed += 1
        usage = {"promptTokenCount": 9, "candidatesTokenCount": 1290, "totalTokenCount": 1299}
        return as_json({"modelVersion": model, "usageMetadata": usage, **self._ended(body)})

    def _ended(self, body: Json) -> Json:
        ending = self.take_ending()
        if ending == "prompt blocked":
            return {"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}}
        if ending == "picture blocked":
            return {"candidates": [{"finishReason": "IMAGE_SAFETY", "index": 0}]}
        made = [] if ending else [{"inlineData": _picture(body)}]
        content = {"role": "model", "parts": [{"text": "Here it is."}, *made]}
        return {"candidates": [{"content": content, "finishReason": "STOP", "index": 0}]}


class InteractionServer(GoogleServer):
    """Films of the Gemini API; a finished one shows nothing for `empty` looks, as the real one has done."""

    ENDINGS: ClassVar[Mapping[str, str]] = {
        "blocked": "content_policy_output",
        "broken": "provider_error",
        "cancelled by its owner": "cancelled_at_provider",
    }
    CANCELS: ClassVar[Mapping[Stage, str]] = {
        "queued": "cancelled",
        "running": "cancelled",
        "done": "too_late",
    }

    def __init__(self, shelf: Shelf) -> None:
        super().__init__(shelf)
        self.empty = 0
        self.inline = False
        self.file_states = ["PROCESSING", "ACTIVE"]

    def place(self, request: Request) -> str:
        if request.path.endswith("/cancel"):
            return "cancel"
        if "/files/" in request.path:
            return "content" if request.path.endswith(":download") else "file"
        return (
            "submit" if request.method == "POST" else "poll" if "/interactions/" in request.path else "check"
        )

    def check_pictures(self) -> None:
        assert any(part["type"] == "image" for part in self.bodies[-1]["input"])

    def answered(self, request: Request) -> Answer:
        _authorize(request, self.key)
        match request.method, request.path.strip("/").split("/"):
            case "GET", [_, "models"]:
                return as_json({"models": [{"name": f"models/{name}"} for name in FILM_MODELS]})
            case "POST", [_, "interactions"]:
                body = _read(request)
                _check_interaction(body)
                return as_json(self._shown(self.take(f"v1_{next(self._numbers):04}", body)))
            case "GET", [_, "interactions", id_] if id_ in self.films:
                self.looked(self.films[id_])
                return as_json(self._shown(self.films[id_]))
            case "POST", [_, "interactions", id_, "cancel"] if id_ in self.films:
                return self._cancel(self.films[id_])
            case "DELETE", [_, "interactions", id_] if id_ in self.films:
                del self.films[id_]
                return as_json({})
            case "GET", [_, "files", call]:
                return self._file(*call.partition(":")[::2])
            case _:
                raise Refusal(404, "NOT_FOUND", "Not found.")

    def _cancel(self, made: Film) -> Answer:
        if self.STATUSES[made.looks] == "completed":
            raise Refusal(400, "FAILED_PRECONDITION", "The interaction is not running.")
        made.cancelled = True
        return as_json(self._shown(made))

    def _file(self, name: str, verb: str) -> Answer:
        made = self.films.get(f"v1_{name.removeprefix('film')}")
        if made is None:
            raise Refusal(403, "PERMISSION_DENIED", "You do not have permission to access the File.")
        if verb == "download":
            return Answer(200, _film(made), {"content-type": "video/mp4"})
        state = self.file_states.pop(0) if len(self.file_states) > 1 else self.file_states[0]
        uri = f"{self.url}/v1beta/files/{name}"
        return as_json({"name": f"files/{name}", "state": state, "mimeType": "video/mp4", "uri": uri})

    def _shown(self, made: Film) -> Json:
        status = "cancelled" if made.cancelled else self.STATUSES[made.looks]
        steps: list[Json] = [{"type": "user_input", "content": [{"type": "text", "text": "…"}]}]
        shown: Json = {"id": made.id, "model": made.asked["model"], "steps": steps, "status": status}
        if status == "in_progress" and self.strange:
            shown["status"] = "pondering"
        if status == "completed" and made.ending:
            return {**shown, **FILM_ENDS[made.ending]}
        if status == "completed" and self.empty:
            self.empty -= 1
        elif status == "completed":
            steps.append({"type": "model_output", "content": [self._content(made)]})
            shown["usage"] = {
                "total_input_tokens": 20,
                "total_output_tokens": 5200,
                "total_tokens": 5220,
                "output_tokens_by_modality": [{"modality": "video", "tokens": 5200}],
            }
        return shown

    def _content(self, made: Film) -> Json:
        if self.inline:
            data = base64.b64encode(_film(made)).decode()
            return {"type": "video", "mime_type": "video/mp4", "data": data}
        uri = f"{self.url}/v1beta/files/film{made.id.removeprefix('v1_')}"
        return {"type": "video", "mime_type": "video/mp4", "uri": uri}


FILM_ENDS: Final[Mapping[str, Json]] = {
    "blocked": {
        "status": "failed",
        "errors": [{"code": "content_blocked", "message": "The video was blocked by the safety filters."}],
    },
    "broken": {"status": "failed", "errors": [{"code": "internal", "message": "Internal error."}]},
    "cancelled by its owner": {"status": "cancelled"},
}


class VeoServer(GoogleServer):
    """Veo on Vertex AI: operations that are asked after until they are done."""

    key = TOKEN
    STATUSES = ("in_progress", "in_progress", "completed")
    ENDINGS: ClassVar[Mapping[str, str]] = {
        "filtered": "content_policy_output",
        "broken": "provider_error",
        "prompt refused": "content_policy_input",
    }
    CANCELS: ClassVar[Mapping[Stage, str]] = {}

    def place(self, request: Request) -> str:
        if request.method == "GET":
            return "check"
        return "poll" if request.path.endswith(":fetchPredictOperation") else "submit"

    def check_pictures(self) -> None:
        [instance] = self.bodies[-1]["instances"]
        assert instance.keys() & {"image", "lastFrame", "referenceImages"}

    def answered(self, request: Request) -> Answer:
        if request.headers.get("authorization") != f"Bearer {self.key}":
            raise Refusal(401, "UNAUTHENTICATED", "Request had invalid authentication credentials.")
        start = f"/v1/{PROJECT}/publishers/google/models"
        path = request.path.replace("/v1beta1/", "/v1/")
        if request.method == "GET" and path.removeprefix("/v1/publishers/google/models/") in VEO_MODELS:
            return as_json({"name": path.removeprefix("/v1/"), "launchStage": "GA"})
        if not path.startswith(start):
            raise Refusal(404, "NOT_FOUND", "Not found.")
        model, _, verb = path.removeprefix(start).strip("/").partition(":")
        if model not in VEO_MODELS:
            raise _no_model(model)
        if verb == "fetchPredictOperation":
            return self._operation(_read(request))
        body = _read(request)
        _check_veo(body)
        name = f"{PROJECT}/publishers/google/models/{model}/operations/{next(self._numbers):04}"
        return as_json({"name": self.take(name, body).id})

    def _operation(self, body: Json) -> Answer:
        made = self.films.get(body.get("operationName", ""))
        if made is None:
            raise Refusal(404, "NOT_FOUND", "Operation not found.")
        if self.looked(made) != "completed":
            return as_json({"name": made.id})
        if made.ending in VEO_ERRORS:
            return as_json({"name": made.id, "done": True, "error": VEO_ERRORS[made.ending]})
        kind = {"@type": "type.googleapis.com/cloud.ai.large_models.vision.GenerateVideoResponse"}
        count = made.asked.get("parameters", {}).get("sampleCount", 1)
        if made.ending:
            why = ["Veo could not generate videos because the output violates the policies: 58061214."]
            filtered = {"raiMediaFilteredCount": count, "raiMediaFilteredReasons": why}
            return as_json({"name": made.id, "done": True, "response": {**kind, **filtered}})
        videos = [
            {"bytesBase64Encoded": base64.b64encode(_veo(made, index)).decode(), "mimeType": "video/mp4"}
            for index in range(count)
        ]
        response = {**kind, "raiMediaFilteredCount": 0, "videos": videos}
        return as_json({"name": made.id, "done": True, "response": response})


VEO_ERRORS: Final[Mapping[str, Json]] = {
    "broken": {"code": 13, "message": "Internal error. Please try again."},
    "prompt refused": {
        "code": 3,
        "message": "The prompt could not be submitted. It contains words that violate the usage guidelines.",
    },
}


def shape(ratio: str, side: int) -> tuple[int, int]:
    """Return the size of a picture, by Google's table of its 1K sizes; an odd ratio keeps the area."""
    across, down = map(int, ratio.split(":"))
    area = 1024 * (across / down) ** 0.5
    width, height = SIZES_1K.get(ratio, (round(area), round(area * down / across)))
    return width * side // 1024, height * side // 1024


def _picture(body: Json) -> Json:
    config = body.get("generationConfig", {})
    wanted = config.get("imageConfig", {})
    width, height = shape(wanted.get("aspectRatio", "1:1"), SIDES[wanted.get("imageSize", "1K")])
    data = still(config.get("seed", 0), width, height, "JPEG")
    return {"mimeType": "image/jpeg", "data": base64.b64encode(data).decode()}


def _film(made: Film) -> bytes:
    wanted = made.asked["response_format"]
    height = HEIGHTS[wanted.get("resolution", "720p")]
    across, down = map(int, wanted.get("aspect_ratio", "16:9").split(":"))
    width = round(height * max(across, down) / min(across, down) / 2) * 2
    size = (width, height) if across > down else (height, width)
    return film(0, *size, frames=4 * int(wanted.get("duration", "5s").removesuffix("s")))


def _veo(made: Film, index: int) -> bytes:
    wanted = made.asked.get("parameters", {})
    height = HEIGHTS[wanted.get("resolution", "720p")]
    size = (round(height * 16 / 9), height)
    if wanted.get("aspectRatio") == "9:16":
        size = size[::-1]
    return film(wanted.get("seed", 0) + index, *size, frames=wanted.get("durationSeconds", 8))


def _authorize(request: Request, key: str) -> None:
    if request.headers.get("x-goog-api-key") == key:
        return
    raise Refusal(
        400,
        "INVALID_ARGUMENT",
        "API key not valid. Please pass a valid API key.",
        {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"},
    )


def _no_model(model: str) -> Refusal:
    message = f"models/{model} is not found for API version v1beta, or is not supported for generateContent."
    return Refusal(404, "NOT_FOUND", message)


def _read(request: Request) -> Json:
    try:
        body = request.json
    except ValueError:
        raise Refusal(400, "INVALID_ARGUMENT", "Invalid JSON payload received.") from None
    if not isinstance(body, dict):
        raise Refusal(400, "INVALID_ARGUMENT", "Invalid JSON payload received. Not an object.")
    return body


def _only(known: str, value: Any) -> Json:
    if not isinstance(value, dict):
        raise _invalid(f"Invalid value at '{known}'.")
    if unknown := sorted(value.keys() - KNOWN[known]):
        raise _invalid(f"Invalid JSON payload received. Unknown name \"{unknown[0]}\" at '{known}'.")
    return value


def _one_of(value: object, allowed: Any, name: str) -> None:
    if value is not None and value not in allowed:
        raise _invalid(f"Invalid value at '{name}': {value!r}.")


def _check_contents(body: Json) -> None:
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


def _check_data(data: Json) -> None:
    kind = data.get("mimeType") or data.get("mime_type") or ""  # protobuf's JSON takes both spellings
    if not re.fullmatch(r"image/(png|jpeg|webp)", kind):
        raise _invalid("Unsupported MIME type.")
    base64.b64decode(data["data"].translate(URL_SAFE), validate=True)


def _check_interaction(body: Json) -> None:
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
        if part["type"] == "image":
            _check_data({"mimeType": part.get("mime_type"), "data": part.get("data")})


def _check_veo(body: Json) -> None:
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
        raise _invalid(VEO_ERRORS["prompt refused"]["message"])


def _invalid(message: str) -> Refusal:
    return Refusal(400, "INVALID_ARGUMENT", message)
