"""A naked person at rest, and where along a limb a point lies (build time)."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from pipelines.body.skeleton import joint_index, subtree


@dataclass(frozen=True, eq=False)
class Figure:
    """A naked person at rest, y up, facing +z, metres."""

    verts: np.ndarray  # (V, 3)
    faces: np.ndarray  # (T, 3)
    weights: np.ndarray  # (V, J)
    joints: np.ndarray  # (J, 3)
    uvs: np.ndarray  # (U, 2)
    face_uvs: np.ndarray  # (T, 3)

    def at(self, name: str) -> np.ndarray:
        return self.joints[joint_index(name)]

    @property
    def crotch_m(self) -> float:
        return float(self.at("upperleg01.L")[1]) - 0.06

    @property
    def waist_m(self) -> float:
        """Height of the natural waist, where a belt sits."""
        return float(self.at("spine04")[1]) + 0.05

    def share(self, *names: str) -> np.ndarray:
        """(V,) how much of a vertex follows the named joints and what hangs from them."""
        inside = np.any([subtree(name) for name in names], axis=0)
        return self.weights[:, inside].sum(1)


def limb_axis(points: np.ndarray, chain: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Metres along a polyline of joints (P,) of each point's nearest place (open at both ends), and it."""
    best, answer, axis, start = np.full(len(points), np.inf), np.zeros(len(points)), np.zeros((len(points), 3)), 0.0
    for k, (a, b) in enumerate(pairwise(chain)):
        length = float(np.linalg.norm(b - a))
        along = (points - a) @ (b - a) / length
        low, high = (-np.inf if k == 0 else 0.0), (np.inf if k == len(chain) - 2 else length)
        held = np.clip(along, low, high)
        places = a + held[:, None] * (b - a) / length
        gap = np.linalg.norm(points - places, axis=1)
        nearer = gap < best
        best[nearer], answer[nearer], axis[nearer] = gap[nearer], start + held[nearer], places[nearer]
        start += length
    return answer, axis


def sleeve_length(figure: Figure, points: np.ndarray, side: str) -> np.ndarray:
    """(P,) metres from the shoulder joint along the arm."""
    return limb_axis(points, [figure.at(f"{bone}.{side}") for bone in ("upperarm01", "lowerarm01", "wrist")])[0]


def leg_length(figure: Figure, points: np.ndarray, side: str) -> np.ndarray:
    """(P,) metres from the hip joint along the leg."""
    return limb_axis(points, [figure.at(f"{bone}.{side}") for bone in ("upperleg01", "lowerleg01", "foot")])[0]
