"""Depth as another camera would have measured it: the warp from a depth camera into the colour camera beside it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipelines.core.records import Camera


@dataclass(frozen=True, eq=False)
class DepthWarp:
    """Takes pictures of one depth camera to one colour camera; what does not change is computed once."""

    rays: np.ndarray                    # (h, w, 3) float32: depth pixels at 1 m, turned into the colour camera's axes
    offset: np.ndarray                  # (3,) float32 metres: where the depth camera is, in the colour camera's frame
    K: np.ndarray                       # (3, 3) float32 of the colour camera
    lens: np.ndarray                    # (8,) float32 distortion of the colour camera
    fold2: np.float32                   # squared radius at which that lens folds over
    reach: np.float32                   # colour pixels per depth pixel
    size: tuple[int, int]               # H, W of the colour picture

    def depth(self, depth_m: np.ndarray) -> np.ndarray:
        """See `register_depth`."""
        from pipelines.geometry.registration_kernels import (
            draw_hidden,
            draw_surfaces,
            keep_unhidden,
            link_neighbours,
            place_points,
        )

        if depth_m.shape != self.rays.shape[:2]:
            raise ValueError(f"expected depth {self.rays.shape[:2]}, got {depth_m.shape}")
        points, links = np.empty_like(self.rays), np.empty(depth_m.shape, np.uint8)
        nearest, hiding = np.zeros(self.size, np.float32), np.zeros(self.size, np.float32)
        place_points(np.ascontiguousarray(depth_m, np.float32), self.rays, self.offset, self.K, self.lens, self.fold2,
                     points)
        link_neighbours(points, links)
        draw_surfaces(points, links, nearest)
        draw_hidden(points, links, self.reach, hiding)
        keep_unhidden(nearest, hiding)
        return nearest


def register_depth(depth_m: np.ndarray, depth_camera: Camera, colour_camera: Camera) -> np.ndarray:
    """A depth picture warped into the colour camera. For many pictures keep a `depth_warp`.

    depth_m  (h, w) metres along the depth camera's axis, 0 = no reading
    cameras  both placed by their `world_to_camera`; the distortion of either is honoured
    returns  (H, W) float32 metres along the colour camera's axis, 0 = no reading: also where the depth camera could
             not see what the colour camera sees. Neighbouring readings are joined to small triangles, never across
             an edge, and drawn with a z-buffer: surfaces have no pin holes, and rims neither smear nor shine through
    """
    return depth_warp(depth_camera, colour_camera).depth(depth_m)


def depth_warp(depth_camera: Camera, colour_camera: Camera) -> DepthWarp:
    """Prepares `register_depth` for a pair of cameras (about half a second: the depth lens is inverted)."""
    from pipelines.geometry.lenses import fold_radius, pixel_rays, rational

    rays = pixel_rays(depth_camera)
    to_colour = colour_camera.world_to_camera @ np.linalg.inv(depth_camera.world_to_camera)
    turned = np.concatenate([rays, np.ones((*rays.shape[:2], 1))], axis=-1) @ to_colour[:3, :3].T
    scale = np.abs(np.diag(colour_camera.K)[:2] / np.diag(depth_camera.K)[:2])
    lens = rational(colour_camera.distortion)
    return DepthWarp(
        rays=np.ascontiguousarray(turned, np.float32),
        offset=to_colour[:3, 3].astype(np.float32),
        K=colour_camera.K.astype(np.float32),
        lens=lens.astype(np.float32),
        fold2=np.float32(fold_radius(lens) ** 2),
        reach=np.float32(scale.max()),
        size=(colour_camera.height, colour_camera.width),
    )
