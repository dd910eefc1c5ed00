"""Repainting: texels somebody painted over are learned again until the frozen renderer shows the new colours."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from pipelines.body.model import load_body
from pipelines.body.surface import OUTSIDE, region_map
from pipelines.core.errors import AnrError
from pipelines.core.records import SurfaceMaps
from pipelines.core.stage import Progress
from pipelines.renderers import Prediction
from pipelines.renderers.avatar import half_precision
from pipelines.renderers.picture import to_linear, to_srgb
from pipelines.renderers.texture import sample_texture
from pipelines.training.writing import across_tied

UNCHANGED, CHANGED = 3.0, 12.0          # of 255: differences that do not count, and that count in full
BORDER_TEXELS = 1.5                     # of the painted picture: how soft the border of a change is
REACH = 2                               # texels of the neural texture around a change that learn with it
ROOM_PX = 48                            # around what changed in a picture: as far as the network looks
SHADE_PX = 3.0                          # over which light and shadow of the old picture are taken over
SHADES = 0.4, 2.0                       # least and most light
LEAST_LIGHT = 0.02                      # added to both sides of a ratio of light
KEEP = 1.0                              # weight of what should stay as it is, per pixel, against what should change
LEARNING_RATE = 0.05                    # as textures are trained in the preset `draft`
CELLS = 64                              # each way of a grid over the atlas, to see what views show
LEAST_PIXELS = 20                       # of a change; a view that shows less of it teaches nothing


@dataclass(frozen=True, eq=False)
class Painting:
    """What was painted, and where."""

    before: np.ndarray                  # (N, N, 3) uint8 sRGB, the proxy texture as it was written
    after: np.ndarray                   # (N, N, 3) uint8 sRGB
    share: np.ndarray                   # (N, N) float32 0..1: how much of the change counts


@dataclass(frozen=True, eq=False)
class View:
    """A window of a picture of the person, as the network sees it, with what it should show."""

    grid: torch.Tensor                  # (1, h, w, 2)
    normal: torch.Tensor                # (1, 3, h, w)
    inside: torch.Tensor                # (1, 1, h, w)
    share: torch.Tensor                 # (1, 1, h, w) 0..1: how much of a pixel is painted over
    wanted: torch.Tensor                # (1, 3, h, w) in [-1, 1]
    mask: torch.Tensor                  # (1, 1, h, w) 0..1, the mask as it was


def painting(before: np.ndarray, after: np.ndarray) -> Painting:
    """What differs between two proxy textures (N, N, 3) uint8, on the body; AnrError where nothing does."""
    body = load_body()
    apart = np.abs(after.astype(np.float32) - before).max(axis=2)
    share = np.clip((apart - UNCHANGED) / (CHANGED - UNCHANGED), 0, 1)
    share[region_map(body, len(before)) == OUTSIDE] = 0
    if share.max() < 1:
        raise AnrError("The painted texture does not differ from the exported one anywhere on the body.",
                       hint="Paint on the coloured parts; regions.png beside it shows what lies where.")
    return Painting(before, after, np.clip(cv2.GaussianBlur(share, (0, 0), BORDER_TEXELS), 0, 1))


def free_texels(what: Painting, size: int) -> np.ndarray:
    """(size, size) bool: the texels of the neural texture that a change touches, with all that samples of it read."""
    share = cv2.resize(what.share, (size, size), interpolation=cv2.INTER_AREA)
    return cv2.dilate((share > 0.02).astype(np.uint8), np.ones((2 * REACH + 1, 2 * REACH + 1), np.uint8)) > 0


def chosen_views(what: Painting, surfaces: Sequence[SurfaceMaps], most: int) -> list[int]:
    """The views that together show most of a change, best first; those that add nothing come by what they show."""
    cells = [_shown_cells(what, maps) for maps in surfaces]
    pixels = [int((_sampled(what.share, maps) > 0.5).sum()) for maps in surfaces]
    left = [k for k in range(len(surfaces)) if pixels[k] >= LEAST_PIXELS]
    chosen: list[int] = []
    covered: set[int] = set()
    while left and len(chosen) < most:
        best = max(left, key=lambda k: (len(cells[k] - covered), pixels[k]))
        chosen.append(best)
        left.remove(best)
        covered |= cells[best]
    return chosen


def unseen_share(what: Painting, surfaces: Sequence[SurfaceMaps]) -> float:
    """How much of a change none of the views shows, 0..1."""
    cells = cv2.resize(what.share, (CELLS, CELLS), interpolation=cv2.INTER_AREA).ravel() > 0.5
    seen = set().union(*(_shown_cells(what, maps) for maps in surfaces))
    wanted = set(np.flatnonzero(cells).tolist())
    return len(wanted - seen) / max(1, len(wanted))


def _shown_cells(what: Painting, maps: SurfaceMaps) -> set[int]:
    """Which cells of a coarse grid over the atlas a view shows changed."""
    here = _sampled(what.share, maps) > 0.5
    column, row = np.clip((maps.uv[here] * CELLS).astype(int), 0, CELLS - 1).T
    return set((row * CELLS + column).tolist())


def view_of(what: Painting, maps: SurfaceMaps, renderer: nn.Module, texture: torch.Tensor) -> View | None:
    """The window about the change, and what it should show; None where hardly any of it is seen.

    Colours are the painted ones in the old picture's light: its brightness beside that of the unpainted texture.
    """
    share = _sampled(what.share, maps)
    if (share > 0.5).sum() < LEAST_PIXELS:
        return None
    multiple = int(renderer.multiple)                           # type: ignore[arg-type]
    cut = _window(share > 0, multiple)
    share = share[cut]
    inside = torch.from_numpy(maps.inside[cut].astype(np.float32))[None, None]
    grid = torch.from_numpy(np.nan_to_num(maps.uv[cut]).astype(np.float32))[None] * 2 - 1
    normal = torch.from_numpy(maps.normal[cut].astype(np.float32)).permute(2, 0, 1)[None] * inside
    pad = (0, -inside.shape[3] % multiple, 0, -inside.shape[2] % multiple)
    grid, normal, inside = F.pad(grid, (0, 0, *pad)), F.pad(normal, pad), F.pad(inside, pad)
    grid, normal, inside = (x.to(texture.device) for x in (grid, normal, inside))
    with torch.no_grad():
        now = predicted(renderer, texture, grid, normal, inside)
    shown = ((now.rgb[0].float().cpu().numpy() + 1) / 2).clip(0, 1).transpose(1, 2, 0)
    height, width = share.shape
    before, after = (_sampled(x.astype(np.float32) / 255, maps)[cut] for x in (what.before, what.after))
    wanted = shown.copy()
    relit = in_light_of(shown[:height, :width], before, after, maps.inside[cut])
    wanted[:height, :width] += share[..., None] * (relit - shown[:height, :width])
    whole = np.zeros(shown.shape[:2], np.float32)
    whole[:height, :width] = share
    return View(grid, normal, inside, torch.from_numpy(whole)[None, None].to(texture.device),
                torch.from_numpy(wanted.transpose(2, 0, 1)[None] * 2 - 1).float().to(texture.device),
                now.mask_logit.sigmoid().float())


def in_light_of(shown: np.ndarray, before: np.ndarray, after: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """The painted colours (h, w, 3) in the light of a picture: brighter where it is brighter than its own texture.

    All sRGB in 0..1; inside (h, w) bool. The ratio is taken in linear light and smoothed.
    """
    covered = inside.astype(np.float32)

    def brightness(picture: np.ndarray) -> np.ndarray:
        light = to_linear(picture).mean(axis=2).astype(np.float32) * covered
        return cv2.GaussianBlur(light, (0, 0), SHADE_PX) / np.maximum(cv2.GaussianBlur(covered, (0, 0), SHADE_PX), 1e-3)

    shade = (brightness(shown) + LEAST_LIGHT) / (brightness(before) + LEAST_LIGHT)
    return to_srgb(np.clip(to_linear(after) * np.clip(shade, *SHADES)[..., None], 0, 1)).astype(np.float32)


def repainted(renderer: nn.Module, texture: torch.Tensor, free: np.ndarray, views: Sequence[View], images: int,
              progress: Progress) -> tuple[torch.Tensor, float, float]:
    """The texture (C, S, S) that makes the views look as wanted; texels that are not free keep every bit.

    free     (S, S) bool; gutter texels that continue free ones across a seam follow them
    returns  the texture, and the mean error of painted pixels (0..1) before and after
    """
    learned = torch.from_numpy(free).to(texture.device)[None]
    patch = nn.Parameter(texture.detach().clone())
    optimiser = torch.optim.Adam([patch], lr=LEARNING_RATE, betas=(0.9, 0.99))
    before = mean_error(renderer, texture, views)
    for k in progress.track(range(images), "Repainting", images):
        view = views[k % len(views)]
        optimiser.param_groups[0]["lr"] = LEARNING_RATE * 0.5 * (1 + math.cos(math.pi * k / images))
        optimiser.zero_grad(set_to_none=True)
        _loss(renderer, torch.where(learned, patch, texture), view).backward()      # type: ignore[no-untyped-call]
        optimiser.step()
    found = across_tied(torch.where(learned, patch.detach(), texture)).to(texture)
    moved = learned | (across_tied(learned.float()).to(texture) > 0)
    found = torch.where(moved, found, texture)
    return found, before, mean_error(renderer, found, views)


def mean_error(renderer: nn.Module, texture: torch.Tensor, views: Sequence[View]) -> float:
    """Mean difference (0..1) of painted pixels from what they should show."""
    with torch.no_grad():
        each = [_apart(predicted(renderer, texture, v.grid, v.normal, v.inside).rgb, v, v.share) for v in views]
    return float(torch.stack(each).mean()) / 2


def predicted(renderer: nn.Module, texture: torch.Tensor, grid: torch.Tensor, normal: torch.Tensor,
              inside: torch.Tensor) -> Prediction:
    features = sample_texture(texture, grid, inside)
    with half_precision(inside.device):
        answer: Prediction = renderer(features.contiguous(memory_format=torch.channels_last), normal, inside)
    return answer


def _loss(renderer: nn.Module, texture: torch.Tensor, view: View) -> torch.Tensor:
    now = predicted(renderer, texture, view.grid, view.normal, view.inside)
    kept = view.mask * (1 - view.share)
    mask = (now.mask_logit.float().sigmoid() - view.mask).abs().sum() / view.share.sum()
    stays = (now.rgb.float() - view.wanted).abs().mean(1, keepdim=True).mul(kept).sum() / view.share.sum()
    return _apart(now.rgb, view, view.share) + KEEP * (stays + mask)


def _apart(rgb: torch.Tensor, view: View, weight: torch.Tensor) -> torch.Tensor:
    return ((rgb.float() - view.wanted).abs().mean(1, keepdim=True) * weight).sum() / weight.sum()


def _sampled(texture: np.ndarray, maps: SurfaceMaps) -> np.ndarray:
    """A picture of the atlas (N, N) or (N, N, C) float as a frame shows it: (h, w) or (h, w, C), 0 off the body.

    Halved first: a pixel of a captured person is larger than a texel of the painted picture.
    """
    half = cv2.resize(texture, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    place = np.nan_to_num(maps.uv).astype(np.float32) * len(half) - 0.5
    found = cv2.remap(half, place[..., 0], place[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.where(maps.inside if found.ndim == 2 else maps.inside[..., None], found, 0).astype(np.float32)


def _window(changed: np.ndarray, multiple: int) -> tuple[slice, slice]:
    """Rows and columns about what changed, beginning where the network's own grid does."""
    cut = []
    for axis in (1, 0):
        where = np.flatnonzero(changed.any(axis))
        start = max(0, int(where[0]) - ROOM_PX) // multiple * multiple
        cut.append(slice(start, int(where[-1]) + 1 + ROOM_PX))
    return cut[0], cut[1]
