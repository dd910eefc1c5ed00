"""How far the picture of a fitted body moves when its pose is corrected a little: the first derivative, per vertex."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache

import numpy as np

from pipelines.body.model import Body, load_body, pose_body, sequence_frames
from pipelines.body.skeleton import subtree
from pipelines.core.records import BodyFit, Camera
from pipelines.geometry.cameras import camera_for_maps, to_camera
from pipelines.geometry.rotations import rotation_from_vector

# Joints that are turned. What hangs below one goes along; a limb's twist bones and fingers are left alone.
JOINTS = ("root", "spine03", "neck01", "head", *(f"{name}.{side}" for name in (
    "upperarm01", "lowerarm01", "wrist", "upperleg01", "lowerleg01", "foot") for side in "LR"))
SHIFTS = 3                              # along the picture's x and y, and towards the camera
COUNT = SHIFTS + 3 * len(JOINTS)        # numbers of a frame's correction
NEARER_LEVER_M = 0.5                    # what nearing the camera moves by a pixel: points so far from the root


@dataclass(frozen=True, eq=False)
class FittedBody:
    """What is needed to correct the frames of one person."""

    fit: BodyFit
    camera: Camera
    projection: str                     # "perspective" or "weak", as the maps were drawn

    def row(self, frame: int) -> int:
        """The fit's row of a captured frame; ValueError where there is none."""
        found = np.flatnonzero(self.fit.frame_index == frame)
        if len(found) != 1:
            raise ValueError(f"the fit has {len(found)} rows for frame {frame}")
        return int(found[0])


def leverage(fitted: FittedBody, frame: int) -> np.ndarray:
    """How vertices move in the captured picture per unit of each number of a frame's correction.

    returns  (V, 2, COUNT) float32 pixels. Numbers 0, 1: the body moves by a pixel along x, y; 2: it nears the camera
             until points half a metre beside the root move by one; then three for each joint of JOINTS, turns about
             the axes of the joint's own frame, a unit moving what hangs on it by one pixel (root mean square, seen
             from the side)
    Exact where one bone moves a vertex; between bones the mean place stands for each bone's.
    """
    body, row = load_body(), fitted.row(frame)
    verts, joints = pose_body(body, fitted.fit.betas, fitted.fit.pose(row))
    metres = _moves(body, fitted, row, verts, joints)
    camera = camera_for_maps(fitted.camera, verts, fitted.projection)
    seen = to_camera(verts, camera)
    moved = metres @ camera.world_to_camera[:3, :3].T                       # (COUNT, V, 3)
    if camera.weak_depth_m is None:
        depth, deeper = seen[:, 2], moved[..., 2]
    else:
        depth, deeper = np.full(len(seen), camera.weak_depth_m), moved[..., 2].mean(1, keepdims=True)
    depth = np.maximum(depth, 0.1)                  # a vertex at the camera's side is in no picture
    flat = (moved[..., :2] - (seen[:, :2] / depth[:, None]) * deeper[..., None]) / depth[:, None]
    return np.ascontiguousarray(np.moveaxis(flat @ camera.K[:2, :2].T, 0, 2), np.float32)


def corrected(fitted: FittedBody, frames: np.ndarray, values: np.ndarray) -> BodyFit:
    """The fit with the corrections (N, COUNT) of frames (N,) put into its poses, turns as they are and not linearised.

    Rows of other frames stay as they are; `joints_m` follows the poses.
    """
    body, fit = load_body(), fitted.fit
    rotations, places = fit.joint_rotations.copy(), fit.root_translation.copy()
    for frame, value in zip(frames, np.asarray(values, np.float64)):
        row = fitted.row(int(frame))
        shift, turns = _sizes(body, fitted, row)
        places[row] += value[:SHIFTS] @ shift
        for k, name in enumerate(JOINTS):
            turn = value[SHIFTS + 3 * k:SHIFTS + 3 * k + 3] * turns[k]
            rotations[row, body.joint(name)] = rotations[row, body.joint(name)] @ rotation_from_vector(turn)
    joints = sequence_frames(body, fit.betas, rotations, places)[1]
    return replace(fit, joint_rotations=rotations, root_translation=places, joints_m=joints)


def _moves(body: Body, fitted: FittedBody, row: int, verts: np.ndarray, joints: np.ndarray) -> np.ndarray:
    """(COUNT, V, 3) metres that vertices move per unit of each number, in the fit's frame."""
    fit = fitted.fit
    frames, _ = sequence_frames(body, fit.betas, fit.joint_rotations[row][None], fit.root_translation[row][None])
    shift, turns = _sizes(body, fitted, row)
    moves = np.empty((COUNT, len(verts), 3))
    moves[:SHIFTS] = shift[:, None]
    for k, name in enumerate(JOINTS):
        joint = body.joint(name)
        arms = shares(body)[:, k, None] * (verts - joints[joint])
        for axis in range(3):
            moves[SHIFTS + 3 * k + axis] = np.cross(frames[0, joint][:, axis] * turns[k], arms)
    return moves


def _sizes(body: Body, fitted: FittedBody, row: int) -> tuple[np.ndarray, np.ndarray]:
    """What one unit is: (3, 3) metres of the three shifts, and (len(JOINTS),) radians."""
    to_picture = fitted.camera.world_to_camera[:3, :3]
    root = to_camera(fitted.fit.root_translation[row], fitted.camera)
    depth = max(float(root[2]), 0.1)
    metres_per_px = depth / np.sqrt(abs(np.linalg.det(fitted.camera.K[:2, :2])))
    nearer = -root * (metres_per_px / NEARER_LEVER_M)
    shift = np.stack([[metres_per_px, 0, 0], [0, metres_per_px, 0], nearer]) @ to_picture
    return shift, metres_per_px / levers(body)


@cache
def shares(body: Body) -> np.ndarray:
    """(V, len(JOINTS)) which share of a vertex goes along when a joint turns: the skin weights of all below it."""
    weights = np.zeros((len(body.verts), len(body.joint_names)))
    np.add.at(weights, (np.arange(len(body.verts))[:, None], body.skin_indices), body.skin_weights)
    return np.stack([weights[:, subtree(name)].sum(1) for name in JOINTS], axis=1)


@cache
def levers(body: Body) -> np.ndarray:
    """(len(JOINTS),) metres: how far from each joint lies what hangs on it, at rest (root mean square)."""
    squares = [(((body.verts - body.rest_joints[body.joint(name)]) ** 2).sum(1) * share).sum() / share.sum()
               for name, share in zip(JOINTS, shares(body).T)]
    return np.sqrt(squares)
