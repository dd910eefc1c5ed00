"""The U-Net all renderers are made of, so that they differ by their method alone.

The trunk runs at 1/`unshuffle` of the picture's resolution behind a pixel-unshuffle, which loses nothing; the way back
is resize + convolution (pixel-shuffle left a visible checkerboard), with a skip of the full-resolution input.
There is no normalisation layer: a crop must give the same picture as the whole frame.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import nn


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


def parameters_of(make: Callable[[], nn.Module]) -> int:
    """How many numbers a module learns; nothing is allocated."""
    with torch.device("meta"):
        return sum(p.numel() for p in make().parameters())


def widths_for(make: Callable[[list[int]], nn.Module], widths: list[int], wanted: int) -> list[int]:
    """`widths`, all scaled alike so that `make(widths)` has `wanted` parameters as nearly as whole numbers allow.

    Gives a rival the capacity of the renderer it is compared with.
    """
    def scaled(factor: float) -> list[int]:
        return [max(1, round(width * factor)) for width in widths]

    low, high = 0.05, 8.0
    for _ in range(20):
        middle = (low + high) / 2.0
        few = parameters_of(lambda: make(scaled(middle))) < wanted      # noqa: B023 (called at once)
        low, high = (middle, high) if few else (low, middle)
    return scaled(high)
