"""Folds of cloth: those always there, and those a bent joint drives (build time)."""

from __future__ import annotations

import numpy as np

from pipelines.studio.figure import Figure, leg_length, sleeve_length
from pipelines.studio.meshwork import normals_of
from pipelines.studio.meshwork import value_noise as noise

# A fold field is driven by how far one joint is bent; actors.fold_drives computes the values in this order.
FOLD_DRIVERS = ("elbow.L", "elbow.R", "shoulder.L", "shoulder.R", "hip.L", "hip.R", "knee.L", "knee.R", "waist")


def rumple(faces: np.ndarray, cloth: np.ndarray, amount: float, arm: np.ndarray) -> np.ndarray:
    """Folds that are always there: soft diagonal drapes on the trunk, rings along the limbs."""
    normals = normals_of(cloth, faces)
    bend = noise(cloth * 4.0, 21) * 0.6
    slope = np.sign(cloth[:, 0]) * 0.7
    drapes = noise(
        np.stack([(cloth[:, 0] * slope + cloth[:, 1] + 0.03 * bend) * 17.0, cloth[:, 0] * 5.0, cloth[:, 2] * 6.0], 1),
        22,
    )
    fine = noise(cloth * [30.0, 14.0, 30.0], 23) * 0.35
    height = (drapes + fine) * (1.0 + 0.4 * arm)
    return cloth + normals * (amount * height)[:, None]


def stacked(faces: np.ndarray, cloth: np.ndarray, hem_at: float, amount: float) -> np.ndarray:
    """Trouser ends with the rings that form where cloth breaks on a shoe."""
    bent = cloth[:, 1] + 0.010 * noise(cloth * [12.0, 4.0, 12.0], 25)
    ring = np.sin(2 * np.pi * bent / 0.036) * np.exp(-(((cloth[:, 1] - hem_at - 0.06) / 0.06) ** 2))
    return cloth + normals_of(cloth, faces) * (amount * ring)[:, None]


def rings(along: np.ndarray, around: np.ndarray, wave_m: float, seed: int) -> np.ndarray:
    """(P,) 0..1 ridges across a limb that slant, wander and fade with the angle `around`, as cloth bunches."""
    x, y = np.cos(around), np.sin(around)
    wander = noise(np.stack([along * 10.0, x * 1.5, y * 1.5], 1), seed)
    wave = 0.5 + 0.5 * np.sin(2 * np.pi * along / wave_m + 4.2 * wander + 1.4 * y)
    patch = np.clip(0.62 + 0.9 * noise(np.stack([along * 13.0 + 7.0, x * 2.3, y * 2.3], 1), seed + 7), 0.12, 1)
    return wave**1.8 * patch


def fold_fields(figure: Figure, cloth: np.ndarray, kind: str) -> np.ndarray:
    """(V, len(FOLD_DRIVERS)) metres along the normal at full drive, about 22 mm at the crests."""
    fields = np.zeros((len(cloth), len(FOLD_DRIVERS)))

    def bump(distance: np.ndarray, width: float) -> np.ndarray:
        return np.exp(-0.5 * (distance / width) ** 2)

    for k, side in enumerate("LR"):
        mine = np.sign(figure.at(f"upperarm01.{side}")[0])
        if kind == "top":
            along = sleeve_length(figure, cloth, side)
            elbow = figure.at(f"lowerarm01.{side}")
            upper = float(np.linalg.norm(elbow - figure.at(f"upperarm01.{side}")))
            hand = figure.at(f"wrist.{side}") - elbow
            back = np.cross(hand, figure.at(f"upperarm01.{side}") - elbow)
            inner = np.cross(back, hand)
            inner /= np.linalg.norm(inner)
            off = cloth - elbow
            near = np.clip(np.linalg.norm(off, axis=1), 0, None)
            around = np.arctan2(off @ (back / np.linalg.norm(back)), off @ inner)
            side_of = 0.35 + 0.65 * (0.5 + 0.5 * np.cos(around))
            limb = (near < 0.30) & (np.sign(cloth[:, 0]) == mine)
            fields[:, k] = np.where(
                limb, 0.0215 * rings(along, around, 0.042, 31 + k) * bump(along - upper, 0.13) * side_of, 0
            )
            shoulder = figure.at(f"upperarm01.{side}") - [mine * 0.02, 0.05, 0]
            off = cloth - shoulder
            rays = np.arctan2(off[:, 1], off[:, 0] * mine)
            fan = rings(np.linalg.norm(off, axis=1) * 0.35 + rays * 0.03, rays, 0.034, 33 + k)
            fields[:, 2 + k] = 0.0215 * fan * bump(np.linalg.norm(off * [1, 1, 0.8], axis=1), 0.16)
        else:
            hip, knee = figure.at(f"upperleg01.{side}"), figure.at(f"lowerleg01.{side}")
            along = leg_length(figure, cloth, side)
            limb = np.sign(cloth[:, 0]) == mine
            off = cloth - knee
            around = np.arctan2(off[:, 0], -off[:, 2])
            upper = float(np.linalg.norm(knee - hip))
            side_of = 0.3 + 0.7 * (0.5 + 0.5 * np.cos(around))
            fields[:, 6 + k] = np.where(
                limb, 0.024 * rings(along, around, 0.048, 41 + k) * bump(along - upper, 0.15) * side_of, 0
            )
            crease = along + 0.35 * (cloth[:, 0] * mine)
            front = np.clip(0.5 + (cloth[:, 2] - hip[2]) / 0.12, 0, 1)
            fields[:, 4 + k] = np.where(
                limb, 0.0215 * rings(crease, around, 0.046, 43 + k) * bump(along - 0.05, 0.12) * (0.3 + 0.7 * front), 0
            )
    if kind == "top":
        waist = figure.at("spine04")[1] + 0.04
        around = np.arctan2(cloth[:, 0], cloth[:, 2])
        arm = np.abs(cloth[:, 0]) > abs(figure.at("upperarm01.L")[0]) + 0.02
        folded = rings(cloth[:, 1] + 0.25 * cloth[:, 0], around, 0.054, 51) * bump(cloth[:, 1] - waist, 0.15)
        fields[:, 8] = np.where(arm, 0, 0.0215 * folded)
    return fields
