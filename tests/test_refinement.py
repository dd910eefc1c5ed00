"""Pose refinement: the derivative of the picture by the pose, the warp by it, and corrections that are recovered."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
import training_helpers
from training_helpers import FRAMES, lesson_and_state, make_person

from pipelines.body.model import load_body, pose_body
from pipelines.body.surface import chart_map
from pipelines.core.errors import AnrError
from pipelines.core.mapcache import write_maps
from pipelines.core.records import BodyFit, SurfaceMaps
from pipelines.core.storage import read_fit, write_fit
from pipelines.geometry.cameras import camera_for_maps, camera_from_fov, project
from pipelines.geometry.rotations import rotation_from_vector
from pipelines.media.recording import Recording
from pipelines.rasterizers.cpu import surface_maps
from pipelines.renderers.places import captured_joints
from pipelines.renderers.texture import chart_of
from pipelines.training import loop, step
from pipelines.training.refinement import Corrections, Refinement, begin_refinement, nearness, texel_corners
from pipelines.training.refinement_body import COUNT, JOINTS, SHIFTS, FittedBody, corrected, leverage, shares
from pipelines.training.refinement_report import write_refinement
from pipelines.training.refinement_warp import pixel_displacement, texel_displacement, warped

CAMERA = camera_from_fov(512, 512, 40.0)
BENT = {"upperarm01.L": (0.1, 0.2, -0.3), "lowerarm01.R": (0.0, -0.5, 0.0), "upperleg01.L": (0.3, 0.0, 0.1),
        "head": (0.1, 0.2, 0.0), "spine03": (0.1, -0.1, 0.1)}
FRAME = 7


def fitted(projection: str = "perspective", angle: float = 0.4) -> FittedBody:
    """One frame of a bent body, seen from the front."""
    body = load_body()
    rotations = np.tile(np.eye(3), (1, len(body.joint_names), 1, 1))
    for name, vector in BENT.items():
        rotations[0, body.joint(name)] = rotation_from_vector(np.array(vector))
    rotations[0, 0] = np.diag([1.0, -1.0, -1.0]) @ rotation_from_vector(np.array([0, angle, 0]))
    joints = np.zeros((1, len(body.joint_names), 3))
    fit = BodyFit(np.zeros(len(body.shape_dirs)), np.array(body.joint_names), np.array([FRAME]), rotations,
                  np.array([[0.1, -0.1, 3.0]]), joints, np.zeros(1), np.full(1, np.nan), np.ones(1, bool))
    return FittedBody(fit, CAMERA, projection)


def in_picture(body: FittedBody, value: np.ndarray) -> np.ndarray:
    """(V, 2) pixels of the vertices after a correction (COUNT,) of the pose itself."""
    fit = corrected(body, np.array([FRAME]), value[None])
    verts, _ = pose_body(load_body(), fit.betas, fit.pose(0))
    return project(verts, camera_for_maps(body.camera, verts, body.projection))


def maps_of(body: FittedBody, value: np.ndarray) -> SurfaceMaps:
    asset = load_body()
    fit = corrected(body, np.array([FRAME]), value[None])
    verts, _ = pose_body(asset, fit.betas, fit.pose(0))
    return surface_maps(asset.faces, asset.uvs, asset.face_uvs, verts, CAMERA)


def tensors(maps: SurfaceMaps) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Grid, normal and coverage as a batch has them."""
    return (torch.from_numpy(maps.uv * 2 - 1)[None], torch.from_numpy(maps.normal).permute(2, 0, 1)[None],
            torch.from_numpy(maps.inside.astype(np.float32))[None, None])


def charts() -> torch.Tensor:
    return torch.from_numpy(chart_map(load_body()))


def moved_pixels(body: FittedBody, maps: SurfaceMaps, value: np.ndarray) -> torch.Tensor:
    """(1, H, W, 2) what the pixels of maps move by."""
    corners, bary = (torch.from_numpy(x) for x in texel_corners(load_body(), 256))
    vertex_px = torch.from_numpy(leverage(body, FRAME)) @ torch.from_numpy(value).float()
    grid, _, inside = tensors(maps)
    return pixel_displacement(texel_displacement(vertex_px, corners, bary)[None], grid, inside, 5)


