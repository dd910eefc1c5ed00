"""Which texels are whose: garments, regions of the body and painted masks, and the texture mixed from them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pipelines.body.model import Body, load_body
from pipelines.body.surface import chart_map, face_charts, region_map, region_texels, texel_positions
from pipelines.core.errors import AnrError
from pipelines.media.images import read_image, write_image

if TYPE_CHECKING:
    import torch

GARMENTS: dict[str, tuple[str, ...]] = {    # which of the body's regions go with a garment; see also HEM
    "shirt": ("torso", "upper_arm_l", "upper_arm_r", "lower_arm_l", "lower_arm_r", "hips"),
    "hair": ("scalp",),
    "trousers": ("hips", "upper_leg_l", "upper_leg_r", "lower_leg_l", "lower_leg_r"),
    "shoes": ("foot_l", "foot_r"),
    "skin": ("neck", "hand_l", "hand_r"),
}
HEM = 0.52                              # of the body's height: shirts worn outside end about here, below the waist
HEM_SOFT_M = 0.02
BEYOND_HEM = {"shirt": ("upper_leg_l", "upper_leg_r"), "trousers": ("torso",)}   # across the hips from the garment
SOFT_TEXELS = 2.0                       # width of the border between two people's textures
GUIDE_SIZE = 1024
CLEARLY = 0.6                           # how much of a chart's mean normal must point ahead or back to name it so


def shares_of(worn: Mapping[str, str], mask: str, size: int) -> list[tuple[np.ndarray, str]]:
    """[(weights (size, size) 0..1, whose)] of what is put on, in order.

    worn  {garment, region or "mask": its owner}; mask names a painted file
    """
    shares = []
    for what, owner in worn.items():
        if what == "mask":
            shares.append((read_mask(Path(mask), size), owner))
        elif what in GARMENTS:
            shares.append((garment_texels(what, size), owner))
        else:
            check_region(what)
            shares.append((region_texels(load_body(), (what,), size, SOFT_TEXELS), owner))
    return shares


def mixed_texture(base: torch.Tensor, shares: Sequence[tuple[np.ndarray, torch.Tensor]]) -> torch.Tensor:
    """(C, S, S): the base with others' texels by their weights (S, S), borders blended; later ones cover earlier."""
    import torch

    mixed = base.clone()
    for weights, texture in shares:
        mixed = mixed + torch.from_numpy(weights).to(mixed)[None] * (texture - mixed)
    return mixed


def garment_texels(garment: str, size: int) -> np.ndarray:
    """(size, size) float32 weights 0..1 of a garment's texels, with soft borders.

    The hips are shared: what lies above the hem goes with the shirt, what lies below with the trousers.
    """
    body = load_body()
    weight = np.clip(region_texels(body, GARMENTS[garment], size, SOFT_TEXELS), 0, 1)
    if "hips" not in GARMENTS[garment]:
        return weight
    hem_m = body.verts[:, 1].min() + HEM * np.ptp(body.verts[:, 1])
    above = np.clip((texel_positions(body, size)[..., 1] - hem_m) / HEM_SOFT_M + 0.5, 0, 1)
    regions = region_map(body, size)
    hips, *beyond = (regions == body.region_names.index(name) for name in ("hips", *BEYOND_HEM[garment]))
    weight = np.where(np.any(beyond, axis=0), 0, weight)            # the border there is the hem, not the region's
    weight = np.where(hips, weight * (above if garment == "shirt" else 1 - above), weight).astype(np.float32)
    return weight if garment == "shirt" else np.minimum(weight, 1 - garment_texels("shirt", size))


def check_region(name: str) -> None:
    """AnrError for a region that bodies do not have."""
    names = load_body().region_names
    if name not in names:
        raise AnrError(f"No body has a region {name!r}.", hint=f"Regions are {', '.join(names)}.")


def read_mask(path: Path, size: int = 256) -> np.ndarray:
    """(size, size) float32 weights 0..1 of a painted picture of the texture: white 1, black 0, grey between.

    AnrError where it is no square picture, or white where no texel is.
    """
    import cv2

    if not path.is_file():
        raise AnrError(f"There is no mask {path}.", hint="Paint white on black over regions.png of a try-on.")
    painted = read_image(path)
    if painted.shape[0] != painted.shape[1]:
        raise AnrError(f"The mask {path.name} is {painted.shape[1]}x{painted.shape[0]} pixels; a texture is square.",
                       hint="Paint over regions.png of a try-on, or a picture of its shape.")
    if int(np.ptp(painted, axis=2).max()) > 40:
        raise AnrError(f"The mask {path.name} has colours.", hint="Paint white (swapped) on black, in its own file.")
    grey = painted.mean(axis=2, dtype=np.float32) / 255.0
    weights = np.asarray(cv2.resize(grey, (size, size), interpolation=cv2.INTER_AREA), np.float32)
    body = load_body()
    on_body = region_map(body, size) < len(body.region_names)
    if float((weights * on_body).max()) < 0.5:
        raise AnrError(f"The mask {path.name} is white nowhere on the body, so nothing would be swapped.",
                       hint="Paint white over what should be swapped; regions.png shows what lies where.")
    return weights


def write_region_guide(path: Path) -> None:
    """A picture of the texture with its regions in colours and every chart by name, to paint masks over."""
    body = load_body()
    regions, charts = region_map(body, GUIDE_SIZE), chart_map(body, GUIDE_SIZE)
    hues = np.arange(len(body.region_names)) * 0.381966 % 1.0
    palette = np.stack([150 + 90 * np.cos(2 * np.pi * (hues + shift)) for shift in (0.0, 1 / 3, 2 / 3)], axis=1)
    picture = np.full((GUIDE_SIZE, GUIDE_SIZE, 3), 20, np.uint8)
    for number, name in enumerate(body.region_names):
        here = regions == number
        picture[here] = palette[number].astype(np.uint8)
        for chart in np.unique(charts[here]):
            picture = _named(picture, here & (charts == chart), f"{name}{_side(body, int(chart))}")
    write_image(path, picture)


def _side(body: Body, chart: int) -> str:
    """" front" or " back" where a chart lies clearly on one side of the body."""
    corners = body.verts[body.faces[face_charts(body) == chart]]
    facing = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]).sum(axis=0)
    lean = facing[2] / np.linalg.norm(facing)
    return " front" if lean > CLEARLY else " back" if lean < -CLEARLY else ""


def _named(picture: np.ndarray, here: np.ndarray, name: str) -> np.ndarray:
    """With the region's name where it is widest."""
    import cv2

    inner = cv2.distanceTransform(np.pad(here, 1).astype(np.uint8), cv2.DIST_L2, 3)[1:-1, 1:-1]
    row, column = np.unravel_index(int(inner.argmax()), inner.shape)
    marked = picture.copy()
    origin = max(0, int(column) - 5 * len(name)), int(row) + 5
    cv2.putText(marked, name, origin, cv2.FONT_HERSHEY_SIMPLEX, 0.5, (0, 0, 0), 1, cv2.LINE_AA)
    return marked
