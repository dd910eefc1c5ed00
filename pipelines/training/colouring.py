"""A start texture through which a trained network already shows somebody's captured colours.

A network that knows few people answers strongly to the colours these wear and weakly to all others: of a model of two,
its mean answer to the texture's channels had the singular values 1.32, 0.64 and 0.13. Gradient steps of one size reach
the weak directions last, so the texture is put there at once: by Gauss-Newton steps with one Jacobian for all texels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from pipelines.body.model import load_body
from pipelines.body.surface import region_map
from pipelines.renderers.avatar import half_precision
from pipelines.renderers.texture import sample_texture
from pipelines.training.colours import average_colours, coloured_start
from pipelines.training.dataset import CroppedFrame

STEPS = 2                               # of Gauss and Newton at most; the network is no linear one
PROBE = 0.5                             # how far a channel is moved to see what it does
DAMPING = 3e-3                          # against squared singular values: directions weaker than its root are left
PROBED_FRAMES, SHOWN_FRAMES = 3, 12     # that the Jacobian, and the colours, are looked at in


def calibrated_start(renderer: nn.Module, start: torch.Tensor, frames: Sequence[CroppedFrame]) -> torch.Tensor:
    """The texture (C, S, S) from which the network draws the frames' colours most nearly; `start` where none is better.

    frames  of the person, captured; what none of them shows gets the mean colour of its region
    """
    shown = [frames[k] for k in np.unique(np.linspace(0, len(frames) - 1, min(SHOWN_FRAMES, len(frames))).astype(int))]
    seen = average_colours(shown, start.shape[-1])[1] > 1e-3
    wanted = colours_of(shown, start)
    best, least, texture = start, float("inf"), start
    for step in range(STEPS + 1):
        now = colours_of([drawn_over(renderer, texture, frame) for frame in shown], start)
        missing = wanted - now
        error = float(np.abs(missing[:, seen]).mean()) if seen.any() else 0.0
        if error >= least:
            break
        best, least = texture, error
        if step < STEPS:
            moved = np.einsum("cr,rhw->chw", damped_inverse(jacobian(renderer, texture, shown)), missing)
            texture = texture + torch.from_numpy(moved).to(texture)
    return best


def colours_of(frames: Sequence[CroppedFrame], start: torch.Tensor) -> np.ndarray:
    """(3, S, S) in [-1, 1]: the mean of what the frames show of each texel, its region's mean where they show none."""
    size = start.shape[-1]
    return coloured_start(np.zeros((3, size, size)), frames, region_map(load_body(), size))


def drawn_over(renderer: nn.Module, texture: torch.Tensor, frame: CroppedFrame) -> CroppedFrame:
    """The frame with what the network draws of its body in place of what was captured."""
    rgb = drawn(renderer, texture, frame).clamp(-1, 1).cpu().numpy()
    return replace(frame, image=np.rint((rgb + 1) * 127.5).astype(np.uint8))


def jacobian(renderer: nn.Module, texture: torch.Tensor, frames: Sequence[CroppedFrame]) -> np.ndarray:
    """(3, C): how the mean colour of the body's pixels moves with each channel of the texture, all texels alike."""
    probed = frames[::max(1, len(frames) // PROBED_FRAMES)][:PROBED_FRAMES]
    before = mean_colour(renderer, texture, probed)
    columns = []
    for channel in range(len(texture)):
        moved = texture.clone()
        moved[channel] += PROBE
        columns.append((mean_colour(renderer, moved, probed) - before) / PROBE)
    return np.stack(columns, axis=1)


def damped_inverse(response: np.ndarray) -> np.ndarray:
    """(C, 3): the least change of a texture that moves its colours as wanted (Levenberg's damping)."""
    return response.T @ np.linalg.inv(response @ response.T + DAMPING * np.eye(len(response)))


def mean_colour(renderer: nn.Module, texture: torch.Tensor, frames: Sequence[CroppedFrame]) -> np.ndarray:
    """(3,) in [-1, 1], over the body's pixels of all frames."""
    return np.concatenate([drawn(renderer, texture, frame).cpu().numpy()[frame.inside > 0] for frame in frames]).mean(0)


@torch.no_grad()
def drawn(renderer: nn.Module, texture: torch.Tensor, frame: CroppedFrame) -> torch.Tensor:
    """(h, w, 3) in about [-1, 1]: what the network draws of a frame's body."""
    multiple = int(renderer.multiple)                           # type: ignore[arg-type]
    height, width = frame.alpha.shape
    pad = (0, -width % multiple, 0, -height % multiple)
    grid = F.pad(torch.from_numpy(frame.uv.astype(np.float32) * (2 / 65535) - 1)[None], (0, 0, *pad))
    normal = F.pad(torch.from_numpy(frame.normal.astype(np.float32) / 127).permute(2, 0, 1)[None], pad)
    inside = F.pad(torch.from_numpy((frame.inside > 0).astype(np.float32))[None, None], pad)
    grid, normal, inside = (x.to(texture.device) for x in (grid, normal, inside))
    features = sample_texture(texture, grid, inside).contiguous(memory_format=torch.channels_last)
    with half_precision(texture.device):
        rgb = renderer(features, normal, inside).rgb
    return rgb[0, :, :height, :width].float().permute(1, 2, 0)
