"""The fake of Replicate is understood by Replicate's own client, and refuses what Replicate would."""

from __future__ import annotations

import io
import time
from collections.abc import Iterator

import pytest
from replicate.client import Client
from replicate.exceptions import ModelError, ReplicateError
from replicate.prediction import Prediction
from replicate.webhook import InvalidSignatureError, Webhooks

from tests.servers.media import Shelf
from tests.servers.replicate import ReplicateServer

MODEL = "black-forest-labs/flux-schnell"
INPUT = {"prompt": "a lighthouse", "num_outputs": 2, "output_format": "png"}


OPEN: list[Client] = []


@pytest.fixture
def server() -> Iterator[ReplicateServer]:
    with Shelf.served() as shelf, ReplicateServer.served(shelf) as fake:
        yield fake
        while OPEN:
            OPEN.pop()._client.close()


def client(server: ReplicateServer, *, token: str | None = None) -> Client:
    OPEN.append(Client(api_token=token or server.key, base_url=server.url))
    return OPEN[-1]


def begun(server: ReplicateServer, **changes: object) -> Prediction:
    return client(server).models.predictions.create(MODEL, input={**INPUT, **changes})


def test_the_client_follows_a_prediction(server: ReplicateServer) -> None:
    """Create, reload and results go as the client expects."""
    prediction = begun(server)
    seen = [prediction.status]
    progress = []
    while prediction.status not in {"succeeded", "failed", "canceled"}:
        prediction.reload()
        seen.append(prediction.status)
        if prediction.progress:
            progress.append((prediction.progress.current, prediction.progress.total))
    assert list(dict.fromkeys(seen)) == ["starting", "processing", "succeeded"]
    assert progress[0] == (1, 4)
    assert progress[-1] == (4, 4)
    assert len(prediction.output or []) == 2
    assert (prediction.metrics or {})["predict_time"] == 1.25
    assert server.billed == 1


def test_the_client_cancels(server: ReplicateServer) -> None:
    """A cancel through the client ends the prediction."""
    prediction = begun(server)
    prediction.cancel()
    prediction.reload()
    assert prediction.status == "canceled"


def test_the_client_sees_a_refusal_of_the_content(server: ReplicateServer) -> None:
    """A flagged prediction is the client's `ModelError`."""
    server.end_next("flagged")
    with pytest.raises(ModelError, match="sensitive"):
        client(server).run(MODEL, input=INPUT)


def test_the_client_uploads(server: ReplicateServer) -> None:
    """A file goes up as the client sends it."""
    assert client(server).files.create(io.BytesIO(b"bytes")).id == "f1"


def test_the_client_verifies_the_webhook(server: ReplicateServer) -> None:
    """A call is signed as the client verifies it, and a changed body is refused."""
    body, headers = server.webhook(begun(server).id, at=time.time())
    secret = client(server).webhooks.default.secret()
    Webhooks.validate(headers=headers, body=body.decode(), secret=secret, tolerance=300)
    with pytest.raises(InvalidSignatureError):
        Webhooks.validate(headers=headers, body=body.decode() + " ", secret=secret, tolerance=300)


@pytest.mark.parametrize(
    "change", [{"prompt": 3}, {"num_outputs": 9}, {"aspect_ratio": "7:1"}, {"seed": "seven"}]
)
def test_a_mutated_input_is_refused(change: dict[str, object], server: ReplicateServer) -> None:
    """An input outside the model's schema is 422 and not billed."""
    with pytest.raises(ReplicateError) as caught:
        begun(server, **change)
    assert (caught.value.status, server.billed) == (422, 0)


def test_another_token_is_refused(server: ReplicateServer) -> None:
    """A wrong token is 401."""
    with pytest.raises(ReplicateError) as caught:
        client(server, token="wrong").models.predictions.create(MODEL, input=INPUT)
    assert (caught.value.status, server.billed) == (401, 0)


def test_an_unknown_prediction_is_refused(server: ReplicateServer) -> None:
    """An id that was never given is 404."""
    with pytest.raises(ReplicateError) as caught:
        client(server).predictions.get("p9999")
    assert caught.value.status == 404


@pytest.mark.parametrize("name", sorted(ReplicateServer.FAULTS))
def test_faults_are_errors_to_the_client(name: str, server: ReplicateServer) -> None:
    """Every armed refusal is an error of the client's own kind, or a page it cannot read."""
    fault, _ = ReplicateServer.FAULTS[name]
    server.arm("submit", *[fault] * 8)
    with pytest.raises((ReplicateError, ValueError)):
        begun(server)
    assert server.billed == 0
