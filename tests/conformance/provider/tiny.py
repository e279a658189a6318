"""The smallest Stable Diffusion: every part in its true class, its weights random, nothing downloaded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

END, START = "<|endoftext|>", "<|startoftext|>"
GROUPS = 4


def build(folder: Path) -> None:
    """Save a pipeline of a few hundred kilobytes that makes noise of 64 to 256 pixels."""
    from diffusers import StableDiffusionPipeline  # noqa: PLC0415 - an extra

    pipeline = StableDiffusionPipeline(
        **_parts(), safety_checker=None, feature_extractor=None, requires_safety_checker=False
    )
    pipeline.save_pretrained(folder)


def build_film(folder: Path) -> None:
    """Save one that makes films of such noise (AnimateDiff: the same with a motion module)."""
    from diffusers import AnimateDiffPipeline, MotionAdapter  # noqa: PLC0415 - an extra

    motion = MotionAdapter(
        block_out_channels=(8, 16),
        motion_layers_per_block=1,
        motion_mid_block_layers_per_block=1,
        motion_num_attention_heads=2,
        motion_norm_num_groups=GROUPS,
        motion_max_seq_length=16,
        use_motion_mid_block=False,
    )
    pipeline = AnimateDiffPipeline(**_parts(), motion_adapter=motion)
    pipeline.save_pretrained(folder)


def _parts() -> dict[str, Any]:
    """Return what both have in common, with random weights that are the same each time."""
    import torch  # noqa: PLC0415 - an extra
    from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel  # noqa: PLC0415
    from transformers import CLIPTextConfig, CLIPTextModel  # noqa: PLC0415

    torch.manual_seed(0)
    unet = UNet2DConditionModel(
        sample_size=8,
        block_out_channels=(8, 16),
        layers_per_block=1,
        in_channels=4,
        out_channels=4,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        cross_attention_dim=16,
        attention_head_dim=4,
        norm_num_groups=GROUPS,
    )
    vae = AutoencoderKL(
        block_out_channels=(8, 8, 8, 8),
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        latent_channels=4,
        norm_num_groups=GROUPS,
    )
    tokenizer = _tokenizer()
    config = CLIPTextConfig(
        hidden_size=16,
        intermediate_size=16,
        num_attention_heads=2,
        num_hidden_layers=1,
        vocab_size=len(tokenizer),
        max_position_embeddings=16,
        bos_token_id=0,
        eos_token_id=1,
    )
    return {
        "vae": vae,
        "text_encoder": CLIPTextModel(config),
        "tokenizer": tokenizer,
        "unet": unet,
        "scheduler": DDIMScheduler(clip_sample=False, steps_offset=1),
    }


def _tokenizer() -> Any:
    """Return a tokenizer that spells: one token a letter."""
    from transformers import CLIPTokenizer  # noqa: PLC0415

    letters = [chr(number) for number in range(33, 127)]
    words = [START, END, *letters, *(f"{letter}</w>" for letter in letters)]
    vocabulary = {word: number for number, word in enumerate(words)}
    return CLIPTokenizer(vocabulary, [], model_max_length=16)
