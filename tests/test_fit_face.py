"""The head follows the face: half the way, within its limits, and only where there is a face."""

from __future__ import annotations

import numpy as np
import pytest
from fit_helpers import CAMERA, some_model, standing

from pipelines.body.model import sequence_frames
from pipelines.core.records import BodyFit
from pipelines.fitting.face import POINTS, SHARE, Faces, face_points, looking, turn_heads
from pipelines.fitting.model import Model
from pipelines.geometry.cameras import project
from pipelines.geometry.rotations import rotation_from_vector, vector_from_rotation

FRAMES = 21
TIMES = np.arange(FRAMES) / 25.0


@pytest.fixture(scope="module")
def model() -> Model:
    return some_model()


def straight(model: Model) -> BodyFit:
    state = standing(model, 0.2)
    pose, joints = model.pose(state), model.joints(state)
    return BodyFit(model.betas, np.array(model.anatomy.body.joint_names), np.arange(FRAMES),
                   np.tile(pose.joint_rotations, (FRAMES, 1, 1, 1)), np.tile(state.place, (FRAMES, 1)),
                   np.tile(joints, (FRAMES, 1, 1)), np.ones(FRAMES), np.ones(FRAMES), np.ones(FRAMES, bool))


def faces_of(model: Model, fit: BodyFit, turn: np.ndarray, confidence: float = 0.9) -> tuple[Faces, np.ndarray]:
    """What a head turned by a vector shows, and its turn in the camera's frame."""
    head = model.anatomy.body.joint("head")
    frames, _ = sequence_frames(model.anatomy.body, fit.betas, fit.joint_rotations, fit.root_translation)
    turned = frames[0, head] @ rotation_from_vector(turn)
    pixels = project(face_points(fit.betas) @ turned.T + fit.joints_m[0, head], CAMERA)
    return Faces(tuple(POINTS), np.tile(pixels, (FRAMES, 1, 1)), np.full(FRAMES, confidence)), turned


@pytest.mark.parametrize("turn", [(0.0, 0.5, 0.0), (0.3, 0.0, 0.0), (0.1, -0.3, 0.2)])
def test_the_head_goes_half_the_way_to_the_face(model: Model, turn: tuple[float, float, float]) -> None:
    fit, head = straight(model), model.anatomy.body.joint("head")
    faces, turned = faces_of(model, fit, np.array(turn))
    frames, _ = sequence_frames(model.anatomy.body, fit.betas, fit.joint_rotations, fit.root_translation)
    found = looking(face_points(fit.betas), faces.pixels[0], CAMERA, frames[0, head], fit.joints_m[0, head])
    assert found is not None
    np.testing.assert_allclose(found, turned, atol=1e-3)
    after = turn_heads(fit, faces, TIMES, CAMERA)
    local = vector_from_rotation(fit.joint_rotations[10, head].T @ after.joint_rotations[10, head])
    np.testing.assert_allclose(local, SHARE * np.array(turn), atol=2e-3)
    others = np.delete(np.arange(74), head)
    np.testing.assert_array_equal(after.joint_rotations[:, others], fit.joint_rotations[:, others])


def test_a_head_does_not_turn_beyond_its_limits(model: Model) -> None:
    fit, head = straight(model), model.anatomy.body.joint("head")
    bent = fit.joint_rotations.copy()
    bent[:, head] = rotation_from_vector(np.array([0.0, 0.8, 0.0]))          # 46 of 50 degrees
    fit = BodyFit(**{**vars(fit), "joint_rotations": bent})
    after = turn_heads(fit, faces_of(model, fit, np.array([0.0, 0.6, 0.0]))[0], TIMES, CAMERA)
    turned = vector_from_rotation(after.joint_rotations[5, head])
    assert turned[1] == pytest.approx(np.radians(50.0), abs=1e-6)


def test_without_a_face_and_with_an_impossible_one_the_head_stays(model: Model) -> None:
    fit = straight(model)
    unsure, _ = faces_of(model, fit, np.array([0.0, 0.4, 0.0]), confidence=0.2)
    mistaken, _ = faces_of(model, fit, np.array([0.0, 1.2, 0.0]))
    for faces in (unsure, mistaken):
        np.testing.assert_array_equal(turn_heads(fit, faces, TIMES, CAMERA).joint_rotations, fit.joint_rotations)


def test_the_turn_fades_in_where_a_face_appears(model: Model) -> None:
    fit, head = straight(model), model.anatomy.body.joint("head")
    faces, _ = faces_of(model, fit, np.array([0.0, 0.4, 0.0]))
    faces.confidence[:10] = 0.0
    after = turn_heads(fit, faces, TIMES, CAMERA)
    angles = np.array([vector_from_rotation(a.T @ b)[1] for a, b in
                       zip(fit.joint_rotations[:, head], after.joint_rotations[:, head])])
    assert (np.diff(angles[9:17]) > -1e-9).all() and angles[10] < 0.7 * angles[-1] and (angles[:10] == 0).all()
