"""The fake of ComfyUI against what its own source sends: frames are compared with those it packs.

There is no official client. The quotes below are from ComfyUI's `server.py` and
`comfy_execution/progress.py`, read in autumn 2026; the WebSocket client is that of the library `websockets`.
"""

from __future__ import annotations

import json
import struct
import uuid
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest
from websockets.asyncio.client import ClientConnection, connect

from tests.servers.comfyui import CHECKPOINTS, ComfyUIServer
from tests.servers.media import Shelf, still

GRAPH: dict[str, Any] = {
    "3": {"class_type": "KSampler", "inputs": {"seed": 7, "steps": 4, "latent_image": ["5", 0]}},
    "4": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": CHECKPOINTS[0]}},
    "5": {"class_type": "EmptyLatentImage", "inputs": {"width": 64, "height": 64, "batch_size": 1}},
    "9": {"class_type": "SaveImage", "inputs": {"filename_prefix": "fox", "images": ["3", 0]}},
}


def changed(node: str, **inputs: Any) -> dict[str, Any]:
    return {**GRAPH, node: {**GRAPH[node], "inputs": inputs}}


PREVIEW_IMAGE, PREVIEW_IMAGE_WITH_METADATA = 1, 4
"""BinaryEventTypes of protocol.py."""


@pytest.fixture
def server() -> Iterator[ComfyUIServer]:
    with Shelf.served() as shelf, ComfyUIServer.served(shelf) as server:
        yield server


def http(server: ComfyUIServer, key: str = "") -> httpx2.AsyncClient:
    headers = {"Authorization": f"Bearer {key or server.key}"}
    return httpx2.AsyncClient(verify=False, timeout=30, base_url=server.url, headers=headers)


def socket(server: ComfyUIServer, client: str) -> connect:
    address = f"ws{server.url.removeprefix('http')}/ws?clientId={client}"
    return connect(address, additional_headers={"Authorization": f"Bearer {server.key}"})


async def told(link: ClientConnection, prompt_id: str) -> list[Any]:
    """Return what is said until the prompt is over: texts decoded, binary as it came."""
    seen: list[Any] = []
    while True:
        message = await link.recv()
        seen.append(message if isinstance(message, bytes) else json.loads(message))
        if seen[-1] == {"type": "executing", "data": {"node": None, "prompt_id": prompt_id}}:
            return seen


async def run(server: ComfyUIServer, *, features: bool) -> tuple[str, list[Any]]:
    """Run the good graph and return its id and all that was said."""
    prompt_id = str(uuid.uuid4())
    async with http(server) as client, socket(server, "c1") as link:
        hello = json.loads(await link.recv())
        # `await self.send("status", {"status": self.get_queue_info(), "sid": sid}, sid)`
        assert hello["data"] == {"status": {"exec_info": {"queue_remaining": 0}}, "sid": "c1"}
        if features:
            await link.send('{"type": "feature_flags", "data": {"supports_preview_metadata": true}}')
            assert json.loads(await link.recv())["type"] == "feature_flags"
        body = {"prompt": GRAPH, "client_id": "c1", "prompt_id": prompt_id}
        answer = (await client.post("/prompt", json=body)).json()
        # `response = {"prompt_id": prompt_id, "number": number, "node_errors": valid[3]}`
        assert answer == {"prompt_id": prompt_id, "number": answer["number"], "node_errors": {}}
        return prompt_id, await told(link, prompt_id)


async def test_a_prompt_tells_of_itself_in_the_order_of_the_source(server: ComfyUIServer) -> None:
    """Start, cached nodes, running nodes, steps, the saved output, success, and node null at the end."""
    prompt_id, said = await run(server, features=True)
    texts = [each for each in said if isinstance(each, dict) and each["data"].get("prompt_id") == prompt_id]
    kinds = list(dict.fromkeys(each["type"] for each in texts))
    assert kinds == [
        "execution_start",
        "execution_cached",
        "executing",
        "progress",
        "progress_state",
        "executed",
        "execution_success",
    ]
    steps = [each["data"] for each in texts if each["type"] == "progress"]
    assert [(step["value"], step["max"], step["node"]) for step in steps] == [
        (n, 4, "3") for n in range(1, 5)
    ]
    # `active_nodes[node_id] = {"value", "max", "state", "node_id", "prompt_id", "display_node_id", …}`
    state = next(each["data"] for each in texts if each["type"] == "progress_state")
    assert state["nodes"]["3"].keys() == {
        "value",
        "max",
        "state",
        "node_id",
        "prompt_id",
        "display_node_id",
        "parent_node_id",
        "real_node_id",
    }


