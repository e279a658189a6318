"""The stand-in for Google passes with Google's own client, and refuses what the real one refuses."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator
from typing import Any

import av
import httpx2
import pytest
from google import genai
from google.genai import errors, types
from google.oauth2.credentials import Credentials
from PIL import Image

from tests.servers.google import KEY, PROJECT, TOKEN, GoogleServer
from tests.servers.standin import Json, answers, dropped, html, picture

PICTURE: Json = {"contents": [{"role": "user", "parts": [{"text": "a fox"}]}]}
FILM: Json = {
    "model": "gemini-omni-1.2-flash",
    "input": "a fox",
    "background": True,
    "store": True,
    "response_format": {"type": "video", "resolution": "360p", "duration": "3s", "delivery": "uri"},
}
VEO: Json = {"instances": [{"prompt": "a fox"}], "parameters": {"durationSeconds": 4, "sampleCount": 2}}
VEO_PATH = f"/v1beta1/{PROJECT}/publishers/google/models/veo-3.1-generate-001"


@pytest.fixture
async def server() -> AsyncIterator[GoogleServer]:
    async with GoogleServer().serving() as server:
        yield server


def options(server: GoogleServer) -> types.HttpOptions:
    retry = types.HttpRetryOptions(attempts=1)
    return types.HttpOptions(base_url=server.url, retry_options=retry, timeout=10_000)


@pytest.fixture
async def sdk(server: GoogleServer) -> AsyncIterator[Any]:
    async with genai.Client(api_key=KEY, http_options=options(server)).aio as client:
        yield client


async def post(server: GoogleServer, path: str, body: Json, **headers: str) -> httpx2.Response:
    async with httpx2.AsyncClient(verify=False) as http:
        return await http.post(f"{server.url}{path}", json=body, headers=headers)


async def test_the_sdk_makes_a_picture(server: GoogleServer, sdk: Any) -> None:
    """Google's client sends a prompt with a picture and reads a picture of the shape asked for, and usage."""
    part = types.Part.from_bytes(data=picture(16, 16), mime_type="image/png")
    wanted = types.ImageConfig(aspect_ratio="16:9", image_size="512")
    config = types.GenerateContentConfig(response_modalities=["IMAGE"], image_config=wanted, seed=7)
    answer = await sdk.models.generate_content(
        model="gemini-3.1-flash-image", contents=["a fox", part], config=config
    )
    [blob] = [part.inline_data for part in answer.parts if part.inline_data]
    with Image.open(io.BytesIO(blob.data)) as made:
        assert made.size == (688, 384)
    assert answer.usage_metadata.total_token_count == 1299
    assert server.charged == 1


@pytest.mark.parametrize(
    ("prompt", "blocked", "finished"),
    [
        ("something forbidden", "PROHIBITED_CONTENT", None),
        ("an unsafe result", None, "IMAGE_SAFETY"),
        ("only words", None, "STOP"),
    ],
)
async def test_the_sdk_sees_each_refusal(
    sdk: Any, prompt: str, blocked: str | None, finished: str | None
) -> None:
    """A blocked prompt has no candidate and a blocked picture no part; both come with status 200."""
    answer = await sdk.models.generate_content(model="gemini-3.1-flash-image", contents=prompt)
    feedback = answer.prompt_feedback
    assert (feedback.block_reason.value if feedback else None) == blocked
    assert (answer.candidates[0].finish_reason.value if answer.candidates else None) == finished
    assert not [part for part in answer.parts or () if part.inline_data]


async def test_the_sdk_makes_a_film_by_an_interaction(server: GoogleServer, sdk: Any) -> None:
    """Google's client starts a film in the background, looks until it is done, and downloads its file."""
    made = await sdk.interactions.create(**FILM)
    statuses = [made.status]
    while made.status != "completed":
        made = await sdk.interactions.get(id=made.id)
        statuses.append(made.status)
    assert statuses == ["in_progress", "in_progress", "completed"]
    [content] = made.steps[-1].content
    name = content.uri.rsplit("/", 1)[1]
    states = [(await sdk.files.get(name=name)).state.value for _ in range(2)]
    assert states == ["PROCESSING", "ACTIVE"]
    data = await sdk.files.download(file=f"files/{name}")
    with av.open(io.BytesIO(data), "r") as film:
        assert next(film.decode(video=0)).height == 360
    assert made.usage.total_tokens == 5220
    assert server.charged == 1


async def test_the_sdk_cancels_an_interaction(server: GoogleServer, sdk: Any) -> None:
    """Google's client cancels what runs; what is over cannot be cancelled."""
    made = await sdk.interactions.create(**FILM)
    assert (await sdk.interactions.cancel(id=made.id)).status == "cancelled"
    done = await sdk.interactions.create(**FILM)
    for _ in range(3):
        await sdk.interactions.get(id=done.id)
    with pytest.raises(Exception, match="not running"):
        await sdk.interactions.cancel(id=done.id)


