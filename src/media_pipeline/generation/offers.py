"""What can be asked for: a provider with one of its models, and the offers that a request names."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from media_pipeline.generation.provider import (
    ErrorCode,
    GenerationRequest,
    MediaProvider,
    ModelInfo,
    ProviderError,
)


class Offer(NamedTuple):
    """A provider and one of its models."""

    provider: MediaProvider
    model: ModelInfo

    @property
    def full_name(self) -> str:
        """The model with its provider, as a request may name it too."""
        return f"{self.provider.name}/{self.model.id}"


def named(request: GenerationRequest, offers: Sequence[Offer]) -> list[Offer]:
    """Return the offers of the kind, provider and model that `request` names, or raise."""
    kind = [offer for offer in offers if offer.model.kind == request.kind]
    if not kind:
        sentence = f"No configured provider makes {request.kind}s."
        raise ProviderError(ErrorCode.UNSUPPORTED, sentence, provider=request.provider or "any")
    by_provider = [offer for offer in kind if request.provider in (None, offer.provider.name)]
    if not by_provider:
        raise _unknown("provider", dict.fromkeys(offer.provider.name for offer in kind), request)
    by_model = [offer for offer in by_provider if request.model in (None, offer.model.id, offer.full_name)]
    if not by_model:
        raise _unknown("model", dict.fromkeys(offer.model.id for offer in by_provider), request)
    return by_model


def _unknown(field: str, allowed: Iterable[str], request: GenerationRequest) -> ProviderError:
    sentence = f"{field} for {request.kind}s must be one of {', '.join(allowed)}."
    return ProviderError(ErrorCode.INVALID_REQUEST, sentence, provider=request.provider or "any")
