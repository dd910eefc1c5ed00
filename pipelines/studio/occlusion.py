"""Ambient occlusion of a person at rest, from depth maps seen from many sides (build time)."""

from __future__ import annotations

import numpy as np


def ambient_occlusion(verts: np.ndarray, faces: np.ndarray, directions: int = 48, size: int = 700) -> np.ndarray:
    """(V,) 0..1: how much of the sky above each vertex's own surface is seen (cosine weighted, both faces count)."""
    from pipelines.core.records import Camera
    from pipelines.rasterizers.cpu import rasterize
    from pipelines.studio.meshwork import normals_of

    page = Camera(K=np.eye(3), width=size, height=size, weak_depth_m=1.0)

    normals = normals_of(verts, faces)
    k = np.arange(directions) + 0.5
    polar, azimuth = np.arccos(1 - 2 * k / directions), np.pi * (1 + 5**0.5) * k
    sky = np.stack([np.cos(azimuth) * np.sin(polar), np.cos(polar), np.sin(azimuth) * np.sin(polar)], 1)
    seen, total = np.zeros(len(verts)), np.full(len(verts), 1e-6)
    for toward in sky:
        side = np.cross(toward, [0.3, 0.9, 0.1])
        side /= np.linalg.norm(side)
        axes = np.stack([side, np.cross(toward, side), -toward])
        seen_from = verts @ axes.T
        low = seen_from[:, :2].min(0)
        scale = (size - 3) / np.ptp(seen_from[:, :2], axis=0).max()
        flat = np.column_stack([(seen_from[:, :2] - low) * scale + 1, seen_from[:, 2] + 4.0])
        _, _, depth = rasterize(flat, faces, page)
        cell = flat[:, :2].astype(int)
        nearest = depth[cell[:, 1], cell[:, 0]]
        lit = (nearest == 0) | (flat[:, 2] < nearest + 0.006)
        # light from below is weaker: the floor returns some of it
        weight = np.abs(normals @ toward) * (normals @ toward > 0) * (1.0 if toward[1] > 0 else 0.35)
        seen += weight * lit
        total += weight
    return np.clip(seen / total, 0, 1)
