"""One stage for ANR's two: the paper's Table 2, "1 stage", and by `capacity` a U-Net larger than both of them together.

Neural image, normals and coverage go into one U-Net at once; there is no latent image between, so no J (Eq. 3 has its
second term alone). All else, losses and split optimisation included, is the paper's model.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from pipelines.renderers import Prediction, anr
from pipelines.renderers.unet import Stage, parameters_of, widths_for

LEARNS_TEXTURE = True
RECIPE: dict[str, Any] = {}             # the presets are ANR's, and this is ANR but for one thing


def configure(size: dict[str, Any]) -> dict[str, Any]:
    """The config of a preset's size: widths that give `capacity` times as many parameters as ANR's two stages."""
    kept = {key: size[key] for key in ("texture_channels", "unshuffle", "blocks")}
    kept["normals"] = bool(size.get("normals", True))
    wanted = parameters_of(lambda: anr.build(anr.configure(size))) * float(size.get("capacity", 1.0))
    return {**kept, "widths": widths_for(lambda widths: OneStage(**kept, widths=widths), size["widths"], round(wanted))}


def build(config: dict[str, Any]) -> OneStage:
    """config: texture_channels, unshuffle (1, 2 or 4), widths (one per level), blocks, normals."""
    return OneStage(**config)


class OneStage(nn.Module):
    """One U-Net from the neural image and the normals to the picture."""

    def __init__(self, texture_channels: int, unshuffle: int, widths: list[int], blocks: int, normals: bool) -> None:
        super().__init__()
        self.multiple = unshuffle * 2 ** (len(widths) - 1)
        self.normals = normals
        channels = texture_channels + (4 if normals else 1)
        self.stage = Stage(channels, 4, unshuffle, widths, blocks)
        with torch.no_grad():           # as in ANR: the picture starts as the neural image, the mask as the coverage
            for k in range(3):
                self.stage.head.weight[k, k - channels, 1, 1] += 0.5
        self.coverage_gain = nn.Parameter(torch.tensor(6.0))

    def forward(self, features: torch.Tensor, normal: torch.Tensor, inside: torch.Tensor) -> Prediction:
        seen = [features, normal, inside] if self.normals else [features, inside]
        out = self.stage(torch.cat(seen, 1)).float()
        return Prediction(out[:, :3], out[:, 3:] + self.coverage_gain * (inside - 0.5), None)
