"""Where a camera must stand so that nothing of a motion is cut off."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from pipelines.body.model import Body, body_height_m, pose_body
from pipelines.core.records import BodyPose, Camera, Motion
from pipelines.geometry.cameras import project

FOLLOW_S = 0.5                          # how sluggishly the camera follows the person
STAYS_M = 0.5                           # who goes no farther than this from the middle of their way is not followed
MARGIN = 0.04                           # of the picture, kept free on every side
DIRECTIONS = 256                        # in which a motion's reach is measured
AROUND = 12                             # directions that a camera which moves may look from


@dataclass(frozen=True, eq=False)
class Sitting:
    """How a person was captured: what a virtual camera takes over, so that the network sees what it learnt."""

    camera: Camera                      # the capture's
    height_px: float                    # how tall the person stands in the capture
    feet_row: float                     # where the lowest point of the body usually is, pixels
    middle_column: float                # and the hips


@dataclass(frozen=True, eq=False)
class Framing:
    """A level camera before a person at the origin."""

    K: np.ndarray                       # (3, 3) pixels
    width: int
    height: int
    away_m: float                       # from the vertical axis through the person
    eye_m: float                        # above the floor

    def camera(self, view_deg: float) -> Camera:
        """Standing at an angle from the front towards the person's left, looking level at the axis."""
        yaw = np.radians(view_deg)
        forward = -np.array([np.sin(yaw), 0.0, np.cos(yaw)])
        right = np.array([np.cos(yaw), 0.0, -np.sin(yaw)])
        world_to_camera = np.eye(4)
        world_to_camera[:3, :3] = np.stack([right, [0.0, -1.0, 0.0], forward])
        place = np.array([0.0, self.eye_m, 0.0]) - self.away_m * forward
        world_to_camera[:3, 3] = -world_to_camera[:3, :3] @ place
        return Camera(K=self.K, width=self.width, height=self.height, world_to_camera=world_to_camera)


def picture_size(sitting: Sitting, size: int) -> tuple[int, int]:
    """Width and height: the capture's shape, but never wider than high (a person is not)."""
    height = size or sitting.camera.height
    width = round(height * min(1.0, sitting.camera.width / sitting.camera.height))
    return width + width % 2, height + height % 2


def followed_path(motion: Motion) -> np.ndarray:
    """(F, 3) the place on the floor that a camera goes along with; one place for somebody who stays about there."""
    path = motion.root_translation * [1, 0, 1]
    middle = (path.min(axis=0) + path.max(axis=0)) / 2
    if np.linalg.norm(path - middle, axis=1).max() < STAYS_M:
        return np.repeat(middle[None], len(path), axis=0)
    return smoothed(path, FOLLOW_S * motion.fps)


def reach(motion: Motion, followed: np.ndarray, body: Body, betas: np.ndarray) -> np.ndarray:
    """(N, 3) metres: points that a motion's body does not go beyond, over all its frames, seen from `followed`.

    Of every frame; only the farthest points in many directions are kept, so it is small for any length.
    """
    directions = _directions(DIRECTIONS)
    best, points = np.full(len(directions), -np.inf), np.zeros((len(directions), 3))
    for k in range(len(followed)):
        pose = BodyPose(motion.joint_rotations[k], motion.root_translation[k] - followed[k])
        verts = pose_body(body, betas, pose)[0]
        heights = verts @ directions.T
        rows = heights.argmax(axis=0)
        far = heights[rows, np.arange(len(directions))]
        points[far > best] = verts[rows[far > best]]
        best = np.maximum(best, far)
    return points


def framed(cloud: np.ndarray, body: Body, betas: np.ndarray, sitting: Sitting, size: int,
           views_deg: tuple[float, ...]) -> Framing:
    """As near as in the capture, farther where the motion needs room: points (N, 3) are seen from all views."""
    width, height = picture_size(sitting, size)
    scale = height / sitting.camera.height
    focal = float(sitting.camera.K[1, 1]) * scale
    K = np.array([[focal, 0, width / 2], [0, focal, height / 2], [0, 0, 1.0]])
    away = focal * body_height_m(body, betas) / (sitting.height_px * scale)
    away = max(away, 1.05 * float(np.hypot(cloud[:, 0], cloud[:, 2]).max()) + 0.2)
    feet_row = min(sitting.feet_row * scale, (1 - MARGIN) * height)
    framing = Framing(K, width, height, away, (feet_row - height / 2) * away / focal)
    free = np.array([width, height]) * MARGIN
    for _ in range(400):
        pixels = np.concatenate([project(cloud, framing.camera(view)) for view in views_deg])
        low, high = pixels.min(axis=0), pixels.max(axis=0)
        if high[1] - low[1] > height - 2 * free[1] or low[0] < free[0] or high[0] > width - free[0]:
            framing = replace(framing, away_m=1.02 * framing.away_m)
            continue
        shift = max(0.0, free[1] - low[1]) - max(0.0, high[1] - (height - free[1]))
        if abs(shift) < 0.5:
            break
        # A higher camera moves the person down the picture.
        framing = replace(framing, eye_m=framing.eye_m + shift * framing.away_m / focal)
    return framing


def moved(camera: Camera, by: np.ndarray) -> Camera:
    """The camera carried along by a step in the world."""
    world_to_camera = camera.world_to_camera.copy()
    world_to_camera[:3, 3] -= world_to_camera[:3, :3] @ by
    return replace(camera, world_to_camera=world_to_camera)


def smoothed(track: np.ndarray, sigma: float) -> np.ndarray:
    """(F, 3) Gaussian smoothing over time. Beyond its ends the track goes on as it came (reflected through the end
    point), so that a camera keeps pace with a walk from its first frame to its last."""
    reach_frames = min(max(1, round(3 * sigma)), len(track) - 1)
    if reach_frames < 1:
        return track
    kernel = np.exp(-0.5 * (np.arange(-reach_frames, reach_frames + 1) / max(sigma, 1e-6)) ** 2)
    before, after = 2 * track[0] - track[reach_frames:0:-1], 2 * track[-1] - track[-2:-reach_frames - 2:-1]
    padded = np.concatenate([before, track, after])
    return np.stack([np.convolve(column, kernel / kernel.sum(), mode="valid") for column in padded.T], axis=1)


def _directions(count: int) -> np.ndarray:
    """(count, 3) unit vectors spread evenly over the sphere.

    source  the Fibonacci lattice: Gonzalez, Measurement of areas on a sphere, Mathematical Geosciences 2010
    """
    k = np.arange(count) + 0.5
    polar, turn = np.arccos(1 - 2 * k / count), np.pi * (1 + 5**0.5) * k
    return np.stack([np.cos(turn) * np.sin(polar), np.cos(polar), np.sin(turn) * np.sin(polar)], axis=1)
