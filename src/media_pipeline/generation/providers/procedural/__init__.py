"""The built-in provider: drawn by formulas, honestly labelled as not an AI model."""

from media_pipeline.generation.providers.procedural.provider import ProceduralProvider

__all__ = ["ProceduralProvider"]
