"""Stage 4, `anr raster`: what every pixel sees of the fitted body, cached per frame.

    maps/00000.maps   face index, UV, normal and depth within a box around the body (core/mapcache.py)
    maps.jpg          a few frames of UV and normals, to look at
    raster.json       the projection that was used
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from pipelines.core.errors import AnrError
from pipelines.core.mapcache import read_maps, write_maps
from pipelines.core.options import option
from pipelines.core.records import BodyFit, Camera, SurfaceMaps
from pipelines.core.stage import Job, Outcome, Stage
from pipelines.core.storage import read_fit, write_json

PROJECTIONS = ("perspective", "weak")
MARGIN = 0.15                           # of the body's height in the picture, on each side of the box
THREADS = 2                             # numba and zlib release the GIL
SHEET_FRAMES = 6


@dataclass(frozen=True)
class RasterOptions:
    """How the body is drawn into maps."""

    projection: str = option("perspective", "Camera: perspective, or weak (one depth per frame, as in the paper).")
    rasterizer: str = option("cpu", "Which rasterizer: cpu, or nvdiffrast (CUDA, non-commercial licence).")


def run(job: Job) -> Outcome:
    from pipelines.media.recording import Recording
    from pipelines.rasterizers import load_rasterizer

    options: RasterOptions = job.options
    if options.projection not in PROJECTIONS:
        raise AnrError(f"There is no projection called {options.projection!r}.",
                       hint=f"Choose one of: {', '.join(PROJECTIONS)}.")
    rasterize = load_rasterizer(options.rasterizer)
    camera = Recording(job.inputs["capture"]).camera
    fit = read_fit(job.inputs["fit"] / "fit.npz")
    (job.folder / "maps").mkdir(exist_ok=True)

    def draw(row: int) -> float:
        maps = body_maps(fit, row, camera, options.projection, rasterize)
        write_maps(maps_path(job.folder, int(fit.frame_index[row])), maps)
        return float(maps.inside.mean())

    rows = range(len(fit.frame_index))
    covered = [draw(0), *job.progress.track(_in_threads(draw, rows[1:]), "Drawing surface maps", len(rows) - 1)]
    unseen = [int(fit.frame_index[row]) for row in rows if covered[row] == 0]
    if unseen:
        job.progress.warn(f"The body is outside the picture in {len(unseen)} frames, first in frame {unseen[0]}.")
    write_json(job.folder / "raster.json", {"projection": options.projection, "rasterizer": options.rasterizer})
    figures = {"frames": float(len(rows)), "frames_out_of_view": float(len(unseen))}
    if find_spec("cv2") is None:
        job.progress.note("OpenCV is not installed, so maps.jpg is left out.")
        return Outcome(figures)
    _write_sheet(job.folder, [int(fit.frame_index[row]) for row in rows if covered[row] > 0])
    return Outcome(figures, {"sheet": "maps.jpg"})


def maps_path(folder: Path, frame: int) -> Path:
    return folder / "maps" / f"{frame:05d}.maps"


def body_maps(fit: BodyFit, row: int, camera: Camera, projection: str, rasterize) -> SurfaceMaps:  # type: ignore[no-untyped-def]
    """The maps of one row of the fit, in a box around the body."""
    from pipelines.body.model import load_body, pose_body
    from pipelines.geometry.cameras import box_around, camera_for_maps
    from pipelines.rasterizers.cpu import surface_maps

    body = load_body()
    verts, _ = pose_body(body, fit.betas, fit.pose(row))
    camera = camera_for_maps(camera, verts, projection)
    box = box_around(verts, camera, MARGIN)
    return surface_maps(body.faces, body.uvs, body.face_uvs, verts, camera, box, rasterize)


def _in_threads(work, rows: Iterable[int]) -> Iterator[float]:  # type: ignore[no-untyped-def]
    """Results in order; on an interruption what has not begun is dropped."""
    pool = ThreadPoolExecutor(THREADS)
    try:
        yield from pool.map(work, rows)
    finally:
        pool.shutdown(cancel_futures=True)


def _write_sheet(folder: Path, frames: list[int]) -> None:
    from pipelines.media.images import write_image
    from pipelines.media.sheets import fit_height, label, spread, tile

    pictures = []
    for frame in (frames[k] for k in spread(len(frames), SHEET_FRAMES)) if frames else ():
        maps = read_maps(maps_path(folder, frame))
        colour = np.concatenate([maps.uv, np.full((*maps.inside.shape, 1), 0.5)], axis=-1)
        facing = (maps.normal * [1, -1, -1] + 1) / 2
        both = np.concatenate([colour, facing], axis=1) * np.concatenate([maps.inside] * 2, axis=1)[..., None]
        pictures.append(label(fit_height((both * 255).astype(np.uint8), 360), f"frame {frame}"))
    write_image(folder / "maps.jpg", tile(pictures or [np.zeros((32, 32, 3), np.uint8)], columns=3))


def _estimate_s(inputs, options: RasterOptions) -> float:  # type: ignore[no-untyped-def]
    from pipelines.media.recording import Recording

    return 2 + 0.02 * len(Recording(inputs["capture"]))


STAGE = Stage(name="raster", version=1, doing="Drawing surface maps", Options=RasterOptions, run=run,
              inputs=("capture", "fit"), estimate_s=_estimate_s)
