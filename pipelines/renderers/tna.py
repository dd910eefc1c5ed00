"""Textured Neural Avatars, the rival: from the skeleton's picture to body parts and places on their textures; no mesh.

Source: Shysheya et al., Textured Neural Avatars, CVPR 2019, section 3. A network turns a stack of bone maps B (one
channel per bone, with its depth) into assignments M (softmax over n parts and the background) and coordinates C (two
for each part, a sigmoid into the part's texture); the picture is

    I[x, y] = sum_k M_k[x, y] T_k[C_2k[x, y], C_2k+1[x, y]]

and the foreground is 1 - M of the background. Losses are its perceptual one and the one of the mask. Its parts,
coordinates and textures are initialised by DensePose; here by the fitted body's own surface: `own_losses` in a warm-up
that fades out, and textures that start with the keyframes' colours.

Parts are the charts of the body's UV atlas (23; the paper has DensePose's 24), and a part's texture is its chart's
rectangle of the person's texture (3, 256, 256): the storage of all renderers, so try-on mixes it as it mixes theirs.
A rectangle's corners, which belong to no chart or to another, are the nearest texel of the part's own.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from pipelines.body.model import Body, load_body, rest_body
from pipelines.body.surface import chart_map, face_charts, face_map
from pipelines.renderers import Needed, Prediction, Shown, anr
from pipelines.renderers.places import place_names, places_of
from pipelines.renderers.texture import TEXTURE_SIZE, chart_of
from pipelines.renderers.unet import Stage, parameters_of, widths_for

NEEDS = frozenset({"texture", "joints"})
LEARNS_TEXTURE = True
# Adam moves a texel that one sample touched once by about ten times its rate, however small the gradient was: at the
# preset's 0.05 a coordinate that wanders leaves half the range of colours behind, and no network hides it here.
TEXTURE_RATE = 0.005
RECIPE: dict[str, Any] = {"split": False, "grid_noise": 0.0, "tv_image": 0.0, "tv_mask": 0.0, "adversarial": 0.0,
                          "texture_channels": 3, "texture_start": "colours", "texture_learning_rate": TEXTURE_RATE,
                          "surface": 1.0}
PLACE_WEIGHT = 10.0                     # of coordinates, 0..2 over the atlas, beside the cross entropy of parts
BONE_M = 0.08                           # over which a bone's map falls to 1/e, at the person's size in the picture ...
LEAST_BONE_PX = 1.0                     # ... and no narrower than this
TRUNK = (("root", "spine03"), ("spine03", "neck01"), ("neck01", "head"), ("head", "crown"), ("head", "nose"))
LIMBS = (("spine01", "upperarm01"), ("upperarm01", "lowerarm01"), ("lowerarm01", "wrist"), ("wrist", "finger3-3"),
         ("wrist", "finger1-3"), ("root", "upperleg01"), ("upperleg01", "lowerleg01"), ("lowerleg01", "foot"),
         ("foot", "toe"))
MIDDLE = ("root", "spine01")            # joints of limbs that have no side


def configure(size: dict[str, Any]) -> dict[str, Any]:
    """The config of a preset's size: widths that give as many parameters as ANR's two stages."""
    kept = {key: size[key] for key in ("unshuffle", "blocks")}
    wanted = parameters_of(lambda: anr.build(anr.configure(size)))
    return {**kept, "widths": widths_for(lambda widths: TNA(**kept, widths=widths), size["widths"], wanted)}


def build(config: dict[str, Any]) -> TNA:
    """config: unshuffle (1, 2 or 4), widths (one per level), blocks."""
    return TNA(**config)


class TNA(nn.Module):
    """Joints and the texture in; colours and mask out. Of the surface maps it is given it only takes the size."""

    bones: torch.Tensor                 # (N, 2)
    lengths: torch.Tensor               # (N,) metres
    rooms: torch.Tensor                 # (K, 4)
    texels: torch.Tensor                # (K, h, w)
    charts: torch.Tensor                # (S, S)

    def __init__(self, unshuffle: int, widths: list[int], blocks: int) -> None:
        super().__init__()
        self.needs = NEEDS
        self.multiple = unshuffle * 2 ** (len(widths) - 1)
        body = load_body()
        charts = torch.tensor(chart_map(body, TEXTURE_SIZE).tolist())
        self.register_buffer("bones", torch.tensor(bones_of(body)), persistent=False)
        self.register_buffer("lengths", torch.tensor(bone_lengths(body)), persistent=False)
        self.register_buffer("rooms", torch.tensor(rooms_of(body)), persistent=False)
        self.register_buffer("texels", torch.from_numpy(part_texels(body)), persistent=False)
        self.register_buffer("charts", charts, persistent=False)
        self.parts = len(self.rooms)
        self.stage = Stage(2 * len(self.bones), 1 + 3 * self.parts, unshuffle, widths, blocks)
        assert self.stage.head.bias is not None
        with torch.no_grad():           # as likely background as body at the start
            self.stage.head.bias[0] += math.log(self.parts)

    def forward(self, features: torch.Tensor, normal: torch.Tensor, inside: torch.Tensor,
                needed: Needed) -> Prediction:
        """Keeps as `own`: assignment (B, 1 + K, H, W) logits, the background's first; coordinates (B, K, H, W, 2) as
        2 uv - 1."""
        assert needed.texture is not None and needed.joints is not None
        out = self.stage(bone_maps(needed.joints, self.bones, self.lengths, inside.shape[-2:])).float()
        logits, moved = out[:, :1 + self.parts], out[:, 1 + self.parts:]
        low, high = self.rooms[:, :2], self.rooms[:, 2:]
        share = moved.unflatten(1, (self.parts, 2)).permute(0, 1, 3, 4, 2).sigmoid()               # (B, K, H, W, 2)
        grid = low[:, None, None] + share * (high - low)[:, None, None]
        parts = needed.texture[:3].to(grid).flatten(1)[:, self.texels].transpose(0, 1)             # (K, 3, h, w)
        colours = sampled(parts, share, (high - low) * (TEXTURE_SIZE / 2))
        rgb = (logits[:, 1:].softmax(1)[:, None] * colours).sum(2)
        mask_logit = logits[:, 1:].logsumexp(1, keepdim=True) - logits[:, :1]
        return Prediction(rgb, mask_logit, None, {"assignment": logits, "coordinates": grid})

    def own_losses(self, own: dict[str, torch.Tensor], now: Shown, before: Shown | None) -> dict[str, torch.Tensor]:
        """Where the fitted body is seen: cross entropy of its part, and how far that part's coordinates are.

        This stands for the paper's initialisation by DensePose. The background is the mask loss's affair.
        """
        part = chart_of(now.grid, self.charts)
        seen = (now.inside[:, 0] > 0) & (part >= 0)
        chosen = part.clamp_min(0)
        wrong = F.cross_entropy(own["assignment"][:, 1:], chosen, reduction="none")
        index = chosen[:, None, :, :, None].expand(-1, 1, -1, -1, 2)
        far = (own["coordinates"].gather(1, index)[:, 0] - now.grid).abs().mean(-1)
        return {"surface": ((wrong + PLACE_WEIGHT * far) * seen).sum() / seen.sum().clamp_min(1)}


def sampled(parts: torch.Tensor, share: torch.Tensor, sizes: torch.Tensor) -> torch.Tensor:
    """Every part's texture read at its own coordinates.

    parts    (K, 3, h, w)
    share    (B, K, H, W, 2) 0..1, across and down the part's texture
    sizes    (K, 2) columns and rows of each that are its texture, from the first; the others only make them equal
    returns  (B, 3, K, H, W)
    """
    batch, count, height, width, _ = share.shape
    whole = sizes.new_tensor([parts.shape[-1], parts.shape[-2]])
    grid = share * (sizes / whole)[:, None, None] * 2.0 - 1.0
    read = F.grid_sample(parts, grid.transpose(0, 1).reshape(count, batch * height, width, 2), mode="bilinear",
                         padding_mode="border", align_corners=False)
    return read.view(count, 3, batch, height, width).permute(2, 1, 0, 3, 4)


def bone_maps(joints: torch.Tensor, bones: torch.Tensor, lengths: torch.Tensor, size: torch.Size) -> torch.Tensor:
    """Two maps of each bone: how near a pixel is to it, 1 on it, and that times the bone's depth there.

    joints   (B, J, 3) x, y in pixels of the window, metres behind the root
    bones    (N, 2) joint numbers
    lengths  (N,) metres, which tell how large the person is in the window
    returns  (B, 2 N, H, W): the paper's rasterised bones with their depth interpolated along them, with soft borders
    """
    start, end = (joints[:, bones[:, k]][:, :, None, None] for k in (0, 1))                        # (B, N, 1, 1, 3)
    x = torch.arange(size[1], device=joints.device, dtype=joints.dtype) + 0.5 - start[..., 0]      # (B, N, 1, W)
    y = (torch.arange(size[0], device=joints.device, dtype=joints.dtype) + 0.5)[:, None] - start[..., 0, 1, None]
    along = end - start
    length = (along[..., :2] ** 2).sum(-1).clamp_min(1e-6)
    share = ((x * along[..., 0] + y * along[..., 1]) / length).clamp(0.0, 1.0)
    away = ((x - share * along[..., 0]) ** 2 + (y - share * along[..., 1]) ** 2 + 1e-6).sqrt()
    reach = (BONE_M * pixels_per_metre(joints, bones, lengths)).clamp_min(LEAST_BONE_PX)
    near = torch.exp(-away / reach[:, None, None, None])
    return torch.cat([near, near * (start[..., 2] + share * along[..., 2])], 1)


def pixels_per_metre(joints: torch.Tensor, bones: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
    """(B,) how large a metre at the person is in the window: what the bones' lengths are across the line of sight
    beside what they are in pixels."""
    along = joints[:, bones[:, 1]] - joints[:, bones[:, 0]]
    across_m = (lengths**2 - along[..., 2] ** 2).clamp_min(0.0).sum(1)
    return ((along[..., :2] ** 2).sum((1, 2)) / across_m.clamp_min(1e-3)).sqrt()


def bones_of(body: Body) -> list[list[int]]:
    """(N, 2) which places (`places.place_names`) a bone joins: the trunk's, then each side's limbs."""
    names = place_names(body)
    pairs = [*TRUNK, *((f"{a}.{side}" if a not in MIDDLE else a, f"{b}.{side}") for side in "LR" for a, b in LIMBS)]
    return [[names.index(a), names.index(b)] for a, b in pairs]


def bone_lengths(body: Body) -> list[float]:
    """(N,) metres, of the mean body."""
    places = places_of(*rest_body(body, np.zeros(body.shape_dirs.shape[0])))
    return [float(np.linalg.norm(places[b] - places[a])) for a, b in bones_of(body)]


def rooms_of(body: Body) -> list[list[float]]:
    """(K, 4) each chart's rectangle of the atlas: least u and v, greatest u and v, as 2 uv - 1."""
    charts = chart_map(body, TEXTURE_SIZE)
    rooms = []
    for chart in range(int(charts.max()) + 1):
        rows, columns = np.nonzero(charts == chart)
        ends = np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]) / TEXTURE_SIZE
        rooms.append((ends * 2.0 - 1.0).tolist())
    return rooms


