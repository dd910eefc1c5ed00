"""A recording of a synthetic person: colour, depth, the true matte and the true pose."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from pipelines.core.errors import AnrError
from pipelines.core.records import BodyPose, Footage, Frame
from pipelines.studio.actors import NAMES, load_actor

__all__ = ["NAMES", "open_synthetic"]

DEFAULT_SECONDS = 8.0
SMALLEST, LARGEST = 64, 2048  # pixels


def open_synthetic(
    name: str, seconds: float | None = None, fps: float = 15.0, size: int = 512, motion: str = "capture"
) -> Footage:
    """Footage of one of `NAMES`; the same arguments give the same pixels.

    seconds  None = 8; the whole movement fits into whatever is given
    size     pixels each way
    motion   one of `studio.motions.MOTIONS`
    """
    from pipelines.studio.motions import make_motion
    from pipelines.studio.scene import at_origin, build_room, picture, seen_pose

    actor = load_actor(name)
    seconds = DEFAULT_SECONDS if seconds is None else seconds
    if not seconds > 0 or not fps > 0:
        raise AnrError(f"{seconds:g} s at {fps:g} frames per second is no recording.", hint="Both must be above zero.")
    if not SMALLEST <= size <= LARGEST:
        raise AnrError(f"The studio makes pictures of {SMALLEST} to {LARGEST} pixels, not {size}.", hint="Try 512.")
    moves = make_motion(motion, actor, seconds, fps)
    room = build_room(int(size))
    seen_rotations, seen_root = seen_pose(moves.joint_rotations, moves.root_translation, room.camera)
    joints_m = np.full((len(seen_root), len(actor.joint_names), 3), np.nan)

    def frames() -> Iterator[Frame]:
        for index in range(len(seen_root)):
            pose = BodyPose(moves.joint_rotations[index], moves.root_translation[index])
            frame, joints_m[index] = picture(actor, pose, room, index, index / fps)
            yield frame

    def truth() -> dict[str, np.ndarray]:
        """Of all frames, in the camera's frame; `joints_m` of frames not rendered yet is NaN."""
        return {
            "joint_names": np.array(actor.joint_names),
            "joints_m": joints_m,
            "joint_rotations": seen_rotations,
            "root_translation": seen_root,
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
