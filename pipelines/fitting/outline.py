"""The person's outline in the picture, and which points of the posed surface should lie on it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipelines.body.model import Body
from pipelines.core.records import Camera
from pipelines.fitting.matching import associate_outline

OUTLINE_POINTS = 220
GATE_M = 0.09                           # mask borders farther from the body's outline are hair, a ball, a bag


@dataclass(frozen=True, eq=False)
class Outline:
    """Points along the border of a person mask."""

    points: np.ndarray                  # (B, 2) pixels
    normals: np.ndarray                 # (B, 2) unit, away from the person


def outline_from(mask: np.ndarray) -> Outline:
    """Border points of a person mask, evenly spread; parts that the picture's edge cuts off are left out.

    mask  (H, W) 0..1
    """
    import cv2

    h, w = mask.shape
    calm = cv2.GaussianBlur(mask.astype(np.float32), (0, 0), 1.5)
    loops, _ = cv2.findContours((calm > 0.5).astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    areas = [cv2.contourArea(loop) for loop in loops]
    if not areas or max(areas) < 100:
        return Outline(np.zeros((0, 2)), np.zeros((0, 2)))
    points = np.concatenate([loop[:, 0] for loop, area in zip(loops, areas) if area > 0.01 * max(areas)]).astype(float)
    points = points[::max(1, len(points) // OUTLINE_POINTS)]
    inside = (points > 3).all(axis=1) & (points[:, 0] < w - 4) & (points[:, 1] < h - 4)
    points = points[inside]
    wide = cv2.GaussianBlur(mask.astype(np.float32), (0, 0), 3.0)
    dx, dy = cv2.Sobel(wide, cv2.CV_32F, 1, 0), cv2.Sobel(wide, cv2.CV_32F, 0, 1)
    at = points.astype(int)
    normals = -np.stack([dx[at[:, 1], at[:, 0]], dy[at[:, 1], at[:, 0]]], axis=1).astype(float)
    length = np.linalg.norm(normals, axis=1)
    keep = length > 1e-3
    return Outline(points[keep] + 0.5, normals[keep] / length[keep, None])


def outlined_verts(body: Body) -> np.ndarray:
    """(V,) bool: surface whose outline shows in the mask as it is; hair, fingers and shoe soles are not."""
    names = body.joint_names
    carried = np.array([name.startswith(("finger", "metacarpal", "wrist", "head", "neck03", "foot")) for name in names])
    return (body.skin_weights * carried[body.skin_indices]).sum(axis=1) < 0.3


def beside_outline(outline: Outline, skin: np.ndarray, normals: np.ndarray, usable: np.ndarray, camera: Camera,
                   metres_per_px: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Surface points on the rim of the body (N,), where the mask ends beside them (N, 2), and which way is out (N, 2).

    skin, normals  (V, 3) the posed surface, camera frame; usable (V,) bool
    """
    K = np.ascontiguousarray(camera.K, np.float64)
    near = associate_outline(outline.points, outline.normals, skin, normals, usable, K, GATE_M / metres_per_px)
    hit = near >= 0
    return near[hit], outline.points[hit], outline.normals[hit]
