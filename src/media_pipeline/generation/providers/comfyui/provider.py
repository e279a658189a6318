"""ComfyUI: a prompt is sent under an id of ours, followed on the WebSocket, and looked up in the history.

Shapes from ComfyUI's server.py and comfy_execution/jobs.py of autumn 2026; never run against a real server.
The history is kept in memory there: a server that was restarted knows no prompt any more.
"""

from __future__ import annotations

import uuid
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx2

from media_pipeline.generation.fitting import with_seed
from media_pipeline.generation.provider import (
    CancelOutcome,
    ErrorCode,
    GenerationRequest,
    Handle,
    ModelInfo,
    ProviderError,
    ProviderEvent,
    Submitted,
    Submitting,
    Usage,
)
from media_pipeline.generation.providers.access import Access
from media_pipeline.generation.providers.comfyui import ending, workflow
from media_pipeline.generation.providers.comfyui.feed import Feed
from media_pipeline.generation.providers.comfyui.story import Story
from media_pipeline.generation.providers.polling import Polling
from media_pipeline.generation.providers.wire import Reply

SEEDS: Final = 2**32
NOT_FOUND: Final = 404


@dataclass(frozen=True, slots=True)
class State:
    """How a prompt stands: its `entry` in the history when it is over, else its place in the queue."""

    entry: Mapping[str, Any] | None = None
    position: int = 0


