"""What a provider answers whose work ends with its process or its connection."""

from __future__ import annotations

from collections.abc import AsyncGenerator

from media_pipeline.generation.provider import ErrorCode, ProviderError, ProviderEvent


async def refuse_to_resume(provider: str) -> AsyncGenerator[ProviderEvent, None]:
    """Raise `ProviderError(UNSUPPORTED)` when the first event is asked for."""
    nothing: tuple[ProviderEvent, ...] = ()
    for event in nothing:
        yield event
    sentence = f"Work of {provider} cannot be resumed, only begun again."
    raise ProviderError(ErrorCode.UNSUPPORTED, sentence, provider=provider)
