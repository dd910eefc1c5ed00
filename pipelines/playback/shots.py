"""What is filmed: poses in time and the camera of every frame."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipelines.body.model import Body, pose_body, rest_body
from pipelines.core.errors import AnrError
from pipelines.core.records import BodyPose, Camera, Motion
from pipelines.core.storage import read_npz
from pipelines.geometry.cameras import project
from pipelines.geometry.rotations import rotation_between, rotation_from_vector
from pipelines.motion.timing import frame_range
from pipelines.playback.camera_path import CameraPath
from pipelines.playback.framing import AROUND, Sitting, followed_path, framed, moved, reach

ORBIT_S = 4.0
ORBIT_FPS = 24.0


@dataclass(frozen=True, eq=False)
class Shot:
    """Poses and the camera that sees each of them."""

    joint_rotations: np.ndarray         # (F, J, 3, 3)
    root_translation: np.ndarray        # (F, 3) metres, the world of the cameras
    cameras: tuple[Camera, ...]         # (F,)
    frame_index: np.ndarray             # (F,) names of the frames: capture frames in a replay
    time_s: np.ndarray                  # (F,)
    fps: float
    as_captured: bool = False           # the capture's own camera: the network draws as it was taught, at any distance

    def __len__(self) -> int:
        return len(self.joint_rotations)

    def pose(self, k: int) -> BodyPose:
        return BodyPose(self.joint_rotations[k], self.root_translation[k])

    def only(self, frames: str) -> Shot:
        """The frames A:B of this shot."""
        chosen = frame_range(frames, len(self))
        return self._taken(np.arange(chosen.start, chosen.stop))

    def _taken(self, rows: np.ndarray) -> Shot:
        return Shot(self.joint_rotations[rows], self.root_translation[rows], tuple(self.cameras[k] for k in rows),
                    self.frame_index[rows], self.time_s[rows] - self.time_s[rows[0]], self.fps, self.as_captured)


def sitting_of(camera: Camera, height_px: float, captured: Motion, body: Body, betas: np.ndarray) -> Sitting:
    """Measures where the person stands in the captured picture.

    captured  the fitted motion, in the capture camera's frame
    """
    rows = np.linspace(0, len(captured.root_translation) - 1, min(24, len(captured.root_translation))).astype(int)
    lowest, columns, heights = [], [], []
    for row in rows:
        verts, joints = pose_body(body, betas, BodyPose(captured.joint_rotations[row], captured.root_translation[row]))
        pixels = project(verts, camera)
        if np.isfinite(pixels).all():                    # all of the body lies before the camera
            lowest.append(pixels[:, 1].max())
            heights.append(np.ptp(pixels[:, 1]))
            columns.append(project(joints[0], camera)[0])
    if not lowest:
        return Sitting(camera, height_px or 0.75 * camera.height, 0.9 * camera.height, camera.width / 2)
    # A person cut off by the picture's edge is taller than what was seen of them.
    return Sitting(camera, max(height_px, float(np.median(heights))), float(np.median(lowest)),
                   float(np.median(columns)))


def read_captured(path: Path) -> tuple[Motion, np.ndarray, np.ndarray]:
    """The fitted motion kept with an avatar, its frame indices (F,) and times (F,)."""
    if not path.exists():
        raise AnrError(f"The avatar has no captured motion {path.name}.", hint="Train it again: anr train --fresh")
    stored = read_npz(path, ("times_s", "joint_rotations", "root_translation", "frame_index"))
    times = stored["times_s"]
    fps = (len(times) - 1) / (times[-1] - times[0]) if len(times) > 1 and times[-1] > times[0] else 24.0
    return (Motion(stored["joint_rotations"].astype(float), stored["root_translation"].astype(float), float(fps)),
            stored["frame_index"], times)


def replay(captured: Motion, frame_index: np.ndarray, times_s: np.ndarray, camera: Camera, frames: str) -> Shot:
    """The captured motion through the capture's camera; `frames` are capture frames."""
    shot = Shot(captured.joint_rotations, captured.root_translation, (camera,) * len(frame_index), frame_index,
                times_s - times_s[0], captured.fps, as_captured=True)
    if not frames:
        return shot
    wanted = frame_range(frames, int(frame_index.max()) + 1)
    rows = np.flatnonzero((frame_index >= wanted.start) & (frame_index < wanted.stop))
    if not len(rows):
        raise AnrError(f"--frames {frames} holds no captured frame.",
                       hint=f"Choose within {frame_index.min()}:{frame_index.max() + 1}.")
    return shot._taken(rows)


