"""Where MediaPipe sees joints, beside where synthetic people have them: the table `SHIFT_CM` of the fit's anatomy.

    python tests/benchmarks/landmark_offsets.py WORKSPACE ada-capture ben-capture ada-walk ben-walk

Reads captures with truth and their keypoints. Each landmark is taken as its joint plus an offset that turns with the
bone that carries it; the offset (both sides together) is the least-squares answer over all frames of all recordings,
and what remains is the landmark's expected error (`EXPECTED_M`).
"""

from __future__ import annotations

import sys

import numpy as np

from pipelines.body.model import load_body
from pipelines.core.storage import read_npz
from pipelines.core.workspace import Workspace, newest_version
from pipelines.fit import read_landmarks
from pipelines.fitting.anatomy import AT_JOINTS, LANDMARKS
from pipelines.media.recording import Recording

SURE = 0.6                              # landmarks less sure say little about the definition


def turned_frames(rotations: np.ndarray, parents: np.ndarray) -> np.ndarray:
    """(F, J, 3, 3) rotations of all joints in the camera's frame."""
    frames = rotations.copy()
    for j, parent in enumerate(parents):
        if parent >= 0:
            frames[:, j] = frames[:, parent] @ rotations[:, j]
    return frames


def equations(workspace: Workspace, person: str, landmark: str) -> tuple[np.ndarray, np.ndarray]:
    """A (2 F, 3) and b (2 F,): A @ offset = b in metres across the line of sight, for one recording."""
    part, _, side = landmark.rpartition("_")
    names, carrier = AT_JOINTS[part]
    capture, keypoints = (newest_version(workspace.person_place(person, stage)) for stage in ("capture", "keypoints"))
    assert capture is not None and keypoints is not None
    truth = read_npz(capture.folder / "truth.npz", ("joint_names", "joints_m", "joint_rotations"))
    marks, _ = read_landmarks(keypoints.folder)
    n = LANDMARKS.index(landmark)
    sure = np.array([mark.confidence[n] > SURE for mark in marks])
    joints = [str(name) for name in truth["joint_names"]]
    at = truth["joints_m"][:, [joints.index(f"{name}.{side.upper()}") for name in names]].mean(axis=1)[sure]
    by = joints.index(f"{carrier}.{side.upper()}")
    frames = turned_frames(truth["joint_rotations"], load_body().parents)[sure, by]
    K = Recording(capture.folder).camera.K
    rays = (np.array([mark.pixels[n] for mark in marks])[sure] - K[:2, 2]) / np.diag(K)[:2]
    A = frames[:, :2] - rays[:, :, None] * frames[:, 2:]
    A = A * [-1.0 if side == "r" else 1.0, 1.0, 1.0]        # sideways is outwards on both sides
    return A.reshape(-1, 3), (rays * at[:, 2:] - at[:, :2]).ravel()


def main(root: str, people: list[str]) -> None:
    workspace = Workspace(root)
    for part in AT_JOINTS:
        rows = [equations(workspace, person, f"{part}_{side}") for person in people for side in "lr"]
        A, b = np.concatenate([a for a, _ in rows]), np.concatenate([b for _, b in rows])
        offset = np.linalg.lstsq(A, b, rcond=None)[0]
        left = 1000 * (b - A @ offset)
        sys.stdout.write(f"{part:10} {np.round(100 * offset, 1).tolist()} cm, error {left.std():.0f} mm, "
                         f"{len(b) // 2} landmarks\n")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
