"""Fits one body to a whole clip: a start per frame, one shape for all, two passes over time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from pipelines.body.model import betas_for_height, rest_body
from pipelines.body.surface import vertex_normals
from pipelines.core.records import BodyFit, BodyPose, Camera, Landmarks
from pipelines.fitting.anatomy import LANDMARKS, LIMB_JOINTS, Anatomy, load_anatomy
from pipelines.fitting.calibration import GUESSED_HEIGHT_ERROR_M, HEIGHT_ERROR_M, solve_shape
from pipelines.fitting.descent import solve_frame
from pipelines.fitting.equations import Goal
from pipelines.fitting.matching import associate
from pipelines.fitting.outline import Outline, beside_outline, outlined_verts
from pipelines.fitting.posing import forward, place_points, skinned_normals
from pipelines.fitting.residuals import Anchor, Cloud, State, goal_for, towards, with_depth, with_outline, with_standing
from pipelines.fitting.smoothing import calmer_when_slow, longest_gaps, smooth
from pipelines.fitting.standing import standing_depths, standing_runs

GATE_M = 0.12                           # depth readings farther from the body are not the body
SHAPE_FRAMES = 24
SHAPE_ROUNDS = 4
SETTLING_PASSES = 2
DOUBTFUL_COST = 60.0                    # of the landmarks alone; beyond it a frame is also tried afresh
BRIDGE_S = 0.5
LOST_SHARE = 0.10                       # landmark error over person height beyond which a frame is not trusted
TORSO = [LANDMARKS.index(name) for name in ("shoulder_l", "shoulder_r", "hip_l", "hip_r")]
JUDGED = [LANDMARKS.index(f"{name}_{side}") for name in ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")
          for side in "lr"]

Track = Callable[[Iterable[int], str, int], Iterable[int]]


@dataclass(frozen=True, eq=False)
class Sight:
    """What is seen of the person in one frame."""

    landmarks: Landmarks
    cloud: Cloud | None = None
    outline: Outline | None = None


@dataclass(frozen=True, eq=False)
class Clip:
    """Everything the fit looks at."""

    camera: Camera
    times_s: np.ndarray                 # (F,)
    landmarks: Sequence[Landmarks]      # F
    found: np.ndarray                   # (F,) bool
    height_m: float                     # the person's, from sole to crown
    height_known: bool                  # False: a guess that depth readings may correct
    cloud: Callable[[int], Cloud | None]   # depth readings of a frame, None without depth
    outline: Callable[[int], Outline | None]   # border of the person mask
    smooth_s: float                     # width of the smoothing over time


def fit_clip(clip: Clip, track: Track) -> BodyFit:
    """Fits the body; every row of the answer is finite, `ok` says which to trust.

    track  wraps loops for a progress bar: track(rows, label, total)
    """
    anatomy = load_anatomy()
    rows = np.flatnonzero(clip.found)
    sights = {int(row): Sight(clip.landmarks[row], clip.cloud(row), clip.outline(row))
              for row in track(rows, "Reading masks and depth", len(rows))}
    betas = _shape_of(anatomy, clip, sights, track)
    model = Model(anatomy, betas, clip.camera)
    limbs = [anatomy.body.joint(name) for name in LIMB_JOINTS]
    frame_s = float(np.median(np.diff(clip.times_s))) if len(clip.times_s) > 1 else 0.04

    states: list[State | None] = [None] * len(clip.found)
    last: State | None = None
    last_row = -1
    for row in track(rows, "Fitting poses", len(rows)):
        fresh = last is None or clip.times_s[row] - clip.times_s[last_row] > BRIDGE_S
        gap = max(1.0, (clip.times_s[row] - clip.times_s[last_row]) / 0.04) if not fresh else 1.0
        last = model.fit(sights[row], None if fresh else last, gap)
        states[row], last_row = last, row

    whole = _filled(states)
    trust = clip.found.astype(float)
    runs = standing_runs(clip.landmarks, clip.found, clip.times_s, np.array([_height_px(clip, s) for s in whole]))
    for _ in range(SETTLING_PASSES):
        trust = clip.found * _steadiness(model, whole, trust, clip, frame_s)
        calm = smooth(whole, trust, clip.times_s, max(clip.smooth_s, 1.2 * frame_s))
        stand = standing_depths(runs, np.array([model.marks_m(state) for state in calm]))
        whole = list(calm)
        for row in track(rows, "Settling poses", len(rows)):
            whole[row] = model.settle(sights[row], calm[row], stand[row] if sights[row].cloud is None else None)
    trust = clip.found * _steadiness(model, whole, trust, clip, frame_s)
    calm = smooth(whole, trust, clip.times_s, clip.smooth_s)
    sigmas = calmer_when_slow(np.array([model.joints(state) for state in calm])[:, limbs], clip.times_s, clip.smooth_s)
    whole = smooth(whole, trust, clip.times_s, sigmas)
    return _answer(model, whole, trust, clip, sights)


class Model:
    """One person's body before the camera: fits poses to frames."""

    def __init__(self, anatomy: Anatomy, betas: np.ndarray, camera: Camera) -> None:
        self.anatomy, self.betas, self.camera = anatomy, betas, camera
        self.rig, self.marks, self.skin = anatomy.at(betas)
        verts, _ = rest_body(anatomy.body, betas)
        self.rest_normals = np.ascontiguousarray(vertex_normals(verts, anatomy.body.faces), float)
        self.outlined = outlined_verts(anatomy.body)
        self.free = np.zeros(6 + len(anatomy.natural), bool)
        self.only_root = np.ones_like(self.free)
        self.only_root[:6] = False

    def fit(self, sight: Sight, before: State | None, gap: float = 1.0) -> State:
        """A frame's pose, from the frame before (`gap` times 40 ms ago) or afresh; the better of the two."""
        starts = []
        if before is not None:
            anchor = Anchor(before, np.radians(25) * gap, np.radians(30) * gap, (0.15 * gap, 0.15 * gap, 0.1 * gap))
            starts.append(self._descend(sight, before, anchor, 8))
        if not starts or starts[0][1] > DOUBTFUL_COST:
            starts.append(self._descend(sight, self.start(sight.landmarks), None, 25))
        state = min(starts, key=lambda item: item[1])[0]
        for _ in range(3 if sight.cloud is not None else 0):
            state = self._solve(self.goal(sight, state, None), state, self.free, 4)[0]
        return state

    def settle(self, sight: Sight, calm: State, stand_m: np.ndarray | None = None) -> State:
        """A frame's pose once more, held by the smoothed track where the frame itself says little.

        stand_m  (33,) depths of landmarks that stand still, NaN for others
        """
        anchor = Anchor(calm, np.radians(9), np.radians(9), (0.04, 0.04, 0.03))
        state = calm
        for _ in range(2):
            goal = self.goal(sight, state, anchor)
            if stand_m is not None:
                goal = with_standing(goal, stand_m)
            state = self._solve(goal, state, self.free, 3)[0]
        return state

    def goal(self, sight: Sight, state: State, anchor: Anchor | None) -> Goal:
        """All a frame asks for, surface points chosen where the state has the body."""
        goal = goal_for(self.anatomy, sight.landmarks, self.camera, state.place[2], anchor)
        if sight.cloud is None and sight.outline is None:
            return goal
        skin, normals = self.surface(state)
        if sight.cloud is not None and len(sight.cloud.points):
            near = associate(sight.cloud.points, sight.cloud.normals, skin, normals, GATE_M)
            goal = with_depth(goal, sight.cloud, near, normals)
        if sight.outline is not None and len(sight.outline.points):
            goal = with_outline(goal, beside_outline(sight.outline, skin, normals, self.outlined, self.camera,
                                                     goal.metres_per_px))
        return goal

    def surface(self, state: State) -> tuple[np.ndarray, np.ndarray]:
        """Points and unit normals (V, 3) of the posed surface."""
        _, G, p, _ = forward(self.rig, state.angles, state.turn, state.place)
        return place_points(self.skin, G, p), skinned_normals(self.skin, self.rest_normals, G)

    def start(self, landmarks: Landmarks) -> State:
        """Where the torso's world landmarks and its size in the picture put the body; limbs hang naturally."""
        world = landmarks.world_m[TORSO] @ towards(landmarks, self.camera).T
        angles = self.anatomy.natural.copy()
        _, G, p, _ = forward(self.rig, angles, np.eye(3), np.zeros(3))
        body = place_points(self.marks, G, p)
        turn = _rotation_of(body[TORSO] - body[TORSO].mean(axis=0), world - world.mean(axis=0))
        state = State(angles, turn, self._place(body @ turn.T, landmarks))
        goal = goal_for(self.anatomy, landmarks, self.camera, state.place[2], kernel=10.0)
        return self._solve(goal, state, self.only_root, 8)[0]

    def _place(self, body: np.ndarray, landmarks: Landmarks) -> np.ndarray:
        """(3,) translation that puts points (33, 3) on their pixels, by linear least squares."""
        K, weight = self.camera.K, np.clip(landmarks.confidence, 0.05, 1)
        ray = (landmarks.pixels - K[:2, 2]) / np.diag(K)[:2]
        A = np.zeros((2 * len(body), 3))
        A[0::2, 0] = A[1::2, 1] = 1.0
        A[0::2, 2], A[1::2, 2] = -ray[:, 0], -ray[:, 1]
        b = np.empty(2 * len(body))
        b[0::2], b[1::2] = ray[:, 0] * body[:, 2] - body[:, 0], ray[:, 1] * body[:, 2] - body[:, 1]
        w = np.repeat(weight, 2)
        place = np.linalg.lstsq(A * w[:, None], b * w, rcond=None)[0]
        return np.array([place[0], place[1], max(place[2], 0.4)])

    def _descend(self, sight: Sight, state: State, anchor: Anchor | None, iterations: int) -> tuple[State, float]:
        goal = goal_for(self.anatomy, sight.landmarks, self.camera, state.place[2], anchor)
        return self._solve(goal, state, self.free, iterations)

    def _solve(self, goal: Goal, state: State, frozen: np.ndarray, iterations: int) -> tuple[State, float]:
        angles, turn, place, cost = solve_frame(self.rig, self.marks, self.skin, goal, state.angles, state.turn,
                                                state.place, frozen, iterations)
        return State(angles, turn, place), float(cost)

    def marks_m(self, state: State) -> np.ndarray:
        """(33, 3) where the body's landmarks are."""
        _, G, p, _ = forward(self.rig, state.angles, state.turn, state.place)
        return place_points(self.marks, G, p)

    def marks_px(self, state: State) -> np.ndarray:
        """(33, 2) where the body's landmarks are in the picture."""
        seen = self.marks_m(state)
        return seen[:, :2] / np.maximum(seen[:, 2:], 1e-3) * np.diag(self.camera.K)[:2] + self.camera.K[:2, 2]

    def pose(self, state: State) -> BodyPose:
        local, *_ = forward(self.rig, state.angles, state.turn, state.place)
        return BodyPose(local, state.place)

    def joints(self, state: State) -> np.ndarray:
        return forward(self.rig, state.angles, state.turn, state.place)[2]


