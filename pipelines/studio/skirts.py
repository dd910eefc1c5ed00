"""Skirts and dresses: a cone that hangs from the hips and follows both legs, closed between them (build time)."""

from __future__ import annotations

import numpy as np

from pipelines.body.skeleton import joint_index, subtree
from pipelines.studio.figure import Figure
from pipelines.studio.folds import FOLD_DRIVERS
from pipelines.studio.meshwork import Hull, Layer
from pipelines.studio.meshwork import value_noise as noise

ROWS, COLUMNS = 44, 112


def column_radius(figure: Figure, height: float, turn: np.ndarray, centre: np.ndarray) -> np.ndarray:
    """(P,) metres from the axis to the outline of trunk and legs together, at a height, seen under angles `turn`."""
    arms = figure.share("clavicle.L", "clavicle.R")
    slab = (np.abs(figure.verts[:, 1] - height) < 0.018) & (arms < 0.3)
    flat = (figure.verts[slab] - centre)[:, [0, 2]]
    out = np.linspace(-np.pi, np.pi, 181)
    support = (flat @ np.stack([np.sin(out), np.cos(out)])).max(0)
    # the radius of a convex outline under an angle: the nearest of all its tangents
    apart = np.cos(turn[:, None] - out[None])
    return np.where(apart > 0.05, support[None] / np.maximum(apart, 0.05), np.inf).min(1)


def leg_blend(figure: Figure, points: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """(P, J) weights of cloth that hangs over both thighs: each side follows its own, the middle both alike."""
    hip = figure.at("upperleg01.L")
    across = np.clip(0.5 + 0.5 * points[:, 0] / (1.05 * hip[0]), 0, 1)
    left = across * across * (3 - 2 * across)
    down = np.clip((hip[1] + 0.02 - points[:, 1]) / 0.14, 0, 1)
    down = (down * down * (3 - 2 * down))[:, None]
    legs = subtree("upperleg01.L") | subtree("upperleg01.R")
    trunk = weights.copy()
    trunk[:, joint_index("root")] += trunk[:, legs].sum(1)
    trunk[:, legs] = 0
    hanging = np.zeros_like(weights)
    hanging[:, joint_index("upperleg01.L")] = left
    hanging[:, joint_index("upperleg01.R")] = 1 - left
    return trunk * (1 - down) + hanging * down


def skirt(figure: Figure, style: dict[str, float], under: Hull | None = None) -> list[Layer]:
    """From the waist down hem_m metres, flare_m wider at the hem than at the hips, with `pleats` soft folds."""
    from scipy.spatial import cKDTree

    waist, length = figure.waist_m, style["hem_m"]
    heights = waist + 0.012 - (length + 0.012) * np.linspace(0, 1, ROWS) ** 1.1
    turn = np.linspace(-np.pi, np.pi, COLUMNS, endpoint=False)
    centre = np.array([0.0, 0.0, figure.at("root")[2]])
    radius = np.zeros((ROWS, COLUMNS))
    grown = np.zeros(COLUMNS)
    for k, height in enumerate(heights):
        own = column_radius(figure, max(height, waist - length), turn, centre) + 0.010 + 0.006 * min(k / 8, 1)
        slope = style["flare_m"] / length * 0.75 * (heights[max(k - 1, 0)] - height)
        grown = np.maximum(own, grown + slope)
        radius[k] = grown
    down = (waist - heights) / length
    for _ in range(6):
        radius = 0.5 * radius + 0.25 * (np.roll(radius, 1, 1) + np.roll(radius, -1, 1))
    sway = turn[None] + 0.20 * noise_grid(down, turn, 3.0, 71) * down[:, None]
    wave = np.cos(style["pleats"] * sway) + 0.5 * np.cos(2.1 * style["pleats"] * sway + 1.0)
    fall = np.clip(down, 0, 1)[:, None] ** 1.3
    radius = radius + 0.25 * style["flare_m"] * fall + 0.011 * wave * fall
    hem = 0.008 * noise_grid(down, turn, 2.0, 72) * fall
    verts = np.stack(
        [radius * np.sin(turn), heights[:, None] + hem, centre[2] + radius * np.cos(turn)], -1
    ).reshape(-1, 3)
    i, j = np.arange(ROWS - 1)[:, None], np.arange(COLUMNS)[None]
    a, b = i * COLUMNS + j, i * COLUMNS + (j + 1) % COLUMNS
    c, d = a + COLUMNS, b + COLUMNS
    faces = np.concatenate([np.stack([a, c, d], -1).reshape(-1, 3), np.stack([a, d, b], -1).reshape(-1, 3)])
    near = cKDTree(figure.verts).query(verts, k=16)[1]
    weights = figure.weights[near].mean(1)
    arms = subtree("clavicle.L") | subtree("clavicle.R")
    weights[:, arms] = 0
    weights /= weights.sum(1, keepdims=True)
    weights = leg_blend(figure, verts, weights)
    return [Layer(verts, faces, weights, 0, np.full((len(verts), 3), 0.5), skirt_folds(figure, verts, turn, waist))]


def noise_grid(down: np.ndarray, turn: np.ndarray, scale: float, seed: int) -> np.ndarray:
    """(rows, columns) noise that closes around the cone."""
    points = np.stack(
        [
            np.repeat(down[:, None], len(turn), 1) * scale,
            np.repeat(np.sin(turn)[None], len(down), 0) * 1.7,
            np.repeat(np.cos(turn)[None], len(down), 0) * 1.7,
        ],
        -1,
    )
    return noise(points.reshape(-1, 3), seed).reshape(len(down), len(turn))


def skirt_folds(figure: Figure, verts: np.ndarray, turn: np.ndarray, waist: float) -> np.ndarray:
    """Folds that a lifted thigh drives: rays from the hip over its own side of the cloth."""
    folds = np.zeros((len(verts), len(FOLD_DRIVERS)))
    around = np.tile(turn, len(verts) // len(turn))
    for k, side in enumerate("LR"):
        hip = figure.at(f"upperleg01.{side}")
        mine = np.clip(0.5 + 2.0 * verts[:, 0] * np.sign(hip[0]) / 0.2, 0, 1)
        along = waist - verts[:, 1]
        wave = 0.5 + 0.5 * np.cos(7 * around + 26 * along + 2.0 * noise(verts * 6.0, 73))
        folds[:, 4 + k] = 0.017 * mine * wave * np.clip(along / 0.15, 0, 1)
    return folds


def dress(figure: Figure, style: dict[str, float], under: Hull | None = None) -> list[Layer]:
    """A bodice that ends at the waist, cut like a shirt, and a skirt of the same cloth."""
    from pipelines.studio.wardrobe import shirt

    bodice = {**style, "hem_m": figure.waist_m - figure.crotch_m, "flare_m": 0.0}
    return [*shirt(figure, bodice, under), *skirt(figure, style, under)]
