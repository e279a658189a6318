"""A fake of Replicate's HTTP API, by its reference, its lifecycle page and its Python client 1.0.7."""

from __future__ import annotations

import base64
import hashlib
import hmac
import itertools
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final

from tests.servers.media import Shelf, film, still
from tests.servers.provider import ProviderServer, Stage
from tests.servers.web import HTML_PAGE, Answer, Fault, Request, as_json

SIZES: Final = {"1:1": (1024, 1024), "16:9": (1344, 768), "4:3": (1152, 896)}
FILM_SIZES: Final = {"16:9": (1248, 704), "1:1": (960, 960)}
NSFW: Final = "The input or output was flagged as sensitive. Please try again with different inputs. (E005)"
PROMPT: Final = "Your prompt was flagged by our safety system."
SECRET: Final = "whsec_" + base64.b64encode(b"a secret for the tests").decode()
BARS: Final = (
    "Using seed: 7\n",
    " 25%|██▌       | 1/4 [00:00<00:01,  2.04it/s]\n",
    " 75%|███████▌  | 3/4 [00:01<00:00,  2.51it/s]\n",
    "100%|██████████| 4/4 [00:01<00:00,  2.60it/s]\n",
)


def problem(status: int, title: str, detail: str, **headers: str) -> Answer:
    """Answer as Replicate refuses (RFC 7807)."""
    body = {"title": title, "detail": detail, "status": status}
    answer = as_json(body, status, **headers)
    return Answer(answer.status, answer.body, {**answer.headers, "content-type": "application/problem+json"})


@dataclass
class Prediction:
    """One prediction and how often it was looked at."""

    id: str
    input: Mapping[str, Any]
    model: str
    ending: str
    webhook: str | None
    looks: int = 0
    status: str = "starting"
    output: list[str] | str | None = None
    error: str | None = None
    logs: str = ""
    metrics: dict[str, float] = field(default_factory=dict)