def perform(motion: Motion, body: Body, betas: np.ndarray, sitting: Sitting, size: int, view_deg: float) -> Shot:
    """A motion seen by a camera that follows the person, who is as tall in the picture as they were captured.

    A person who stays about where they are is seen by a camera at rest, so that planted feet stay planted. Nothing of
    the body is ever cut off.

    motion    y up, floor at 0
    size      height of the picture in pixels, 0 = the capture's
    view_deg  where the camera stands, from the front towards the person's left
    """
    followed = followed_path(motion)
    framing = framed(reach(motion, followed, body, betas), body, betas, sitting, size, (view_deg,))
    camera = framing.camera(view_deg)
    return _shot(motion, tuple(moved(camera, step) for step in followed))


def filmed_along(motion: Motion, path: CameraPath, body: Body, betas: np.ndarray, sitting: Sitting, size: int) -> Shot:
    """A motion seen by a camera on a path of its own; arguments as in `perform`.

    Where keys leave distance or height out, they are such that nothing is cut off from any side.
    """
    followed = followed_path(motion)
    around = tuple(360.0 * k / AROUND for k in range(AROUND))
    framing = framed(reach(motion, followed, body, betas), body, betas, sitting, size, around)
    cameras = path.cameras(np.arange(len(followed)) / motion.fps, framing)
    if path.follow:
        cameras = tuple(moved(camera, step) for camera, step in zip(cameras, followed))
    return _shot(motion, cameras)


def orbit(body: Body, betas: np.ndarray, sitting: Sitting, size: int, fps: float, view_deg: float = 0.0) -> Shot:
    """The person standing at ease, once around, beginning at an angle from the front towards the person's left."""
    fps = fps or ORBIT_FPS
    motion = standing(body, betas, ORBIT_S, fps)
    count = len(motion.joint_rotations)
    angles = np.arange(count) / count * 2 * np.pi - np.radians(view_deg)
    turned = motion.joint_rotations.copy()
    turned[:, 0] = rotation_from_vector(np.outer(angles, [0.0, 1.0, 0.0])) @ turned[:, 0]
    return perform(Motion(turned, motion.root_translation, fps), body, betas, sitting, size, view_deg=0.0)


def standing(body: Body, betas: np.ndarray, seconds: float, fps: float) -> Motion:
    """The person standing at ease for some time, two frames at least."""
    count = max(2, round(seconds * fps))
    pose = at_ease(body, betas)
    return Motion(np.repeat(pose.joint_rotations[None], count, axis=0),
                  np.repeat(pose.root_translation[None], count, axis=0), fps)


def at_ease(body: Body, betas: np.ndarray) -> BodyPose:
    """Standing on the floor, arms hanging a little away from the body."""
    _, rest = rest_body(body, betas)
    globals_ = np.broadcast_to(np.eye(3), (len(rest), 3, 3)).copy()
    for side, out in (("L", 1.0), ("R", -1.0)):
        shoulder, elbow, wrist = (body.joint_names.index(f"{name}.{side}")
                                  for name in ("upperarm01", "lowerarm01", "wrist"))
        upper = rotation_between(rest[elbow] - rest[shoulder], np.array([0.42 * out, -0.9, 0.0]))
        fore = rotation_between(upper @ (rest[wrist] - rest[elbow]), np.array([0.3 * out, -0.92, 0.25])) @ upper
        for j in _below(body, shoulder):
            globals_[j] = upper
        for j in _below(body, elbow):
            globals_[j] = fore
    rotations = globals_.copy()
    for j, parent in enumerate(body.parents):
        if parent >= 0:
            rotations[j] = globals_[parent].T @ globals_[j]
    lowest = pose_body(body, betas, BodyPose(rotations, rest[0]))[0][:, 1].min()
    return BodyPose(rotations, np.array([0.0, rest[0][1] - lowest, 0.0]))


def _shot(motion: Motion, cameras: tuple[Camera, ...]) -> Shot:
    count = len(cameras)
    return Shot(motion.joint_rotations, motion.root_translation, cameras, np.arange(count),
                np.arange(count) / motion.fps, motion.fps)


def _below(body: Body, joint: int) -> list[int]:
    """A joint and all that hang from it."""
    inside = {joint}
    for j, parent in enumerate(body.parents):
        if int(parent) in inside:
            inside.add(j)
    return sorted(inside)