async def test_previews_are_packed_as_the_source_packs_them(server: ComfyUIServer) -> None:
    """With metadata where the client said that it reads it, bare otherwise, byte by byte."""
    prompt_id, said = await run(server, features=True)
    picture = next(each for each in said if isinstance(each, bytes))
    # encode_bytes: struct.pack(">I", event) + data; send_image_with_metadata: length, JSON, picture
    kind, length = struct.unpack_from(">II", picture)
    facts = json.loads(picture[8 : 8 + length])
    assert kind == PREVIEW_IMAGE_WITH_METADATA
    assert (facts["prompt_id"], facts["image_type"]) == (prompt_id, "image/jpeg")
    assert picture[8 + length :].startswith(b"\xff\xd8")
    _, said = await run(server, features=False)
    bare = next(each for each in said if isinstance(each, bytes))
    # send_image: type_num 1 is JPEG
    assert struct.unpack_from(">II", bare) == (PREVIEW_IMAGE, 1)
    assert bare[8:].startswith(b"\xff\xd8")


async def test_the_history_and_the_file_are_there_afterwards(server: ComfyUIServer) -> None:
    """An ended prompt is in the history with its outputs and messages, and its file can be viewed."""
    prompt_id, _ = await run(server, features=True)
    async with http(server) as client:
        entry = (await client.get(f"/api/history/{prompt_id}")).json()[prompt_id]
        assert entry["status"]["status_str"] == "success"
        assert [name for name, _ in entry["status"]["messages"]] == ["execution_start", "execution_success"]
        [image] = entry["outputs"]["9"]["images"]
        assert image["type"] == "output"
        assert (await client.get("/view", params=image)).content == still(7, 64, 64)
        assert (await client.get("/view", params={**image, "type": "temp"})).status_code == 404
        assert (await client.get(f"/history/{uuid.uuid4()}")).json() == {}


async def test_a_queued_and_a_running_prompt_can_be_cancelled(server: ComfyUIServer) -> None:
    """By the route of today, which says whether anything was cancelled, and by those of before."""
    server.hold("running")
    async with http(server) as client:
        ids = [(await client.post("/prompt", json={"prompt": GRAPH})).json()["prompt_id"] for _ in range(3)]
        queue = (await client.get("/queue")).json()
        assert [item[1] for item in queue["queue_pending"]] == ids[1:]
        assert [item[1] for item in queue["queue_running"]] == ids[:1]
        assert (await client.post(f"/api/jobs/{ids[1]}/cancel")).json() == {"cancelled": True}
        assert (await client.post(f"/api/jobs/{ids[1]}/cancel")).json() == {"cancelled": False}
        assert (await client.post("/queue", json={"delete": [ids[2]]})).status_code == 200
        assert not (await client.get("/queue")).json()["queue_pending"]
        server.old = True
        assert (await client.post(f"/api/jobs/{ids[0]}/cancel")).status_code == 404
        assert (await client.post("/interrupt", json={"prompt_id": ids[2]})).status_code == 200
        assert (await client.get("/queue")).json()["queue_running"]
        await client.post("/interrupt", json={"prompt_id": ids[0]})
        while not (entry := (await client.get(f"/history/{ids[0]}")).json()):
            pass
        assert entry[ids[0]]["status"]["messages"][-1][0] == "execution_interrupted"


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        ({"prompt": None}, "no_prompt"),
        ({"prompt_id": "42"}, "invalid_prompt_id"),
        ({"prompt_id": str(uuid.uuid4()).upper()}, "invalid_prompt_id"),
        ({"prompt": {"1": {"inputs": {}}}}, "invalid_prompt"),
        ({"prompt": {name: node for name, node in GRAPH.items() if name != "9"}}, "prompt_no_outputs"),
        ({"prompt": changed("3", model=["44", 0])}, "prompt_outputs_failed_validation"),
        ({"prompt": changed("4", ckpt_name="gone.safetensors")}, "prompt_outputs_failed_validation"),
    ],
)  # fmt: skip
async def test_a_changed_prompt_is_refused(server: ComfyUIServer, change: dict[str, Any], kind: str) -> None:
    """Each rule: the good prompt passes, and changed in one place it is refused in ComfyUI's envelope."""
    async with http(server) as client:
        assert (await client.post("/prompt", json={"prompt": GRAPH})).status_code == 200
        answer = await client.post("/prompt", json={"prompt": GRAPH, **change})
    assert (answer.status_code, answer.json()["error"]["type"]) == (400, kind)
    assert server.billed == 1


async def test_a_wrong_key_is_refused(server: ComfyUIServer) -> None:
    """A server behind a guard answers nobody without the key."""
    async with http(server, "wrong") as client:
        assert (await client.get("/system_stats")).status_code == 401
        assert (await client.post("/prompt", json={"prompt": GRAPH})).status_code == 401
