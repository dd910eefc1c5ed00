"""`anr bench raster`: surface maps of the body on the processor."""

from __future__ import annotations

import numpy as np

from anrcli.commands.measuring import Bench, Figures, timing
from pipelines.core.records import Camera
from pipelines.core.stage import Progress


def bench_raster(progress: Progress) -> Figures:
    """Surface maps of the body at rest, filling most of a square picture."""
    from pipelines.body.model import load_body
    from pipelines.geometry.cameras import camera_from_fov
    from pipelines.rasterizers.cpu import surface_maps

    body = load_body()
    verts = np.ascontiguousarray(body.verts * [1, -1, -1] + [0, body.verts[:, 1].mean(), 2.6])
    figures: Figures = {}
    for size in (512, 1024):
        camera = camera_from_fov(size, size, 42.0)

        def draw(camera: Camera = camera, size: int = size) -> None:
            surface_maps(body.faces, body.uvs, body.face_uvs, verts, camera, (0, 0, size, size))

        draw()                                                 # compiles, or reads what was compiled before
        figures[f"maps_{size}x{size}_ms"] = 1000.0 * timing(draw, 1, runs=20).wall_s
    return figures


RASTER = Bench("surface maps of one body on the processor", bench_raster)