class ComfyUIProvider:
    """Make media with the workflows of `access` on one ComfyUI server; `folder` holds the user's own."""

    name = "comfyui"

    def __init__(self, access: Access, *, folder: Path | None = None) -> None:
        self._access, self._folder = access, folder
        self._keys = {"Authorization": f"Bearer {access.key}"} if access.key else {}
        self._wire = access.wire(self.name, self._keys)
        self._polling = Polling(access.clock)

    async def models(self) -> Sequence[ModelInfo]:
        return self._access.models

    async def generate(
        self, request: GenerationRequest, model: ModelInfo
    ) -> AsyncGenerator[ProviderEvent, None]:
        if model.seed:
            request = with_seed(request, below=SEEDS)
        graph = await self._graph(request, model)
        client, prompt_id = uuid.uuid4().hex, str(uuid.uuid4())
        yield Submitting()
        feed = await self._open(client)
        try:
            body = {"prompt": graph, "client_id": client, "prompt_id": prompt_id}
            taken = self._taken(await self._wire.exchange("POST", "prompt", json=body))
            handle = {"prompt": taken, "client": client}
            if model.seed:
                handle["seed"] = str(request.seed)
            yield Submitted(handle)
            story = Story(taken, workflow.steps_of(graph))
            async with aclosing(self._heard(handle, story, feed)) as events:
                async for event in events:
                    yield event
            async with aclosing(self._followed(handle, story, feed, kind=model.kind)) as events:
                async for event in events:
                    yield event
        finally:
            if feed is not None:
                await feed.aclose()

    async def resume(
        self,
        request: GenerationRequest,  # noqa: ARG002 - the protocol's
        model: ModelInfo,
        handle: Handle,
    ) -> AsyncGenerator[ProviderEvent, None]:
        feed = await self._open(handle["client"])
        try:
            story = Story(handle["prompt"], workflow.steps_of(workflow.load_graph(model, self._folder)))
            async with aclosing(self._followed(handle, story, feed, kind=model.kind)) as events:
                async for event in events:
                    yield event
        finally:
            if feed is not None:
                await feed.aclose()

    async def cancel(self, handle: Handle) -> CancelOutcome:
        """Cancel by the prompt's id; a server that has no such route is asked as older ones were."""
        prompt = handle["prompt"]
        reply = await self._wire.exchange("POST", f"api/jobs/{prompt}/cancel")
        if reply.status == NOT_FOUND:
            return await self._cancel_as_before(prompt)
        if not reply.ok:
            raise self._wire.refusal(reply)
        return "cancelled" if reply.object().get("cancelled") else "too_late"

    async def check(self) -> str:
        stats = await self._wire.ask_object("GET", "system_stats")
        system = stats.get("system")
        return (
            f"ComfyUI {system.get('comfyui_version', '')} answers" if isinstance(system, dict) else "answers"
        )

    async def aclose(self) -> None:
        await self._wire.aclose()

    async def _open(self, client: str) -> Feed | None:
        return await Feed.open(self._wire.base_url, client, self._keys)

    async def _graph(self, request: GenerationRequest, model: ModelInfo) -> dict[str, object]:
        """Return the workflow with the request in it, its pictures uploaded."""
        graph = workflow.load_graph(model, self._folder)
        values: dict[workflow.Place, object] = {}
        for place in workflow.choices(model):
            values[place] = await self._first(graph[place[0]]["class_type"], place[1])
        for number, image in enumerate(request.images):
            for place in workflow.places(model, image.role):
                data = await self._access.read_input(image)
                name = f"media-pipeline-{request.job_id}-{number}"
                form = {"image": (name, data, image.content_type), "overwrite": (None, "true")}
                kept = await self._wire.ask_object("POST", "upload/image", files=form)
                values[place] = "/".join(filter(None, (kept.get("subfolder"), str(kept.get("name")))))
        return workflow.fill(graph, request, model, values)

    async def _first(self, kind: str, name: str) -> str:
        """Return the first thing that the server offers for an input, such as a checkpoint."""
        described = await self._wire.ask_object("GET", f"object_info/{kind}")
        try:
            first, *more = described[kind]["input"]["required"][name]
            return str((first if isinstance(first, list) else more[0]["options"])[0])
        except (KeyError, IndexError, TypeError):
            raise self._wire.error(ErrorCode.UNSUPPORTED, f"ComfyUI offers no {name} for {kind}.") from None

    def _taken(self, reply: Reply) -> str:
        if not reply.ok:
            raise self._wire.refusal(reply, ending.reason_of(reply.object()))
        if not isinstance(prompt := reply.object().get("prompt_id"), str):
            raise self._wire.error(ErrorCode.NETWORK, "comfyui answered without a prompt.")
        return prompt

    async def _followed(
        self, handle: Handle, story: Story, feed: Feed | None, *, kind: str
    ) -> AsyncGenerator[ProviderEvent, None]:
        """Tell how a prompt goes: what the feed says while it lives, and what queue and history show."""
        async with aclosing(self._polling.watch(lambda: self._state(handle["prompt"]))) as states:
            async for state in states:
                if state.entry is not None:
                    break
                for event in story.stand(state.position):
                    yield event
                async with aclosing(self._heard(handle, story, feed)) as events:
                    async for event in events:
                        yield event
        entry = state.entry or {}
        if error := ending.failure(self._wire, entry):
            await self._free(error, entry)
            raise error
        for event in ending.outputs(self._wire, entry, kind=kind, keys=self._keys, seed=handle.get("seed")):
            yield event
        if (seconds := ending.seconds(entry)) is not None:
            yield Usage({"seconds": seconds})

    async def _heard(
        self, handle: Handle, story: Story, feed: Feed | None
    ) -> AsyncGenerator[ProviderEvent, None]:
        """Tell what the feed says until the prompt is over or nothing is said any more."""
        if feed is None:
            return
        async with aclosing(feed.messages()) as frames:
            async for frame in frames:
                for event in story.hear(frame):
                    yield event
                if story.is_over(frame):
                    return
                if story.waits_at(frame):
                    for event in await self._place(handle, story):
                        yield event

    async def _place(self, handle: Handle, story: Story) -> list[ProviderEvent]:
        """Ask for the place in the queue, which the feed does not tell; worth no failure."""
        try:
            state = await self._queue(handle["prompt"])
        except ProviderError:
            return []
        return story.stand(state.position) if state and state.position else []

    async def _state(self, prompt: str) -> State:
        """Look a prompt up in the history, else in the queue, else once more in the history."""
        for look in (self._history, self._queue, self._history):
            if (state := await look(prompt)) is not None:
                return state
        raise self._wire.error(ErrorCode.GONE, "comfyui does not know the prompt any more.")

    async def _history(self, prompt: str) -> State | None:
        entry = (await self._wire.ask_object("GET", f"history/{prompt}")).get(prompt)
        return State(entry) if isinstance(entry, dict) else None

    async def _queue(self, prompt: str) -> State | None:
        queue = await self._wire.ask_object("GET", "queue")
        if any(item[1] == prompt for item in queue.get("queue_running", ())):
            return State()
        waiting = [
            item[1] for item in sorted(queue.get("queue_pending", ()), key=lambda item: float(item[0]))
        ]
        return State(position=waiting.index(prompt) + 1) if prompt in waiting else None

    async def _cancel_as_before(self, prompt: str) -> CancelOutcome:
        state = await self._queue(prompt)
        if state is None:
            return "too_late"
        path, body = (
            ("queue", {"delete": [prompt]}) if state.position else ("interrupt", {"prompt_id": prompt})
        )
        await self._wire.ask("POST", path, json=body)
        return "cancelled" if state.position else "requested"

    async def _free(self, error: ProviderError, entry: Mapping[str, Any]) -> None:
        """Let a server that ran out of memory empty it, so that the next try has a chance."""
        if error.reason is ErrorCode.PROVIDER and ending.ran_out_of_memory(entry):
            try:
                await self._wire.exchange("POST", "free", json={"unload_models": True, "free_memory": True})
            except (ProviderError, httpx2.HTTPError):
                return
