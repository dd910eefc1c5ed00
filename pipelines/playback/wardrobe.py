"""Which texels are whose: garments, regions of the body and painted masks, and the texture mixed from them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pipelines.body.model import Body, load_body
from pipelines.body.surface import chart_map, face_charts, region_map, region_shares, texel_positions
from pipelines.core.errors import AnrError
from pipelines.media.images import read_image, write_image

if TYPE_CHECKING:
    import torch

HIPS = "hips"
GARMENTS: dict[str, tuple[str, ...]] = {    # which of the body's regions go with a garment; see also HEM
    "shirt": ("torso", "upper_arm_l", "upper_arm_r", "lower_arm_l", "lower_arm_r", HIPS),
    "hair": ("scalp",),
    "trousers": (HIPS, "upper_leg_l", "upper_leg_r", "lower_leg_l", "lower_leg_r"),
    "shoes": ("foot_l", "foot_r"),
    "skin": ("neck", "hand_l", "hand_r"),
}
HEM = 0.52                              # of the body's height: shirts worn outside end about here, below the waist
HEM_SOFT_M = 0.02
SOFT_TEXELS = 2.0                       # width of the border between two people's textures
GUIDE_SIZE = 1024
CLEARLY = 0.6                           # how much of a chart's mean normal must point ahead or back to name it so


def shares_of(worn: Mapping[str, str], mask: str, size: int) -> list[tuple[np.ndarray, str]]:
    """[(weights (size, size) 0..1, whose)] of what is put on; where it meets, weights sum to one.

    worn  {garment, region or "mask": its owner}; mask names a painted file, which lies over everything else
    """
    texels = texels_of([what for what in worn if what != "mask"], size)
    shares = [(weights, worn[what]) for what, weights in texels.items()]
    if "mask" not in worn:
        return shares
    painted = read_mask(Path(mask), size)
    return [*(((1 - painted) * weights, owner) for weights, owner in shares), (painted, worn["mask"])]


def mixed_texture(base: torch.Tensor, shares: Sequence[tuple[np.ndarray, torch.Tensor]]) -> torch.Tensor:
    """(C, S, S): others' texels by their weights (S, S), which nowhere sum to more than one; the base has the rest."""
    import torch

    mixed = base.clone()
    for weights, texture in shares:
        mixed = mixed + torch.from_numpy(weights).to(mixed)[None] * (texture - base)
    return mixed


def texels_of(named: Sequence[str], size: int) -> dict[str, np.ndarray]:
    """{garment or region: (size, size) float32 weights 0..1}, borders soft; side by side they sum to one.

    The hips are shared: what lies above the hem goes with the shirt, what lies below with the trousers. A region that
    is named by itself counts over the garment it is part of.
    """
    body = load_body()
    single = [what for what in named if what not in GARMENTS]
    for what in single:
        check_region(what)
    groups = {what: [what] if what in single else [region for region in GARMENTS[what] if region not in single]
              for what in named}
    at_hem = HIPS not in single
    if at_hem:
        groups = {**{what: [region for region in group if region != HIPS] for what, group in groups.items()},
                  HIPS: [HIPS]}
    shares = region_shares(body, {what: group for what, group in groups.items() if group}, size, SOFT_TEXELS)
    if at_hem:
        hem_m = body.verts[:, 1].min() + HEM * np.ptp(body.verts[:, 1])
        above = np.clip((np.nan_to_num(texel_positions(body, size)[..., 1]) - hem_m) / HEM_SOFT_M + 0.5, 0, 1)
        for garment, part in (("shirt", above), ("trousers", 1 - above)):
            if garment in shares:
                shares[garment] = (shares[garment] + shares[HIPS] * part).astype(np.float32)
    return {what: shares[what] for what in named if what in shares}


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
