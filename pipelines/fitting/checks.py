"""What makes a recording unfit to be fitted, said before the work: units, heights, limbs that are never seen."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from pipelines.core.errors import AnrError
from pipelines.core.records import Camera, Landmarks
from pipelines.fitting.anatomy import LANDMARKS

SHORTEST_M, TALLEST_M = 1.0, 2.3        # people the body model can be asked for
NOSE_TO_ANKLE = 0.87                    # of a standing person's height
UNITS = {1000.0: "millimetres read as metres", 0.001: "metres read as millimetres", 10.0: "ten times too large",
         0.1: "ten times too small", 100.0: "centimetres read as metres", 0.01: "metres read as centimetres"}
SEEN_SHARE = 0.03                       # a landmark seen in fewer of the frames counts as never seen
JOINTS = ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")
LOOKED_AT = 15                          # frames that are enough to judge the depth by


def check_height(height_m: float | None) -> None:
    """Refuses a height that no adult has."""
    if height_m is not None and not SHORTEST_M <= height_m <= TALLEST_M:
        raise AnrError(f"A height of {height_m:.2f} m is not one the body can have ({SHORTEST_M} to {TALLEST_M} m).",
                       hint="Give it in metres: anr capture --height-m 1.75")


def check_depth(depth_m: Callable[[int], np.ndarray | None], landmarks: Sequence[Landmarks], found: np.ndarray,
                camera: Camera) -> None:
    """Refuses depth that is empty on the person, or in another unit than metres, by the person's size.

    depth_m  gives a frame's (H, W) depth
    """
    rows = np.flatnonzero(found)
    rows = rows[np.linspace(0, len(rows) - 1, min(LOOKED_AT, len(rows))).astype(int)]
    heights = np.array([_height_m(depth_m(int(row)), landmarks[row], camera) for row in rows])
    if not np.isfinite(heights).any():
        raise AnrError(f"The depth images have no reading on the person in any of {len(rows)} frames looked at.",
                       hint="Record again with the person 1 to 4 m away, or fit without depth: anr fit --no-depth.")
    # The tallest: whoever sits or bends looks shorter.
    tall = float(np.nanquantile(heights, 0.9))
    if 0.5 < tall < 3.2:
        return
    unit = next((words for factor, words in UNITS.items() if 0.7 < tall / factor < 2.6), "of another unit or scale")
    raise AnrError(f"By its depth the person is {tall:.4g} m tall: the depth is {unit}.",
                   hint="Correct depth_scale (units per metre) in the recording's intrinsic.json, or fit without "
                        "depth: anr fit --no-depth.")


def _height_m(depth_m: np.ndarray | None, landmarks: Landmarks, camera: Camera) -> float:
    """How tall the person is by the depth at the trunk; NaN without readings."""
    if depth_m is None:
        return float("nan")
    pixels = landmarks.pixels
    trunk = pixels[[LANDMARKS.index(name) for name in ("shoulder_l", "shoulder_r", "hip_l", "hip_r")]]
    (x0, y0), (x1, y1) = np.clip(trunk.min(axis=0), 0, None).astype(int), trunk.max(axis=0).astype(int) + 1
    readings = depth_m[y0:y1, x0:x1]
    readings = readings[np.isfinite(readings) & (readings > 0)]
    if len(readings) < 20:
        return float("nan")
    ankles = pixels[[LANDMARKS.index("ankle_l"), LANDMARKS.index("ankle_r")]].mean(axis=0)
    tall_px = np.linalg.norm(pixels[0] - ankles) / NOSE_TO_ANKLE
    return float(tall_px * np.median(readings) / camera.K[1, 1])


def never_seen(landmarks: Sequence[Landmarks], found: np.ndarray, camera: Camera) -> list[str]:
    """Joints (`left knee`) that hardly any frame shows within the picture."""
    pixels = np.array([landmarks[row].pixels for row in np.flatnonzero(found)])
    size = (camera.width, camera.height)
    inside = ((pixels >= 0) & (pixels < size)).all(axis=2).mean(axis=0)
    sides = {"l": "left", "r": "right"}
    return [f"{sides[side]} {joint}" for joint in JOINTS for side in "lr"
            if inside[LANDMARKS.index(f"{joint}_{side}")] < SEEN_SHARE]
