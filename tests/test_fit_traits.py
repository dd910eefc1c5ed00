"""What is a person's own: landmarks that sit elsewhere, clothes of some thickness; and what keeps limbs in place."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from fit_helpers import CAMERA, clip_of, seen, some_model, standing
from scipy.spatial.transform import Rotation

from pipelines.core.records import Landmarks
from pipelines.fitting.anatomy import LANDMARKS, load_anatomy
from pipelines.fitting.batch import flow_of
from pipelines.fitting.calibration import Person, solve_shape
from pipelines.fitting.equations import Goal, normal_equations
from pipelines.fitting.model import Model, Sight, depths_beside
from pipelines.fitting.residuals import Cloud, State, cloud_from, goal_for, with_depth, with_outline
from pipelines.fitting.sharing import shared_equations
from pipelines.fitting.solver import fit_clip, within_limits
from pipelines.fitting.traits import CLOTHES, Traits, cloth_shares, traits_prior, usual_traits, with_thickness


@pytest.fixture(scope="module")
def model() -> Model:
    return some_model()


def poses(count: int) -> list[State]:
    """A person who turns once around and bends limbs."""
    model = some_model()
    return [standing(model, 2 * np.pi * k / count, elbow_l=0.2 * (k % 4), elbow_r=0.3 * (k % 3), arm_l=-0.2 * (k % 5),
                     knee_l=0.2 * (k % 3), leg_l=-0.15 * (k % 3)) for k in range(count)]


def facing_points(model: Model, state: State, count: int = 200) -> tuple[np.ndarray, np.ndarray]:
    """Surface points that face the camera, and all normals."""
    skin, normals = model.surface(state)
    facing = np.flatnonzero((skin * normals).sum(axis=1) < -0.5 * np.linalg.norm(skin, axis=1))
    return np.random.default_rng(0).choice(facing, count), normals


def test_cloth_lies_on_the_trunk_and_not_on_hands_and_head(model: Model) -> None:
    body = model.anatomy.body
    shares = cloth_shares()
    assert shares.min() >= 0 and shares.sum(axis=1).max() < 1 + 1e-6
    assert shares[body.verts[:, 1].argmax()].sum() == 0 and shares[np.abs(body.verts[:, 0]).argmax()].sum() == 0
    assert 0.4 < (shares.sum(axis=1) > 0.5).mean() < 0.9
    filled = Model(model.anatomy, model.betas, CAMERA, "filled")
    assert model.cloth_m.max() > 0.01 and (filled.cloth_m == 0).all()


def test_what_is_shared_pulls_along_the_slope_of_the_cost(model: Model) -> None:
    """Every kind of residual that shifts and clothes move, away from zero."""
    random = np.random.default_rng(3)
    state, other = poses(9)[1], poses(9)[2]
    goal = goal_for(model.anatomy, seen(model, other), CAMERA, 3.0)
    goal = goal._replace(direction_weight=np.zeros_like(goal.direction_weight))
    near, normals = facing_points(model, state, 40)
    skin, _ = model.surface(state)
    goal = with_depth(goal, Cloud(skin[near] + random.normal(0, 0.02, (40, 3)), normals[near]), near, normals)
    out = random.normal(0, 1, (40, 2))
    ends = skin[near, :2] / skin[near, 2:] * 420 + 160 + random.normal(0, 3, (40, 2))
    goal = with_outline(goal, (near, ends, out / np.linalg.norm(out, axis=1, keepdims=True)))
    regions = np.ascontiguousarray(cloth_shares())
    cross, own, pull = shared_equations(model.rig, model.marks, model.skin, goal, state.angles, state.turn, state.place,
                                        regions)

    def cost(step: np.ndarray) -> float:
        traits = Traits(step[:99].reshape(33, 3), step[99:])
        moved: Goal = with_thickness(goal, traits.cloth_m, normals[near])
        return float(normal_equations(model.rig, traits.marks(model.marks), model.skin, moved, state.angles, state.turn,
                                      state.place, model.betas, False, False)[0])

    eps = 1e-6
    slopes = np.array([(cost(eps * axis) - cost(-eps * axis)) / (4 * eps) for axis in np.eye(len(pull))])
    np.testing.assert_allclose(pull, slopes, rtol=1e-3, atol=1e-4 * np.abs(slopes).max())
    np.testing.assert_allclose(own, own.T)
    assert np.linalg.eigvalsh(own).min() > -1e-6 * np.linalg.eigvalsh(own).max() and np.abs(cross).max() > 0


def test_traits_that_are_usual_cost_nothing() -> None:
    for clothes, regions in (("under", len(CLOTHES)), ("filled", 0)):
        usual = usual_traits(clothes)
        cost, stiff, pull = traits_prior(usual, 24)
        assert cost == 0 and not pull.any() and len(stiff) == 99 + regions and stiff.min() > 0
        step = np.full(len(stiff), 0.004)
        cost, stiff, pull = traits_prior(usual.moved(step), 24)
        assert cost == pytest.approx(float((stiff * step ** 2).sum()))
        np.testing.assert_allclose(pull, stiff * step)


def test_a_persons_landmarks_and_clothes_are_found_from_many_poses(model: Model) -> None:
    """Knees seen 25 mm too high come back by a third, as their prior has it; cloth of 40 mm on the thighs nearly."""
    knees = [LANDMARKS.index(name) for name in ("knee_l", "knee_r")]
    usual = usual_traits("under")
    thick = usual.cloth_m.copy()
    thick[list(CLOTHES).index("thighs")] = 0.040
    shifts = np.zeros((33, 3))
    shifts[knees, 1] = 0.025
    person = Model(model.anatomy, model.betas, CAMERA, "under", Traits(shifts, thick))
    states, sights, clouds = poses(12), [], []
    for state in states:
        near, normals = facing_points(person, state)
        skin, _ = person.surface(state)
        away = normals[near] * person.cloth_m[near][:, None]
        clouds.append(Cloud(skin[near] + away, normals[near]))
        sights.append(Sight(seen(person, state), clouds[-1]))
    found, at = Person(model.betas, usual), states
    for _ in range(4):
        now = Model(model.anatomy, found.betas, CAMERA, "under", found.traits)
        goals = [now.goal(sight, state) for sight, state in zip(sights, at)]
        found, at = solve_shape(model.anatomy, goals, at, found, model.height_m, rounds=4,
                                normals=[cloud.normals for cloud in clouds])
    got = found.traits
    assert got.cloth_m[list(CLOTHES).index("thighs")] > 0.030
    assert np.abs(np.delete(got.cloth_m - thick, list(CLOTHES).index("thighs"))).max() < 0.010
    assert got.shifts_m[knees, 1].min() > 0.007 and np.abs(np.delete(got.shifts_m, knees, axis=0)).max() < 0.012
    without, there = solve_shape(model.anatomy, goals, at, Person(model.betas, usual), model.height_m, rounds=2)
    assert without.traits is usual and len(there) == len(at)


def test_limbs_get_more_readings_than_their_area() -> None:
    mask = np.zeros((200, 200))
    mask[40:160, 40:120] = 1.0                               # a trunk of 80 pixels
    mask[40:160, 130:144] = 1.0                              # an arm of 14
    camera = replace(CAMERA, width=200, height=200)
    cloud = cloud_from(np.full((200, 200), 2.0, np.float32), mask, camera)
    x = cloud.points[:, 0] / cloud.points[:, 2] * 420 + 160
    assert (x > 125).mean() > 1.5 * 14 / 94
    first = x[:150]                                          # live use takes the first ones
    assert abs((first > 125).mean() - (x > 125).mean()) < 0.12
    np.testing.assert_array_equal(cloud.points, cloud_from(np.full((200, 200), 2.0, np.float32), mask, camera).points)


def test_readings_beside_a_wrist_tell_how_far_it_is(model: Model) -> None:
    state = standing(model)
    marks = seen(model, state)
    wrist, elbow = LANDMARKS.index("wrist_l"), LANDMARKS.index("elbow_l")
    ray = np.append((marks.pixels[wrist] - 160) / 420, 1.0)
    points = np.concatenate([ray * (2.5 + 0.001 * k) for k in range(8)]).reshape(-1, 3)
    depths = depths_beside(points, marks, CAMERA)
    assert depths[wrist] == pytest.approx(2.53, abs=0.01) and np.isnan(depths[elbow])
    guessed = Landmarks(marks.pixels, np.full(33, 0.1), marks.world_m)
    assert np.isnan(depths_beside(points, guessed, CAMERA)).all()
    assert np.isnan(depths_beside(np.zeros((0, 3)), marks, CAMERA)).all()


def test_no_answer_bends_a_joint_beyond_its_limits(model: Model) -> None:
    anatomy = load_anatomy()
    knee = anatomy.first_angle("lowerleg01.L")
    wild = standing(model, knee_l=-0.5)                      # a knee bent forwards, as no knee goes
    assert wild.angles[knee] < anatomy.lowest[knee]
    calm = within_limits(anatomy, wild)
    assert calm.angles[knee] == anatomy.lowest[knee]
    np.testing.assert_array_equal(within_limits(anatomy, calm).angles, calm.angles)
    fit = fit_clip(clip_of([seen(model, wild, 0.5, k) for k in range(12)]), lambda rows, label, total: rows)
    axis = model.rig.basis[model.rig.handle[anatomy.body.joint("lowerleg01.L")]][:, 0]
    bends = Rotation.from_matrix(fit.joint_rotations[:, anatomy.body.joint("lowerleg01.L")]).as_rotvec() @ axis
    assert bends.min() >= anatomy.lowest[knee] - 1e-6


def test_legs_may_stop_at_once_where_trunks_may_not(model: Model) -> None:
    anatomy = load_anatomy()
    flow = flow_of(anatomy, np.arange(5) / 30.0, 0.08)
    accelerations = flow.weight[-1]
    knee, spine = 6 + anatomy.first_angle("lowerleg01.R"), 6 + anatomy.first_angle("spine05")
    assert accelerations[knee] < 0.5 * accelerations[spine]
