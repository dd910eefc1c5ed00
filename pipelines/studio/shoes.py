"""Shoes and boots: the smoothed convex hull of a foot on a sole, with a shaft where it is a boot (build time)."""

from __future__ import annotations

import numpy as np

from pipelines.body.skeleton import joint_index
from pipelines.studio import materials
from pipelines.studio.figure import Figure
from pipelines.studio.identities import Shoes
from pipelines.studio.jackets import tube_faces
from pipelines.studio.meshwork import Layer, averaging, normals_of
from pipelines.studio.meshwork import value_noise as noise

ROWS, COLUMNS = 30, 46


def shoe(figure: Figure, side: str, look: Shoes) -> list[Layer]:
    """One foot's shoe; a boot's shaft is a layer of its own."""
    own = figure.share(f"foot.{side}") > 0.5
    floor = figure.verts[own, 1].min()
    low = own & (figure.verts[:, 1] < floor + min(look.collar_m, 0.085))
    foot = figure.verts[low] + normals_of(figure.verts, figure.faces)[low] * 0.006
    verts, faces, centre = star_of(foot, floor)
    mean = averaging(faces, len(verts))
    for _ in range(4):
        verts = 0.5 * verts + 0.5 * (mean @ verts)
    along = np.clip((verts[:, 2] - foot[:, 2].min()) / np.ptp(foot[:, 2]), 0, 1)
    # a rounder, fuller toe than a foot has
    toe = np.clip((along - 0.70) / 0.3, 0, 1) * np.clip((verts[:, 1] - floor) / 0.03, 0, 1)
    verts[:, 1] += 0.012 * toe
    below = verts[:, 1] < floor + 0.016
    spring = 0.010 * np.clip((along - 0.75) / 0.25, 0, 1) ** 2  # the tip does not touch the floor
    flat = floor - look.sole_m + (verts[:, 1] - verts[:, 1].min()) * 0.3 + spring
    verts[:, 1] = np.where(below, flat, verts[:, 1])
    welt = np.exp(-(((verts[:, 1] - floor - 0.000) / 0.016) ** 2))
    verts[:, [0, 2]] += (verts - centre)[:, [0, 2]] * (0.055 * welt)[:, None]
    height = verts[:, 1] - floor
    tint = np.tile(np.array(look.upper), (len(verts), 1)) * (1 + 0.05 * noise(verts * 90, 95))[:, None]
    tint[height < 0.012] = look.sole
    tint[(height >= 0.012) & (height < 0.017)] *= 0.75  # the seam above the sole
    tint = trimmed(tint, verts, centre, along, height, look)
    weights = np.zeros((len(verts), figure.weights.shape[1]))
    weights[:, joint_index(f"foot.{side}")] = 1.0
    layers = [Layer(verts, faces, weights, materials.LEATHER, np.clip(tint, 0, 1))]
    if look.shaft_m or look.collar_m > 0.085:
        layers.append(shaft(figure, side, look, floor))
    return layers