@pytest.mark.parametrize("projection", ["perspective", "weak"])
def test_leverage_is_the_derivative_of_where_vertices_are_seen(projection: str) -> None:
    body, step = fitted(projection), 1e-3
    lever = leverage(body, FRAME)
    for number in range(COUNT):
        value = np.eye(COUNT)[number] * step
        true = (in_picture(body, value) - in_picture(body, -value)) / (2 * step)
        error = np.linalg.norm(lever[:, :, number] - true, axis=1)
        size = np.sqrt((true ** 2).sum(1).mean())
        assert np.sqrt((error ** 2).mean()) < 0.07 * size, number       # between bones the mean place stands for each
        if number < SHIFTS + 3:                                         # the whole body: no bones to be between
            assert error.max() < 2e-3, number


def test_a_unit_of_a_shift_is_a_pixel_and_a_turn_moves_only_what_hangs_below() -> None:
    lever = leverage(fitted(), FRAME)
    turned = lever[:, :, SHIFTS:].reshape(len(lever), 2, len(JOINTS), 3)
    assert lever[:, 0, 0].mean() == pytest.approx(1.0, abs=0.05)
    np.testing.assert_allclose(lever[:, 1, 0], 0, atol=1e-9)
    for k, name in enumerate(JOINTS):
        share = shares(load_body())[:, k]
        assert np.abs(turned[share == 0, :, k]).max(initial=0) < 1e-6, name
        assert np.abs(turned[share > 0, :, k]).max() > 0.3, name


@pytest.mark.parametrize("name", ["head", "spine03", "upperarm01.L", "upperleg01.L", "lowerarm01.R"])
def test_warping_the_maps_gives_those_of_the_turned_body(name: str) -> None:
    """On every pixel that both show, uv comes within a fraction of what it differs by without the correction."""
    body = fitted()
    value = np.zeros(COUNT)
    first = SHIFTS + 3 * JOINTS.index(name)
    value[first:first + 3] = np.array([0.8, 1.0, -1.2])
    before, after = maps_of(body, np.zeros(COUNT)), maps_of(body, value)
    wanted, moved = tensors(after), moved_pixels(body, before, value)
    got = warped(*tensors(before), moved, charts())
    own = chart_of(got[0], charts()) == chart_of(wanted[0], charts())
    common = before.inside & after.inside & (got[2][0, 0] > 0).numpy() & (moved[0].norm(dim=-1) > 0.3).numpy()
    compared = common & (np.abs(before.uv - after.uv).max(-1) < 0.05) & own[0].numpy()     # else another part is seen
    assert compared.sum() > 100
    assert compared.sum() > 0.9 * common.sum()
    was = np.abs(before.uv - after.uv)[compared].max(-1)
    now = np.abs(got[0][0].numpy() - wanted[0][0].numpy())[compared].max(-1) / 2
    assert np.median(now) < 0.1 * np.median(was)
    assert now.mean() < 0.5 * was.mean()
    outline = [float(np.abs(inside - wanted[2]).sum()) for inside in (tensors(before)[2], got[2])]
    assert outline[1] < 0.7 * outline[0] or outline[0] < 50


def test_no_correction_gives_the_maps_back_to_the_bit() -> None:
    body = fitted()
    maps = maps_of(body, np.zeros(COUNT))
    moved = moved_pixels(body, maps, np.zeros(COUNT)).requires_grad_()
    for got, was in zip(warped(*tensors(maps), moved, charts()), tensors(maps)):
        assert torch.equal(got, was)


def test_what_is_beside_the_body_moves_with_it_and_the_rest_stays() -> None:
    body = fitted()
    maps = maps_of(body, np.zeros(COUNT))
    _, _, inside = tensors(maps)
    moved = moved_pixels(body, maps, np.eye(COUNT)[0])[0].norm(dim=-1)
    near = torch.nn.functional.max_pool2d(inside, 11, 1, 5)[0, 0] > 0
    assert (moved[near] > 0.8).all()                  # a hand behind the others moves less
    assert (moved[~near] == 0).all()


