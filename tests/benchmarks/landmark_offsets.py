"""Where MediaPipe sees joints, feet and faces, beside where synthetic people have them: the fit's `SHIFT_CM`.

    python tests/benchmarks/landmark_offsets.py WORKSPACE ada-capture ben-capture ada-walk ben-walk

Reads captures with truth and their keypoints; recordings of other workspaces are named WORKSPACE:PERSON. Each
landmark is taken as its joint, or its place on the surface (nose, eyes, ears, mouth, heels, toes), plus an offset that
turns with the bones that carry it. The offset (both sides together) is the robust least-squares answer over all frames
of all recordings. Printed for each:

offset   outwards, up and forwards in the bone's rest pose, centimetres: a line of `SHIFT_CM`
error    what remains across the line of sight, standard deviation in each of the picture's directions: `EXPECTED_M`
alone    what would remain if each recording had an offset of its own
"""

from __future__ import annotations

import sys
from dataclasses import dataclass

import numpy as np

from pipelines.body.model import load_body, sequence_frames
from pipelines.core.storage import read_npz
from pipelines.core.workspace import Workspace, newest_version
from pipelines.fit import read_landmarks
from pipelines.fitting.anatomy import AT_JOINTS, LANDMARKS, SHIFT_CM, _on_surface
from pipelines.media.recording import Recording

SURE = 0.6                              # landmarks less sure say little about the definition
KERNEL_M = 0.05                         # Cauchy; an arm that was mistaken for the other one is no offset
HELD_M = 0.05                           # expected size of an offset: one along the line of sight is hardly seen
PARTS = {name: sorted({mark.rpartition("_")[0] or mark for mark in LANDMARKS
                       if (mark.rpartition("_")[0] or mark).split("_")[0] == name}) for name in SHIFT_CM}


@dataclass(frozen=True, eq=False)
class Truth:
    """One recording: what was seen, and where everything was."""

    pixels: np.ndarray                  # (F, 33, 2)
    sure: np.ndarray                    # (F, 33) bool
    K: np.ndarray                       # (3, 3)
    joint_names: tuple[str, ...]
    joints_m: np.ndarray                # (F, J, 3) camera frame
    verts_m: np.ndarray                 # (F, V, 3)
    turns: np.ndarray                   # (F, J, 3, 3) of all joints in the camera's frame


def read_truth(workspace: Workspace, person: str) -> Truth:
    """A synthetic recording and its keypoints."""
    capture, keypoints = (newest_version(workspace.person_place(person, stage)) for stage in ("capture", "keypoints"))
    if capture is None or keypoints is None:
        raise SystemExit(f"{person} has no keypoints in {workspace.root}: run anr keypoints --person {person} first.")
    told = read_npz(capture.folder / "truth.npz",
                    ("joint_names", "joints_m", "joint_rotations", "root_translation", "vertices_m"))
    marks, found = read_landmarks(keypoints.folder)
    body = load_body()
    turns, _ = sequence_frames(body, np.zeros(0), told["joint_rotations"], told["root_translation"])
    confidence = np.array([mark.confidence for mark in marks])
    return Truth(np.array([mark.pixels for mark in marks]), (confidence > SURE) & found[:, None],
                 Recording(capture.folder).camera.K, tuple(str(name) for name in told["joint_names"]),
                 told["joints_m"], told["vertices_m"], turns)


def placed(truth: Truth, part: str, side: str) -> tuple[np.ndarray, np.ndarray]:
    """Where a landmark's joint or place on the surface is (F, 3), and how what carries it is turned (F, 3, 3)."""
    names = list(truth.joint_names)
    if part in AT_JOINTS:
        at, carrier = AT_JOINTS[part]
        where = truth.joints_m[:, [names.index(f"{name}.{side.upper()}") for name in at]].mean(axis=1)
        return where, truth.turns[:, names.index(f"{carrier}.{side.upper()}")]
    body = load_body()
    verts, shares = _on_surface(body, part, side)
    weights = np.zeros(len(names))
    np.add.at(weights, body.skin_indices[verts], shares[:, None] * body.skin_weights[verts])
    return np.einsum("v,fva->fa", shares, truth.verts_m[:, verts]), np.einsum("j,fjab->fab", weights, truth.turns)


def equations(truth: Truth, part: str, side: str) -> tuple[np.ndarray, np.ndarray]:
    """A (2 F, 3) and b (2 F,): A @ offset = b in metres across the line of sight; sideways is outwards."""
    n = LANDMARKS.index(f"{part}_{side}" if side else part)
    sure = truth.sure[:, n]
    at, turned = placed(truth, part, side)
    rays = (truth.pixels[sure, n] - truth.K[:2, 2]) / np.diag(truth.K)[:2]
    A = turned[sure, :2] - rays[:, :, None] * turned[sure, 2:]
    A = A * [0.0 if not side else -1.0 if side == "r" else 1.0, 1.0, 1.0]      # the nose is in the middle
    return A.reshape(-1, 3), (rays * at[sure, 2:] - at[sure, :2]).ravel()


def robust_offset(A: np.ndarray, b: np.ndarray) -> np.ndarray:
    """(3,) by iteratively reweighted least squares with the Cauchy loss (Huber, Robust Statistics, 1981)."""
    offset, weight = np.zeros(3), np.ones(len(b))
    error_m = 0.01
    for _ in range(20):
        H = (A.T * weight) @ A / error_m ** 2 + np.eye(3) / HELD_M ** 2
        offset = np.linalg.solve(H, (A.T * weight) @ b / error_m ** 2)
        off = (b - A @ offset).reshape(-1, 2)
        weight = np.repeat(1.0 / (1.0 + (off ** 2).sum(axis=1) / KERNEL_M ** 2), 2)
    return offset


def main(root: str, people: list[str]) -> None:
    truths = []
    for person in people:
        place, _, name = person.rpartition(":")
        truths.append(read_truth(Workspace(place or root), name))
    for name, parts in PARTS.items():
        rows = []
        for truth in truths:
            both = [equations(truth, part, side) for part in parts for side in (("",) if part == "nose" else "lr")]
            rows.append((np.concatenate([A for A, _ in both]), np.concatenate([b for _, b in both])))
        A, b = np.concatenate([a for a, _ in rows]), np.concatenate([b for _, b in rows])
        offset = robust_offset(A, b)
        left, alone = b - A @ offset, np.concatenate([b - A @ robust_offset(A, b) for A, b in rows])
        sys.stdout.write(f'    "{name}": ({", ".join(f"{100 * value:.1f}" for value in offset)}),'.ljust(34)
                         + f"# error {1000 * np.sqrt((left ** 2).mean()):4.1f} mm, alone "
                           f"{1000 * np.sqrt((alone ** 2).mean()):4.1f} mm, {len(b) // 2} landmarks\n")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
