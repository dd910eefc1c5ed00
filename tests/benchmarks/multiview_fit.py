"""A fit from one camera, judged by three others that saw the same movement.

    python tests/benchmarks/multiview_fit.py ../shared/data/multiview/pose2sim_single cam01

The recording is one of Pose2Sim's: clips camNN.mp4 taken at once, and Qualisys' calibration of all cameras, whose
focal lengths and lens distortion the fit is given (pictures are undistorted first). The person's height is not written
down; a user would know it, so it is told by the limb lengths that all views together give. The fitted body's twelve
limb landmarks are moved by one rigid transform for the whole clip onto the triangulated ones, projected into the other
views, and compared with what MediaPipe sees there. Before that, triangulation shows that the calibration is read
rightly, and what MediaPipe's views leave when nothing is fitted; `fit_at_true_depth` is what would remain of the fit
if it had the triangulated landmarks' depths, which one camera does not see.
"""

from __future__ import annotations

import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import av
import cv2
import numpy as np

from pipelines.core.records import BodyFit, Camera, Frame
from pipelines.core.stage import Job, Progress
from pipelines.core.storage import read_fit
from pipelines.fit import STAGE as FIT
from pipelines.fitting.anatomy import LANDMARKS, load_anatomy
from pipelines.geometry.cameras import project
from pipelines.keypoints import STAGE as KEYPOINTS
from pipelines.keypoints import KeypointOptions
from pipelines.media.recording import RecordingWriter

LIMBS = [LANDMARKS.index(f"{part}_{side}") for part in ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")
         for side in "lr"]
LENGTHS = [("shoulder", "elbow"), ("elbow", "wrist"), ("hip", "knee"), ("knee", "ankle"), ("shoulder", "hip")]
SURE = 0.6                              # confidence of a landmark that is compared
AGREE = 0.04                            # of the height: views that miss a point by more do not mean the same one
SUBPIXELS = 64.0                        # Qualisys counts pixels in 64ths


@dataclass(frozen=True, eq=False)
class View:
    """One camera: its clip, and what MediaPipe sees in it."""

    name: str
    camera: Camera                      # world_to_camera in metres
    capture: Path
    pixels: np.ndarray                  # (F, 33, 2) undistorted
    confidence: np.ndarray              # (F, 33) 0 where the person was not found


def qualisys_cameras(path: Path) -> dict[str, Camera]:
    """Cameras by name. Positions are in mm; the rows of the matrix are the camera's axes (right, up, backwards)."""
    cameras = {}
    for each in ElementTree.parse(path).getroot().iter("camera"):
        lens, place = (dict((k, float(v)) for k, v in each.find(tag).attrib.items())  # type: ignore[union-attr]
                       for tag in ("intrinsic", "transform"))
        box = {k: int(v) for k, v in each.find("fov_video").attrib.items()}           # type: ignore[union-attr]
        axes = np.array([[place[f"r{row}{column}"] for column in (1, 2, 3)] for row in (1, 2, 3)])
        turn = np.diag([1.0, -1.0, -1.0]) @ axes
        placed = np.eye(4)
        placed[:3, :3], placed[:3, 3] = turn, -turn @ np.array([place["x"], place["y"], place["z"]]) / 1000.0
        K = np.array([[lens["focalLengthU"], 0, lens["centerPointU"]], [0, lens["focalLengthV"], lens["centerPointV"]],
                      [0, 0, SUBPIXELS]]) / SUBPIXELS
        distortion = np.array([lens["radialDistortion1"], lens["radialDistortion2"], lens["tangentalDistortion1"],
                               lens["tangentalDistortion2"], lens["radialDistortion3"]])
        cameras[each.attrib["serial"]] = Camera(K, box["right"] + 1, box["bottom"] + 1, placed, distortion)
    return cameras


def capture_view(clip: Path, camera: Camera, folder: Path, height_m: float | None) -> Camera:
    """Writes the clip, undistorted, as a recording; returns its camera, as wide as the clip is."""
    with av.open(str(clip)) as video:
        stream = video.streams.video[0]
        fps = float(stream.average_rate or 60)
        seen = Camera(camera.K, stream.width, stream.height, camera.world_to_camera)
        writer = RecordingWriter(folder, Camera(camera.K, stream.width, stream.height))
        pixel = camera.K.copy()
        pixel[:2, 2] -= 0.5             # OpenCV counts from the centre of the first pixel
        for index, frame in enumerate(video.decode(stream)):
            image = cv2.undistort(frame.to_ndarray(format="rgb24"), pixel, camera.distortion)
            writer.add(Frame(index, index / fps, image))
    writer.close(fps=fps, height_m=height_m, intrinsics_from="the calibration", intrinsics_known=True, track=None)
    return seen


