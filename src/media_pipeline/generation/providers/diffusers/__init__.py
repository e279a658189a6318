"""Local models by the library `diffusers`, an extra."""

from media_pipeline.generation.providers.diffusers.provider import DiffusersProvider

__all__ = ["DiffusersProvider"]