def test_uv_follows_its_slope_and_never_mixes_charts() -> None:
    """Two charts side by side: uv runs on within each, and the pixel beside the border belongs to one of them."""
    size = 64
    chart = torch.zeros(size, size, dtype=torch.int32)
    chart[:, size // 2:] = 1
    columns = torch.arange(8) / 64.0
    u = torch.cat([columns - 0.8, columns + 0.3])                   # 16 pixels; the charts lie apart in the atlas
    grid = torch.stack([u, torch.zeros(16)], -1).expand(1, 8, 16, 2).contiguous()
    normal, inside = torch.zeros(1, 3, 8, 16), torch.ones(1, 1, 8, 16)
    moved = torch.zeros(1, 8, 16, 2)
    moved[..., 0] = 0.4
    got, _, _ = warped(grid, normal, inside, moved, chart)
    np.testing.assert_allclose(got[0, 4, :, 0], u - 0.4 / 64, atol=1e-6)
    moved[..., 0] = 1.3
    got, _, _ = warped(grid, normal, inside, moved, chart)
    np.testing.assert_allclose(got[0, 4, 2:8, 0], u[2:8] - 1.3 / 64, atol=1e-6)
    np.testing.assert_allclose(got[0, 4, 10:, 0], u[10:] - 1.3 / 64, atol=1e-6)
    assert got[0, 4, 8, 0] == pytest.approx(float(u[7]) - 0.3 / 64, abs=1e-6)       # what the border pixel shows now


def test_the_derivative_of_the_warped_uv_is_that_of_its_values() -> None:
    body = fitted()
    maps = maps_of(body, np.zeros(COUNT))
    start = 0.4 * np.random.default_rng(0).standard_normal(COUNT)
    weight = torch.rand((1, 512, 512, 2), generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    moved = moved_pixels(body, maps, start).double().requires_grad_()
    grid, normal, inside = (x.double() for x in tensors(maps))

    def value(moved: torch.Tensor) -> torch.Tensor:
        return (warped(grid, normal, inside, moved, charts())[0] * weight).sum()

    value(moved).backward()
    assert moved.grad is not None
    way = torch.randn(moved.shape, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    rest = moved.detach() - moved.detach().round()
    way = way * (rest.abs() < 0.49).all(-1, keepdim=True)           # where the nearest pixel changes, uv jumps a little
    step = 1e-4
    with torch.no_grad():
        slope = (value(moved + step * way) - value(moved - step * way)) / (2 * step)
    assert float((moved.grad * way).sum()) == pytest.approx(float(slope), rel=1e-3)


def test_coverage_has_the_derivative_of_a_soft_edge() -> None:
    """A block that moves right: its right edge gains cover, its left edge loses it; off the body nothing has one."""
    inside = torch.zeros(1, 1, 5, 9)
    inside[..., 3:6] = 1
    moved = torch.zeros(1, 5, 9, 2, requires_grad=True)
    grid, normal = torch.zeros(1, 5, 9, 2), torch.zeros(1, 3, 5, 9)
    warped(grid, normal, inside, moved, torch.zeros(8, 8, dtype=torch.int32))[2].sum().backward()
    assert moved.grad is not None
    np.testing.assert_allclose(moved.grad[0, 2, :, 0], [0, 0, 0, -0.5, 0, 0.5, 0, 0, 0])


def refinement(frames: list[int], **changes: object) -> Refinement:
    """Of one made-up person whose fit has a single row; nothing of it is drawn."""
    recipe = dataclasses.replace(training_helpers.TINY, refine=True, **changes)         # type: ignore[arg-type]
    return Refinement({"ada": fitted()}, {"ada": frames}, recipe, torch.device("cpu"))


def test_corrections_have_no_mean_and_stay_within_their_bound() -> None:
    """However strongly frames are pulled, and however all in one direction."""
    made = refinement(list(range(0, 40, 2)), refine_rate=0.7, refine_bound=2.0)
    own, rng = made.people["ada"], np.random.default_rng(0)
    for _ in range(300):
        index = torch.tensor([int(rng.choice(own.frames))])
        made.learn("ada", index, torch.from_numpy(rng.normal(0.5, 1.0, (1, COUNT))), 1.0)
    assert own.values.abs().max() < 2.5
    assert own.values.std() > 0.3
    assert own.values.mean(0).abs().max() < 1e-5


def test_frames_nearby_take_part_in_a_step_and_far_ones_do_not() -> None:
    side = math.exp(-0.5)
    np.testing.assert_allclose(nearness(np.array([-2, 0, 2, 20]), 2.0), [side, 1, side, 0], atol=1e-6)
    np.testing.assert_array_equal(nearness(np.array([-1, 0, 1]), 0.0), [0, 1, 0])


def test_without_a_pull_the_prior_takes_corrections_back() -> None:
    made = refinement(list(range(10)), refine_rate=0.5, refine_prior=0.2, refine_frames=0.0)
    own = made.people["ada"]
    own.values += torch.linspace(-1, 1, 10)[:, None]
    for frame in list(range(10)) * 40:
        made.learn("ada", torch.tensor([frame]), torch.zeros(1, COUNT), 1.0)
    assert own.values.abs().max() < 0.05


def test_a_frame_that_training_knows_as_a_past_alone_is_left_as_it_was_fitted() -> None:
    made = refinement([3, 5, 9])
    own = made.people["ada"]
    own.values += 1.0
    assert own.of(torch.tensor([4, 5, 10]))[:, 0].tolist() == [0.0, 1.0, 0.0]
    before = own.values.clone()
    made.learn("ada", torch.tensor([4]), torch.ones(1, COUNT), 0.0)
    assert torch.equal(own.values, before - before.mean(0))


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Path]]:
    """One who sways a little before the camera, once with the true fit and once with one beside it; pictures alike."""
    turned = training_helpers.turned
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training_helpers, "turned", lambda body, angle: turned(body, 0.3 * math.sin(3 * angle)))
        made = {}
        for name in ("true", "beside"):
            root = tmp_path_factory.mktemp(name)
            made[name] = make_person(root)
    set_beside(made["beside"])
    return made