def read_view(name: str, clip: Path, camera: Camera, folder: Path) -> View:
    """Runs capture and keypoints."""
    capture, keypoints = folder / "capture", folder / "keypoints"
    seen = capture_view(clip, camera, capture, None)
    keypoints.mkdir()
    KEYPOINTS.run(Job(keypoints, KeypointOptions(), {"capture": capture}, Progress()))
    with np.load(keypoints / "keypoints.npz") as stored:
        return View(name, seen, folder, stored["pixels"], stored["confidence"] * stored["found"][:, None])


def triangulate(views: list[View], height_m: float = 1.7) -> np.ndarray:
    """(F, 33, 3) metres, world frame; NaN where fewer than three views are sure, or three agree.

    Where all views together do not agree, the three that do are believed: one of them may take the left arm for the
    right one, or not see it.
    height_m  of the person, about: what `AGREE` is a share of
    """
    frames = min(len(view.pixels) for view in views)
    points = np.full((frames, len(LANDMARKS), 3), np.nan)
    for row in range(frames):
        for mark in range(len(LANDMARKS)):
            sure = [view for view in views if view.confidence[row, mark] > SURE]
            if len(sure) < 3:
                continue
            point, miss_m = seen_by(sure, row, mark)
            if miss_m > AGREE * height_m and len(sure) > 3:
                point, miss_m = min((seen_by([view for view in sure if view is not one], row, mark) for one in sure),
                                    key=lambda told: told[1])
            if miss_m <= AGREE * height_m:
                points[row, mark] = point
    return points


def seen_by(views: list[View], row: int, mark: int) -> tuple[np.ndarray, float]:
    """(3,) where a landmark is by linear triangulation, and by how many metres the worst view misses it.

    source  Hartley and Zisserman, Multiple View Geometry, 2nd ed., section 12.2
    """
    A, lenses = [], [view.camera.K @ view.camera.world_to_camera[:3] for view in views]
    for P, view in zip(lenses, views):
        x, y = view.pixels[row, mark]
        A += [(x * P[2] - P[0]) / view.camera.K[0, 0], (y * P[2] - P[1]) / view.camera.K[0, 0]]
    X = np.linalg.svd(np.array(A))[2][-1]
    misses = []
    for P, view in zip(lenses, views):
        u, v, depth_m = P @ (X / X[3])
        away = np.hypot(u / depth_m - view.pixels[row, mark, 0], v / depth_m - view.pixels[row, mark, 1])
        misses.append(float(away * abs(depth_m) / view.camera.K[0, 0]))
    return X[:3] / X[3], max(misses)


def limb_lengths(points: np.ndarray) -> float:
    """Metres, all compared limbs together; points (..., 33, 3), medians over frames."""
    return sum(float(np.nanmedian(np.linalg.norm(points[..., LANDMARKS.index(f"{a}_{s}"), :]
                                                 - points[..., LANDMARKS.index(f"{b}_{s}"), :], axis=-1)))
               for a, b in LENGTHS for s in "lr")


def body_marks(betas: np.ndarray, joint_rotations: np.ndarray, joints_m: np.ndarray) -> np.ndarray:
    """(F, 33, 3) where a posed body has MediaPipe's landmarks; joint_rotations (F, J, 3, 3), joints_m (F, J, 3)."""
    anatomy = load_anatomy()
    turned = joint_rotations.copy()
    for joint, parent in enumerate(anatomy.body.parents):
        if parent >= 0:
            turned[:, joint] = turned[:, parent] @ joint_rotations[:, joint]
    offsets = anatomy.mark_offset + np.tensordot(betas, anatomy.mark_dirs, axes=1)      # (33, M, 3)
    which = anatomy.mark_joint
    placed = np.einsum("fmkab,mkb->fmka", turned[:, which], offsets) + joints_m[:, which]
    return np.asarray((placed * anatomy.mark_weight[None, ..., None]).sum(axis=2))


def height_from(limbs_m: float) -> float:
    """The height of a body of usual proportions with such limbs."""
    from pipelines.body.model import betas_for_height, rest_body

    body = load_anatomy().body
    betas = betas_for_height(body, 1.75)
    _, joints = rest_body(body, betas)
    rest = body_marks(betas, np.tile(np.eye(3), (1, len(joints), 1, 1)), joints[None])
    return 1.75 * limbs_m / limb_lengths(rest)


