"""The fakes of Google pass with Google's own client, and refuse what the real ones refuse."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import av
import httpx2
import pytest
from google import genai
from google.genai import errors, types
from google.oauth2.credentials import Credentials
from PIL import Image

from tests.servers.google import PROJECT, GoogleServer, InteractionServer, Json, PictureServer, VeoServer
from tests.servers.media import Shelf, still
from tests.servers.web import LOST

PICTURE: Json = {"contents": [{"role": "user", "parts": [{"text": "a fox"}]}]}
PICTURE_PATH = "/v1beta/models/gemini-3.1-flash-image:generateContent"
FILM: Json = {
    "model": "gemini-omni-1.2-flash",
    "input": "a fox",
    "background": True,
    "store": True,
    "response_format": {"type": "video", "resolution": "360p", "duration": "3s", "delivery": "uri"},
}
VEO: Json = {"instances": [{"prompt": "a fox"}], "parameters": {"durationSeconds": 4, "sampleCount": 2}}
VEO_PATH = f"/v1beta1/{PROJECT}/publishers/google/models/veo-3.1-generate-001"


@pytest.fixture(scope="module")
def shelf() -> Iterator[Shelf]:
    with Shelf.served() as shelf:
        yield shelf


@pytest.fixture
def pictures(shelf: Shelf) -> Iterator[PictureServer]:
    with PictureServer.served(shelf) as server:
        yield server


@pytest.fixture
def films(shelf: Shelf) -> Iterator[InteractionServer]:
    with InteractionServer.served(shelf) as server:
        yield server


@pytest.fixture
def veo(shelf: Shelf) -> Iterator[VeoServer]:
    with VeoServer.served(shelf) as server:
        yield server


@asynccontextmanager
async def client(server: GoogleServer) -> AsyncIterator[Any]:
    """Give Google's own client, which asks `server` once; both of its halves are closed."""
    retry = types.HttpRetryOptions(attempts=1)
    options = types.HttpOptions(base_url=server.url, retry_options=retry, timeout=30_000)
    account: dict[str, Any] = {"api_key": server.key}
    if isinstance(server, VeoServer):
        credentials = Credentials(token=server.key)
        account = {"vertexai": True, "project": "studio", "location": "us-central1"}
        account["credentials"] = credentials
    whole = genai.Client(**account, http_options=options)
    try:
        async with whole.aio as sdk:
            yield sdk
    finally:
        whole.close()


async def post(server: GoogleServer, path: str, body: Json, key: str = "") -> httpx2.Response:
    name, value = "x-goog-api-key", key or server.key
    if isinstance(server, VeoServer):
        name, value = "authorization", f"Bearer {value}"
    async with httpx2.AsyncClient(verify=False, timeout=30) as http:
        return await http.post(f"{server.url}{path}", json=body, headers={name: value})


@pytest.fixture
async def sdk(pictures: PictureServer) -> AsyncIterator[Any]:
    async with client(pictures) as sdk:
        yield sdk


async def test_the_sdk_makes_a_picture(pictures: PictureServer, sdk: Any) -> None:
    """Google's client sends a prompt with a picture and reads a picture of the shape asked for, and usage."""
    part = types.Part.from_bytes(data=still(0, 16, 16), mime_type="image/png")
    wanted = types.ImageConfig(aspect_ratio="16:9", image_size="512")
    config = types.GenerateContentConfig(response_modalities=["IMAGE"], image_config=wanted, seed=7)
    answer = await sdk.models.generate_content(
        model="gemini-3.1-flash-image", contents=["a fox", part], config=config
    )
    [blob] = [part.inline_data for part in answer.parts if part.inline_data]
    with Image.open(io.BytesIO(blob.data)) as made:
        assert made.size == (688, 384)
    assert answer.usage_metadata.total_token_count == 1299
    assert pictures.billed == 1


