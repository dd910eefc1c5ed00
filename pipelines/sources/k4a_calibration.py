"""An Azure Kinect's calibration file: two lenses and where they sit, for the modes the device was in.

The file is the JSON that the device carries, kept as an attachment of its recordings. Its numbers count for the whole
sensor, as shares of width and height; every mode reads a binned or scaled window of it.

source  Azure Kinect Sensor SDK (MIT), include/k4a/k4atypes.h (order of the parameters) and the mode tables of its
        calibration reader; pyk4a gives the same numbers (tests/test_kinect.py)
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from pipelines.core.errors import AnrError
from pipelines.core.records import Camera

Window = tuple[int, int, int, int, int, int]    # whole sensor width, height as scaled; left, top; width, height read

DEPTH_WINDOWS: dict[str, Window] = {
    "NFOV_2X2BINNED": (512, 512, 96, 90, 320, 288),
    "NFOV_UNBINNED": (1024, 1024, 192, 180, 640, 576),
    "WFOV_2X2BINNED": (512, 512, 0, 0, 512, 512),
    "WFOV_UNBINNED": (1024, 1024, 0, 0, 1024, 1024),
}
COLOUR_WINDOWS: dict[str, Window] = {
    "720P": (1280, 960, 0, 120, 1280, 720),
    "1080P": (1920, 1440, 0, 180, 1920, 1080),
    "1440P": (2560, 1920, 0, 240, 2560, 1440),
    "1536P": (2048, 1536, 0, 0, 2048, 1536),
    "2160P": (3840, 2880, 0, 360, 3840, 2160),
    "3072P": (4096, 3072, 0, 0, 4096, 3072),
}
MODEL = "BrownConrady"                  # the one all devices carry; the others bend tangentially by other amounts
PURPOSES = {"depth": "CALIBRATION_CameraPurposeDepth", "colour": "CALIBRATION_CameraPurposePhotoVideo"}
ROUND = 1e-3                            # how far from a rotation the nine numbers of one may be: they have few digits
FAR_M = 1.0                             # between the two cameras of one device; they are 32 mm apart
REMEDY = "The file may be damaged: copy it again, or record again with k4arecorder or anr capture --source kinect."


@dataclass(frozen=True, eq=False)
class Rig:
    """The two cameras of a device; the world is where its calibration says, usually the depth camera."""

    depth: Camera
    colour: Camera


def read_calibration(raw: bytes | str, depth_mode: str, colour_mode: str, where: str) -> Rig:
    """The cameras in their modes.

    raw          the JSON, perhaps with zero bytes behind it
    depth_mode   as in the tags of a recording: NFOV_UNBINNED ...
    colour_mode  720P ... 3072P, with or without the format before it (MJPG_720P)
    where        what the messages call it
    returns      pixel coordinates count from the picture's corner, half a pixel more than the SDK's
    """
    resolution = colour_mode.rpartition("_")[2]
    for mode, known in ((depth_mode, DEPTH_WINDOWS), (resolution, COLOUR_WINDOWS)):
        if mode not in known:
            raise AnrError(f"{where}: {mode!r} is not a mode this version knows.", hint=f"Known: {', '.join(known)}.")
    text = raw.decode("utf-8", "replace") if isinstance(raw, bytes) else raw
    try:
        cameras: list[dict[str, Any]] = json.loads(text.rstrip("\0 \r\n"))["CalibrationInformation"]["Cameras"]
        of = {name: next(camera for camera in cameras if camera["Purpose"] == purpose)
              for name, purpose in PURPOSES.items()}
        return Rig(_camera(of["depth"], DEPTH_WINDOWS[depth_mode], where),
                   _camera(of["colour"], COLOUR_WINDOWS[resolution], where))
    except (ValueError, KeyError, TypeError, OverflowError, StopIteration) as error:
        reason = "one of its two cameras is missing" if isinstance(error, StopIteration) else _told(error)
        raise AnrError(f"{where} cannot be used as a calibration: {reason}.", hint=REMEDY) from error


def _camera(stored: dict[str, Any], window: Window, where: str) -> Camera:
    model = str(stored["Intrinsics"]["ModelType"])
    if not model.endswith(MODEL):
        raise AnrError(f"{where} has the lens model {model}.",
                       hint=f"This version reads {MODEL}, which every Azure Kinect carries.")
    numbers = np.array(stored["Intrinsics"]["ModelParameters"], float)
    turn, place = np.array(stored["Rt"]["Rotation"], float), np.array(stored["Rt"]["Translation"], float)
    if numbers.shape != (14,) or turn.shape != (9,) or place.shape != (3,):
        raise ValueError(f"{numbers.size} lens parameters (14), {turn.size} + {place.size} numbers of place (9 + 3)")
    if not all(np.isfinite(part).all() for part in (numbers, turn, place)) or min(numbers[2:4]) <= 0:
        raise ValueError(f"focal lengths {numbers[2]:g} and {numbers[3]:g}, or a number that is none")
    R = turn.reshape(3, 3)
    if np.abs(R @ R.T - np.eye(3)).max() > ROUND or np.linalg.det(R) < 0:
        raise ValueError(f"{np.round(turn, 4).tolist()} is no rotation")
    if np.linalg.norm(place) > FAR_M:
        raise ValueError(f"its cameras are {np.linalg.norm(place):g} m apart")
    cx, cy, fx, fy, k1, k2, k3, k4, k5, k6, codx, cody, p2, p1 = numbers
    if codx or cody:
        raise ValueError(f"the lens is centred on ({codx:g}, {cody:g}) instead of its axis")
    whole_width, whole_height, left, top, width, height = window
    K = np.array([[fx * whole_width, 0, cx * whole_width - left], [0, fy * whole_height, cy * whole_height - top],
                  [0, 0, 1]])
    world_to_camera = np.eye(4)
    world_to_camera[:3, :3], world_to_camera[:3, 3] = R, place
    return Camera(K, width, height, world_to_camera, np.array([k1, k2, p1, p2, k3, k4, k5, k6]))


def _told(error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"it is damaged ({error.msg}, character {error.pos})"
    if isinstance(error, TypeError):                     # Python's own words are about Python
        return "a part of it is not what it should be (text for a number, or a list cut short)"
    return f"{error.args[0]} is missing" if isinstance(error, KeyError) else str(error)


def in_own_frame(rig: Rig) -> Rig:
    """The same rig with the colour camera as the world, which is how recordings know it."""
    back = np.linalg.inv(rig.colour.world_to_camera)
    return Rig(replace(rig.depth, world_to_camera=rig.depth.world_to_camera @ back),
               replace(rig.colour, world_to_camera=np.eye(4)))
