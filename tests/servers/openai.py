"""A fake of OpenAI's Images API, by its OpenAPI file and its Python client 3.54.0 (August 2026).

`POST /v1/images/generations` (JSON), `POST /v1/images/edits` (form), `GET /v1/models`; answers are JSON or,
with `stream`, server-sent events with partial pictures. What the real one refuses is refused here in its
words.
"""

from __future__ import annotations

import base64
import io
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Final

from PIL import Image

from tests.servers.forms import NoForm, Part, read_form
from tests.servers.media import Shelf, still
from tests.servers.provider import ProviderServer
from tests.servers.web import HTML_PAGE, Answer, Fault, Gate, Request, as_json

MODELS: Final = ("gpt-image-2.5-flare", "gpt-image-2.5-sunburst", "gpt-image-2", "gpt-image-1-mini")
GONE: Final = ("gpt-image-1", "dall-e-3")
FIELDS: Final[Mapping[str, type]] = {
    "model": str,
    "prompt": str,
    "n": int,
    "size": str,
    "quality": str,
    "background": str,
    "output_format": str,
    "output_compression": int,
    "moderation": str,
    "stream": bool,
    "partial_images": int,
    "safety_identifier": str,
    "user": str,
}
FILES: Final = frozenset({"image", "image[]", "mask"})
FILE_TYPES: Final = frozenset({"image/png", "image/jpeg", "image/webp"})

Json = dict[str, Any]


class Refusal(Exception):
    """A request that OpenAI would refuse; `answer` is its envelope."""

    def __init__(self, status: int, code: str, message: str = "", *, kind: str = "", param: str = "") -> None:
        super().__init__(message)
        self.answer = error(status, code, message or f"Refused: {code}.", kind=kind, param=param)


def error(status: int, code: str, message: str, *, kind: str = "", param: str = "", **headers: str) -> Answer:
    """Answer as OpenAI refuses."""
    said = {"message": message, "type": kind or "invalid_request_error", "param": param or None, "code": code}
    return as_json({"error": said}, status, x_request_id="req_1", **headers)


def blocked(message: str) -> Answer:
    return error(400, "moderation_blocked", message, kind="image_generation_user_error")


