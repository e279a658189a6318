"""ComfyUI: workflows of the user's own server, told of over its WebSocket."""

from media_pipeline.generation.providers.comfyui.provider import ComfyUIProvider

__all__ = ["ComfyUIProvider"]