@pytest.mark.parametrize(
    ("ending", "blocked", "finished"),
    [
        ("prompt blocked", "PROHIBITED_CONTENT", None),
        ("picture blocked", None, "IMAGE_SAFETY"),
        ("only words", None, "STOP"),
    ],
)
async def test_the_sdk_sees_each_ending(
    pictures: PictureServer, sdk: Any, ending: str, blocked: str | None, finished: str | None
) -> None:
    """A blocked prompt has no candidate and a blocked picture no part; both come with status 200."""
    pictures.end_next(ending)
    answer = await sdk.models.generate_content(model="gemini-3.1-flash-image", contents="a fox")
    feedback = answer.prompt_feedback
    assert (feedback.block_reason.value if feedback else None) == blocked
    assert (answer.candidates[0].finish_reason.value if answer.candidates else None) == finished
    assert not [part for part in answer.parts or () if part.inline_data]


async def test_the_sdk_makes_a_film_by_an_interaction(films: InteractionServer) -> None:
    """Google's client starts a film in the background, looks until it is done, and downloads its file."""
    async with client(films) as sdk:
        made = await sdk.interactions.create(**FILM)
        statuses = [made.status]
        while made.status != "completed":
            made = await sdk.interactions.get(id=made.id)
            statuses.append(made.status)
        [content] = made.steps[-1].content
        name = content.uri.rsplit("/", 1)[1]
        states = [(await sdk.files.get(name=name)).state.value for _ in range(2)]
        data = await sdk.files.download(file=f"files/{name}")
    assert statuses == ["queued", "queued", "in_progress", "in_progress", "completed"]
    assert states == ["PROCESSING", "ACTIVE"]
    with av.open(io.BytesIO(data), "r") as film:
        assert next(film.decode(video=0)).height == 360
    assert made.usage.total_tokens == 5220
    assert films.billed == 1


@pytest.mark.parametrize("ending", InteractionServer.ENDINGS)
async def test_the_sdk_sees_how_a_film_ends(films: InteractionServer, ending: str) -> None:
    """A film that fails says why in `errors`, one that was cancelled has that status."""
    films.end_next(ending)
    async with client(films) as sdk:
        made = await sdk.interactions.create(**FILM)
        for _ in range(4):
            made = await sdk.interactions.get(id=made.id)
    assert (made.status == "failed") == bool(made.errors)
    assert made.status == ("cancelled" if "cancelled" in ending else "failed")


async def test_the_sdk_cancels_an_interaction(films: InteractionServer) -> None:
    """Google's client cancels what runs; what is over cannot be cancelled."""
    async with client(films) as sdk:
        made = await sdk.interactions.create(**FILM)
        assert (await sdk.interactions.cancel(id=made.id)).status == "cancelled"
        done = await sdk.interactions.create(**FILM)
        for _ in range(4):
            await sdk.interactions.get(id=done.id)
        with pytest.raises(Exception, match="not running"):
            await sdk.interactions.cancel(id=done.id)


async def test_the_sdk_makes_films_with_veo(veo: VeoServer) -> None:
    """Google's client for Vertex starts Veo's operation, fetches it until it is done, and reads the bytes."""
    config = types.GenerateVideosConfig(number_of_videos=2, duration_seconds=4, seed=3)
    source = types.GenerateVideosSource(prompt="a fox")
    async with client(veo) as sdk:
        operation: Any = await sdk.models.generate_videos(
            model="veo-3.1-generate-001", source=source, config=config
        )
        while not operation.done:
            operation = await sdk.operations.get(operation)
        made = [video.video.video_bytes for video in operation.response.generated_videos]
        assert len(set(made)) == 2
        veo.end_next("filtered")
        operation = await sdk.models.generate_videos(
            model="veo-3.1-generate-001", source=source, config=config
        )
        while not operation.done:
            operation = await sdk.operations.get(operation)
        assert operation.response.rai_media_filtered_count == 2


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
async def test_a_changed_request_for_a_picture_is_refused(pictures: PictureServer, change: Json) -> None:
    """Each rule: the good request passes, and with one field changed it is refused, in Google's envelope."""
    assert (await post(pictures, PICTURE_PATH, PICTURE)).status_code == 200
    answer = await post(pictures, PICTURE_PATH, {**PICTURE, **change})
    assert (answer.status_code, answer.json()["error"]["status"]) == (400, "INVALID_ARGUMENT")
    assert pictures.billed == 1