class OpenAIServer(ProviderServer):
    """Makes pictures at once; `partials` is how many partial ones it gets to, at most those asked for."""

    RESUMES = False
    FAULTS: ClassVar[Mapping[str, tuple[Fault, str]]] = {
        "throttled": (
            Fault(error(429, "rate_limit_exceeded", "Rate limit reached.", kind="requests", retry_after="7")),
            "rate_limited",
        ),
        "no credit": (
            Fault(error(429, "insufficient_quota", "You exceeded your current quota.", kind="tokens")),
            "quota_exhausted",
        ),
        "no key": (Fault(error(401, "invalid_api_key", "Incorrect API key provided.")), "auth"),
        "no model": (Fault(error(404, "model_not_found", "The model does not exist.")), "model_gone"),
        "moderated": (
            Fault(blocked("Your request was rejected by the safety system. safety_violations=[violence].")),
            "content_policy_input",
        ),
        "bad input": (Fault(error(400, "invalid_value", "Invalid size.", param="size")), "invalid_request"),
        "internal": (
            Fault(error(500, "server_error", "The server had an error.", kind="server_error")),
            "provider_error",
        ),
        "unavailable": (Fault(error(503, "", "The engine is overloaded.")), "overloaded"),
        "a proxy's page": (HTML_PAGE, "network"),
    }
    ENDINGS: ClassVar[Mapping[str, str]] = {
        "picture blocked": "content_policy_output",
        "broken": "provider_error",
        "no bytes": "bad_output",
    }

    def __init__(self, shelf: Shelf) -> None:
        super().__init__(shelf)
        self.partials = 3
        self.gate: Gate | None = None
        """When there is one, the whole picture of a stream waits for it."""
        self.bodies: list[Json] = []
        self.forms: list[list[Part]] = []

    def place(self, request: Request) -> str:
        return "submit" if request.method == "POST" else "check"

    def submits_of(self, n: int) -> int:
        return 1

    def answer(self, request: Request) -> Answer:
        try:
            return self._answer(request)
        except Refusal as refusal:
            return refusal.answer

    def check_pictures(self) -> None:
        files = [part for form in self.forms[-2:] for part in form if part.filename is not None]
        assert files
        assert {part.content_type for part in files} <= FILE_TYPES

    def _answer(self, request: Request) -> Answer:
        if request.headers.get("authorization") != f"Bearer {self.key}":
            raise Refusal(401, "invalid_api_key", "Incorrect API key provided: sk-wrong.")
        match request.method, request.path:
            case "POST", "/v1/images/generations":
                return self._make(self._read(request), "image_generation")
            case "POST", "/v1/images/edits":
                return self._make(self._read_form(request), "image_edit")
            case "GET", "/v1/models":
                return as_json({"object": "list", "data": [{"id": name} for name in MODELS]})
            case _:
                raise Refusal(404, "unknown_url", f"Invalid URL ({request.method} {request.path})")

    def _read(self, request: Request) -> Json:
        try:
            body: Json = request.json
        except ValueError:
            raise Refusal(400, "", "We could not parse the JSON body of your request.") from None
        self.bodies.append(body)
        return body

    def _read_form(self, request: Request) -> Json:
        try:
            form = read_form(request.headers, request.body)
        except NoForm:
            raise Refusal(400, "", "We could not parse the multipart body of your request.") from None
        self.forms.append(form)
        _check_files([part for part in form if part.filename is not None])
        texts = {part.name: part.data.decode() for part in form if part.filename is None}
        return {name: _typed(name, text) for name, text in texts.items()}

    def _make(self, body: Json, family: str) -> Answer:
        _check(body)
        self.billed += 1
        ending = self.take_ending()
        if body.get("stream"):
            return self._stream(list(self._frames(body, family, ending)))
        if ending == "picture blocked":
            return blocked("The generated image was rejected by the safety system.")
        if ending == "broken":
            return error(500, "server_error", "The server had an error.", kind="server_error")
        encoded = [{} if ending else {"b64_json": _picture(body, seed)} for seed in range(body.get("n", 1))]
        made = {"created": 1_795_000_000, "data": encoded, "usage": _usage(len(encoded)), **_echo(body)}
        return as_json(made, x_request_id="req_1")

    def _stream(self, frames: list[bytes]) -> Answer:
        kind = {"content-type": "text/event-stream; charset=utf-8"}
        if self.gate is None:
            return Answer(200, b"".join(frames), kind)
        return Answer(200, [*frames[:-1], self.gate, frames[-1]], kind)

    def _frames(self, body: Json, family: str, ending: str) -> Iterator[bytes]:
        for number in range(min(self.partials, body.get("partial_images", 0))):
            partial = {"partial_image_index": number, "b64_json": _picture(body, 100 + number)}
            yield _frame(f"{family}.partial_image", {**_echo(body), **partial})
        if ending == "picture blocked":
            said = json.loads(_bytes(blocked("The generated image was rejected by the safety system.")))
            yield _frame("error", said)
        elif ending == "broken":
            yield _frame("error", {"error": {"code": "server_error", "message": "The server had an error."}})
        else:
            whole = {} if ending else {"b64_json": _picture(body, 0)}
            yield _frame(f"{family}.completed", {**_echo(body), **whole, "usage": _usage(1)})


def _frame(kind: str, data: Json) -> bytes:
    return (
        f"event: {kind}\ndata: {json.dumps({'type': kind, 'created_at': 1_795_000_000, **data})}\n\n".encode()
    )


def _bytes(answer: Answer) -> bytes:
    assert isinstance(answer.body, bytes)
    return answer.body