@lru_cache(maxsize=4)
def part_texels(body: Body) -> np.ndarray:
    """(K, h, w) int64: which texel of the atlas, row * S + column, each texel of a part's texture is.

    The nearest one whose centre lies in a face of the chart: gutters and corners of its rectangle have no colour of
    their own. Each part's rectangle (`rooms_of`) begins at the first texel; h and w are those of the largest.
    """
    drawn = face_map(body, TEXTURE_SIZE, dilated=False)
    charts = np.where(drawn >= 0, face_charts(body)[drawn], -1)
    rooms = ((np.array(rooms_of(body)) + 1.0) * (TEXTURE_SIZE / 2)).round().astype(int)
    width, height = (rooms[:, 2:] - rooms[:, :2]).max(0)
    parts = np.empty((len(rooms), height, width), np.int64)
    for chart, (left, top, right, bottom) in enumerate(rooms):
        own = np.argwhere(charts == chart)
        rows, columns = (np.minimum(low + np.arange(count), high - 1) for low, high, count in
                         ((top, bottom, height), (left, right, width)))
        square = np.stack(np.meshgrid(rows, columns, indexing="ij"), -1).reshape(-1, 2)
        places, of_place = np.unique(square, axis=0, return_inverse=True)
        rim = own[[bool((charts[max(r - 1, 0):r + 2, max(c - 1, 0):c + 2] != chart).any()) for r, c in own]]
        closest = rim[((places[:, None] - rim) ** 2).sum(2).argmin(1)]
        inside = charts[places[:, 0], places[:, 1]] == chart
        texel = np.where(inside[:, None], places, closest) @ [TEXTURE_SIZE, 1]
        parts[chart] = texel[of_place.ravel()].reshape(height, width)
    return parts
