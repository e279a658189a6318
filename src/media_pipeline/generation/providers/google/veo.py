"""Veo on Vertex AI: operations that are started, asked after until they are done, and hold the films.

Shapes from Google's Python client 3.4.0 and docs.cloud.google.com; never run against the real service here.
An operation tells no progress and cannot be cancelled; its answer holds the bytes.
"""

from __future__ import annotations

import base64
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from typing import Any, Final

from media_pipeline.generation.fitting import resolve_size, with_seed
from media_pipeline.generation.provider import (
    CancelOutcome,
    ErrorCode,
    GenerationRequest,
    Handle,
    ModelInfo,
    Output,
    ProviderError,
    ProviderEvent,
    Running,
    Submitted,
    Submitting,
)
from media_pipeline.generation.providers.access import Access
from media_pipeline.generation.providers.google.pictures import decoded
from media_pipeline.generation.providers.google.refusals import is_policy, refusal
from media_pipeline.generation.providers.google.tokens import Token
from media_pipeline.generation.providers.polling import Polling
from media_pipeline.generation.providers.wire import Reply, Wire
from media_pipeline.jsonvalue import Json

SEEDS: Final = 2**32
_RESOLUTIONS: Final[Mapping[int, str]] = {720: "720p", 1080: "1080p", 2160: "4k"}
_INVALID_ARGUMENT: Final = 3
"""google.rpc.Code of an operation whose prompt was refused."""


class VeoProvider:
    """Make films with Veo in a project and region of Google Cloud."""

    name = "vertex"

    def __init__(self, access: Access, *, project: str, location: str, token: Token) -> None:
        self._access, self._token = access, token
        self._models_path = f"v1/projects/{project}/locations/{location}/publishers/google/models"
        base = access.base_url or _address(location)
        self._wire = Wire(self.name, base_url=base, clock=access.clock)
        self._polling = Polling(access.clock)

    async def models(self) -> Sequence[ModelInfo]:
        return self._access.models

    async def generate(
        self, request: GenerationRequest, model: ModelInfo
    ) -> AsyncGenerator[ProviderEvent, None]:
        request = with_seed(request, below=SEEDS)
        order = await self._order(request, model)
        token = await self._token()
        yield Submitting()
        reply = await self._asked(f"{model.id}:predictLongRunning", order, token=token)
        if not reply.ok:
            raise refusal(self._wire, reply)
        if not isinstance(name := reply.object().get("name"), str):
            raise self._wire.error(ErrorCode.NETWORK, "vertex answered without an operation.")
        handle = {"operation": name, "model": model.id, "seed": str(request.seed)}
        yield Submitted(handle)
        async with aclosing(self._followed(handle)) as events:
            async for event in events:
                yield event

    def resume(
        self,
        request: GenerationRequest,  # noqa: ARG002 - the protocol's
        model: ModelInfo,  # noqa: ARG002 - the protocol's
        handle: Handle,
    ) -> AsyncGenerator[ProviderEvent, None]:
        return self._followed(handle)

    async def cancel(self, handle: Handle) -> CancelOutcome:  # noqa: ARG002 - the protocol's
        """Refuse: Veo documents no way to stop an operation."""
        return "unsupported"

    async def check(self) -> str:
        model = self._access.models[0].id if self._access.models else "veo-3.1-generate-001"
        keys = {"Authorization": f"Bearer {await self._token()}"}
        reply = await self._wire.exchange("GET", f"v1/publishers/google/models/{model}", headers=keys)
        if not reply.ok:
            raise refusal(self._wire, reply)
        return f"the credentials work, {model} is there"

    async def aclose(self) -> None:
        await self._wire.aclose()

    async def _asked(self, path: str, order: Mapping[str, Any], *, token: str = "") -> Reply:
        keys = {"Authorization": f"Bearer {token or await self._token()}"}
        return await self._wire.exchange("POST", f"{self._models_path}/{path}", json=order, headers=keys)

    async def _order(self, request: GenerationRequest, model: ModelInfo) -> dict[str, Json]:
        width, height = resolve_size(request, model)
        parameters: dict[str, Json] = {
            "sampleCount": request.n,
            "aspectRatio": "16:9" if width > height else "9:16",
            "resolution": _RESOLUTIONS.get(min(width, height), "720p"),
            "seed": request.seed,
        }
        if seconds := request.seconds or model.default_seconds:
            parameters["durationSeconds"] = round(seconds)
        if request.negative_prompt:
            parameters["negativePrompt"] = request.negative_prompt
        instance = {"prompt": request.prompt, **await self._pictures(request)}
        return {"instances": [instance], "parameters": parameters}

    async def _pictures(self, request: GenerationRequest) -> dict[str, Json]:
        found: dict[str, Json] = {}
        references: list[Json] = []
        for image in request.images:
            data = base64.b64encode(await self._access.read_input(image)).decode()
            picture = {"bytesBase64Encoded": data, "mimeType": image.content_type}
            if image.role == "reference":
                references.append({"image": picture, "referenceType": "asset"})
            else:
                found["image" if image.role == "first_frame" else "lastFrame"] = picture
        return {**found, "referenceImages": references} if references else found

    async def _look(self, handle: Handle) -> dict[str, Any]:
        question = {"operationName": handle["operation"]}
        reply = await self._asked(f"{handle['model']}:fetchPredictOperation", question)
        if not reply.ok:
            raise refusal(self._wire, reply)
        if not isinstance(answer := reply.json(), dict):
            raise self._wire.error(ErrorCode.NETWORK, "vertex answered with something that is not JSON.")
        return answer

    async def _followed(self, handle: Handle) -> AsyncGenerator[ProviderEvent, None]:
        """Tell how an operation goes until it is done."""
        running = False
        async with aclosing(self._polling.watch(lambda: self._look(handle))) as answers:
            async for operation in answers:
                if operation.get("done"):
                    break
                if not running:
                    running = True
                    yield Running()
        for output in self._films(operation, seed=int(handle["seed"])):
            yield output

    def _films(self, operation: Mapping[str, Any], *, seed: int) -> list[Output]:
        if isinstance(error := operation.get("error"), Mapping):
            raise self._failure(error)
        response = operation.get("response")
        answer = response if isinstance(response, Mapping) else {}
        videos = [video for video in answer.get("videos") or () if isinstance(video, Mapping)]
        if not videos:
            reasons = "; ".join(map(str, answer.get("raiMediaFilteredReasons") or ()))
            refused = answer.get("raiMediaFilteredCount")
            reason = ErrorCode.POLICY_OUTPUT if refused else ErrorCode.BAD_OUTPUT
            raise self._wire.error(reason, f"vertex: {reasons or 'finished without a film'}")
        return [
            Output(
                index=index,
                content_type=str(video.get("mimeType") or "video/mp4"),
                data=decoded(self._wire, video.get("bytesBase64Encoded")),
                seed=seed if index == 0 else None,
            )
            for index, video in enumerate(videos)
        ]

    def _failure(self, error: Mapping[str, Any]) -> ProviderError:
        said = str(error.get("message") or "the operation failed")
        if not is_policy(said):
            return self._wire.error(ErrorCode.PROVIDER, f"vertex: {said}")
        of_prompt = error.get("code") == _INVALID_ARGUMENT or "prompt" in said
        return self._wire.error(
            ErrorCode.POLICY_INPUT if of_prompt else ErrorCode.POLICY_OUTPUT, f"vertex: {said}"
        )


def _address(location: str) -> str:
    """Return where Vertex AI answers for a region."""
    return f"https://{'' if location == 'global' else f'{location}-'}aiplatform.googleapis.com"
