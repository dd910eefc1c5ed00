"""One person's body before a camera: what a frame asks of it, and the pose that answers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipelines.body.model import body_height_m, rest_body
from pipelines.body.surface import vertex_normals
from pipelines.core.records import BodyPose, Camera, Landmarks
from pipelines.fitting.anatomy import LANDMARKS, Anatomy
from pipelines.fitting.descent import solve_frame
from pipelines.fitting.equations import Goal
from pipelines.fitting.floor import TOUCH_ERROR_M, sole_points, touching
from pipelines.fitting.hands import PALM_RAD, Hands, palm_directions
from pipelines.fitting.matching import associate
from pipelines.fitting.outline import Outline, beside_outline, outlined_verts
from pipelines.fitting.posing import forward, place_points, skinned_normals
from pipelines.fitting.residuals import (
    Anchor,
    Cloud,
    State,
    goal_for,
    towards,
    with_depth,
    with_directions,
    with_floor,
    with_outline,
    with_standing,
)
from pipelines.fitting.traits import Traits, usual_traits

GATE_M = 0.12                           # depth readings farther from the body are not the body
TRACKING_KERNEL = 8.0                   # Geman-McClure scale while a pose is looked for, in expected errors
DOUBTFUL_COST = 60.0                    # of the landmarks alone; beyond it a frame is also tried afresh
CLOTHES = ("filled", "under")
OUTSIDE_SHARE = 0.2                     # weight of what lies outside a body under clothes: trousers are wide
UPRIGHT_RAD = 0.12                      # how far trunks lean from upright, without depth
BENT_RAD, LEAN_PER_BEND = 0.3, 0.45     # knees bent by more lean the trunk forwards, by balance: studio's squats
UNSURE_PER_BEND = 0.15                  # radians more for each radian that a knee bends more
SURE_SHARE = 0.95                       # of the readings beside the body; with fewer, the pose before is a start too
BESIDE_M = 0.05                         # readings so near to an elbow or a wrist in the picture may be on it
ARM_RADIUS_M = 0.03                     # from the skin to the middle of an arm
LIFT_ERROR_M = 0.04
ARMS = [LANDMARKS.index(f"{name}_{side}") for name in ("elbow", "wrist") for side in "lr"]
TORSO = [LANDMARKS.index(name) for name in ("shoulder_l", "shoulder_r", "hip_l", "hip_r")]
TRUNK = np.array([(LANDMARKS.index(f"hip_{s}"), LANDMARKS.index(f"shoulder_{s}")) for s in "lr"])
JUDGED = [LANDMARKS.index(f"{name}_{side}") for name in ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")
          for side in "lr"]


@dataclass(frozen=True, eq=False)
class Sight:
    """What is seen of the person in one frame."""

    landmarks: Landmarks
    cloud: Cloud | None = None
    outline: Outline | None = None
    hands: Hands | None = None


class Model:
    """One person's body before the camera: fits poses to frames."""

    def __init__(self, anatomy: Anatomy, betas: np.ndarray, camera: Camera, clothes: str = "under",
                 traits: Traits | None = None) -> None:
        self.anatomy, self.betas, self.camera = anatomy, betas, camera
        self.traits = traits or usual_traits(clothes)
        self.rig, marks, self.skin = anatomy.at(betas)
        self.marks = self.traits.marks(marks)
        verts, _ = rest_body(anatomy.body, betas)
        self.rest_normals = np.ascontiguousarray(vertex_normals(verts, anatomy.body.faces), float)
        self.outlined = outlined_verts(anatomy.body)
        self.clothes = clothes
        self.cloth_m = self.traits.thickness_m()
        self.soles = sole_points(anatomy.body)
        self.rest_marks = self.marks_m(State(np.zeros(len(anatomy.natural)), np.eye(3), np.zeros(3)))
        self.knees = [anatomy.first_angle(f"lowerleg01.{side}") for side in "LR"]
        self.height_m = body_height_m(anatomy.body, betas)
        self.free = np.zeros(6 + len(anatomy.natural), bool)
        self.only_root = np.ones_like(self.free)
        self.only_root[:6] = False

    def fit(self, sight: Sight, before: State | None, gap: float = 1.0) -> State:
        """A frame's pose, from the frame before (`gap` times 40 ms ago) or afresh; the better of the two."""
        starts = []
        if before is not None:
            anchor = Anchor(before, np.radians(25) * gap, np.radians(30) * gap, (0.15 * gap, 0.15 * gap, 0.1 * gap))
            starts.append(self.descend(sight, before, anchor, 8))
        if not starts or starts[0][1] > DOUBTFUL_COST:
            starts.append(self.descend(sight, self.start(sight.landmarks), None, 25))
        state = min(starts, key=lambda item: item[1])[0]
        if sight.cloud is None:
            return state
        state, cost, share = self._deepened(sight, state)
        if share >= SURE_SHARE:
            return state
        others = [self._lifted(sight, state)] + ([before] if before is not None else [])
        for other in others:
            again, cost_again, _ = self._deepened(sight, other)
            if cost_again < cost:
                state, cost = again, cost_again
        return state

    def _lifted(self, sight: Sight, state: State) -> State:
        """The pose with its arms as far away as the readings beside their landmarks are."""
        assert sight.cloud is not None
        depths = depths_beside(sight.cloud.points, sight.landmarks, self.camera)
        goal = goal_for(self.anatomy, sight.landmarks, self.camera, state.place[2], directions=0.3)
        return self.solve(with_standing(goal, depths, LIFT_ERROR_M), state, 8)[0]

    def _deepened(self, sight: Sight, state: State, rounds: int = 3) -> tuple[State, float, float]:
        """The pose that landmarks and depth lead to, its cost with missed readings, the share that was not missed."""
        for _ in range(rounds):
            state = self.solve(self.goal(sight, state), state, 4)[0]
        goal = self.goal(sight, state)
        missed = int((goal.near < 0).sum())
        cost = self.solve(goal, state, 0)[1] + missed * (goal.reading_kernel * goal.reading_weight) ** 2
        return state, cost, 1.0 - missed / max(len(goal.near), 1)

    def goal(self, sight: Sight, state: State, anchor: Anchor | None = None,
             floor: np.ndarray | None = None) -> Goal:
        """All a frame asks for, surface points chosen where the state has the body.

        floor  (4,) its unit normal and offset, None where it is not known
        """
        goal = goal_for(self.anatomy, sight.landmarks, self.camera, state.place[2], anchor)
        goal = goal._replace(outside=OUTSIDE_SHARE if self.clothes == "under" else 1.0)
        if floor is not None and sight.cloud is None:
            goal = self.balanced(goal, state, floor[:3])
        if sight.cloud is not None or sight.outline is not None or floor is not None:
            goal = self._with_surface(goal, sight, state, floor)
        if sight.hands is not None:
            pairs, along = palm_directions(sight.hands)
            goal = with_directions(goal, pairs, along @ towards(sight.landmarks, self.camera).T, PALM_RAD)
        return goal

    def _with_surface(self, goal: Goal, sight: Sight, state: State, floor: np.ndarray | None) -> Goal:
        skin, normals = self.surface(state)
        if sight.cloud is not None and len(sight.cloud.points):
            near = associate(sight.cloud.points, sight.cloud.normals, skin, normals, GATE_M)
            bare = sight.cloud.points - sight.cloud.normals * self.cloth_m[np.maximum(near, 0)][:, None]
            goal = with_depth(goal, Cloud(bare, sight.cloud.normals), near, normals)
        if sight.outline is not None and len(sight.outline.points):
            rim, ends, outwards = beside_outline(sight.outline, skin, normals, self.outlined, self.camera,
                                                 goal.metres_per_px)
            ends = ends - outwards * self.cloth_m[rim][:, None] / goal.metres_per_px
            goal = with_outline(goal, (rim, ends, outwards))
        if floor is not None:
            on = touching(skin[self.soles], floor)
            goal = with_floor(goal, self.soles[on], np.full(int(on.sum()), 1.0 / TOUCH_ERROR_M), floor)
        return goal

    def nothing_seen(self, state: State) -> Goal:
        """Of a frame that shows nobody: what is natural, within the joints' limits."""
        blank = Landmarks(np.zeros((len(LANDMARKS), 2)), np.zeros(len(LANDMARKS)), np.zeros((len(LANDMARKS), 3)))
        goal = goal_for(self.anatomy, blank, self.camera, state.place[2])
        return goal._replace(pixel_weight=np.zeros_like(goal.pixel_weight),
                             direction_weight=np.zeros_like(goal.direction_weight))

    def balanced(self, goal: Goal, state: State, up: np.ndarray) -> Goal:
        """The goal with a trunk that leans as balance asks for: upright, forwards over bent knees; up (3,) unit."""
        bends = np.clip(state.angles[self.knees] - BENT_RAD, 0.0, 2.0)
        return with_directions(goal, TRUNK, self._upright(state, up, LEAN_PER_BEND * float(bends.min())),
                               UPRIGHT_RAD + UNSURE_PER_BEND * float(bends.max()))

    def _upright(self, state: State, up: np.ndarray, lean_rad: float) -> np.ndarray:
        """(2, 3) from hip to shoulder, left and right, if the trunk faced the same way and leaned forwards so far."""
        ahead = state.turn[:, 2] - up * (state.turn[:, 2] @ up)
        ahead = ahead / max(float(np.linalg.norm(ahead)), 1e-6)
        along = self.rest_marks[TRUNK[:, 1]] - self.rest_marks[TRUNK[:, 0]]
        leaning = np.cos(lean_rad) * up + np.sin(lean_rad) * ahead
        turned = along @ np.stack([np.cross(up, ahead), leaning, np.cos(lean_rad) * ahead - np.sin(lean_rad) * up])
        return np.asarray(turned / np.linalg.norm(turned, axis=1, keepdims=True))

    def stretched(self, state: State) -> float:
        """How far both legs are stretched: 1 when standing, towards 0.01 in a squat."""
        return float(0.01 + np.exp(-(np.maximum(state.angles[self.knees], 0.0) / BENT_RAD) ** 2).min())

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
        goal = goal_for(self.anatomy, landmarks, self.camera, state.place[2], kernel=20.0)
        return self.solve(goal, state, 8, self.only_root)[0]

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

    def descend(self, sight: Sight, state: State, anchor: Anchor | None, iterations: int) -> tuple[State, float]:
        """The pose that landmarks alone lead to from a state, and its cost."""
        return self.solve(self.seen_goal(sight, state, anchor), state, iterations)

    def seen_goal(self, sight: Sight, state: State, anchor: Anchor | None) -> Goal:
        """What landmarks alone ask for, while a pose is looked for near a state."""
        return goal_for(self.anatomy, sight.landmarks, self.camera, state.place[2], anchor, kernel=TRACKING_KERNEL)

    def solve(self, goal: Goal, state: State, iterations: int,
              frozen: np.ndarray | None = None) -> tuple[State, float]:
        """The pose of least cost near a state, and the cost; frozen (P,) bool = unknowns that keep their value."""
        angles, turn, place, cost = solve_frame(self.rig, self.marks, self.skin, goal, state.angles, state.turn,
                                                state.place, self.free if frozen is None else frozen, iterations)
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

    def error_px(self, state: State, landmarks: Landmarks) -> float:
        """Mean distance of the twelve limb landmarks and the nose, weighted by confidence."""
        which = [0, *JUDGED]
        away = np.linalg.norm(self.marks_px(state)[which] - landmarks.pixels[which], axis=1)
        weight = np.clip(landmarks.confidence[which], 0.05, 1)
        return float((away * weight).sum() / weight.sum())

    def tall_px(self, state: State) -> float:
        """How tall the standing person would be in the picture."""
        return float(self.height_m * self.camera.K[1, 1] / max(float(state.place[2]), 0.2))

    def depth_error_mm(self, state: State, cloud: Cloud | None) -> float:
        """Median distance of the depth readings from the surface beside them; NaN where there are none."""
        if cloud is None or not len(cloud.points):
            return float("nan")
        skin, normals = self.surface(state)
        near = associate(cloud.points, cloud.normals, skin, normals, GATE_M)
        hit = near >= 0
        if not hit.any():
            return float("nan")
        off = (normals[near[hit]] * (skin[near[hit]] - cloud.points[hit])).sum(axis=1)
        return float(1000.0 * np.median(np.abs(off)))


def depths_beside(points: np.ndarray, landmarks: Landmarks, camera: Camera) -> np.ndarray:
    """(33,) how far away elbows and wrists are by the foremost readings beside them; NaN for others and without any.

    points  (C, 3) metres, camera frame
    """
    depths = np.full(len(LANDMARKS), np.nan)
    if not len(points):
        return depths
    seen = points[:, :2] / points[:, 2:] * np.diag(camera.K)[:2] + camera.K[:2, 2]
    reach_px = BESIDE_M * camera.K[0, 0] / float(np.median(points[:, 2]))
    for mark in ARMS:
        beside = np.linalg.norm(seen - landmarks.pixels[mark], axis=1) < reach_px
        if beside.sum() >= 2 and landmarks.confidence[mark] > 0.3:
            depths[mark] = np.quantile(points[beside, 2], 0.25) + ARM_RADIUS_M
    return depths


def _rotation_of(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """(3, 3) rotation that brings centred points a (N, 3) closest to b (Kabsch 1976)."""
    U, _, Vt = np.linalg.svd(b.T @ a)
    return U @ np.diag([1, 1, np.sign(np.linalg.det(U @ Vt))]) @ Vt
