"""A path of keyed cameras: read from JSON, interpolated smoothly.

    {"follow": true,                          the camera goes along with the person (default); false: it does not
     "keys": [{"time_s": 0, "azimuth_deg": 0, "elevation_deg": 5, "distance_m": 3.0,
               "look_at_m": [0, 0.9, 0], "roll_deg": 0, "fov_deg": 40}, ...]}

Only `time_s` is needed. A key says where its camera is by angles and a distance, or by `position_m` [x, y, z]. Between
keys directions turn on smooth curves through the shortest ways, distances and focal lengths grow and shrink by
factors (cubic in their logarithm, never beyond the keys' own), places move on cubic curves.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pipelines.core.errors import AnrError
from pipelines.core.records import Camera
from pipelines.geometry.rotations import vector_from_rotation
from pipelines.motion.curves import curved_places, curved_rotations
from pipelines.playback.framing import Framing

EXAMPLE = '{"keys": [{"time_s": 0, "azimuth_deg": 0}, {"time_s": 2, "azimuth_deg": 90}]}'
NUMBERS = {"time_s": (0.0, 36000.0), "azimuth_deg": (-36000.0, 36000.0), "elevation_deg": (-89.0, 89.0),
           "distance_m": (0.2, 100.0), "roll_deg": (-180.0, 180.0), "fov_deg": (5.0, 120.0)}
PLACES = ("look_at_m", "position_m")
ANGLES = ("azimuth_deg", "elevation_deg", "distance_m")         # what position_m stands for
FARTHEST_M = 1000.0


@dataclass(frozen=True, eq=False)
class CameraPath:
    """Keys as they were written; what they leave out comes from the framing of the motion."""

    keys: tuple[Mapping[str, Any], ...]
    follow: bool

    @property
    def seconds(self) -> float:
        return float(self.keys[-1]["time_s"])

    def cameras(self, times_s: np.ndarray, framing: Framing) -> tuple[Camera, ...]:
        """The camera at each time (F,), before a person at the origin; outside the keys' times it rests.

        source  cubic Hermite curves with Catmull-Rom velocities; monotone ones (Fritsch and Carlson, 1980) for
                distances and focal lengths
        """
        times = np.array([key["time_s"] for key in self.keys], float)
        poses = [_placed(key, framing) for key in self.keys]
        rotations, targets = np.stack([pose[0] for pose in poses]), np.stack([pose[1] for pose in poses])
        logs = np.log([[pose[2], pose[3]] for pose in poses])
        if len(times) == 1:
            at, share = np.zeros(len(times_s), int), np.zeros(len(times_s))
            times, rotations, targets, logs = (np.concatenate([x, x]) for x in (times, rotations, targets, logs))
            spans = np.ones(1)
        else:
            clipped = np.clip(times_s, times[0], times[-1])
            at = np.clip(np.searchsorted(times, clipped, side="right") - 1, 0, len(times) - 2)
            spans = np.diff(times)
            share = (clipped - times[at]) / spans[at]
        turning = _mean_slopes(vector_from_rotation(np.swapaxes(rotations[:-1], -1, -2) @ rotations[1:]), spans)
        span = spans[at][:, None]
        rotation = curved_rotations(rotations[at], rotations[at + 1], span * turning[at], span * turning[at + 1], share)
        slopes = _monotone_slopes(np.diff(logs, axis=0), spans)
        away, focal = np.exp(curved_places(logs[at], logs[at + 1], span * slopes[at], span * slopes[at + 1], share)).T
        slopes = _monotone_slopes(np.diff(targets, axis=0), spans)
        target = curved_places(targets[at], targets[at + 1], span * slopes[at], span * slopes[at + 1], share)
        return tuple(_camera(*each, framing) for each in zip(rotation, target, away, focal))


def read_camera_path(path: Path) -> CameraPath:
    """A path from a file; AnrError names the line, or the key, of what is wrong with it."""
    name = Path(path).name
    try:
        read = json.loads(Path(path).read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError) as error:
        raise AnrError(f"The camera path {path} cannot be read: {error}.", hint=f"It looks like {EXAMPLE}") from None
    except json.JSONDecodeError as error:
        raise AnrError(f"{name}, line {error.lineno}, column {error.colno}: {error.msg}.",
                       hint=f"It looks like {EXAMPLE}") from None
    except RecursionError:
        raise AnrError(f"{name} is nested too deeply.", hint=f"It looks like {EXAMPLE}") from None
    if not isinstance(read, dict) or not isinstance(read.get("keys"), list) or not read["keys"]:
        raise AnrError(f"{name} holds no list of keys.", hint=f"It looks like {EXAMPLE}")
    for unknown in set(read) - {"keys", "follow"}:
        raise AnrError(f"{name}: {unknown!r} is not known.", hint="There are keys and follow.")
    if not isinstance(read.get("follow", True), bool):
        raise AnrError(f"{name}: follow is {read['follow']!r}.", hint="Write true or false.")
    for number, key in enumerate(read["keys"], start=1):
        _check_key(key, f"{name}, key {number}")
    for number, (before, after) in enumerate(zip(read["keys"], read["keys"][1:]), start=2):
        _check_pair(before, after, f"{name}, key {number}")
    return CameraPath(tuple(read["keys"]), read.get("follow", True))


def _check_key(key: Any, where: str) -> None:
    if not isinstance(key, dict):
        raise AnrError(f"{where}: {key!r} is not a camera.", hint=f"It looks like {EXAMPLE}")
    for field, value in key.items():
        if field in NUMBERS:
            low, high = NUMBERS[field]
            if not _is_number(value) or not low <= value <= high:
                raise AnrError(f"{where}: {field} is {value!r}.", hint=f"It is a number from {low:g} to {high:g}.")
        elif field in PLACES:
            right = isinstance(value, list) and len(value) == 3 and all(map(_is_number, value))
            if not right or max(map(abs, value)) > FARTHEST_M:
                raise AnrError(f"{where}: {field} is {value!r}.", hint="It is [x, y, z] in metres, y up, floor at 0.")
        else:
            raise AnrError(f"{where}: {field!r} is not known.", hint=f"There are {', '.join((*NUMBERS, *PLACES))}.")
    if "time_s" not in key:
        raise AnrError(f"{where}: time_s is missing.", hint="Say when the camera is there, in seconds.")
    both = [field for field in ANGLES if field in key] if "position_m" in key else []
    if both:
        raise AnrError(f"{where}: position_m and {both[0]} both say where the camera is.", hint="Leave one away.")
    if "position_m" in key and "look_at_m" not in key:
        raise AnrError(f"{where}: position_m without look_at_m.",
                       hint='Say what it looks at: "look_at_m": [0, 0.9, 0].')
    if "position_m" in key and np.hypot(*np.subtract(key["position_m"], key["look_at_m"])[[0, 2]]) < 0.05:
        raise AnrError(f"{where}: the camera is right above or below what it looks at.", hint="Move it aside.")


def _check_pair(before: Mapping[str, Any], after: Mapping[str, Any], where: str) -> None:
    if after["time_s"] <= before["time_s"]:
        raise AnrError(f"{where}: its time {after['time_s']:g} s is not after {before['time_s']:g} s.",
                       hint="Keys come in the order of their times.")
    turn = after.get("azimuth_deg", 0.0) - before.get("azimuth_deg", 0.0)
    if "position_m" not in before and "position_m" not in after and abs(turn) >= 180:
        raise AnrError(f"{where}: azimuth_deg is {abs(turn):g} degrees from the key before it, so which way round "
                       "is open.", hint="Put a key between them, less than 180 degrees from either.")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e9


def _placed(key: Mapping[str, Any], framing: Framing) -> tuple[np.ndarray, np.ndarray, float, float]:
    """Camera-to-world rotation (3, 3), target (3,), distance in metres, focal length in pixels of a key."""
    target = np.array(key.get("look_at_m", [0.0, framing.eye_m, 0.0]), float)
    if "position_m" in key:
        back = np.array(key["position_m"], float) - target
        away = float(np.linalg.norm(back))
        azimuth, elevation = np.arctan2(back[0], back[2]), np.arcsin(back[1] / away)
    else:
        away = float(key.get("distance_m", framing.away_m))
        azimuth, elevation = np.radians([key.get("azimuth_deg", 0.0), key.get("elevation_deg", 0.0)])
    focal = framing.K[0, 0]
    if "fov_deg" in key:
        focal = framing.width / 2 / np.tan(np.radians(key["fov_deg"]) / 2)
    forward = -np.array([np.cos(elevation) * np.sin(azimuth), np.sin(elevation), np.cos(elevation) * np.cos(azimuth)])
    right = np.array([np.cos(azimuth), 0.0, -np.sin(azimuth)])
    down = np.cross(forward, right)
    roll = np.radians(key.get("roll_deg", 0.0))
    tilted = np.cos(roll) * right + np.sin(roll) * down
    return np.stack([tilted, np.cross(forward, tilted), forward], axis=1), target, away, float(focal)


def _camera(rotation: np.ndarray, target: np.ndarray, away: float, focal: float, framing: Framing) -> Camera:
    world_to_camera = np.eye(4)
    world_to_camera[:3, :3] = rotation.T
    world_to_camera[:3, 3] = -rotation.T @ (target - away * rotation[:, 2])
    K = np.array([[focal, 0, framing.width / 2], [0, focal, framing.height / 2], [0, 0, 1.0]])
    return Camera(K=K, width=framing.width, height=framing.height, world_to_camera=world_to_camera)


def _mean_slopes(steps: np.ndarray, spans: np.ndarray) -> np.ndarray:
    """(N, C) velocities at N keys from the steps (N - 1, C) between them, nearer neighbours counting more."""
    slopes = steps / spans[:, None]
    if len(slopes) == 1:
        return np.concatenate([slopes, slopes])
    before, after = spans[:-1, None], spans[1:, None]
    inner = (after * slopes[:-1] + before * slopes[1:]) / (before + after)
    return np.concatenate([slopes[:1], inner, slopes[-1:]])


def _monotone_slopes(steps: np.ndarray, spans: np.ndarray) -> np.ndarray:
    """The same, but no curve goes beyond its keys: 0 where the way turns round, a harmonic mean elsewhere."""
    slopes = steps / spans[:, None]
    if len(slopes) == 1:
        return np.concatenate([slopes, slopes])
    before, after = spans[:-1, None], spans[1:, None]
    left, right = slopes[:-1], slopes[1:]
    same_way = left * right > 0
    first, second = 2 * after + before, after + 2 * before
    inner = np.where(same_way, (first + second) / (first / np.where(same_way, left, 1)
                                                   + second / np.where(same_way, right, 1)), 0.0)
    return np.concatenate([slopes[:1], inner, slopes[-1:]])