def errors_px() -> np.ndarray:
    """(FRAMES, 2) where the fit that is beside lies, up to 1.5 pixels along each axis."""
    return np.random.default_rng(3).uniform(-1.5, 1.5, (FRAMES, 2))


def set_beside(folders: dict[str, Path]) -> None:
    body, fit, camera = load_body(), read_fit(folders["fit"] / "fit.npz"), Recording(folders["capture"]).camera
    places = fit.root_translation.copy()
    places[:, :2] += errors_px() * places[:, 2:] / camera.K[0, 0]
    wrong = dataclasses.replace(fit, root_translation=places)
    for row in range(FRAMES):
        verts, _ = pose_body(body, fit.betas, wrong.pose(row))
        write_maps(folders["raster"] / "maps" / f"{row:05d}.maps",
                   surface_maps(body.faces, body.uvs, body.face_uvs, verts, camera))
    write_fit(folders["fit"] / "fit.npz", wrong)


SWIFT = dict(batch=1, window=(64, 64), scale=(1.0, 1.0), native_share=1.0, refine=True, feature=0.0, split=False,
             grid_noise=0.004, texture_learning_rate=0.05, learning_rate=3e-3, warm_up=10, refine_frames=0.0)


def refined(folders: dict[str, Path], folder: Path, **changes: object) -> tuple[step.Lesson, step.State]:
    lesson, state = lesson_and_state(folders, folder, **{**SWIFT, **changes})    # type: ignore[arg-type]
    state.plan.images = 100_000
    state.refinement = begin_refinement({f"ada/{name}": path for name, path in folders.items()}, lesson.pupils,
                                        lesson.recipe, torch.device("cpu"))
    return lesson, state


def walk(lesson: step.Lesson, state: step.State, images: int) -> list[dict[str, float]]:
    terms = []
    for _ in range(images):
        terms.append(step.take_step(lesson, state, *step.draw_step(lesson, state.renderer, state.images)))
        state.images += 1
    return terms


def pictured(own: Corrections) -> np.ndarray:
    """(F, 2) pixels that the body as a whole was moved by in each frame."""
    return np.stack([leverage(own.body, int(frame)).mean(0) @ value
                     for frame, value in zip(own.frames, own.values.numpy())])


def test_a_network_that_knows_somebody_finds_how_far_each_fit_is_beside(
        people: dict[str, dict[str, Path]], tmp_path: Path) -> None:
    lesson, state = refined(people["true"], tmp_path / "true", refine_from=10 ** 6)
    walk(lesson, state, 300)
    wrong, going_on = refined(people["beside"], tmp_path / "beside", refine_from=0, refine_warm_up=1,
                              learning_rate=0.0, texture_learning_rate=0.0)
    going_on.renderer.load_state_dict(state.renderer.state_dict())
    with torch.no_grad():
        going_on.textures["ada"].copy_(state.textures["ada"])
    assert going_on.refinement is not None
    own = going_on.refinement.people["ada"]
    count = len(own.frames)
    terms = walk(wrong, going_on, 8 * count)
    true = -(errors_px()[own.frames] - errors_px()[own.frames].mean(0))
    found = pictured(own)
    for axis in range(2):
        assert np.corrcoef(found[:, axis], true[:, axis])[0, 1] > 0.75
    assert np.square(found - true).mean() < 0.4 * np.square(true).mean()
    for name in ("pixel", "mask"):
        losses = np.array([each[name] for each in terms])
        assert losses[-2 * count:].mean() < 0.9 * losses[:count].mean(), name


