"""A fake of fal's queue, by its documentation (queue, webhooks, errors) and its Python client 1.0.3."""

from __future__ import annotations

import base64
import hashlib
import itertools
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.servers.media import Shelf, film, still
from tests.servers.provider import ProviderServer, Stage
from tests.servers.web import HTML_PAGE, Answer, Fault, Request, as_json

APPS: Final = {
    "fal-ai/flux/schnell",
    "fal-ai/flux/dev/image-to-image",
    "fal-ai/bytedance/seedance/v1/lite/text-to-video",
    "fal-ai/bytedance/seedance/v1/lite/image-to-video",
}
FILM_SIZES: Final = {"16:9": (1248, 704), "4:3": (1120, 832), "1:1": (960, 960), "auto": (1248, 704)}
BARS: Final = ("25%|██▌       | 1/4 [00:00<00:01]", "100%|██████████| 4/4 [00:01<00:00]")
SIGNING: Final = Ed25519PrivateKey.from_private_bytes(hashlib.sha256(b"a key for the tests").digest())


def model_error(type_: str, msg: str, status: int = 422, *, retryable: bool = False) -> Answer:
    """Answer as a model on fal refuses."""
    detail = [{"loc": ["body", "prompt"], "msg": msg, "type": type_, "url": "https://docs.fal.ai/errors"}]
    answer = as_json({"detail": detail}, status)
    flag = {"x-fal-retryable": "true" if retryable else "false"}
    return Answer(answer.status, answer.body, {**answer.headers, **flag})


def platform_error(type_: str, detail: str, status: int) -> Answer:
    """Answer as fal's own machinery fails."""
    answer = as_json({"detail": detail, "error_type": type_}, status)
    return Answer(answer.status, answer.body, {**answer.headers, "x-fal-error-type": type_})


ENDS: Final[Mapping[str, Answer]] = {
    "content refused": model_error("content_policy_violation", "The content was flagged by a checker."),
    "nothing made": model_error("no_media_generated", "No media was generated."),
    "model timed out": model_error("generation_timeout", "Generation timed out.", 504, retryable=True),
    "runner lost": platform_error("runner_disconnected", "Runner disconnected", 503),
    "too large": model_error("image_too_large", "The image is too large."),
}


@dataclass
class Order:
    """One request in the queue and how often it was looked at."""

    id: str
    app: str
    input: Mapping[str, Any]
    ending: str
    looks: int = 0
    status: str = "IN_QUEUE"
    cancelled: bool = False


