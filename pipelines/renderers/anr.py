"""The paper's renderer: two shallow U-Nets. R1 makes a latent image, R2 makes the picture from it and the normals.

Eq. 2:  M, I, J = R2(R1(T, I_uv), I_norm).  J, the first three channels of the latent image, is supervised as RGB.

The U-Nets are those of `pipelines/renderers/unet.py`.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from pipelines.renderers import Prediction
from pipelines.renderers.unet import Stage

LEARNS_TEXTURE = True
RECIPE: dict[str, Any] = {}             # the presets are this renderer's


def configure(size: dict[str, Any]) -> dict[str, Any]:
    """The config of a preset's size."""
    kept = ("texture_channels", "latent_channels", "unshuffle", "widths", "blocks")
    return {**{key: size[key] for key in kept}, "normals": bool(size.get("normals", True))}


def build(config: dict[str, Any]) -> ANR:
    """config: texture_channels, latent_channels, unshuffle (1, 2 or 4), widths (one per level), blocks, normals."""
    return ANR(**config)


class ANR(nn.Module):
    """Both stages; `multiple` is what height and width must be divisible by."""

    def __init__(self, texture_channels: int, latent_channels: int, unshuffle: int, widths: list[int],
                 blocks: int, normals: bool = True) -> None:
        """normals: False leaves I_norm out of R2 (the paper's Fig. 5, a to d)."""
        super().__init__()
        self.normals = normals
        self.multiple = unshuffle * 2 ** (len(widths) - 1)
        self.first = Stage(texture_channels + 1, latent_channels, unshuffle, widths, blocks)
        self.second = Stage(latent_channels + (4 if normals else 1), 4, unshuffle, widths, blocks)
        with torch.no_grad():           # the latent image starts as the neural image: the texture learns at once
            skip = self.first.head.weight[:, -(texture_channels + 1):]
            for k in range(min(texture_channels, latent_channels)):
                skip[k, k, 1, 1] += 0.5
        # The mask starts from the body's own coverage, and the picture from the coarse one.
        self.coverage_gain = nn.Parameter(torch.tensor(6.0))

    def forward(self, features: torch.Tensor, normal: torch.Tensor, inside: torch.Tensor) -> Prediction:
        latent = self.first(torch.cat([features, inside], 1))
        seen = [latent, normal, inside] if self.normals else [latent, inside]
        out = self.second(torch.cat(seen, 1)).float()
        coarse = latent[:, :3].float()
        mask_logit = out[:, 3:] + self.coverage_gain * (inside - 0.5)
        return Prediction(coarse + out[:, :3], mask_logit, coarse)
