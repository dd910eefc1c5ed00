"""What one frame asks of the body: landmarks, limb directions, depth, the mask's outline, and their weights."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipelines.core.records import Camera, Landmarks
from pipelines.fitting.anatomy import DIRECTIONS, EXPECTED_M, LANDMARKS, Anatomy
from pipelines.fitting.equations import Goal
from pipelines.fitting.turns import exp_rotation
from pipelines.geometry.cameras import unproject

DEPTH_ERROR_M = 0.01                    # of some 120 readings together; landmarks would drag the body off them
DEPTH_KERNEL_M = 0.04
OUTLINE_ERROR_M = 0.03
OUTLINE_KERNEL_M = 0.05
STAND_ERROR_M = 0.02
FLOOR_KERNEL_M = 0.06
CLOUD_POINTS = 500
JUMP_M = 0.06                           # between neighbouring pixels: where an arm ends before the trunk
THINNING = 1.0                          # readings are kept with a chance of (pixels from the border) ** -THINNING
PIXEL_KERNEL = 4.0                      # Geman-McClure scale, in expected errors
GUESSED = 0.04                          # share of a landmark's weight that is left where the detector only guesses
LEANS_RAD = 0.05                        # measured on the legs of the studio's tuning people: 0.05 and 0.08
LIMIT_RAD = np.radians(2.0)

PAIRS = np.array([(LANDMARKS.index(a), LANDMARKS.index(b)) for a, b, _ in DIRECTIONS])
PAIR_RAD = np.array([error for *_, error in DIRECTIONS])
EXPECTED = np.array([EXPECTED_M[name.split("_")[0]] for name in LANDMARKS])


@dataclass(frozen=True, eq=False)
class State:
    """A pose in the solver's terms, in the camera's frame."""

    angles: np.ndarray                  # (Q,)
    turn: np.ndarray                    # (3, 3) of the root
    place: np.ndarray                   # (3,) metres


@dataclass(frozen=True, eq=False)
class Anchor:
    """A pose to stay close to, and how close: expected differences."""

    state: State
    angle_rad: float
    turn_rad: float
    place_m: tuple[float, float, float]


@dataclass(frozen=True, eq=False)
class Cloud:
    """Depth readings on one person."""

    points: np.ndarray                  # (C, 3) metres, camera frame
    normals: np.ndarray                 # (C, 3) unit, towards the camera


def goal_for(anatomy: Anatomy, landmarks: Landmarks, camera: Camera, depth_m: float, anchor: Anchor | None = None,
             directions: float = 1.0, kernel: float = PIXEL_KERNEL) -> Goal:
    """The landmark part of a frame's goal.

    depth_m     about how far the person is: turns pixels into metres
    directions  weight of the world landmarks' limb directions; 0 leaves them out
    kernel      of the robust losses on landmarks and directions, in expected errors
    """
    Q = len(anatomy.natural)
    trust = GUESSED + (1.0 - GUESSED) * np.clip(landmarks.confidence, 0, 1) ** 2
    inside = ((landmarks.pixels >= 0) & (landmarks.pixels < (camera.width, camera.height))).all(axis=1)
    trust = trust * np.where(inside, 1.0, 0.2)
    world = landmarks.world_m @ towards(landmarks, camera).T
    vectors = world[PAIRS[:, 1]] - world[PAIRS[:, 0]]
    lengths = np.linalg.norm(vectors, axis=1)
    direction_weight = directions * np.minimum(*trust[PAIRS].T) / PAIR_RAD * (lengths > 1e-3)
    before = anchor.state if anchor is not None else State(np.zeros(Q), np.eye(3), np.zeros(3))
    before_weight = np.full(Q, 1.0 / anchor.angle_rad if anchor is not None else 0.0)
    root_weight = np.zeros(6)
    if anchor is not None:
        root_weight[:3], root_weight[3:] = 1.0 / np.array(anchor.place_m), 1.0 / anchor.turn_rad
    return Goal(
        K=_floats(camera.K), pixels=_floats(landmarks.pixels), pixel_weight=_floats(trust / EXPECTED),
        metres_per_px=float(depth_m / np.sqrt(camera.K[0, 0] * camera.K[1, 1])), pixel_kernel=float(kernel),
        pair=PAIRS.astype(np.int64), direction=_floats(vectors / np.maximum(lengths, 1e-6)[:, None]),
        direction_weight=_floats(direction_weight), direction_kernel=float(kernel),
        stand_m=np.zeros(len(LANDMARKS)), stand_weight=np.zeros(len(LANDMARKS)),
        near=np.zeros(0, np.int64), near_normal=np.zeros((0, 3)), reading=np.zeros((0, 3)),
        reading_weight=0.0, reading_kernel=DEPTH_KERNEL_M, outside=1.0,
        prior=_floats(anatomy.natural), prior_weight=_floats(0.5 / anatomy.spread),
        lowest=_floats(anatomy.lowest), highest=_floats(anatomy.highest), limit_weight=float(1.0 / LIMIT_RAD),
        before=_floats(before.angles), before_weight=before_weight, before_turn=_floats(before.turn),
        before_place=_floats(before.place), before_root_weight=root_weight,
        outline=np.zeros(0, np.int64), outline_target=np.zeros((0, 2)), outline_normal=np.zeros((0, 2)),
        outline_weight=0.0, outline_kernel=OUTLINE_KERNEL_M,
        sole=np.zeros(0, np.int64), sole_weight=np.zeros(0), sole_kernel=FLOOR_KERNEL_M, floor=np.zeros(4))


def with_depth(goal: Goal, cloud: Cloud, near: np.ndarray, normals: np.ndarray) -> Goal:
    """Adds depth readings, each beside a surface point; world landmarks only disturb them, so they go.

    near     (C,) surface point beside each reading, -1 = none
    normals  (V, 3) of the posed surface
    """
    # A reading counts less than a landmark: there are hundreds, and their errors (cloth) are of one kind.
    used = max(int((near >= 0).sum()), 1)
    weight = np.sqrt(120.0 / max(used, 120)) / DEPTH_ERROR_M
    return goal._replace(near=near, near_normal=_floats(normals[np.maximum(near, 0)]), reading=_floats(cloud.points),
                         reading_weight=float(weight), direction_weight=np.zeros_like(goal.direction_weight))


def with_outline(goal: Goal, outline: tuple[np.ndarray, np.ndarray, np.ndarray]) -> Goal:
    """Adds points on the body's outline with the place where the mask ends beside them (see `outline.py`)."""
    points, targets, normals = outline
    weight = np.sqrt(60.0 / max(len(points), 60)) / OUTLINE_ERROR_M
    return goal._replace(outline=points.astype(np.int64), outline_target=_floats(targets),
                         outline_normal=_floats(normals), outline_weight=float(weight))


