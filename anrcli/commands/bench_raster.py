"""`anr bench raster`: surface maps of a posed body and their cache, on the processor."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from anrcli.commands.measuring import Bench, Figures, timing
from pipelines.core.cores import available_cores
from pipelines.core.mapcache import maps_from_bytes, maps_to_bytes, read_maps, write_maps
from pipelines.core.records import BodyPose, Camera, SurfaceMaps
from pipelines.core.stage import Progress

if TYPE_CHECKING:
    from pipelines.body.model import Body

POSES = 24                              # one body, its arms swinging, turning once about itself
FRAMES = 96                             # written into the cache at a time
RUNS = 3                                # over all poses
MARGIN = 0.15                           # around the body, as in the raster stage
TEXTURE = 256                           # texels a side


@dataclass(frozen=True, eq=False)
class Figure:
    """A body in poses that fill most of a square picture."""

    body: Body
    poses: list[BodyPose]
    camera: Camera

    def maps(self, k: int, cores: int | None = None) -> SurfaceMaps:
        """Posed, drawn and interpolated, in a box around the body as the raster stage has it."""
        from pipelines.body.model import pose_body
        from pipelines.geometry.cameras import box_around
        from pipelines.rasterizers.cpu import surface_maps

        body = self.body
        verts, _ = pose_body(body, np.zeros(0), self.poses[k % len(self.poses)])
        box = box_around(verts, self.camera, MARGIN)
        return surface_maps(body.faces, body.uvs, body.face_uvs, verts, self.camera, box, cores=cores)


def bench_raster(progress: Progress) -> Figures:
    """Milliseconds per frame on all cores, what the cache takes and gives, and what its rounding costs."""
    figures: Figures = {}
    for size in (512, 1024):
        figure = standing_figure(size)
        figure.maps(0)                                         # compiles, or reads what was compiled before
        every = timing(lambda figure=figure: one_by_one(figure.maps), POSES, RUNS)
        figures[f"maps_{size}x{size}_ms"] = 1000.0 * every.wall_s
        figures[f"maps_{size}x{size}_cpu_ms"] = 1000.0 * every.cpu_s
    with tempfile.TemporaryDirectory() as folder:
        return {**figures, **cache_figures(Path(folder), progress)}


def one_by_one(make: Callable[[int], SurfaceMaps]) -> None:
    """All poses, each forgotten before the next, as a stage does it: keeping them would time the system's memory."""
    for k in range(POSES):
        make(k)


def cache_figures(folder: Path, progress: Progress) -> Figures:
    small, large = standing_figure(512), standing_figure(1024)
    maps_from_bytes(maps_to_bytes(small.maps(0)))              # compiles

    def keep(k: int) -> int:
        return write_maps(folder / f"{k:05d}.maps", small.maps(k, cores=1))

    def keep_all() -> None:
        with ThreadPoolExecutor(available_cores()) as pool:
            list(pool.map(keep, range(FRAMES)))

    figures: Figures = {"into_cache_512x512_fps": 1.0 / timing(keep_all, FRAMES).wall_s}
    poses = progress.track(range(POSES), "Packing maps", POSES)
    sizes = [write_maps(folder / f"{k:05d}.maps", large.maps(k)) for k in poses]
    figures["frame_1024x1024_mb"] = float(np.mean(sizes)) / 1e6
    figures["largest_frame_1024x1024_mb"] = max(sizes) / 1e6
    order = np.random.default_rng(0).permutation(POSES)
    reading = timing(lambda: one_by_one(lambda k: read_maps(folder / f"{order[k]:05d}.maps")), POSES, RUNS)
    figures["random_read_1024x1024_ms"] = 1000.0 * reading.wall_s
    figures["random_read_1024x1024_cpu_ms"] = 1000.0 * reading.cpu_s
    return {**figures, **rounding([(large.maps(k), read_maps(folder / f"{k:05d}.maps")) for k in range(0, POSES, 6)])}


def rounding(pairs: list[tuple[SurfaceMaps, SurfaceMaps]]) -> Figures:
    """The largest differences between maps as drawn and as read back."""
    def worst(difference: Callable[[SurfaceMaps, SurfaceMaps], np.ndarray]) -> float:
        return max(float(difference(drawn, back)[drawn.inside].max()) for drawn, back in pairs)

    return {"worst_uv_error_texels": TEXTURE * worst(lambda drawn, back: np.abs(drawn.uv - back.uv)),
            "worst_normal_error_deg": worst(lambda drawn, back: degrees_between(drawn.normal, back.normal)),
            "worst_depth_error_mm": 1000.0 * worst(lambda drawn, back: np.abs(drawn.depth_m - back.depth_m))}


def degrees_between(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Angles between unit vectors (..., 3), sound for small ones, where an arc cosine is not."""
    apart = np.linalg.norm(one.astype(float) - other.astype(float), axis=-1)
    return np.degrees(2 * np.arcsin(np.clip(apart / 2, 0, 1)))


def standing_figure(size: int) -> Figure:
    """A body 2.6 m before a camera of 42 degrees, so that it takes most of the height of a square picture."""
    from pipelines.body.model import load_body
    from pipelines.geometry.cameras import camera_from_fov
    from pipelines.geometry.rotations import rotation_from_vector

    body = load_body()
    middle = np.array([0.0, np.ptp(body.verts[:, 1]) / 2 - body.rest_joints[0, 1], 2.6])
    poses = []
    for share in np.arange(POSES) / POSES:
        rotations = np.tile(np.eye(3), (len(body.parents), 1, 1))
        rotations[0] = np.diag([1.0, -1, -1]) @ rotation_from_vector(np.array([0, 2 * np.pi * share, 0]))
        swing = 0.6 * np.sin(4 * np.pi * share)
        for side, sign in (("L", 1.0), ("R", -1.0)):
            rotations[body.joint(f"upperarm01.{side}")] = rotation_from_vector(np.array([sign * swing, 0, 0]))
            rotations[body.joint(f"upperleg01.{side}")] = rotation_from_vector(np.array([-sign * swing / 2, 0, 0]))
        poses.append(BodyPose(rotations, middle))
    return Figure(body, poses, camera_from_fov(size, size, 42.0))


RASTER = Bench("surface maps of a posed body, and their cache, on the processor", bench_raster)