def test_refinement_is_taken_up_again_to_the_bit(people: dict[str, dict[str, Path]], tmp_path: Path) -> None:
    lesson, state = refined(people["beside"], tmp_path / "a", refine_from=2)
    walk(lesson, state, 4)
    loop.save_checkpoint(lesson.checkpoint, state)
    again_lesson, again = refined(people["beside"], tmp_path / "b", refine_from=2)
    from pipelines.training.state import load_checkpoint

    again = load_checkpoint(lesson.checkpoint, again)
    assert walk(lesson, state, 3) == walk(again_lesson, again, 3)
    assert state.refinement is not None
    assert again.refinement is not None
    assert torch.equal(state.refinement.people["ada"].values, again.refinement.people["ada"].values)
    assert state.refinement.people["ada"].values.abs().max() > 0


def test_a_checkpoint_of_a_training_without_refinement_is_refused(
        people: dict[str, dict[str, Path]], tmp_path: Path) -> None:
    from pipelines.training.state import load_checkpoint

    lesson, state = refined(people["true"], tmp_path / "a", refine=False)
    assert state.refinement is None
    loop.save_checkpoint(lesson.checkpoint, state)
    _, other = refined(people["true"], tmp_path / "b")
    with pytest.raises(AnrError, match="cannot be used: 'refinement'"):
        load_checkpoint(lesson.checkpoint, other)


def test_before_it_begins_training_is_that_without_refinement_to_the_bit(
        people: dict[str, dict[str, Path]], tmp_path: Path) -> None:
    told = [walk(*refined(people["true"], tmp_path / str(wanted), refine=wanted, refine_from=100), 3)
            for wanted in (False, True)]
    assert told[0] == told[1]


def test_the_first_refined_step_sees_the_maps_as_they_are(
        people: dict[str, dict[str, Path]], tmp_path: Path) -> None:
    told = [walk(*refined(people["true"], tmp_path / str(start), refine_from=start), 1) for start in (0, 100)]
    assert told[0] == told[1]


def test_a_correction_moves_the_same_texels_in_a_scaled_and_in_a_turned_window() -> None:
    body = fitted()
    made = Refinement.__new__(Refinement)
    made.corners, made.bary = (torch.from_numpy(x) for x in texel_corners(load_body(), 256))
    joints = torch.from_numpy(captured_joints(body.fit, body.camera, body.projection)(FRAME))
    offset = torch.from_numpy(np.random.default_rng(0).normal(size=COUNT)).float()
    plain = made._texel_px(body, offset, FRAME, joints)
    scaled = made._texel_px(body, offset, FRAME, joints * torch.tensor([1.5, 1.5, 1.0]) - 20.0)
    left = torch.stack([joints[:, 1], 300.0 - joints[:, 0], joints[:, 2]], 1)
    turned = made._texel_px(body, offset, FRAME, left)
    assert torch.allclose(scaled, 1.5 * plain, atol=1e-3)
    assert torch.allclose(turned, torch.stack([plain[..., 1], -plain[..., 0]], -1), atol=1e-3)
    assert float(plain.abs().max()) > 1.0


def test_what_was_learned_is_told_and_put_into_a_fit(people: dict[str, dict[str, Path]], tmp_path: Path) -> None:
    _, state = refined(people["beside"], tmp_path / "a")
    assert state.refinement is not None
    own = state.refinement.people["ada"]
    own.values[:, 0] = torch.linspace(-1, 1, len(own.frames))
    figures = write_refinement(tmp_path, state.refinement)
    told = json.loads((tmp_path / "refinement.json").read_text())["ada"]
    assert told["frames"] == len(own.frames)
    assert told["moved_px"]["face"]["median"] == pytest.approx(0.5, abs=0.1)
    assert figures["refined_px_p95"] == pytest.approx(0.95, abs=0.1)
    fit, before = read_fit(tmp_path / "refined" / "ada.npz"), own.body.fit
    camera = own.body.camera
    last = int(own.frames[-1])
    moved = [project(pose_body(load_body(), each.betas, each.pose(last))[1][:1], camera) for each in (before, fit)]
    np.testing.assert_allclose(moved[1] - moved[0], [[1.0, 0.0]], atol=0.01)
    held_out = sorted(set(range(FRAMES)) - set(own.frames))[0]
    np.testing.assert_array_equal(fit.root_translation[held_out], before.root_translation[held_out])