class FalServer(ProviderServer):
    """Takes requests; each look at one brings it a step on."""

    FAULTS: ClassVar[Mapping[str, tuple[Fault, str]]] = {
        "too many at once": (
            Fault(as_json({"detail": "Too many concurrent requests"}, 429, retry_after="7")),
            "rate_limited",
        ),
        "no key": (
            Fault(as_json({"detail": "Cannot access application. Authentication is required."}, 401)),
            "auth",
        ),
        "locked": (
            Fault(as_json({"detail": "User is locked. Reason: Exhausted balance."}, 403)),
            "quota_exhausted",
        ),
        "no app": (Fault(as_json({"detail": "Application 'x' not found"}, 404)), "model_gone"),
        "bad input": (
            Fault(model_error("greater_than", "Input should be greater than 0")),
            "invalid_request",
        ),
        "refused at the door": (
            Fault(model_error("content_policy_violation", "The prompt was flagged.")),
            "content_policy_input",
        ),
        "internal": (Fault(as_json({"detail": "Internal Server Error"}, 500)), "provider_error"),
        "no runner": (
            Fault(platform_error("runner_scheduling_failure", "No runners available", 503)),
            "overloaded",
        ),
        "a proxy's page": (HTML_PAGE, "network"),
    }
    ENDINGS: ClassVar[Mapping[str, str]] = {
        "content refused": "content_policy_input",
        "black picture": "content_policy_output",
        "nothing made": "bad_output",
        "model timed out": "provider_error",
        "runner lost": "provider_error",
        "too large": "invalid_request",
    }
    CANCELS: ClassVar[Mapping[Stage, str]] = {
        "queued": "cancelled",
        "running": "requested",
        "done": "too_late",
    }

    def __init__(self, shelf: Shelf) -> None:
        super().__init__(shelf)
        self.orders: dict[str, Order] = {}
        self._numbers = itertools.count(1)

    def place(self, request: Request) -> str:
        if request.method == "POST":
            return "submit"
        last = request.path.rstrip("/").rpartition("/")[2]
        places = {"status": "poll", "cancel": "cancel", "jwks.json": "keys"}
        if "00000000-0000" in request.path:
            return "check"
        return places.get(last, "result")

    def answer(self, request: Request) -> Answer:  # noqa: PLR0911 - one a route
        if request.path == "/.well-known/jwks.json":
            return as_json({"keys": [self.public_key()]})
        if request.headers.get("authorization") != f"Key {self.key}":
            return as_json({"detail": "Cannot access application. Authentication is required."}, 401)
        parts = request.path.strip("/").split("/")
        if request.method == "POST":
            return self._create(request, "/".join(parts))
        if parts[2:3] != ["requests"] or parts[3] not in self.orders:
            return as_json({"detail": "Request not found", "status": "NOT_FOUND"}, 404)
        order = self.orders[parts[3]]
        match request.method, parts[4:]:
            case "GET", ["status"]:
                return self._status(self._advanced(order), logs=request.query.get("logs") in {"1", "true"})
            case "PUT", ["cancel"]:
                return self._cancelled(order)
            case "GET", []:
                return self._result(order)
            case _:
                return as_json({"detail": "Method Not Allowed"}, 405)

    def forget(self) -> None:
        self.orders.clear()

    def check_pictures(self) -> None:
        fields = ("image_url", "end_image_url")
        sent = [order.input[name] for order in self.orders.values() for name in fields if name in order.input]
        assert sent
        assert all(url.startswith("data:image/png;base64,") for url in sent)

    def public_key(self) -> dict[str, str]:
        """Return the key that verifies webhooks, as the key set publishes it."""
        raw = SIGNING.public_key().public_bytes_raw()
        return {
            "kty": "OKP",
            "crv": "Ed25519",
            "x": base64.urlsafe_b64encode(raw).decode().rstrip("="),
            "kid": "k1",
            "use": "sig",
            "alg": "EdDSA",
        }

    def webhook(self, id_: str, *, at: float) -> tuple[bytes, dict[str, str]]:
        """Return the body and the signed headers of the call that tells that a request has ended."""
        payload = json.loads(self._result(self.orders[id_]).body)  # type: ignore[arg-type] # whole
        body = json.dumps({"request_id": id_, "gateway_request_id": id_, "status": "OK", "payload": payload})
        digest = hashlib.sha256(body.encode()).hexdigest()
        message = f"{id_}\nuser-1\n{at:.0f}\n{digest}".encode()
        return body.encode(), {
            "x-fal-webhook-request-id": id_,
            "x-fal-webhook-user-id": "user-1",
            "x-fal-webhook-timestamp": f"{at:.0f}",
            "x-fal-webhook-signature": SIGNING.sign(message).hex(),
            "content-type": "application/json",
        }

    def _create(self, request: Request, app: str) -> Answer:
        if app not in APPS:
            return as_json({"detail": f"Application '{app}' not found"}, 404)
        wanted = request.json
        if wrong := _wrong(wanted):
            return model_error("value_error", wrong)
        id_ = f"764cabcf-b745-4b3e-ae38-{next(self._numbers):012}"
        self.billed += 1
        self.orders[id_] = Order(id_, app, wanted, self.take_ending())
        own = f"{self.url}/{'/'.join(app.split('/')[:2])}/requests/{id_}"
        return as_json(
            {
                "status": "IN_QUEUE",
                "request_id": id_,
                "response_url": own,
                "status_url": f"{own}/status",
                "cancel_url": f"{own}/cancel",
                "queue_position": 0,
            }
        )

    def _advanced(self, it: Order) -> Order:
        if it.status != "COMPLETED":
            it.looks += 1
            if it.looks > 1 and self._held != "queued":
                ended = it.looks > 2 + len(BARS) and self._held != "running"
                it.status = "COMPLETED" if ended else "IN_PROGRESS"
        return it

    def _status(self, it: Order, *, logs: bool) -> Answer:
        shown: dict[str, Any] = {"status": it.status, "request_id": it.id}
        if it.status == "IN_QUEUE":
            return as_json({**shown, "queue_position": 2}, 202)
        bars = BARS[: max(0, it.looks - 2)] if "video" not in it.app else ()
        lines = [{"message": bar, "level": "STDERR", "source": "USER", "timestamp": "…"} for bar in bars]
        shown["logs"] = lines if logs else None
        if it.status == "IN_PROGRESS":
            return as_json({**shown, "status": "PONDERING" if self.strange else it.status}, 202)
        failed = {"error": "Failed", "error_type": it.ending} if it.ending in ENDS else {}
        return as_json({**shown, "metrics": {"inference_time": 1.5}, **failed})

    def _cancelled(self, it: Order) -> Answer:
        if it.status == "COMPLETED":
            return as_json({"status": "ALREADY_COMPLETED"}, 400)
        if it.status == "IN_QUEUE":
            del self.orders[it.id]
            return as_json({"status": "CANCELLED"})
        it.cancelled = True
        return as_json({"status": "CANCELLATION_REQUESTED"}, 202)

    def _result(self, it: Order) -> Answer:
        if it.ending in ENDS:
            return ENDS[it.ending]
        seed = it.input.get("seed", 0)
        if "video" in it.app:
            width, height = FILM_SIZES[it.input.get("aspect_ratio", "auto")]
            url = self.shelf.put(f"{it.id}/out.mp4", film(seed, width, height), "video/mp4")
            flagged = [it.ending == "black picture"]
            made = {"video": {"url": url, "content_type": "video/mp4"}, "seed": seed}
            return as_json({**made, "has_nsfw_concepts": flagged})
        shape = it.input.get("image_size", {"width": 1024, "height": 1024})
        images = [
            {
                "url": self.shelf.put(
                    f"{it.id}/{index}.png", still(seed + index, shape["width"], shape["height"]), "image/png"
                ),
                "width": shape["width"],
                "height": shape["height"],
                "content_type": "image/png",
            }
            for index in range(it.input.get("num_images", 1))
        ]
        flagged = [it.ending == "black picture"] * len(images)
        return as_json(
            {"images": images, "seed": seed, "has_nsfw_concepts": flagged, "timings": {}, "prompt": "…"}
        )


def _wrong(wanted: Mapping[str, Any]) -> str | None:
    """Return what a model's schema would refuse."""
    if not isinstance(wanted.get("prompt"), str):
        return "prompt: Field required"
    if not isinstance(wanted.get("seed", 0), int):
        return "seed: Input should be a valid integer"
    if not 1 <= wanted.get("num_images", 1) <= 4:
        return "num_images: Input should be less than or equal to 4"
    if wanted.get("duration", "5") not in {str(number) for number in range(2, 13)}:
        return "duration: Input should be '2', '3', …"
    return None
