"""pix2pix, the rival: a U-Net from surface maps to the picture, judged by a PatchGAN that sees the maps; no texture.

Source: Isola et al., Image-to-image translation with conditional adversarial networks, CVPR 2017: L1 + adversarial
loss, weighted 100 : 1 (its Eq. 4 and section 6.2). The U-Net is that of the other renderers, with as many parameters as
ANR. The mask is our addition: every renderer of the table is judged on the person alone.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from pipelines.renderers import Prediction, anr
from pipelines.renderers.texture import CODE_CHANNELS, TEXTURE_CHANNELS
from pipelines.renderers.unet import Stage, parameters_of, widths_for

LEARNS_TEXTURE = False
RECIPE: dict[str, Any] = {"texture_channels": CODE_CHANNELS, "split": False, "grid_noise": 0.0, "feature": 0.0,
                          "tv_image": 0.0, "tv_mask": 0.0, "adversarial": 0.01, "critic_scales": 1,
                          "critic_sees_maps": True, "critic_from": 0}


def configure(size: dict[str, Any]) -> dict[str, Any]:
    """The config of a preset's size: widths that give as many parameters as ANR's two stages."""
    kept = {key: size[key] for key in ("texture_channels", "unshuffle", "blocks")}
    wanted = parameters_of(lambda: anr.build(anr.configure({**size, "texture_channels": TEXTURE_CHANNELS})))
    widths = widths_for(lambda widths: Pix2Pix(**kept, widths=widths), size["widths"], wanted)
    return {**kept, "widths": widths}


def build(config: dict[str, Any]) -> Pix2Pix:
    """config: texture_channels (of the surface code), unshuffle (1, 2 or 4), widths (one per level), blocks."""
    return Pix2Pix(**config)


class Pix2Pix(nn.Module):
    """Surface coordinates, person's code, normals and coverage in; colours and mask out."""

    def __init__(self, texture_channels: int, unshuffle: int, widths: list[int], blocks: int) -> None:
        super().__init__()
        self.multiple = unshuffle * 2 ** (len(widths) - 1)
        self.stage = Stage(texture_channels + 4, 4, unshuffle, widths, blocks)
        self.coverage_gain = nn.Parameter(torch.tensor(6.0))

    def forward(self, features: torch.Tensor, normal: torch.Tensor, inside: torch.Tensor) -> Prediction:
        out = self.stage(torch.cat([features, normal, inside], 1)).float()
        return Prediction(out[:, :3], out[:, 3:] + self.coverage_gain * (inside - 0.5), None)
