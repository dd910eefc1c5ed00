"""Hair as real geometry: a cap over the scalp and tapered ribbons that fall, part and end raggedly (build time)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipelines.body.skeleton import joint_index, subtree
from pipelines.studio import materials
from pipelines.studio.figure import Figure
from pipelines.studio.identities import Hair
from pipelines.studio.meshwork import Layer, clip, normals_of, subdivide, submesh, value_noise

# Hairline: angle around the head (0 = front, pi = back) against height above the eyes in metres.
HAIRLINE = (
    (0.0, 0.45, 0.75, 1.05, 1.32, 1.55, 1.85, 2.2, 2.7, np.pi),
    (0.060, 0.060, 0.052, 0.026, -0.012, 0.028, 0.010, -0.055, -0.085, -0.090),
)


@dataclass(frozen=True, eq=False)
class Head:
    """Where things are on a head at rest."""

    figure: Figure
    eyes: np.ndarray  # (2, 3) eye centres, left and right
    ear: np.ndarray  # (V,) 0..1 how much a vertex belongs to an ear
    lips: np.ndarray  # (V,) 0..1

    @property
    def centre(self) -> np.ndarray:
        """Middle of the skull: between the eyes, 3 cm up and 8 cm back."""
        return self.eyes.mean(0) + np.array([0.0, 0.03, -0.080])

    def above_hairline(self, points: np.ndarray) -> np.ndarray:
        """(P,) metres above the hairline; negative on the face and neck."""
        angle = np.arctan2(np.abs(points[:, 0]), points[:, 2] - self.centre[2])
        ragged = 0.006 * value_noise(points * 55.0, 61)
        return points[:, 1] - self.eyes[:, 1].mean() - np.interp(angle, *HAIRLINE) + ragged


def cap(head: Head, colour: np.ndarray, gap_m: float, top_m: float) -> Layer:
    """The scalp, lifted by `gap_m` at the hairline and `top_m` at the crown, clipped at the hairline."""
    figure = head.figure
    on_head = (figure.weights[:, subtree("head")].sum(1) > 0.5) & (head.ear < 0.3)
    lift = head.above_hairline(figure.verts)
    keep = (on_head & (lift > -0.03))[figure.faces].all(1)
    normals = normals_of(figure.verts, figure.faces)
    faces, verts, out, height, weights = submesh(keep, figure.faces, figure.verts, normals, lift, figure.weights)
    faces, verts, out, height, weights = subdivide(faces, verts, out, height, weights)
    height = head.above_hairline(verts)
    thick = gap_m + (top_m - gap_m) * np.clip(height / 0.10, 0, 1) ** 0.8
    thick = np.where(height > 0, thick, -0.004) * (1 + 0.25 * value_noise(verts * 60.0, 62))
    verts = verts + out / np.maximum(np.linalg.norm(out, axis=1, keepdims=True), 1e-9) * thick[:, None]
    faces, verts, weights, height = clip(faces, height + 0.004, verts, weights, height)
    streak = value_noise(verts * [240.0, 40.0, 60.0], 63)
    tint = colour * (0.62 + 0.16 * streak[:, None])
    return Layer(verts, faces, weights, materials.HAIR, np.clip(tint, 0, 1))


def own_weights(head: Head, count: int) -> np.ndarray:
    """(count, J): all with the head."""
    weights = np.zeros((count, head.figure.weights.shape[1]))
    weights[:, joint_index("head")] = 1.0
    return weights


def roots(head: Head, count: int, seed: int, margin_m: float = 0.004) -> tuple[np.ndarray, np.ndarray]:
    """Places of strands (count, 3) evenly over the scalp, and the way out of it."""
    figure = head.figure
    ok = (figure.weights[:, subtree("head")].sum(1) > 0.5) & (head.ear < 0.3)
    lift = head.above_hairline(figure.verts)[figure.faces].min(1)
    weight = np.where(ok[figure.faces].all(1), np.clip((lift - margin_m + 0.006) / 0.006, 0, 1), 0)
    row, bary = scatter(figure.faces, figure.verts, weight, count, seed)
    normals = normals_of(figure.verts, figure.faces)
    out = np.einsum("pk,pkc->pc", bary, normals[figure.faces[row]])
    return np.einsum("pk,pkc->pc", bary, figure.verts[figure.faces[row]]), out


def scatter(
    faces: np.ndarray, verts: np.ndarray, weight: np.ndarray, count: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """`count` points on a mesh, by area times the faces' weight: face rows and barycentrics."""
    random = np.random.default_rng(seed)
    area = np.linalg.norm(
        np.cross(verts[faces[:, 1]] - verts[faces[:, 0]], verts[faces[:, 2]] - verts[faces[:, 0]]), axis=1
    )
    share = area * weight
    row = random.choice(len(faces), count, p=share / share.sum())
    bary = random.dirichlet((1.0, 1.0, 1.0), count)
    return row, bary


def ribbons(paths: np.ndarray, outward: np.ndarray, width: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Flat tapered bands along strands.

    paths    (N, S, 3) points from root to tip
    outward  (N, S, 3) which way each point's band looks
    width    (N, S) metres
    returns  verts (N*S*2, 3), faces
    """
    count, steps = paths.shape[:2]
    along = np.gradient(paths, axis=1)
    across = np.cross(along, outward)
    across /= np.maximum(np.linalg.norm(across, axis=2, keepdims=True), 1e-9)
    verts = np.stack([paths - across * width[..., None] / 2, paths + across * width[..., None] / 2], 2).reshape(-1, 3)
    base = (np.arange(count)[:, None] * steps + np.arange(steps - 1))[..., None] * 2
    quad = np.concatenate([base, base + 1, base + 3, base, base + 3, base + 2], -1).reshape(-1, 3)
    return verts, quad


def strand_layer(
    paths: np.ndarray,
    outward: np.ndarray,
    width: np.ndarray,
    hair: Hair,
    follow: np.ndarray,
    seed: int,
    vary: float = 0.11,
) -> Layer:
    """Ribbons with a colour of their own each, darker at the root; `follow` (N*S, J) weights per point."""
    count, steps = paths.shape[:2]
    random = np.random.default_rng(seed)
    verts, faces = ribbons(paths, outward, width)
    colour = np.tile(np.array(hair.colour), (count, 1, 1))
    grey = np.clip(hair.grey * random.uniform(0.2, 1.8, (count, 1, 1)), 0, 0.85)
    colour = colour + grey * (np.array([0.62, 0.61, 0.60]) - colour)
    shade = 1 + vary * random.normal(size=(count, 1, 1))
    warm = 1 + 0.03 * random.normal(size=(count, 1, 3))
    root = 0.70 + 0.30 * np.linspace(0, 1, steps)[None, :, None] ** 0.6
    tint = np.clip(colour * shade * warm * root, 0.01, 1)
    return Layer(verts, faces, np.repeat(follow, 2, axis=0), materials.HAIR, np.repeat(tint.reshape(-1, 3), 2, axis=0))
