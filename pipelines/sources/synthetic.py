"""A recording of a synthetic person: colour, depth, the true matte and the true pose."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipelines.core.errors import AnrError
from pipelines.core.records import Footage, Frame
from pipelines.studio.actors import NAMES, load_actor

__all__ = ["NAMES", "Setting", "open_synthetic", "people"]

DEFAULT_SECONDS = 8.0
SMALLEST, LARGEST = 64, 2048  # pixels
THREADS = 2  # frames that are made at the same time; the compiled loops let each other run


@dataclass(frozen=True)
class Setting:
    """Where a synthetic person is filmed, and with what."""

    width: int | None = None  # pixels; None = as high
    room: str = "plaster"  # one of `studio.rooms.ROOMS`
    light: str = "daylight"  # one of `studio.lights.LIGHTS`
    seed: int = 0  # of the performance and of all noise
    sensor: bool = False  # an imperfect camera, see `studio.sensor`


PLAIN = Setting()


def open_synthetic(
    name: str,
    seconds: float | None = None,
    fps: float = 15.0,
    size: int = 512,
    motion: str = "capture",
    setting: Setting = PLAIN,
) -> Footage:
    """Footage of one of `NAMES`; the same arguments give the same pixels.

    seconds  None = 8; the whole movement fits into whatever is given
    size     pixels from top to bottom, and across unless the setting has a width
    motion   one of `studio.motions.MOTIONS`
    """
    from pipelines.studio.filming import Filming
    from pipelines.studio.motions import make_motion
    from pipelines.studio.rooms import build_room
    from pipelines.studio.scene import at_origin, seen_pose
    from pipelines.studio.sensor import Sensor
    from pipelines.studio.truth import coarse_vertices

    actor = load_actor(name)
    seconds = DEFAULT_SECONDS if seconds is None else seconds
    width = size if setting.width is None else setting.width
    _check(seconds, fps, size, width)
    moves = make_motion(motion, actor, seconds, fps, setting.seed)
    room = build_room(int(width), int(size), setting.room, setting.light)
    filming = Filming(actor, moves, room, Sensor() if setting.sensor else None, setting.seed)
    seen_rotations, seen_root = seen_pose(moves.joint_rotations, moves.root_translation, room.camera)
    joints_m = np.full((len(seen_root), len(actor.joint_names), 3), np.nan)

    def frames() -> Iterator[Frame]:
        for index, (frame, joints) in enumerate(_made_ahead(filming, len(seen_root))):
            joints_m[index] = joints
            yield frame

    def truth() -> dict[str, np.ndarray]:
        """Of all frames, in the camera's frame; `joints_m` of frames not rendered yet is NaN."""
        return {
            "joint_names": np.array(actor.joint_names),
            "joints_m": joints_m,
            "joint_rotations": seen_rotations,
            "root_translation": seen_root,
            "vertices_m": coarse_vertices(actor, seen_rotations, seen_root),
            "height_m": np.array(actor.height_m),
        }

    return Footage(
        camera=at_origin(room.camera),
        frames=frames(),
        frame_count=len(seen_root),
        fps=fps,
        intrinsics_from="the studio's camera, exactly",
        truth=truth,
        background=room.plate(),
    )


def _check(seconds: float, fps: float, height: int, width: int) -> None:
    if not seconds > 0 or not fps > 0:
        raise AnrError(f"{seconds:g} s at {fps:g} frames per second is no recording.", hint="Both must be above zero.")
    for size in (height, width):
        if not SMALLEST <= size <= LARGEST:
            raise AnrError(
                f"The studio makes pictures of {SMALLEST} to {LARGEST} pixels, not {size}.", hint="Try 512."
            )


def _made_ahead(filming, count: int) -> Iterator[tuple[Frame, np.ndarray]]:  # type: ignore[no-untyped-def]
    """Frames in order, made on two threads a little before they are asked for."""
    waiting: deque[Future[tuple[Frame, np.ndarray]]] = deque()
    with ThreadPoolExecutor(max_workers=THREADS) as makers:
        for index in range(count):
            waiting.append(makers.submit(filming.frame, index))
            if len(waiting) > THREADS:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def people(folder: Path) -> tuple[tuple[tuple[str, ...], ...], Path]:
    """Who there is to film, as a table with a heading, and a picture of all of them, written into `folder`."""
    from pipelines.studio.contact_sheet import table_of_people, write_contact_sheet

    sheet = folder / "studio.jpg"
    write_contact_sheet(sheet)
    return table_of_people(), sheet