class ReplicateServer(ProviderServer):
    """Takes predictions; each look at one brings it a step on."""

    FAULTS: ClassVar[Mapping[str, tuple[Fault, str]]] = {
        "throttled": (
            Fault(
                problem(
                    429,
                    "Too Many Requests",
                    "Request was throttled. Your rate limit resets in ~7s.",
                    retry_after="7",
                )
            ),
            "rate_limited",
        ),
        "no token": (
            Fault(problem(401, "Unauthenticated", "You did not pass a valid authentication token")),
            "auth",
        ),
        "no credit": (
            Fault(problem(402, "Insufficient credit", "You have insufficient credit to run this model.")),
            "quota_exhausted",
        ),
        "no model": (
            Fault(problem(404, "Not found", "The requested resource could not be found.")),
            "model_gone",
        ),
        "no version": (
            Fault(
                problem(
                    422,
                    "Invalid version or not permitted",
                    "The specified version does not exist (or perhaps you don't have permission to use it?) "
                    "Invalid version or not permitted",
                )
            ),
            "model_gone",
        ),
        "bad input": (
            Fault(problem(422, "Input validation failed", "- input.num_outputs: must be at most 4")),
            "invalid_request",
        ),
        "internal": (Fault(problem(500, "Internal server error", "Something broke")), "provider_error"),
        "unavailable": (Fault(problem(503, "Service unavailable", "Try again later")), "overloaded"),
        "a proxy's page": (HTML_PAGE, "network"),
    }
    ENDINGS: ClassVar[Mapping[str, str]] = {
        "flagged": "content_policy_output",
        "prompt flagged": "content_policy_input",
        "out of memory": "provider_error",
        "aborted": "provider_error",
        "cancelled by its owner": "cancelled_at_provider",
    }
    CANCELS: ClassVar[Mapping[Stage, str]] = {
        "queued": "cancelled",
        "running": "cancelled",
        "done": "too_late",
    }

    def __init__(self, shelf: Shelf) -> None:
        super().__init__(shelf)
        self.predictions: dict[str, Prediction] = {}
        self._numbers = itertools.count(1)

    def place(self, request: Request) -> str:
        if request.method == "POST" and request.path.endswith("/predictions"):
            return "submit"
        if request.path.endswith("/cancel"):
            return "cancel"
        return "poll" if "/predictions/" in request.path else "check"

    def answer(self, request: Request) -> Answer:  # noqa: PLR0911 - one a route
        if request.headers.get("authorization") != f"Bearer {self.key}":
            return problem(401, "Unauthenticated", "You did not pass a valid authentication token")
        parts = request.path.strip("/").split("/")
        match request.method, parts:
            case "POST", ["v1", "models", owner, name, "predictions"]:
                return self._create(request, f"{owner}/{name}")
            case "POST", ["v1", "predictions"]:
                return self._create(request, str(request.json.get("version")))
            case "GET", ["v1", "predictions", id_] if id_ in self.predictions:
                return as_json(self._shown(self._advanced(self.predictions[id_])))
            case "POST", ["v1", "predictions", id_, "cancel"] if id_ in self.predictions:
                return as_json(self._shown(self._cancelled(self.predictions[id_])))
            case "GET", ["v1", "account"]:
                return as_json({"type": "user", "username": "ada", "name": "Ada", "github_url": None})
            case "GET", ["v1", "webhooks", "default", "secret"]:
                return as_json({"key": SECRET})
            case "POST", ["v1", "files"]:
                return self._keep(request)
            case _:
                return problem(404, "Not found", "The requested resource could not be found.")

    def forget(self) -> None:
        self.predictions.clear()

    def check_pictures(self) -> None:
        fields = ("image", "image_prompt", "last_frame_image")
        sent = [it.input[name] for it in self.predictions.values() for name in fields if name in it.input]
        assert sent[0].startswith("data:image/png;base64,")
        assert sent[-1] == f"{self.url}/v1/files/f1"

    def webhook(self, id_: str, *, at: float, message: str = "msg_1") -> tuple[bytes, dict[str, str]]:
        """Return the body and the signed headers of the call that tells how a prediction stands."""
        body = json.dumps(self._shown(self.predictions[id_])).encode()
        signed = f"{message}.{at:.0f}.".encode() + body
        mac = hmac.new(base64.b64decode(SECRET.removeprefix("whsec_")), signed, hashlib.sha256).digest()
        signature = f"v1,{base64.b64encode(mac).decode()}"
        return body, {
            "webhook-id": message,
            "webhook-timestamp": f"{at:.0f}",
            "webhook-signature": signature,
            "content-type": "application/json",
        }

    def _create(self, request: Request, model: str) -> Answer:
        try:
            order = request.json
            wanted = order["input"]
        except (ValueError, KeyError, TypeError):
            return problem(422, "Input validation failed", "- input: is required")
        if wrong := _wrong(wanted):
            return problem(422, "Input validation failed", f"- input.{wrong}")
        id_ = f"p{next(self._numbers):04}rma0cqz1k4v7"
        self.billed += 1
        prediction = Prediction(id_, wanted, model, self.take_ending(), order.get("webhook"))
        self.predictions[id_] = prediction
        return as_json(self._shown(prediction), 201)

    def _advanced(self, it: Prediction) -> Prediction:
        if it.status in {"succeeded", "failed", "canceled", "aborted"}:
            return it
        it.looks += 1
        if it.looks == 1 or self._held == "queued":
            return it
        if it.ending == "aborted":
            it.status = "aborted"
        elif it.looks <= 1 + len(BARS) or self._held == "running":
            it.status = "processing"
            it.logs = "".join(BARS[: it.looks - 1])
        else:
            self._finish(it)
        return it

    def _finish(self, it: Prediction) -> None:
        errors = {"flagged": NSFW, "prompt flagged": PROMPT, "out of memory": "CUDA out of memory."}
        if it.ending in errors:
            it.status, it.error = "failed", errors[it.ending]
        elif it.ending:
            it.status = "canceled"
        else:
            it.status, it.output = "succeeded", self._made(it)
            it.metrics = {"predict_time": 1.25, "image_count": float(it.input.get("num_outputs", 1))}

    def _made(self, it: Prediction) -> list[str] | str:
        seed = it.input.get("seed", 0)
        ratio = it.input.get("aspect_ratio", "1:1")
        if "duration" in it.input:
            width, height = FILM_SIZES[ratio]
            return self.shelf.put(f"{it.id}/out.mp4", film(seed, width, height), "video/mp4")
        width, height = SIZES.get(ratio) or (it.input["width"], it.input["height"])
        return [
            self.shelf.put(f"{it.id}/out-{index}.png", still(seed + index, width, height), "image/png")
            for index in range(it.input.get("num_outputs", 1))
        ]

    def _cancelled(self, it: Prediction) -> Prediction:
        if it.status in {"starting", "processing"}:
            it.status = "canceled"
        return it

    def _shown(self, it: Prediction) -> dict[str, Any]:
        status = "pondering" if self.strange and it.status == "processing" else it.status
        own = f"{self.url}/v1/predictions/{it.id}"
        return {
            "id": it.id,
            "model": it.model,
            "version": "hidden",
            "input": dict(it.input),
            "logs": it.logs,
            "output": it.output,
            "error": it.error,
            "status": status,
            "metrics": it.metrics,
            "created_at": "2026-11-22T10:00:00.000Z",
            "urls": {"get": own, "cancel": f"{own}/cancel", "web": f"https://replicate.com/p/{it.id}"},
        }

    def _keep(self, request: Request) -> Answer:
        if b'name="content"' not in request.body:
            return problem(400, "Bad request", "Missing content")
        kept = {
            "id": "f1",
            "name": "input",
            "content_type": "image/png",
            "size": len(request.body),
            "etag": "e1",
            "checksums": {"sha256": hashlib.sha256(request.body).hexdigest()},
            "metadata": {},
            "created_at": "2026-11-22T10:00:00.000Z",
            "expires_at": "2026-11-23T10:00:00.000Z",
            "urls": {"get": f"{self.url}/v1/files/f1"},
        }
        return as_json(kept, 201)


def _wrong(wanted: Mapping[str, Any]) -> str | None:
    """Return what a model's schema would refuse."""
    if not isinstance(wanted.get("prompt"), str):
        return "prompt: is required"
    if wanted.get("aspect_ratio", "1:1") not in {*SIZES, *FILM_SIZES, "custom"}:
        return "aspect_ratio: must be one of the following"
    if not isinstance(wanted.get("seed", 0), int):
        return "seed: Invalid type. Expected: integer"
    if not 1 <= wanted.get("num_outputs", 1) <= 4:
        return "num_outputs: Must be less than or equal to 4"
    return None