def _rotation_of(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """(3, 3) rotation that brings centred points a (N, 3) closest to b (Kabsch 1976)."""
    U, _, Vt = np.linalg.svd(b.T @ a)
    return U @ np.diag([1, 1, np.sign(np.linalg.det(U @ Vt))]) @ Vt


def _shape_of(anatomy: Anatomy, clip: Clip, sights: dict[int, Sight], track: Track) -> np.ndarray:
    """Betas from frames spread over the clip, those with the surest landmarks in each stretch."""
    betas = betas_for_height(anatomy.body, clip.height_m)
    rows = np.array(sorted(sights))
    sure = np.array([clip.landmarks[row].confidence[JUDGED].mean() for row in rows])
    parts = np.array_split(np.arange(len(rows)), min(SHAPE_FRAMES, len(rows)))
    chosen = [int(rows[part[np.argmax(sure[part])]]) for part in parts]
    model = Model(anatomy, betas, clip.camera)
    states = [model.fit(sights[row], None) for row in track(chosen, "Finding the shape", len(chosen))]
    for _ in range(SHAPE_ROUNDS):
        goals = [model.goal(sights[row], state, None) for row, state in zip(chosen, states)]
        betas, states = solve_shape(anatomy, goals, states, betas, clip.height_m,
                                    HEIGHT_ERROR_M if clip.height_known else GUESSED_HEIGHT_ERROR_M, rounds=4)
        model = Model(anatomy, betas, clip.camera)
    return betas


def _filled(states: Sequence[State | None]) -> list[State]:
    """Frames without a pose take the nearest one's, to be replaced by what their neighbours say."""
    known = np.array([row for row, state in enumerate(states) if state is not None])
    nearest = [known[np.argmin(np.abs(known - row))] for row in range(len(states))]
    return [states[row] for row in nearest]  # type: ignore[misc]


def _steadiness(model: Model, states: Sequence[State], trust: np.ndarray, clip: Clip, frame_s: float) -> np.ndarray:
    """(F,) 0 or 1: 0 where the frame misses its landmarks or leaps away from what its neighbours say."""
    heights = np.array([_height_px(clip, state) for state in states])
    errors = np.array([_error_px(model, state, marks) if found else np.inf
                       for state, marks, found in zip(states, clip.landmarks, clip.found)])
    told = smooth(states, np.maximum(trust * clip.found, 1e-6 * clip.found), clip.times_s,
                  max(clip.smooth_s, 2 * frame_s), leave_out_self=True)
    leap = np.array([np.abs(model.joints(a) - model.joints(b)).max() for a, b in zip(states, told)])
    usual = np.median(leap[clip.found]) if clip.found.any() else 0.0
    return ((errors < LOST_SHARE * heights) & (leap < max(0.30, 8 * usual))).astype(float)


def _height_px(clip: Clip, state: State) -> float:
    return float(clip.height_m * clip.camera.K[1, 1] / max(state.place[2], 0.2))


def _error_px(model: Model, state: State, landmarks: Landmarks) -> float:
    """Mean distance of the twelve limb landmarks and the nose, weighted by confidence."""
    which = [0, *JUDGED]
    away = np.linalg.norm(model.marks_px(state)[which] - landmarks.pixels[which], axis=1)
    weight = np.clip(landmarks.confidence[which], 0.05, 1)
    return float((away * weight).sum() / weight.sum())


def _answer(model: Model, states: Sequence[State], trust: np.ndarray, clip: Clip,
            sights: dict[int, Sight]) -> BodyFit:
    poses = [model.pose(state) for state in states]
    millimetres = np.full(len(states), np.nan)
    for row in np.flatnonzero(clip.found):
        cloud = sights[row].cloud
        if cloud is not None and len(cloud.points):
            skin, normals = model.surface(states[row])
            near = associate(cloud.points, cloud.normals, skin, normals, GATE_M)
            hit = near >= 0
            if hit.any():
                off = (normals[near[hit]] * (skin[near[hit]] - cloud.points[hit])).sum(axis=1)
                millimetres[row] = 1000.0 * np.median(np.abs(off))
    errors = np.array([_error_px(model, s, marks) for s, marks in zip(states, clip.landmarks)])
    trusted = trust > 0
    errors[~clip.found] = np.interp(clip.times_s[~clip.found], clip.times_s[clip.found], errors[clip.found])
    return BodyFit(
        betas=model.betas, joint_names=np.array(model.anatomy.body.joint_names), frame_index=np.arange(len(states)),
        joint_rotations=np.array([pose.joint_rotations for pose in poses]),
        root_translation=np.array([pose.root_translation for pose in poses]),
        joints_m=np.array([model.joints(state) for state in states]), residual_px=errors, residual_mm=millimetres,
        ok=trusted | longest_gaps(trusted, clip.times_s, BRIDGE_S))
