"""A fitted motion taken out of its camera's frame: y up, floor at 0, evenly timed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from pipelines.body.model import Body, pose_body, pose_sequence, rest_body
from pipelines.core.records import BodyPose, Motion
from pipelines.geometry.rotations import rotation_between, slerp
from pipelines.motion.bvh import BvhFile, bvh_of
from pipelines.motion.rig import UP, unit

FROM_CAMERA = np.diag([1.0, -1.0, -1.0])        # right stays, up was -y, towards the camera was -z
BODY_UP_RAD = np.radians(4.0)           # how far people's usual up is from the floor's normal
HEIGHT_ERROR_M = 0.03                   # of the lower foot of one frame above the floor
READINGS_S = 0.25                       # feet that lie closer in time say the same again


def upright(motion: Motion, body: Body, betas: np.ndarray) -> Motion:
    """A motion in a camera's frame (y down, looking along z) in the world of motions, starting at x = z = 0.

    Up is where the body usually points, mended by the plane under its lower foot where it walks about; +z points
    from the person to the camera. A shift in height is taken off, jumps stay.
    """
    rotations, root = motion.joint_rotations.copy(), motion.root_translation @ FROM_CAMERA.T
    rotations[:, 0] = FROM_CAMERA @ rotations[:, 0]
    joints = pose_sequence(body, betas, rotations, root)
    feet = joints[:, [body.joint("foot.L"), body.joint("foot.R")]]                         # (F, 2, 3)
    trunk = unit(joints[:, body.joint("neck01")] - feet.mean(axis=1))
    up = unit(np.median(trunk, axis=0))
    lower = np.take_along_axis(feet, (feet @ up).argmin(axis=1)[:, None, None], axis=1)[:, 0]
    to_level = rotation_between(_floor_normal(lower, up, READINGS_S * motion.fps), UP)
    rotations[:, 0], root = to_level @ rotations[:, 0], root @ to_level.T
    heights = [pose_body(body, betas, BodyPose(turns, place))[0][:, 1].min() for turns, place in zip(rotations, root)]
    root = root - root[0] * [1, 0, 1] - np.median(heights) * UP
    return Motion(rotations, root, motion.fps)


def evenly_timed(motion: Motion, times_s: np.ndarray, fps: float) -> Motion:
    """A motion whose frames were taken at times_s (F,), increasing, at an even rate from the first to the last."""
    times = np.asarray(times_s, float) - times_s[0]
    if len(times) < 2:
        return replace(motion, fps=fps)
    at = np.arange(int(np.floor(times[-1] * fps + 0.05)) + 1) / fps
    before = np.clip(np.searchsorted(times, at + 1e-9, side="right") - 1, 0, len(times) - 2)
    share = np.clip((at - times[before]) / np.maximum(times[before + 1] - times[before], 1e-9), 0.0, 1.0)
    rotations = slerp(motion.joint_rotations[before], motion.joint_rotations[before + 1], share[:, None])
    places = motion.root_translation
    return Motion(rotations, places[before] + share[:, None] * (places[before + 1] - places[before]), fps)


def as_bvh(motion: Motion, body: Body, betas: np.ndarray) -> BvhFile:
    """A motion on a person's own skeleton as BVH, every bone with a length: centimetres, degrees, Z X Y."""
    verts, joints = rest_body(body, betas)
    above = np.where(body.parents[:, None] >= 0, joints[np.maximum(body.parents, 0)], 0.0)
    offsets = joints - above
    offsets[0] = 0.0            # some programs add the root's offset to its channels, some do not
    heaviest = body.skin_indices[np.arange(len(verts)), body.skin_weights.argmax(axis=1)]
    tips = {}
    for leaf in sorted(set(range(len(joints))) - set(body.parents.tolist())):
        own = verts[heaviest == leaf] - joints[leaf]
        tips[leaf] = own[np.linalg.norm(own, axis=1).argmax()]
    return bvh_of(body.joint_names, body.parents, offsets, motion, tips)


def _floor_normal(feet: np.ndarray, up: np.ndarray, frames_per_reading: float) -> np.ndarray:
    """(3,) up as the places of the lower foot (F, 3) tell it: a robust plane that is about level already."""
    across = np.linalg.svd(up[None])[2][1:]                                                # (2, 3)
    middle = np.median(feet, axis=0)
    flat, high = (feet - middle) @ across.T, (feet - middle) @ up
    weights, tilt = np.ones(len(feet)), np.zeros(2)
    for _ in range(10):
        A = np.column_stack([flat, np.ones(len(flat))])
        rows = weights / HEIGHT_ERROR_M**2 / max(1.0, frames_per_reading)
        known = np.diag([BODY_UP_RAD**-2, BODY_UP_RAD**-2, 1e-9])
        solved = np.linalg.solve((A * rows[:, None]).T @ A + known, (A * rows[:, None]).T @ high)
        tilt = solved[:2]
        weights = 1.0 / (1.0 + ((high - A @ solved) / HEIGHT_ERROR_M) ** 2)
    return unit(up - tilt @ across)