def with_standing(goal: Goal, depths_m: np.ndarray, error_m: float = STAND_ERROR_M) -> Goal:
    """Adds landmarks' distances, of feet that stand still: depths_m (33,) along the camera's axis, NaN = not known."""
    known = np.isfinite(depths_m)
    return goal._replace(stand_m=_floats(np.where(known, depths_m, 0.0)), stand_weight=_floats(known / error_m))


def with_directions(goal: Goal, pairs: np.ndarray, directions: np.ndarray, error_rad: float) -> Goal:
    """Adds directions (N, 3) from landmark to landmark, pairs (N, 2)."""
    return goal._replace(
        pair=np.concatenate([goal.pair, pairs.astype(np.int64)]),
        direction=_floats(np.concatenate([goal.direction, directions])),
        direction_weight=_floats(np.concatenate([goal.direction_weight, np.full(len(pairs), 1.0 / error_rad)])))


def with_floor(goal: Goal, soles: np.ndarray, weights: np.ndarray, floor: np.ndarray) -> Goal:
    """Adds surface points (B,) that lie on the floor, 1 / metres (B,); floor (4,): its unit normal and offset."""
    return goal._replace(sole=soles.astype(np.int64), sole_weight=_floats(weights), floor=_floats(floor))


def towards(landmarks: Landmarks, camera: Camera) -> np.ndarray:
    """(3, 3) from MediaPipe's world axes to the camera's.

    It sees the person in a crop of its own, as if looked at straight: the axes turn with the ray to the hips. And it
    sees everybody leaning towards the camera, feet too far away and heads too near, by `LEANS_RAD`.
    """
    hips = landmarks.pixels[[23, 24]].mean(axis=0)
    ray = np.linalg.inv(camera.K) @ np.array([hips[0], hips[1], 1.0])
    ray /= np.linalg.norm(ray)
    across = np.hypot(ray[0], ray[1])
    axis = np.array([-ray[1], ray[0], 0.0]) / max(across, 1e-12)
    upright = exp_rotation(np.array([-LEANS_RAD, 0.0, 0.0]))
    return exp_rotation(axis * np.arctan2(across, ray[2])) @ upright


