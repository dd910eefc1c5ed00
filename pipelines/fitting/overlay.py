"""The fitted body drawn over a frame: mesh wire and joints, coloured by how far they miss what was seen."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from pipelines.body.model import load_body, pose_body
from pipelines.body.surface import vertex_normals
from pipelines.core.records import BodyFit, Camera, Landmarks
from pipelines.geometry.cameras import project

# Joints that are joined by lines, and the landmark whose miss colours the second one.
BONES = (*((f"{a}.{s}", f"{b}.{s}", f"{mark}_{s.lower()}") for s in "LR" for a, b, mark in (
    ("upperarm01", "lowerarm01", "elbow"), ("lowerarm01", "wrist", "wrist"), ("wrist", "finger3-1", "index"),
    ("upperleg01", "lowerleg01", "knee"), ("lowerleg01", "foot", "ankle"))),
    ("upperarm01.R", "upperarm01.L", "shoulder_l"), ("upperleg01.R", "upperleg01.L", "hip_l"),
    ("root", "spine01", "hip_l"), ("spine01", "neck01", "shoulder_l"), ("neck01", "head", "nose"))
LEFT, RIGHT, MIDDLE = (255, 170, 40), (60, 200, 255), (240, 240, 240)
WORST_SHARE = 0.05                      # of the person's height: from here on residuals are drawn red


def residual_colours(share: np.ndarray) -> np.ndarray:
    """(N, 3) uint8: green where the miss is small, yellow, red from `WORST_SHARE` of the person's height on."""
    t = np.clip(np.asarray(share, float) / WORST_SHARE, 0, 1)[:, None]
    green, yellow, red = (np.array(c, float) for c in ((60, 220, 90), (250, 215, 50), (245, 50, 40)))
    mixed = np.where(t < 0.5, green + 2 * t * (yellow - green), yellow + (2 * t - 1) * (red - yellow))
    return np.asarray(mixed.round().astype(np.uint8))


def draw_fit(image: np.ndarray, fit: BodyFit, row: int, camera: Camera, landmarks: Landmarks,
             tall_px: float) -> np.ndarray:
    """(H, W, 3) uint8: the frame with the wire of the body's near side and its limbs (left orange, right blue).

    Wire and joints are coloured by the distance of the landmarks beside them; a frame that is not `ok` is drawn faint.
    """
    import cv2

    body = load_body()
    verts, joints = pose_body(body, fit.betas, fit.pose(row))
    misses = landmark_misses(joints, camera, landmarks) / tall_px
    drawn = image.copy()
    seen, at = project(verts, camera), project(joints, camera)
    normals = vertex_normals(verts, body.faces)
    facing = (normals * verts).sum(axis=1) < 0
    near = facing[body.faces].all(axis=1) & np.isfinite(seen[body.faces]).all(axis=(1, 2))
    colours = residual_colours(misses[_nearest_bone()])
    scale = 16                                             # OpenCV draws at 1/16 pixel
    edges = np.unique(np.sort(body.faces[near][:, [[0, 1], [1, 2], [2, 0]]].reshape(-1, 2), axis=1), axis=0)
    inside = (np.abs(seen[edges]) < 1e5).all(axis=(1, 2))
    for a, b in edges[inside]:
        (x0, y0), (x1, y1) = ((seen[[a, b]] - 0.5) * scale).round().astype(int).tolist()
        cv2.line(drawn, (x0, y0), (x1, y1), colours[a].tolist(), 1, cv2.LINE_AA, 4)
    strength = 0.5 if fit.ok[row] else 0.2
    drawn = cv2.addWeighted(image, 1 - strength, drawn, strength, 0)
    names = list(fit.joint_names)
    width = max(1, round(camera.height / 400))
    marks = residual_colours(misses)
    for k, (a_name, b_name, _) in enumerate(BONES):
        ends = at[[names.index(a_name), names.index(b_name)]]
        if not np.isfinite(ends).all() or np.abs(ends).max() > 1e5:
            continue
        one_side = a_name[-2:] == b_name[-2:] and a_name[-2] == "."
        colour = MIDDLE if not one_side else LEFT if a_name.endswith("L") else RIGHT
        (x0, y0), (x1, y1) = ends.round().astype(int).tolist()
        cv2.line(drawn, (x0, y0), (x1, y1), colour, width, cv2.LINE_AA)
        cv2.circle(drawn, (x1, y1), 2 * width + 1, marks[k].tolist(), -1, cv2.LINE_AA)
    return drawn


def landmark_misses(joints: np.ndarray, camera: Camera, landmarks: Landmarks) -> np.ndarray:
    """(B,) pixels: how far the end of each of `BONES` is from the landmark that is seen there; joints (J, 3)."""
    from pipelines.fitting.anatomy import LANDMARKS

    names = list(load_body().joint_names)
    ends = project(joints[[names.index(end) for _, end, _ in BONES]], camera)
    marks = landmarks.pixels[[LANDMARKS.index(mark) for *_, mark in BONES]]
    away = np.linalg.norm(ends - marks, axis=1)
    at_joint = [mark.split("_")[0] in ("elbow", "wrist", "knee", "ankle") for *_, mark in BONES]
    return np.where(at_joint, np.nan_to_num(away), 0.0)    # others sit beside their joint, not on it


@lru_cache(maxsize=1)
def _nearest_bone() -> np.ndarray:
    """(V,) which of `BONES` ends nearest to each vertex at rest."""
    body = load_body()
    names = list(body.joint_names)
    ends = body.rest_joints[[names.index(end) for _, end, _ in BONES]]
    return np.asarray(np.linalg.norm(body.verts[:, None] - ends, axis=-1).argmin(axis=1))
