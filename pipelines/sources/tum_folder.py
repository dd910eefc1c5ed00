"""A folder with lists of pictures and their times: the TUM RGB-D layout, which interrupted recordings have as well.

`rgb.txt` and `depth.txt` hold a line "seconds path" per picture (# begins a comment). Colour and depth are paired by
the nearest time; depth counts 5000 to the metre unless intrinsic.json says otherwise.

source  TUM RGB-D benchmark, "File formats" and "Intrinsic camera calibration of the Kinect"
"""

from __future__ import annotations

import math
import os.path
from dataclasses import replace
from pathlib import Path

import numpy as np

from pipelines.core.errors import AnrError
from pipelines.core.records import Camera, Footage
from pipelines.core.storage import read_json
from pipelines.sources import ASSUMED, Request
from pipelines.sources.image_folder import FOLDER_FPS
from pipelines.sources.lens import camera_of, refuse_fov, stored_size
from pipelines.sources.rgbd_folder import calibration_in
from pipelines.sources.rig import Rig, Shot, footage_of, rig_from_json

COLOUR_LIST, DEPTH_LIST = "rgb.txt", "depth.txt"
UNITS_PER_M = 5000.0
TOGETHER_S = 0.020                      # colour and depth further apart than this show different moments
KINECT_SIZE, KINECT_FOCAL_PX = (640, 480), 525.0    # the benchmark's default; its centre (319.5, 239.5) counts from
KINECT_CENTRE = (320.0, 240.0)                      # the first pixel's middle, ours from its corner
LINE = "Each line is: seconds path/of/the/picture. Lines that begin with # are left out."

Entry = tuple[float, Path]


def open_tum_folder(request: Request) -> Footage:
    """Reads and pairs the lists; AnrError for a broken line, a missing picture, or lists that never meet."""
    folder = Path(request.spec)
    colors = _read_list(folder / COLOUR_LIST)
    if not colors:
        raise AnrError(f"{folder / COLOUR_LIST} lists no pictures.", hint=LINE)
    has_depth = (folder / DEPTH_LIST).is_file()
    shots, notes = _paired(folder, colors, _read_list(folder / DEPTH_LIST)) if has_depth else _alone(folder, colors)
    listed = (path for shot in shots for path in (shot.color, shot.depth) if path is not None)
    missing = next((path for path in listed if not os.path.isfile(path)), None)
    if missing is not None:
        raise AnrError(f"{missing!s:.300} is missing, but {folder} lists it.", hint="Copy the whole folder again.")
    rig, told = _rig(folder, request, shots[0].color)
    begin_s = shots[0].time_s
    shots = [Shot(shot.time_s - begin_s - request.start_s, shot.color, shot.depth) for shot in shots]
    end_s = math.inf if request.seconds is None else request.seconds
    wanted = [shot for shot in shots if -1e-6 <= shot.time_s < end_s - 1e-6][:request.max_frames]
    if not wanted:
        raise AnrError(f"--start {request.start_s:g} lies behind the end of {folder}: {len(shots)} frames, "
                       f"{shots[-1].time_s + request.start_s:.1f} s.", hint="Choose an earlier start.")
    return footage_of(wanted, rig, request.max_side, fps=_usual_fps(shots), told=told, notes=notes)


def _read_list(path: Path) -> list[Entry]:
    """In order of time, one entry per time."""
    entries: dict[float, Path] = {}
    for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), start=1):
        words = line.split(maxsplit=1)
        if not words or words[0].startswith("#"):
            continue
        try:
            time_s = float(words[0])
            entries[time_s] = path.parent / words[1].strip()
        except (ValueError, IndexError):
            raise AnrError(f"{path}, line {number} cannot be used: {line.strip()!r}.", hint=LINE) from None
        if not math.isfinite(time_s):
            raise AnrError(f"{path}, line {number} cannot be used: {line.strip()!r}.", hint=LINE)
    return sorted(entries.items())


