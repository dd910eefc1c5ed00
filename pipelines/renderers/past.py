"""What a renderer needs beside its surface maps, brought together; and the frame before, for one that looks back."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F

from pipelines.body.model import load_body
from pipelines.renderers import Needed, Past, needs_of
from pipelines.renderers.picture import Box
from pipelines.renderers.places import place_names
from pipelines.renderers.texture import TEXTURE_SIZE

Inputs = tuple[torch.Tensor, torch.Tensor, torch.Tensor]       # features, normal, inside, as `forward` takes them


class Drawn(NamedTuple):
    """A picture that was drawn, and what from."""

    inputs: Inputs
    rgb: torch.Tensor                   # (1, 3, h, w) in [-1, 1]
    alpha: torch.Tensor                 # (1, 1, h, w) 0..1
    box: Box                            # where it lies in the whole picture, at any scale


class Recall:
    """Remembers the frame drawn last, and shows it through the window of the next."""

    def __init__(self) -> None:
        self._last: Drawn | None = None

    def forget(self) -> None:
        """The next frame has no past."""
        self._last = None

    def keep(self, inputs: Inputs, picture: tuple[np.ndarray, np.ndarray], box: Box) -> None:
        """picture: rgb (h, w, 3) and alpha (h, w) in 0..1, drawn from `inputs`; box: in pixels of the whole picture."""
        device = inputs[2].device
        rgb, alpha = (torch.from_numpy(np.ascontiguousarray(x)).to(device).float() for x in picture)
        self._last = Drawn(inputs, rgb.permute(2, 0, 1)[None] * 2.0 - 1.0, alpha[None, None], box)

    def seen_from(self, inputs: Inputs, box: Box) -> Past:
        """What was kept, in the window of other inputs."""
        if self._last is None:
            return no_past(inputs)
        last = self._last
        grid = _grid(box, inputs[2].shape[-2:], last.box).to(inputs[2].device)
        known = inputs[2].new_ones(1, 1, 1, 1)
        features, normal, inside = (_moved(x, grid, "nearest") for x in last.inputs)
        return Past(_moved(last.rgb, grid, "bilinear"), _moved(last.alpha, grid, "bilinear"), features, normal, inside,
                    known)


def no_past(inputs: Inputs) -> Past:
    """What the first frame of a sequence is given: nothing."""
    features, normal, inside = (torch.zeros_like(x) for x in inputs)
    return Past(torch.zeros_like(normal), torch.zeros_like(inside), features, normal, inside,
                inside.new_zeros(inside.shape[0], 1, 1, 1))


def needed_by(renderer: torch.nn.Module, inputs: Inputs, texture: torch.Tensor, joints: torch.Tensor | None,
              past: Past | None = None) -> Needed | None:
    """What a network is given beside its inputs; None for one that needs nothing more.

    joints  (B, J, 3); a ValueError where they are needed and not given
    past    None = there is none
    """
    needs = needs_of(renderer)
    if not needs:
        return None
    if "joints" in needs and joints is None:
        raise ValueError("this renderer draws from the body's joints, and they were not given")
    return Needed(texture if "texture" in needs else None, joints if "joints" in needs else None,
                  (past or no_past(inputs)) if "past" in needs else None)


def example_of_needed(renderer: torch.nn.Module, inputs: Inputs) -> Needed | None:
    """A `Needed` of zeros that fits inputs: to count operations, or to try a network."""
    batch, channels = inputs[0].shape[:2]
    return needed_by(renderer, inputs, inputs[0].new_zeros(channels, TEXTURE_SIZE, TEXTURE_SIZE),
                     inputs[0].new_zeros(batch, len(place_names(load_body())), 3))


def padded(needed: Needed, padding: tuple[int, int, int, int]) -> Needed:
    """For inputs padded at the right and below: the past is padded with them."""
    if needed.past is None:
        return needed
    *maps, known = needed.past
    return needed._replace(past=Past._make([*(F.pad(x, padding) for x in maps), known]))


def _grid(box: Box, size: torch.Size | tuple[int, int], other: Box) -> torch.Tensor:
    """(1, h, w, 2) where each pixel of a window of `size` over `box` lies in another box, for `grid_sample`."""
    along = []
    for axis, count in ((1, size[0]), (0, size[1])):
        low, high = box[axis], box[axis + 2]
        place = (torch.arange(count) + 0.5) / count * (high - low) + low
        along.append((place - other[axis]) / (other[axis + 2] - other[axis]) * 2.0 - 1.0)
    y, x = torch.meshgrid(*along, indexing="ij")
    return torch.stack([x, y], -1)[None]


def _moved(image: torch.Tensor, grid: torch.Tensor, mode: str) -> torch.Tensor:
    return F.grid_sample(image, grid, mode=mode, padding_mode="zeros", align_corners=False)
