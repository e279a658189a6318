"""What is the own of the OpenAI-compatible `/videos`: the server's percentage and what others add."""

from __future__ import annotations

from dataclasses import replace

from media_pipeline.generation.provider import Advanced, Output, Queued, Running
from tests.servers.openai_video import OpenAIVideoServer

from .bench import adapter, asked, image, made, only


async def test_the_percentage_is_the_servers_own() -> None:
    """What the server says is told as it says it, once each, and nothing between."""
    async with adapter("openai_video", OpenAIVideoServer) as (provider, _, model):
        events = await made(provider, model)
        assert [event.done for event in only(Advanced, events)] == [10, 55, 100]
        assert (len(only(Queued, events)), len(only(Running, events))) == (1, 1)


async def test_the_servers_own_model_is_not_named() -> None:
    """The packaged entry asks for what the shape promises and leaves the model to the server."""
    async with adapter("openai_video", OpenAIVideoServer) as (provider, server, model):
        server.extensions = False
        await made(provider, model, asked(model, seconds=8.0, aspect_ratio="9:16"))
        [video] = server.videos.values()
        fields = {name: part.data.decode() for name, part in video.form.items()}
        assert fields == {"prompt": "a fox", "size": "720x1280", "seconds": "8"}


async def test_an_entry_may_name_what_its_server_adds() -> None:
    """A model of the user's own may take a seed, frames and more, and then the seed is told."""
    async with adapter("openai_video", OpenAIVideoServer) as (provider, server, model):
        wire = {"extensions": ["seed", "fps", "num_frames"], "fixed": {"num_inference_steps": 40}}
        own = replace(model, id="wan2.2-t2v", seed=True, fps=(8,), wire=wire)
        request = asked(own, seconds=4.0, fps=8, seed=7, images=(image("first_frame"),))
        [output] = only(Output, await made(provider, own, request))
        [video] = server.videos.values()
        fields = {name: part.data.decode() for name, part in video.form.items() if not part.filename}
        assert output.seed == 7
        assert fields["model"] == "wan2.2-t2v"
        assert (fields["seed"], fields["fps"], fields["num_frames"]) == ("7", "8", "32")
        assert fields["num_inference_steps"] == "40"
        assert video.form["input_reference"].content_type == "image/png"