def cloud_from(depth_m: np.ndarray, mask: np.ndarray, camera: Camera, seed: int = 0) -> Cloud:
    """Readings on the person, thinned out: the closer to a border, the more stay, so limbs get as many as the trunk.

    depth_m  (H, W) metres, 0 = none; mask (H, W) 0..1; its border is left out, where readings mix with the background
    returns  `CLOUD_POINTS` at most; the first N of them are a sample of N made the same way
    source   sampling with weights: Efraimidis and Spirakis, Information Processing Letters 97(5), 2006
    """
    import cv2

    inner = cv2.erode((mask > 0.5).astype(np.uint8), np.ones((5, 5), np.uint8)).astype(bool)
    smooth = cv2.medianBlur(depth_m.astype(np.float32), 5)
    good = inner & (depth_m > 0.2) & (smooth > 0.2)
    if good.sum() < 50:
        return Cloud(np.zeros((0, 3)), np.zeros((0, 3)))
    middle = np.median(depth_m[good])
    good &= np.abs(depth_m - middle) < 1.0
    h, w = depth_m.shape
    step = max(2, round(np.sqrt(good.sum() / 5000.0)))
    filled = cv2.GaussianBlur(np.where(good, smooth, 0).astype(np.float32), (0, 0), step)
    share = cv2.GaussianBlur(good.astype(np.float32), (0, 0), step)
    calm = filled / np.maximum(share, 1e-3)
    v, u = np.mgrid[0:h, 0:w]
    dense = unproject(np.stack([u + 0.5, v + 0.5], -1), calm, camera)
    across, down = np.zeros_like(dense), np.zeros_like(dense)
    across[:, step:-step] = dense[:, 2 * step:] - dense[:, :-2 * step]
    down[step:-step] = dense[2 * step:] - dense[:-2 * step]
    rows, columns = np.nonzero(good & (np.abs(calm - depth_m) < 0.05))
    fill = np.where(good, smooth, middle).astype(np.float32)
    jump = cv2.dilate(fill, np.ones((3, 3))) - cv2.erode(fill, np.ones((3, 3))) > JUMP_M
    inside_px = cv2.distanceTransform((good & ~jump).astype(np.uint8), cv2.DIST_L2, 3)[rows, columns]
    chance = np.random.default_rng(seed).exponential(np.maximum(inside_px, 1.0) ** THINNING)
    picked = np.argsort(chance)[:CLOUD_POINTS]
    rows, columns = rows[picked], columns[picked]
    normals = np.cross(down[rows, columns], across[rows, columns])
    lengths = np.linalg.norm(normals, axis=1)
    points = unproject(np.stack([columns + 0.5, rows + 0.5], -1), depth_m[rows, columns].astype(float), camera)
    normals /= np.maximum(lengths, 1e-12)[:, None]
    normals *= -np.sign((normals * points).sum(axis=1, keepdims=True))
    keep = lengths > 1e-9
    return Cloud(np.ascontiguousarray(points[keep]), np.ascontiguousarray(normals[keep]))


def _floats(values: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(values, np.float64)