def _paired(folder: Path, colors: list[Entry], depths: list[Entry]) -> tuple[list[Shot], list[str]]:
    """Colour and depth that are each other's nearest, at most `TOGETHER_S` apart; and what that left out."""
    if not depths:
        raise AnrError(f"{folder / DEPTH_LIST} lists no pictures.", hint=LINE)
    color_s, depth_s = (np.array([time_s for time_s, _ in entries]) for entries in (colors, depths))
    to_depth, to_color = _nearest(color_s, depth_s), _nearest(depth_s, color_s)
    shots = [Shot(colors[i][0], colors[i][1], depths[k][1]) for i, k in enumerate(to_depth)
             if to_color[k] == i and abs(color_s[i] - depth_s[k]) <= TOGETHER_S]
    if not shots:
        apart_s = float(np.abs(color_s - depth_s[to_depth]).min())
        raise AnrError(f"{folder}: no picture of rgb.txt has one of depth.txt within {TOGETHER_S * 1000:.0f} ms; "
                       f"the nearest two are {apart_s:.3f} s apart.", hint="Both lists must use the same clock.")
    alone = max(len(colors), len(depths)) - len(shots)
    notes = [f"rgb.txt lists {len(colors)} pictures, depth.txt {len(depths)}: {len(shots)} pairs lie within "
             f"{TOGETHER_S * 1000:.0f} ms; the rest was left out."] if alone else []
    return shots, notes


def _alone(folder: Path, colors: list[Entry]) -> tuple[list[Shot], list[str]]:
    return [Shot(time_s, path, None) for time_s, path in colors], [f"{folder} has no depth.txt: taken without depth."]


def _nearest(of: np.ndarray, among: np.ndarray) -> np.ndarray:
    """(N,) for each time in `of` (N,) the index of the nearest in `among` (M,), both ascending."""
    right = np.clip(np.searchsorted(among, of), 1, max(len(among) - 1, 1))
    left = right - 1
    right = np.minimum(right, len(among) - 1)
    return np.where(np.abs(among[right] - of) < np.abs(of - among[left]), right, left)


def _rig(folder: Path, request: Request, first: Path) -> tuple[Rig, str]:
    """The cameras, and where they are known from."""
    path = calibration_in(folder)
    if path is not None:
        stored = read_json(path)
        rig = rig_from_json(stored, path, UNITS_PER_M)
        # An interrupted recording tells where its own camera knew the lens from.
        told = str(stored.get("intrinsics_from") or f"the folder's {path.name}")
        if request.fov_deg is not None and told.startswith(ASSUMED):
            camera, told = camera_of(rig.colour.width, rig.colour.height, request.fov_deg, None)
            return replace(rig, colour=camera), told
        refuse_fov(request.fov_deg, rig.colour, str(path))
        return rig, told
    size = stored_size(first)
    if request.fov_deg is not None:
        camera, told = camera_of(*size, request.fov_deg, None)
        return Rig(camera, None, UNITS_PER_M), told
    if size != KINECT_SIZE:
        raise AnrError(f"{folder} has no intrinsic.json, and its pictures ({size[0]}x{size[1]}) are not the TUM "
                       "benchmark's.", hint="Write one (docs/capture.md shows how), or pass --fov-deg.")
    K = np.array([[KINECT_FOCAL_PX, 0, KINECT_CENTRE[0]], [0, KINECT_FOCAL_PX, KINECT_CENTRE[1]], [0, 0, 1]])
    told = f"{ASSUMED}: the TUM benchmark's default, {KINECT_FOCAL_PX:g} px (an intrinsic.json tells it)"
    return Rig(Camera(K, *size), None, UNITS_PER_M), told


def _usual_fps(shots: list[Shot]) -> float:
    gaps_s = np.diff([shot.time_s for shot in shots])
    return round(1.0 / max(float(np.median(gaps_s)), 1e-6), 3) if len(gaps_s) else FOLDER_FPS
