"""What is filmed: poses in time and the camera of every frame."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from pipelines.body.model import Body, body_height_m, pose_body, rest_body
from pipelines.core.errors import AnrError
from pipelines.core.records import BodyPose, Camera, Motion
from pipelines.core.storage import read_npz
from pipelines.geometry.cameras import project
from pipelines.geometry.rotations import rotation_between, rotation_from_vector
from pipelines.motion.timing import frame_range

FOLLOW_S = 0.5                          # how sluggishly the camera follows the person
STAYS_M = 0.5                           # who goes no farther than this from the middle of their way is not followed
MARGIN = 0.04                           # of the picture, kept free on every side
LOOKED_AT = 90                          # frames in which the framing is checked
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
                    self.frame_index[rows], self.time_s[rows] - self.time_s[rows[0]], self.fps)


@dataclass(frozen=True, eq=False)
class Sitting:
    """How a person was captured: what a virtual camera takes over, so that the network sees what it learnt."""

    camera: Camera                      # the capture's
    height_px: float                    # how tall the person stands in the capture
    feet_row: float                     # where the lowest point of the body usually is, pixels
    middle_column: float                # and the hips


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
                times_s - times_s[0], captured.fps)
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

    A person who stays about where they are is seen by a camera at rest, so that planted feet stay planted.

    motion    y up, floor at 0
    size      height of the picture in pixels, 0 = the capture's
    view_deg  where the camera stands, from the front towards the person's left
    """
    path = motion.root_translation * [1, 0, 1]
    middle = (path.min(axis=0) + path.max(axis=0)) / 2
    stays = np.linalg.norm(path - middle, axis=1).max() < STAYS_M
    followed = np.repeat(middle[None], len(path), axis=0) if stays else _smoothed(path, FOLLOW_S * motion.fps)
    camera = _fitting_camera(motion, followed, body, betas, sitting, size, view_deg)
    count = len(followed)
    return Shot(motion.joint_rotations, motion.root_translation,
                tuple(_moved(camera, followed[k]) for k in range(count)), np.arange(count),
                np.arange(count) / motion.fps, motion.fps)


def orbit(body: Body, betas: np.ndarray, sitting: Sitting, size: int, fps: float) -> Shot:
    """The person standing at ease, once around."""
    fps = fps or ORBIT_FPS
    count = max(2, round(ORBIT_S * fps))
    pose = at_ease(body, betas)
    turns = rotation_from_vector(np.outer(np.arange(count) / count * 2 * np.pi, [0.0, 1.0, 0.0]))
    rotations = np.repeat(pose.joint_rotations[None], count, axis=0)
    rotations[:, 0] = turns @ rotations[:, 0]
    motion = Motion(rotations, np.repeat(pose.root_translation[None], count, axis=0), fps)
    return perform(motion, body, betas, sitting, size, view_deg=0.0)


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


def picture_size(sitting: Sitting, size: int) -> tuple[int, int]:
    """Width and height: the capture's shape, but never wider than high (a person is not)."""
    height = size or sitting.camera.height
    width = round(height * min(1.0, sitting.camera.width / sitting.camera.height))
    return width + width % 2, height + height % 2


def _fitting_camera(motion: Motion, followed: np.ndarray, body: Body, betas: np.ndarray, sitting: Sitting, size: int,
                    view_deg: float) -> Camera:
    """A level camera for a person at the origin: as near as in the capture, farther where the motion needs room."""
    width, height = picture_size(sitting, size)
    scale = height / sitting.camera.height
    focal = float(sitting.camera.K[1, 1]) * scale
    K = np.array([[focal, 0, width / 2], [0, focal, height / 2], [0, 0, 1.0]])
    rows = np.unique(np.linspace(0, len(followed) - 1, min(LOOKED_AT, len(followed))).astype(int))
    points = [pose_body(body, betas, BodyPose(motion.joint_rotations[k], motion.root_translation[k] - followed[k]))[0]
              for k in rows]
    cloud = np.concatenate([verts[::4] for verts in points])
    away = focal * body_height_m(body, betas) / (sitting.height_px * scale)
    away = max(away, 1.05 * float(np.hypot(cloud[:, 0], cloud[:, 2]).max()) + 0.2)
    feet_row = min(sitting.feet_row * scale, (1 - MARGIN) * height)
    eye_m = (feet_row - height / 2) * away / focal
    free = np.array([width, height]) * MARGIN
    camera = _level_camera(K, width, height, away, eye_m, view_deg)
    for _ in range(200):
        pixels = project(cloud, camera)
        low, high = pixels.min(axis=0), pixels.max(axis=0)
        spans = high - low
        if spans[1] <= height - 2 * free[1] and low[0] >= free[0] and high[0] <= width - free[0]:
            shift = max(0.0, free[1] - low[1]) - max(0.0, high[1] - (height - free[1]))
            if abs(shift) < 0.5:
                break
            eye_m += shift * away / focal               # a higher camera moves the person down the picture
        else:
            away *= 1.02
        camera = _level_camera(K, width, height, away, eye_m, view_deg)
    return camera


def _level_camera(K: np.ndarray, width: int, height: int, away: float, eye_m: float, view_deg: float) -> Camera:
    """A camera `away` metres from the y axis and `eye_m` above the floor, looking at the axis."""
    yaw = np.radians(view_deg)
    forward = -np.array([np.sin(yaw), 0.0, np.cos(yaw)])
    right = np.array([np.cos(yaw), 0.0, -np.sin(yaw)])
    world_to_camera = np.eye(4)
    world_to_camera[:3, :3] = np.stack([right, [0.0, -1.0, 0.0], forward])
    world_to_camera[:3, 3] = -world_to_camera[:3, :3] @ (np.array([0.0, eye_m, 0.0]) - away * forward)
    return Camera(K=K, width=width, height=height, world_to_camera=world_to_camera)


def _moved(camera: Camera, by: np.ndarray) -> Camera:
    """The camera carried along by a step in the world."""
    world_to_camera = camera.world_to_camera.copy()
    world_to_camera[:3, 3] -= world_to_camera[:3, :3] @ by
    return replace(camera, world_to_camera=world_to_camera)


def _below(body: Body, joint: int) -> list[int]:
    """A joint and all that hang from it."""
    inside = {joint}
    for j, parent in enumerate(body.parents):
        if int(parent) in inside:
            inside.add(j)
    return sorted(inside)


def _smoothed(track: np.ndarray, sigma: float) -> np.ndarray:
    """(F, 3) Gaussian smoothing over time. Beyond its ends the track goes on as it came (reflected through the end
    point), so that a camera keeps pace with a walk from its first frame to its last."""
    reach = min(max(1, round(3 * sigma)), len(track) - 1)
    if reach < 1:
        return track
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / max(sigma, 1e-6)) ** 2)
    before, after = 2 * track[0] - track[reach:0:-1], 2 * track[-1] - track[-2:-reach - 2:-1]
    padded = np.concatenate([before, track, after])
    return np.stack([np.convolve(column, kernel / kernel.sum(), mode="valid") for column in padded.T], axis=1)