@pytest.mark.parametrize(
    "change",
    [
        {"input": ""},
        {"store": False},
        {"prompt": "a fox"},
        {"input": [{"type": "image", "mime_type": "image/gif", "data": ""}]},
        {"response_format": {"type": "video", "duration": "2s"}},
        {"response_format": {"type": "video", "duration": 5}},
        {"response_format": {"type": "video", "resolution": "480p"}},
        {"response_format": {"type": "video", "aspect_ratio": "1:1"}},
        {"response_format": {"type": "video", "delivery": "post"}},
        {"response_format": {"type": "video", "fps": 24}},
    ],
)
async def test_a_changed_request_for_a_film_is_refused(films: InteractionServer, change: Json) -> None:
    """Each rule of interactions: the good request passes, and with one field changed it is refused."""
    assert (await post(films, "/v1beta/interactions", FILM)).status_code == 200
    assert (await post(films, "/v1beta/interactions", {**FILM, **change})).status_code == 400
    assert films.billed == 1


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
async def test_a_changed_request_to_veo_is_refused(veo: VeoServer, change: Json) -> None:
    """Each rule of Veo: the good request passes, and with one field changed it is refused."""
    path = f"{VEO_PATH}:predictLongRunning"
    assert (await post(veo, path, VEO)).status_code == 200
    assert (await post(veo, path, {**VEO, **change})).status_code == 400
    assert veo.billed == 1


async def test_a_model_that_is_gone_is_not_found(
    pictures: PictureServer, films: InteractionServer, veo: VeoServer
) -> None:
    """A model that was shut down is 404, on every surface."""
    gone = [
        await post(pictures, "/v1beta/models/imagen-4:generateContent", PICTURE),
        await post(films, "/v1beta/interactions", {**FILM, "model": "veo-3.1"}),
        await post(veo, f"{VEO_PATH}9:predictLongRunning", VEO),
    ]
    assert [answer.status_code for answer in gone] == [404] * 3


async def test_a_wrong_key_is_refused(films: InteractionServer, veo: VeoServer) -> None:
    """A wrong key is 400 at the Gemini API, as Google does it, and 401 at Vertex."""
    answer = await post(films, "/v1beta/interactions", FILM, "wrong")
    assert (answer.status_code, answer.json()["error"]["details"][0]["reason"]) == (400, "API_KEY_INVALID")
    assert (await post(veo, f"{VEO_PATH}:predictLongRunning", VEO, "wrong")).status_code == 401


@pytest.mark.parametrize("name", PictureServer.FAULTS)
async def test_the_sdk_sees_each_refusal(pictures: PictureServer, sdk: Any, name: str) -> None:
    """Google's client reads each refusal as an error of its status."""
    fault, _ = pictures.FAULTS[name]
    pictures.arm("submit", fault)
    with pytest.raises(errors.APIError) as caught:
        await sdk.models.generate_content(model="gemini-3.1-flash-image", contents="a fox")
    assert fault.answer
    assert caught.value.code == fault.answer.status
    assert pictures.billed == 0


async def test_the_sdk_sees_a_lost_answer(pictures: PictureServer, sdk: Any) -> None:
    """An answer that is lost is a fault of the wire, and the call was charged."""
    pictures.arm("submit", LOST)
    with pytest.raises(httpx2.TransportError):
        await sdk.models.generate_content(model="gemini-3.1-flash-image", contents="a fox")
    assert pictures.billed == 1