def star_of(foot: np.ndarray, floor: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The convex hull of a foot as a grid over the directions from its middle: verts, faces, middle."""
    from scipy.spatial import ConvexHull

    hull = ConvexHull(foot)
    centre = np.array([foot[:, 0].mean(), floor + 0.035, 0.5 * (foot[:, 2].min() + foot[:, 2].max())])
    lat = np.linspace(-np.pi / 2, np.pi / 2, ROWS)[:, None]
    lon = np.linspace(0, 2 * np.pi, COLUMNS, endpoint=False)
    rays = np.stack([np.cos(lat) * np.sin(lon), np.sin(lat) + 0 * lon, np.cos(lat) * np.cos(lon)], -1).reshape(-1, 3)
    rays = rays * [0.35, 0.35, 1.0]
    rays /= np.linalg.norm(rays, axis=1, keepdims=True)
    slope = rays @ hull.equations[:, :3].T
    reach = -(hull.equations[:, 3] + hull.equations[:, :3] @ centre)
    far = np.min(np.where(slope > 1e-9, reach / np.where(slope > 1e-9, slope, 1), np.inf), axis=1)
    return centre + rays * far[:, None], tube_faces(ROWS, COLUMNS, closed=True), centre


def trimmed(
    tint: np.ndarray, verts: np.ndarray, centre: np.ndarray, along: np.ndarray, height: np.ndarray, look: Shoes
) -> np.ndarray:
    """Toe cap, heel counter, side stripe and laces."""
    above = height > 0.017
    beside = np.abs(verts[:, 0] - centre[0])
    counter = (along < 0.13) & (height > 0.03) & (height < 0.07)
    tint[counter] = look.accent
    if not look.laced:
        return tint
    tint[above & (along > 0.86) & (height < 0.040)] *= 0.86
    tongue = (beside < 0.021) & (along > 0.42) & (along < 0.74) & (height > 0.03)
    tint[tongue] = np.array(look.upper) * 0.80
    tint[tongue & (np.arange(len(tint)) // COLUMNS % 2 == 0)] = look.accent
    swoosh = above & (np.abs(height - 0.026 - 0.05 * np.clip(0.55 - along, 0, 1)) < 0.006)
    tint[swoosh & (along > 0.25) & (along < 0.62) & (beside > 0.022)] = look.accent
    return tint


def shaft(figure: Figure, side: str, look: Shoes, floor: float) -> Layer:
    """A tube round the ankle, padded at the top."""
    ankle = figure.at(f"foot.{side}")
    leg = figure.share(f"lowerleg01.{side}") > 0.5
    top = max(look.shaft_m, look.collar_m)
    heights = np.linspace(floor + 0.040, floor + top, 12)
    turn = np.linspace(-np.pi, np.pi, 40, endpoint=False)
    rings = []
    for k, height in enumerate(heights):
        slab = leg & (np.abs(figure.verts[:, 1] - height) < 0.014) & (figure.verts[:, 2] < ankle[2] + 0.075)
        flat = figure.verts[slab][:, [0, 2]]
        centre = 0.5 * (flat.min(0) + flat.max(0))
        support = ((flat - centre) @ np.stack([np.sin(turn), np.cos(turn)])).max(0)
        radius = support + 0.009 + 0.003 * (k >= 10) + 0.0025 * np.sin(k * 2.2 + 2 * np.sin(turn)) * (k < 10)
        rings.append(np.stack([centre[0] + radius * np.sin(turn), np.full(40, height),
                               centre[1] + radius * np.cos(turn)], 1))
    rings.append((rings[-1] - rings[-1].mean(0)) * [0.86, 1, 0.86] + rings[-1].mean(0) - [0, 0.006, 0])
    verts = np.concatenate(rings)
    for _ in range(2):
        grid = verts.reshape(len(rings), 40, 3)
        grid[1:-1] = 0.5 * grid[1:-1] + 0.25 * (grid[:-2] + grid[2:])
        verts = grid.reshape(-1, 3)
    tint = np.tile(np.array(look.upper), (len(verts), 1))
    tint[-80:] *= 0.8
    front = np.abs(verts[:, 0] - ankle[0]) < 0.018
    row = np.repeat(np.arange(len(rings)), 40)
    if look.laced:
        tint[front & (verts[:, 2] > ankle[2]) & (row % 2 == 1)] = look.accent
    share = np.clip((verts[:, 1] - floor - 0.055) / 0.07, 0, 1)
    weights = np.zeros((len(verts), figure.weights.shape[1]))
    weights[:, joint_index(f"foot.{side}")] = 1 - share
    weights[:, joint_index(f"lowerleg02.{side}")] = share
    return Layer(verts, tube_faces(len(rings), 40, closed=True), weights, materials.LEATHER, np.clip(tint, 0, 1))