async def test_the_sdk_makes_films_with_veo(server: GoogleServer) -> None:
    """Google's client for Vertex starts Veo's operation, fetches it until it is done, and reads the bytes."""
    async with genai.Client(
        vertexai=True,
        project="studio",
        location="us-central1",
        credentials=Credentials(token=TOKEN),  # type: ignore[no-untyped-call]
        http_options=options(server),
    ).aio as sdk:
        operation: Any = await sdk.models.generate_videos(
            model="veo-3.1-generate-001",
            source=types.GenerateVideosSource(prompt="a fox"),
            config=types.GenerateVideosConfig(number_of_videos=2, duration_seconds=4, seed=3),
        )
        while not operation.done:
            operation = await sdk.operations.get(operation)
        films = [made.video.video_bytes for made in operation.response.generated_videos]
        assert len({bytes(made) for made in films}) == 2
        server.filtered = ["Veo could not generate videos: safety (58061214)."]
        assert (await sdk.operations.get(operation)).response.rai_media_filtered_count == 2


@pytest.mark.parametrize(
    "change",
    [
        {"contents": []},
        {"contents": [{"parts": [{"text": "x"}, {"inlineData": {"mimeType": "image/bmp", "data": ""}}]}]},
        {"size": "1024x1024"},
        {"generationConfig": {"size": "1K"}},
        {"generationConfig": {"seed": "7"}},
        {"generationConfig": {"imageConfig": {"aspectRatio": "7:5"}}},
        {"generationConfig": {"imageConfig": {"imageSize": "3K"}}},
    ],
)
async def test_a_changed_request_for_a_picture_is_refused(server: GoogleServer, change: Json) -> None:
    """Each rule: the good request passes, and with one field changed it is refused, in Google's envelope."""
    path = "/v1beta/models/gemini-3.1-flash-image:generateContent"
    assert (await post(server, path, PICTURE, **{"x-goog-api-key": KEY})).status_code == 200
    answer = await post(server, path, {**PICTURE, **change}, **{"x-goog-api-key": KEY})
    assert (answer.status_code, answer.json()["error"]["status"]) == (400, "INVALID_ARGUMENT")
    assert server.charged == 1


@pytest.mark.parametrize(
    "change",
    [
        {"input": ""},
        {"store": False},
        {"prompt": "a fox"},
        {"input": [{"type": "image", "mime_type": "image/gif", "data": ""}]},
        *[{"response_format": {"type": "video", **wrong}} for wrong in (
            {"duration": "2s"}, {"duration": 5}, {"resolution": "480p"},
            {"aspect_ratio": "1:1"}, {"delivery": "post"}, {"fps": 24},
        )],
    ],
)  # fmt: skip
async def test_a_changed_request_for_a_film_is_refused(server: GoogleServer, change: Json) -> None:
    """Each rule of interactions: the good request passes, and with one field changed it is refused."""
    assert (await post(server, "/v1beta/interactions", FILM, **{"x-goog-api-key": KEY})).status_code == 200
    answer = await post(server, "/v1beta/interactions", {**FILM, **change}, **{"x-goog-api-key": KEY})
    assert answer.status_code == 400
    assert server.charged == 1


@pytest.mark.parametrize(
    "change",
    [
        {"instances": []},
        {"instances": [{"prompt": "x", "first": {}}]},
        {"instances": [{"prompt": "something forbidden"}]},
        {"parameters": {"durationSeconds": 5}},
        {"parameters": {"sampleCount": 5}},
        {"parameters": {"aspectRatio": "1:1"}},
        {"parameters": {"resolution": "360p"}},
        {"parameters": {"fps": 24}},
    ],
)
async def test_a_changed_request_to_veo_is_refused(server: GoogleServer, change: Json) -> None:
    """Each rule of Veo: the good request passes, and with one field changed it is refused."""
    path, token = f"{VEO_PATH}:predictLongRunning", f"Bearer {TOKEN}"
    assert (await post(server, path, VEO, authorization=token)).status_code == 200
    assert (await post(server, path, {**VEO, **change}, authorization=token)).status_code == 400
    assert server.charged == 1


async def test_a_model_that_is_gone_is_not_found(server: GoogleServer) -> None:
    """A model that was shut down is 404, on every surface."""
    for path, body, headers in (
        ("/v1beta/models/imagen-4:generateContent", PICTURE, {"x-goog-api-key": KEY}),
        ("/v1beta/interactions", {**FILM, "model": "veo-3.1"}, {"x-goog-api-key": KEY}),
        (f"{VEO_PATH}9:predictLongRunning", VEO, {"authorization": f"Bearer {TOKEN}"}),
    ):
        assert (await post(server, path, body, **headers)).status_code == 404


async def test_a_wrong_key_is_refused(server: GoogleServer) -> None:
    """A wrong key is 400 at the Gemini API, as Google does it, and 401 at Vertex."""
    answer = await post(server, "/v1beta/interactions", FILM, **{"x-goog-api-key": "AIza-wrong"})
    assert (answer.status_code, answer.json()["error"]["details"][0]["reason"]) == (400, "API_KEY_INVALID")
    assert (await post(server, f"{VEO_PATH}:predictLongRunning", VEO)).status_code == 401


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (answers(429, {"error": {"code": 429, "status": "RESOURCE_EXHAUSTED"}}), errors.ClientError),
        (answers(503, {"error": {"code": 503, "status": "UNAVAILABLE"}}), errors.ServerError),
        (html(502), errors.ServerError),
        (dropped(), httpx2.TransportError),
    ],
)
async def test_the_sdk_sees_each_fault(
    server: GoogleServer, sdk: Any, fault: Any, error: type[Exception]
) -> None:
    """Google's client meets each fault as what it is."""
    server.fail("POST", fault)
    with pytest.raises(error):
        await sdk.models.generate_content(model="gemini-3.1-flash-image", contents="a fox")
    assert server.charged == 0
