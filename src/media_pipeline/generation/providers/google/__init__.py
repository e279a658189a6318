"""Google: pictures and films of the Gemini API, and Veo on Vertex AI."""

from media_pipeline.generation.providers.google.gemini import GeminiProvider
from media_pipeline.generation.providers.google.tokens import default_token
from media_pipeline.generation.providers.google.veo import VeoProvider

__all__ = ["GeminiProvider", "VeoProvider", "default_token"]
