"""Stage 4, `anr raster`: what every pixel sees of the fitted body, cached per frame (docs/maps.md).

    maps/00000.maps   face index, UV, normal and depth within a box around the body (core/mapcache.py)
    maps.jpg          a few frames of UV and normals, to look at
    raster.json       the projection that was used
"""

from __future__ import annotations

import shutil
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from pipelines.core.cores import available_cores
from pipelines.core.errors import AnrError
from pipelines.core.mapcache import maps_to_bytes, read_maps, write_maps
from pipelines.core.options import option
from pipelines.core.records import BodyFit, Camera, SurfaceMaps
from pipelines.core.stage import Job, Outcome, Stage
from pipelines.core.storage import read_fit, write_json

PROJECTIONS = ("perspective", "weak")
MARGIN = 0.15                           # of the body's height in the picture, on each side of the box
THREADS = min(4, available_cores())     # frames drawn side by side, up to 0.3 GB each (4K); the GIL is free
AHEAD = 2 * THREADS                     # frames begun before the oldest is done: bounds the memory
SHEET_FRAMES = 6
SAMPLE_FRAMES = 5                       # packed to learn how much room all will take
SPARE = 1.25                            # frames between them may be larger
KEPT_FREE_BYTES = 100e6                 # of the disk, for everything else


@dataclass(frozen=True)
class RasterOptions:
    """How the body is drawn into maps."""

    projection: str = option("perspective", "Camera: perspective, or weak (one depth per frame, as in the paper).")
    rasterizer: str = option("cpu", "Which rasterizer: cpu, or nvdiffrast (CUDA, non-commercial licence).")


def run(job: Job) -> Outcome:
    from pipelines.media.recording import Recording
    from pipelines.rasterizers import load_rasterizer

    options: RasterOptions = job.options
    check_options(options)
    rasterize = load_rasterizer(options.rasterizer)
    camera = Recording(job.inputs["capture"]).camera
    fit = read_fit(job.inputs["fit"] / "fit.npz")
    (job.folder / "maps").mkdir(exist_ok=True)
    rows = range(len(fit.frame_index))

    def draw(row: int) -> SurfaceMaps:
        return body_maps(fit, row, camera, options.projection, rasterize)

    def keep(row: int) -> tuple[bool, int]:
        maps = draw(row)
        return bool((maps.face_index >= 0).any()), write_maps(maps_path(job.folder, int(fit.frame_index[row])), maps)

    check_room(job, expected_bytes(draw, len(rows)), len(rows))
    kept = list(job.progress.track(_in_threads(keep, rows), "Drawing surface maps", len(rows)))
    unseen = [int(fit.frame_index[row]) for row in rows if not kept[row][0]]
    if unseen:
        job.progress.warn(f"The body is outside the picture in {len(unseen)} frames, first in frame {unseen[0]}.")
    write_json(job.folder / "raster.json", {"projection": options.projection, "rasterizer": options.rasterizer})
    megabytes = sum(size for _, size in kept) / 1e6
    figures = {"frames": float(len(rows)), "frames_out_of_view": float(len(unseen)), "maps_mb": round(megabytes, 2)}
    if find_spec("cv2") is None:
        job.progress.note("OpenCV is not installed, so maps.jpg is left out.")
        return Outcome(figures)
    _write_sheet(job.folder, [int(fit.frame_index[row]) for row in rows if kept[row][0]])
    return Outcome(figures, {"sheet": "maps.jpg"})


def check_options(options: RasterOptions) -> None:
    """AnrError for a projection or rasterizer there is none of, or one that cannot run here."""
    from pipelines.rasterizers import load_rasterizer

    if options.projection not in PROJECTIONS:
        raise AnrError(f"There is no projection called {options.projection!r}.",
                       hint=f"Choose one of: {', '.join(PROJECTIONS)}.")
    if options.rasterizer != "cpu":     # which runs everywhere, and takes a moment to load
        load_rasterizer(options.rasterizer)


def expected_bytes(draw: Callable[[int], SurfaceMaps], frames: int) -> float:
    """About how much room the maps of all frames will take: a few frames are packed, and something is added."""
    sample = np.unique(np.linspace(0, frames - 1, SAMPLE_FRAMES).round().astype(int)) if frames else ()
    sizes = [len(maps_to_bytes(draw(int(row)))) for row in sample]
    return SPARE * frames * float(np.mean(sizes)) if sizes else 0.0


def check_room(job: Job, wanted: float, frames: int) -> None:
    """Tells how much room the maps will take; AnrError where the disk has less."""
    free = shutil.disk_usage(job.folder).free
    told = f"The maps of {frames} frames take about {in_bytes(wanted)}"
    if free < wanted + KEPT_FREE_BYTES:
        raise AnrError(f"{told}, and {in_bytes(KEPT_FREE_BYTES)} should stay free; {in_bytes(free)} are free.",
                       hint="Free some space (`anr clean` removes old versions), or choose another --workspace.")
    job.progress.note(f"{told} of {in_bytes(free)} free.")


def in_bytes(count: float) -> str:
    """A number of bytes in words: "0.3 MB", "24 MB", "1.6 GB"."""
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.{0 if count >= 1e7 else 1}f} MB"


def maps_path(folder: Path, frame: int) -> Path:
    return folder / "maps" / f"{frame:05d}.maps"


def body_maps(fit: BodyFit, row: int, camera: Camera, projection: str, rasterize: Callable) -> SurfaceMaps:
    """The maps of one row of the fit, in a box around the body, drawn on one core."""
    from pipelines.body.model import load_body, pose_body
    from pipelines.geometry.cameras import box_around, camera_for_maps
    from pipelines.rasterizers.cpu import surface_maps

    body = load_body()
    verts, _ = pose_body(body, fit.betas, fit.pose(row))
    camera = camera_for_maps(camera, verts, projection)
    box = box_around(verts, camera, MARGIN)
    return surface_maps(body.faces, body.uvs, body.face_uvs, verts, camera, box, rasterize, cores=1)


def _in_threads(work: Callable[[int], tuple[bool, int]], rows: Iterable[int]) -> Iterator[tuple[bool, int]]:
    """Results in order, a few frames ahead; on an interruption what has not begun is dropped."""
    pool = ThreadPoolExecutor(THREADS)
    waiting: deque[Future[tuple[bool, int]]] = deque()
    try:
        for row in rows:
            waiting.append(pool.submit(work, row))
            if len(waiting) > AHEAD:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
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

    return 2 + 0.01 * len(Recording(inputs["capture"]))


STAGE = Stage(name="raster", version=2, doing="Drawing surface maps", Options=RasterOptions, run=run,
              inputs=("capture", "fit"), check=check_options, estimate_s=_estimate_s)
