"""The people of the studio: what an asset promises, whoever it is."""

from __future__ import annotations

import numpy as np
import pytest

from pipelines.body.model import load_body
from pipelines.studio.actors import NAMES, Actor, load_actor


@pytest.fixture(params=NAMES)
def actor(request: pytest.FixtureRequest) -> Actor:
    return load_actor(request.param)


def test_the_coarse_truth_is_a_body_of_our_model_with_the_actors_joints(actor: Actor) -> None:
    body = load_body()
    assert actor.coarse_verts.shape == body.verts.shape
    # The nearest body of the shape space lies millimetres away: the same vertices, a person it has not seen.
    target = (actor.coarse_verts - actor.rest_joints[0]) - (body.verts - body.rest_joints[0])
    dirs = (body.shape_dirs - body.joint_dirs[:, :1]).reshape(len(body.shape_dirs), -1)
    betas = np.linalg.lstsq(dirs.T, target.ravel(), rcond=None)[0]
    off = np.linalg.norm(target - (betas @ dirs).reshape(-1, 3), axis=1)
    assert off.mean() < 0.008
    joints = body.rest_joints + np.tensordot(betas, body.joint_dirs, 1)
    joint_off = np.linalg.norm((joints - joints[0]) - (actor.rest_joints - actor.rest_joints[0]), axis=1)
    assert joint_off.mean() < 0.012


def test_the_coarse_truth_stands_where_the_actor_stands(actor: Actor) -> None:
    assert abs(actor.coarse_verts[:, 1].min()) < 0.004      # the bare sole is y = 0
    assert np.ptp(actor.coarse_verts[:, 1]) == pytest.approx(actor.height_m, abs=0.006)
