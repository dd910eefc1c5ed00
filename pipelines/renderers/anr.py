"""The paper's renderer: two shallow U-Nets. R1 makes a latent image, R2 makes the picture from it and the normals.

Eq. 2:  M, I, J = R2(R1(T, I_uv), I_norm).  J, the first three channels of the latent image, is supervised as RGB.

The trunk of each U-Net runs at 1/`unshuffle` of the picture's resolution behind a pixel-unshuffle, which loses
nothing; the way back is resize + convolution (pixel-shuffle left a visible checkerboard), with a skip of the
full-resolution input.
There is no normalisation layer: a crop must give the same picture as the whole frame.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import nn


class Prediction(NamedTuple):
    """What a renderer answers; colours in [-1, 1], not clamped."""

    rgb: torch.Tensor           # (B, 3, H, W) I hat
    mask_logit: torch.Tensor    # (B, 1, H, W) sigmoid gives M hat
    coarse: torch.Tensor        # (B, 3, H, W) J hat


def build(config: dict[str, Any]) -> ANR:
    """config: texture_channels, latent_channels, unshuffle (1, 2 or 4), widths (one per level), blocks."""
    return ANR(**config)


class ANR(nn.Module):
    """Both stages; `multiple` is what height and width must be divisible by."""

    def __init__(self, texture_channels: int, latent_channels: int, unshuffle: int, widths: list[int],
                 blocks: int) -> None:
        super().__init__()
        self.multiple = unshuffle * 2 ** (len(widths) - 1)
        self.first = Stage(texture_channels + 1, latent_channels, unshuffle, widths, blocks)
        self.second = Stage(latent_channels + 4, 4, unshuffle, widths, blocks)
        with torch.no_grad():           # the latent image starts as the neural image: the texture learns at once
            skip = self.first.head.weight[:, -(texture_channels + 1):]
            for k in range(min(texture_channels, latent_channels)):
                skip[k, k, 1, 1] += 0.5
        # The mask starts from the body's own coverage, and the picture from the coarse one.
        self.coverage_gain = nn.Parameter(torch.tensor(6.0))

    def forward(self, features: torch.Tensor, normal: torch.Tensor, inside: torch.Tensor) -> Prediction:
        latent = self.first(torch.cat([features, inside], 1))
        out = self.second(torch.cat([latent, normal, inside], 1)).float()
        coarse = latent[:, :3].float()
        mask_logit = out[:, 3:] + self.coverage_gain * (inside - 0.5)
        return Prediction(coarse + out[:, :3], mask_logit, coarse)


class Stage(nn.Module):
    """A shallow U-Net at 1/`unshuffle` resolution that reads and paints at full resolution."""

    def __init__(self, channels_in: int, channels_out: int, unshuffle: int, widths: list[int], blocks: int) -> None:
        super().__init__()
        self.unshuffle = unshuffle
        self.stem = nn.Conv2d(channels_in * unshuffle**2, widths[0], 3, padding=1)
        self.encoder = nn.ModuleList(_blocks(width, blocks) for width in widths)
        self.down = nn.ModuleList(nn.Conv2d(a, b, 4, stride=2, padding=1) for a, b in pairwise(widths))
        self.up = nn.ModuleList(nn.Conv2d(b, a, 3, padding=1) for a, b in pairwise(widths))
        self.decoder = nn.ModuleList(_blocks(width, blocks) for width in widths[:-1])
        fine = [max(16, widths[0] // 2 ** (k + 1)) for k in range(unshuffle.bit_length() - 1)]
        self.refine = nn.ModuleList(nn.Conv2d(a, b, 3, padding=1) for a, b in pairwise([widths[0], *fine]))
        self.head = nn.Conv2d([widths[0], *fine][-1] + channels_in, channels_out, 3, padding=1)
        for conv in (self.stem, *self.down, *self.up, *self.refine):
            nn.init.kaiming_normal_(conv.weight, 0.1)           # torch's own start halves the signal at every layer
            nn.init.zeros_(conv.bias)
        with torch.no_grad():
            self.head.weight.mul_(0.2)                          # early pictures are calm

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        x = F.pixel_unshuffle(image, self.unshuffle) if self.unshuffle > 1 else image
        x = self.stem(x)
        kept = []
        for level, block in enumerate(self.encoder):
            x = block(x)
            if level < len(self.down):
                kept.append(x)
                x = F.leaky_relu(self.down[level](x), 0.1)
        for level in reversed(range(len(self.up))):
            x = kept[level] + self.up[level](F.interpolate(x, scale_factor=2.0, mode="nearest"))
            x = self.decoder[level](x)
        for conv in self.refine:
            x = F.leaky_relu(conv(F.interpolate(x, scale_factor=2.0, mode="nearest")), 0.1)
        return self.head(torch.cat([x, image.to(x.dtype)], 1))


class Residual(nn.Module):
    """x + conv(act(conv(act(x)))), an identity at the start."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.one = nn.Conv2d(width, width, 3, padding=1)
        self.two = nn.Conv2d(width, width, 3, padding=1)
        nn.init.kaiming_normal_(self.one.weight, 0.1)
        for parameter in self.two.parameters():
            nn.init.zeros_(parameter)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.two(F.leaky_relu(self.one(F.leaky_relu(x, 0.1)), 0.1))


def _blocks(width: int, count: int) -> nn.Sequential:
    return nn.Sequential(*(Residual(width) for _ in range(count)))