def rigid(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rotation and translation that bring points a (N, 3) closest to b (Kabsch 1976)."""
    U, _, Vt = np.linalg.svd((b - b.mean(axis=0)).T @ (a - a.mean(axis=0)))
    turn = U @ np.diag([1, 1, np.sign(np.linalg.det(U @ Vt))]) @ Vt
    return turn, b.mean(axis=0) - turn @ a.mean(axis=0)


def shares_of_height(points: np.ndarray, view: View, height_m: float) -> np.ndarray:
    """Distances of world points (F, 33, 3) from what the view sees, over the person's height in it; sure ones only."""
    shown = project(points[:, LIMBS], view.camera)
    rows = len(points)
    away = np.linalg.norm(shown - view.pixels[:rows, LIMBS], axis=-1)
    seen = points[:, LIMBS] @ view.camera.world_to_camera[:3, :3].T + view.camera.world_to_camera[:3, 3]
    height_px = height_m * view.camera.K[1, 1] / np.nanmedian(seen[..., 2], axis=1, keepdims=True)
    good = (view.confidence[:rows, LIMBS] > SURE) & np.isfinite(away)
    return np.asarray((away / height_px)[good])


def at_depths_of(points: np.ndarray, others: np.ndarray, camera: Camera) -> np.ndarray:
    """World points moved along the camera's rays to the depths of others, both (F, 33, 3); NaN where others are."""
    turn, shift = camera.world_to_camera[:3, :3], camera.world_to_camera[:3, 3]
    seen, depth_m = points @ turn.T + shift, (others @ turn.T + shift)[..., 2:]
    return np.asarray((seen * depth_m / seen[..., 2:] - shift) @ turn)


def fit_view(view: View, height_m: float) -> BodyFit:
    """The fit stage on one view."""
    folder = view.capture / "fit"
    folder.mkdir()
    FIT.run(Job(folder, FIT.Options(accept=True), {"capture": view.capture / "capture",
                                                   "keypoints": view.capture / "keypoints"}, Progress()))
    return read_fit(folder / "fit.npz")


def with_height(view: View, height_m: float) -> None:
    """Writes the person's height into the view's recording."""
    from pipelines.core.storage import read_json, write_json

    path = view.capture / "capture" / "capture.json"
    write_json(path, {**read_json(path), "height_m": height_m})


def measure(data: Path, fitted: str, work: Path) -> dict[str, float]:
    """Medians as percent of the person's height: triangulation, and the fit in each other view."""
    cameras = qualisys_cameras(data / "Calib.qca.txt")
    views = [read_view(name, data / f"{name}.mp4", camera, work / name) for name, camera in sorted(cameras.items())]
    points = triangulate(views)
    height_m = height_from(limb_lengths(points))
    figures = {"height_m": height_m}
    for view in views:
        figures[f"triangulated_{view.name}_percent"] = 100 * float(np.median(shares_of_height(points, view, height_m)))
    one = next(view for view in views if view.name == fitted)
    with_height(one, height_m)
    fit = fit_view(one, height_m)
    marks = body_marks(fit.betas, fit.joint_rotations, fit.joints_m)[:len(points)]
    known = np.isfinite(points[:, LIMBS]).all(axis=-1) & fit.ok[:len(points), None]
    turn, shift = rigid(marks[:, LIMBS][known], points[:, LIMBS][known])
    world = marks @ turn.T + shift
    back = np.linalg.inv(one.camera.world_to_camera)
    plain = marks @ back[:3, :3].T + back[:3, 3]
    away_mm = 1000 * np.linalg.norm(world[:, LIMBS] - points[:, LIMBS], axis=-1)[known]
    figures |= {"joints_mm_mean": float(away_mm.mean()), "joints_mm_p95": float(np.percentile(away_mm, 95)),
                "trusted_share": float(fit.ok.mean())}
    floor = at_depths_of(world, points, one.camera)
    figures["fit_at_true_depth_percent"] = 100 * float(np.median(np.concatenate(
        [shares_of_height(floor, view, height_m) for view in views if view is not one])))
    shares = []
    for view in views:
        share = shares_of_height(world, view, height_m)
        shares += [share] if view is not one else []
        figures[f"fit_{view.name}_percent"] = 100 * float(np.median(share))
        figures[f"unaligned_{view.name}_percent"] = 100 * float(np.median(shares_of_height(plain, view, height_m)))
    figures["fit_other_views_percent"] = 100 * float(np.median(np.concatenate(shares)))
    return figures


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        told = measure(Path(sys.argv[1]), sys.argv[2], Path(scratch if len(sys.argv) < 4 else sys.argv[3]))
    for key, value in told.items():
        sys.stdout.write(f"{key:32s} {value:.3f}\n")
