"""What is ComfyUI's own: the WebSocket and its loss, the queue, workflows, and older servers."""

from __future__ import annotations

import json
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from media_pipeline.generation.provider import (
    Advanced,
    ErrorCode,
    ModelInfo,
    Output,
    Preview,
    ProviderError,
    Queued,
    Submitted,
)
from media_pipeline.generation.providers.comfyui import workflow
from media_pipeline.generation.providers.comfyui.frames import Shown, Told, read_frame
from tests.servers.comfyui import CHECKPOINTS, ComfyUIServer

from .bench import adapter, asked, image, made, only


async def test_steps_and_previews_are_told_as_they_come() -> None:
    """The sampler's steps are the number, and partial pictures are shown, in either form."""
    async with adapter("comfyui", ComfyUIServer) as (provider, server, model):
        for server.old in (False, True):
            events = await made(provider, model)
            assert [(event.done, event.total) for event in only(Advanced, events)] == [
                (5, 20),
                (10, 20),
                (15, 20),
                (20, 20),
            ]
            assert len(only(Preview, events)) == 4


async def test_a_workflow_is_filled_with_the_request() -> None:
    """Prompt, size, seed and number go where the binding says, and the checkpoint is the server's first."""
    async with adapter("comfyui", ComfyUIServer) as (provider, server, model):
        await made(provider, model, asked(model, n=2, seed=9, width=512, height=768, negative_prompt="rain"))
        [prompt] = server.history.values()
        inputs = {id_: node["inputs"] for id_, node in prompt.graph.items()}
        assert (inputs["6"]["text"], inputs["7"]["text"], inputs["3"]["seed"]) == ("a fox", "rain", 9)
        assert inputs["5"] == {"width": 512, "height": 768, "batch_size": 2}
        assert inputs["4"]["ckpt_name"] == CHECKPOINTS[0]


async def test_a_broken_socket_loses_no_result() -> None:
    """A socket that breaks in the middle, or was never had, leaves the history to tell the end."""
    async with adapter("comfyui", ComfyUIServer) as (provider, server, model):
        server.drops = 1
        events = await made(provider, model)
        assert [event.done for event in only(Advanced, events)] == [5, 10]
        assert only(Output, events)
        server.deaf = True
        events = await made(provider, model)
        assert not only(Preview, events)
        assert only(Output, events)
    assert server.billed == 2


async def test_the_place_in_the_queue_is_told() -> None:
    """A prompt behind another tells its place, and the place it moves up to."""
    async with adapter("comfyui", ComfyUIServer) as (provider, server, model):
        server.hold("queued")
        places = []
        async with (
            aclosing(provider.generate(asked(model), model)) as first,
            aclosing(provider.generate(asked(model), model)) as second,
        ):
            async for event in first:
                if isinstance(event, Queued):
                    break
            async for event in second:
                if isinstance(event, Queued):
                    places.append(event.position)
                    server.hold(None)
        assert places[0] == 2


async def test_an_older_server_is_cancelled_as_before() -> None:
    """Without the route of today a waiting prompt is deleted, a running interrupted, an ended one late."""
    async with adapter("comfyui", ComfyUIServer) as (provider, server, model):
        server.old = True
        for stage, outcome in (("queued", "cancelled"), ("running", "requested"), (None, "too_late")):
            server.hold(stage)  # type: ignore[arg-type] # one of the stages
            sign = {"queued": Queued, "running": Advanced, None: Output}[stage]
            async with aclosing(provider.generate(asked(model), model)) as events:
                async for event in events:
                    if isinstance(event, Submitted):
                        handle = event.handle
                    if isinstance(event, sign):
                        break
            assert await provider.cancel(handle) == outcome


async def test_a_full_card_is_emptied() -> None:
    """After running out of memory the server is asked to unload, so that the next try has a chance."""
    async with adapter("comfyui", ComfyUIServer) as (provider, server, model):
        server.end_next("out of memory")
        with pytest.raises(ProviderError, match="Allocation on device"):
            await made(provider, model)
        assert server.freed == 1


async def test_a_picture_is_uploaded_and_bound() -> None:
    """An input picture is uploaded first, and the workflow names it as the server keeps it."""
    async with adapter("comfyui", ComfyUIServer) as (provider, server, _):
        model = next(each for each in await provider.models() if each.roles)
        await made(provider, model, asked(model, images=(image("init"),)))
        [prompt] = server.history.values()
        assert prompt.graph["11"]["inputs"]["image"] in server.uploads


MODEL = ModelInfo(
    id="own",
    kind="video",
    label="Own",
    progress="steps",  # type: ignore[arg-type] # as a file says it
    default_seconds=2,
    fps=(8,),
    wire={
        "workflow": "own.json",
        "bind": {"prompt": [["1", "text"], ["2", "text"]], "frames": ["3", "length"]},
        "fixed": {"3": {"steps": 12}},
    },
)
OWN: dict[str, Any] = {id_: {"class_type": "X", "inputs": {}} for id_ in ("1", "2", "3")}


def test_a_workflow_of_ones_own_wins(tmp_path: Path) -> None:
    """A file of the user's folder is bound as its entry says, in several places and with fixed values too."""
    (tmp_path / "own.json").write_text(json.dumps(OWN))
    graph: Any = workflow.fill(workflow.load_graph(MODEL, tmp_path), asked(MODEL), MODEL, {})
    assert graph["1"]["inputs"] == graph["2"]["inputs"] == {"text": "a fox"}
    assert graph["3"]["inputs"] == {"length": 16, "steps": 12}
    assert workflow.steps_of(graph) == {"3": 12}


@pytest.mark.parametrize("text", ["", "[]", '{"1": {}}', '{"nodes": [], "links": []}'])
def test_what_is_no_workflow_is_said_to_be_none(tmp_path: Path, text: str) -> None:
    """A file that is no workflow in API format, or not there, is told with the setting for the folder."""
    (tmp_path / "own.json").write_text(text)
    for folder in (tmp_path, tmp_path / "none"):
        with pytest.raises(ProviderError, match="MEDIA_COMFYUI_WORKFLOWS") as caught:
            workflow.load_graph(MODEL, folder)
        assert caught.value.reason is ErrorCode.UNSUPPORTED


def test_a_binding_to_a_node_that_is_not_there_is_told(tmp_path: Path) -> None:
    """A binding that does not fit its workflow is told, not sent."""
    (tmp_path / "own.json").write_text(json.dumps({"1": OWN["1"]}))
    model = replace(MODEL, wire={**MODEL.wire, "bind": {"prompt": ["5", "text"]}})
    with pytest.raises(ProviderError, match="no node 5"):
        workflow.fill(workflow.load_graph(model, tmp_path), asked(model), model, {})


def test_frames_are_read_or_passed_over() -> None:
    """Texts and both kinds of preview are read; whatever else comes is passed over."""
    assert read_frame('{"type": "status", "data": {"prompt_id": "p"}}') == Told("status", {"prompt_id": "p"})
    assert read_frame(b"\0\0\0\1\0\0\0\2png") == Shown(b"png", "image/png")
    facts = b'{"prompt_id": "p", "image_type": "image/png"}'
    assert read_frame(b"\0\0\0\4" + len(facts).to_bytes(4) + facts + b"png") == Shown(
        b"png", "image/png", "p"
    )
    for odd in (
        "",
        "[]",
        '{"type": 1}',
        b"",
        b"\0\0",
        b"\0\0\0\1\0\0\0\7x",
        b"\0\0\0\3text",
        b"\0\0\0\4\0\0\0\2{x",
    ):
        assert read_frame(odd) is None
