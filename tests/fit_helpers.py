"""People made of perfect landmarks, for the tests of the fit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from scipy.spatial.transform import Rotation

from pipelines.body.model import betas_for_height
from pipelines.core.records import Camera, Landmarks
from pipelines.fitting.anatomy import LIMB_JOINTS, load_anatomy
from pipelines.fitting.model import Model
from pipelines.fitting.residuals import State, towards
from pipelines.fitting.solver import Clip

UPRIGHT = np.diag([1.0, -1.0, -1.0])    # the body's y up and z forwards, seen by a camera it faces
CAMERA = Camera(K=np.array([[420.0, 0, 160], [0, 420.0, 160], [0, 0, 1]]), width=320, height=320)


def some_model() -> Model:
    anatomy = load_anatomy()
    return Model(anatomy, betas_for_height(anatomy.body, 1.75), CAMERA)


def standing(model: Model, yaw: float = 0.0, **angles: float) -> State:
    """Upright three metres away; angles: `elbow_l=0.5` adds to that joint's hinge, `arm_l=...` swings the arm ahead."""
    pose = model.anatomy.natural.copy()
    names = {"elbow_l": ("lowerarm01.L", 0), "elbow_r": ("lowerarm01.R", 0), "arm_l": ("upperarm01.L", 0),
             "arm_r": ("upperarm01.R", 0), "knee_l": ("lowerleg01.L", 0), "leg_l": ("upperleg01.L", 0)}
    for name, value in angles.items():
        joint, axis = names[name]
        pose[model.rig.first[model.rig.handle[model.anatomy.body.joint(joint)]] + axis] += value
    return State(pose, UPRIGHT @ Rotation.from_rotvec([0, yaw, 0]).as_matrix(), np.array([0, 0, 3.0]))


def seen(model: Model, state: State, noise_px: float = 0.0, seed: int = 0) -> Landmarks:
    """What a detector sees of a pose, with Gaussian noise on pixels and as much on world landmarks."""
    random = np.random.default_rng(seed)
    marks = model.marks_m(state)
    away = Landmarks(model.marks_px(state), np.ones(len(marks)), marks - marks[[23, 24]].mean(axis=0))
    world = away.world_m @ towards(away, model.camera) + random.normal(0, noise_px * 0.008, marks.shape)
    return replace(away, pixels=away.pixels + random.normal(0, noise_px, (len(marks), 2)), world_m=world)


def clip_of(landmarks: Sequence[Landmarks], found: np.ndarray | None = None, fps: float = 25.0) -> Clip:
    frames = len(landmarks)
    return Clip(CAMERA, np.arange(frames) / fps, landmarks, np.ones(frames, bool) if found is None else found, 1.75,
                True, lambda row: None, lambda row: None, 0.08)


def limb_errors_m(model: Model, joints_m: np.ndarray, truth: Sequence[State]) -> np.ndarray:
    """(F, 12) metres."""
    which = [model.anatomy.body.joint(name) for name in LIMB_JOINTS]
    true = np.array([model.joints(state) for state in truth])
    return np.linalg.norm(joints_m[:, which] - true[:, which], axis=-1)