def _echo(body: Json) -> Json:
    return {
        "size": body.get("size", "1024x1024"),
        "quality": body.get("quality", "high"),
        "background": body.get("background", "opaque"),
        "output_format": body.get("output_format", "png"),
    }


def _usage(pictures: int) -> Json:
    out = 1056 * pictures
    details = {"image_tokens": 0, "text_tokens": 12}
    return {
        "input_tokens": 12,
        "output_tokens": out,
        "total_tokens": 12 + out,
        "input_tokens_details": details,
    }


def _picture(body: Json, seed: int) -> str:
    width, height = map(int, body.get("size", "auto").replace("auto", "1024x1024").split("x"))
    return base64.b64encode(still(seed, width, height, body.get("output_format", "png").upper())).decode()


def _typed(name: str, text: str) -> object:
    """A form's fields are texts: numbers and truth are read from them."""
    if FIELDS.get(name) is int and text.isdecimal():
        return int(text)
    return text == "true" if FIELDS.get(name) is bool else text


def _check(body: Json) -> None:
    for name, value in body.items():
        if name not in FIELDS:
            raise Refusal(400, "unknown_parameter", f"Unknown parameter: '{name}'.", param=name)
        if type(value) is not FIELDS[name]:
            raise Refusal(400, "invalid_type", param=name)
    if not body.get("prompt"):
        raise Refusal(400, "missing_required_parameter", param="prompt")
    if body.get("model", MODELS[0]) not in MODELS:
        word = "has been deprecated" if body["model"] in GONE else "does not exist"
        raise Refusal(404, "model_not_found", f"The model '{body['model']}' {word}.", param="model")
    _check_values(body)
    if "forbidden" in body["prompt"]:
        raise Refusal(
            400,
            "moderation_blocked",
            "Your request was rejected by the safety system.",
            kind="image_generation_user_error",
        )


def _check_values(body: Json) -> None:
    stream, n, partials = body.get("stream"), body.get("n", 1), body.get("partial_images", 0)
    rules = [
        ("size", "invalid_value", _is_size(body.get("size", "auto"))),
        ("n", "integer_out_of_range", 1 <= n <= 10),
        ("partial_images", "integer_out_of_range", 0 <= partials <= 3),
        ("partial_images", "invalid_value", stream or not partials),
        ("n", "invalid_value", n == 1 or not stream),
        ("output_format", "invalid_value", body.get("output_format", "png") in {"png", "jpeg", "webp"}),
    ]
    for name, code, kept in rules:
        if not kept:
            raise Refusal(400, code, f"Invalid value for '{name}'.", param=name)


def _is_size(size: str) -> bool:
    if size == "auto":
        return True
    if not re.fullmatch(r"\d+x\d+", size):
        return False
    narrow, wide = sorted(map(int, size.split("x")))
    return narrow > 0 and not narrow % 16 and not wide % 16 and wide <= 3 * narrow and wide <= 3840


def _check_files(files: list[Part]) -> None:
    for part in files:
        if part.name not in FILES:
            raise Refusal(400, "unknown_parameter", f"Unknown parameter: '{part.name}'.", param=part.name)
        if part.content_type not in FILE_TYPES:
            raise Refusal(400, "unsupported_file_mimetype", f"Unsupported mimetype ('{part.content_type}').")
    pictures = [part for part in files if part.name != "mask"]
    if not pictures:
        raise Refusal(
            400, "missing_required_parameter", "Missing required parameter: 'image'.", param="image"
        )
    for mask in [part for part in files if part.name == "mask"]:
        with Image.open(io.BytesIO(mask.data)) as cut, Image.open(io.BytesIO(pictures[0].data)) as whole:
            if "A" not in cut.getbands() or cut.size != whole.size:
                raise Refusal(
                    400, "invalid_image_file", "A mask needs an alpha channel and the image's size."
                )
