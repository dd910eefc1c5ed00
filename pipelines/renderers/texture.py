"""The neural texture: how it starts and how it is read through the rasterised UV image."""

from __future__ import annotations

import torch
import torch.nn.functional as F

TEXTURE_SIZE = 256                       # paper, section 4.1: 256 x 256 x 8 per identity
TEXTURE_CHANNELS = 8


def start_texture(seed: int, channels: int = TEXTURE_CHANNELS, size: int = TEXTURE_SIZE) -> torch.Tensor:
    """The texture everybody starts from: uniform in [-1, 1].

    It depends on the seed alone, so that the renderer cannot tell people apart by their start noise.

    returns  (C, size, size) float32
    source   paper, section 3.4, Regularization
    """
    generator = torch.Generator().manual_seed(seed)
    return torch.rand((channels, size, size), generator=generator) * 2.0 - 1.0


def sample_texture(texture: torch.Tensor, grid: torch.Tensor, inside: torch.Tensor) -> torch.Tensor:
    """The neural image: the texture read bilinearly at each covered pixel, zero elsewhere.

    texture  (C, S, S)
    grid     (B, H, W, 2) = 2 uv - 1, u right, v down, (-1, -1) the outer corner of the first texel
    inside   (B, 1, H, W) float, 1 where the body covers the pixel; no gradient reaches a texel through a 0
    returns  (B, C, H, W)
    """
    if texture.ndim != 3 or grid.ndim != 4 or grid.shape[-1] != 2:
        shapes = f"{tuple(texture.shape)}, {tuple(grid.shape)}"
        raise ValueError(f"expected texture (C, S, S) and grid (B, H, W, 2), got {shapes}")
    many = texture[None].expand(grid.shape[0], -1, -1, -1)
    return F.grid_sample(many, grid, mode="bilinear", padding_mode="border", align_corners=False) * inside


def perturb_grid(grid: torch.Tensor, amount: float, generator: torch.Generator) -> torch.Tensor:
    """The sampling grid with independent uniform noise in +-amount per pixel, clamped to [-1, 1].

    Keeps the renderer from trusting the exact outline of the coarse body (paper, section 3.4: amount 0.02,
    which is 2.56 texels of 256).
    """
    if amount == 0.0:
        return grid
    noise = torch.rand(grid.shape, generator=generator).to(grid.device)
    return (grid + (noise * 2.0 - 1.0) * amount).clamp(-1.0, 1.0)
