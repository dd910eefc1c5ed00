"""A folder of colour and depth pictures in Open3D's layout.

`color/*.jpg|png`, `depth/*.png` (16-bit, the same stems, 0 = no reading) and `intrinsic.json` (see `rig.py`; Open3D's
recorder calls it `camera_intrinsic.json`). Depth is registered to colour, unless intrinsic.json says where its own
camera stands.
"""

from __future__ import annotations

import itertools
from pathlib import Path

from pipelines.core.errors import AnrError
from pipelines.core.records import Footage
from pipelines.core.storage import read_json
from pipelines.sources import Request, counted
from pipelines.sources.image_folder import FOLDER_FPS, natural_order, part_of
from pipelines.sources.lens import refuse_fov
from pipelines.sources.rig import MM, Shot, footage_of, positive_number, rig_from_json

LAYOUT = "An RGB-D folder holds color/ (jpg or png), depth/ (16-bit png with the same names) and intrinsic.json."
CALIBRATIONS = ("intrinsic.json", "camera_intrinsic.json")
COLOUR_SUFFIXES = (".jpg", ".jpeg", ".png")


def open_rgbd_folder(request: Request) -> Footage:
    """Checks the layout; AnrError for a missing part, naming it."""
    folder = Path(request.spec)
    path = calibration_in(folder)
    if path is None:
        raise AnrError(f"{folder} is not an RGB-D folder: intrinsic.json is missing.", hint=LAYOUT)
    stored = read_json(path)
    rig = rig_from_json(stored, path, units_per_m=MM)
    refuse_fov(request.fov_deg, rig.colour, str(path))
    fps = request.folder_fps or positive_number(stored, "fps", FOLDER_FPS, path)
    pairs, notes = _pairs(folder)
    wanted = part_of(pairs, fps, request)
    if not wanted:
        raise AnrError(f"--start {request.start_s:g} lies behind the end of {folder}: {len(pairs)} frames, "
                       f"{len(pairs) / fps:.1f} s.", hint="Choose an earlier start.")
    shots = [Shot(index / fps, color, depth) for index, (color, depth) in enumerate(wanted)]
    return footage_of(shots, rig, request.max_side, fps=fps, told=f"the folder's {path.name}", notes=notes)


def calibration_in(folder: Path) -> Path | None:
    """The file that tells the lenses; None where there is none."""
    return next((folder / name for name in CALIBRATIONS if (folder / name).is_file()), None)


def _pairs(folder: Path) -> tuple[list[tuple[Path, Path]], list[str]]:
    """([(colour picture, depth picture)], what was left out); AnrError for a colour picture without depth."""
    colors = sorted((path for path in (folder / "color").glob("*") if path.suffix.lower() in COLOUR_SUFFIXES),
                    key=natural_order)
    depths = {path.stem: path for path in (folder / "depth").glob("*.png")}
    if not colors:
        raise AnrError(f"{folder} is not a whole RGB-D folder: color/ holds no pictures.", hint=LAYOUT)
    twice = next((a.name for a, b in itertools.pairwise(colors) if a.stem == b.stem), None)
    if twice:
        raise AnrError(f"{folder} is not a whole RGB-D folder: color/{twice} is there twice, with two endings.",
                       hint="Keep one of them.")
    missing = [path.stem for path in colors if path.stem not in depths]
    if missing:
        more = f" and {len(missing) - 1} more are missing" if len(missing) > 1 else " is missing"
        raise AnrError(f"{folder} is not a whole RGB-D folder: color/ holds {counted(len(colors), 'picture')}, "
                       f"depth/ {len(depths)}; depth/{missing[0]}.png{more}.", hint=LAYOUT)
    unused = len(depths) - len(colors)
    notes = [f"depth/ holds {len(depths)} pictures, color/ {len(colors)}: {counted(unused, 'depth picture')} without "
             f"colour {'was' if unused == 1 else 'were'} left out."] if unused else []
    return [(path, depths[path.stem]) for path in colors], notes
