"""Textured Neural Avatars and vid2vid: their pose maps, parts, flows and pasts, and both through every stage."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from avatar_double import run
from training_helpers import TINY, interrupted_after, lesson_and_state, make_person, trained, turned

from pipelines import evaluate, render, train, tryon
from pipelines.body.model import load_body, pose_body
from pipelines.body.surface import chart_map, face_charts, face_map
from pipelines.core.errors import AnrError
from pipelines.core.mapcache import read_maps
from pipelines.core.split import split_frames
from pipelines.core.stage import Job, Progress
from pipelines.core.storage import read_fit
from pipelines.geometry.cameras import camera_from_fov, project
from pipelines.media.images import read_image
from pipelines.rasterizers.cpu import surface_maps
from pipelines.renderers import Shown, build_renderer, renderer_config, renderer_file
from pipelines.renderers.avatar import draw, load_avatar, render_person
from pipelines.renderers.past import Recall, needed_by
from pipelines.renderers.places import place_names, posed_joints
from pipelines.renderers.replay import ROLL_IN, Replay, joints_of
from pipelines.renderers.texture import CODE_CHANNELS, chart_of, sample_texture
from pipelines.renderers.tna import (
    BONE_M,
    bone_lengths,
    bone_maps,
    bones_of,
    part_texels,
    pixels_per_metre,
    rooms_of,
    sampled,
)
from pipelines.renderers.v2v import body_flow, warped
from pipelines.training import loop
from pipelines.training import step as steps
from pipelines.training.dataset import to_batch
from pipelines.training.discriminator import SequenceCritic
from pipelines.training.predicting import own_terms, predict
from pipelines.training.recipe import PRESETS
from pipelines.training.state import CHECKPOINT

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def person(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return make_person(tmp_path_factory.mktemp("person"))


@pytest.fixture(scope="module", params=["tna", "v2v"])
def folder(request: pytest.FixtureRequest, person: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of two people that has seen eight images."""
    where = tmp_path_factory.mktemp(request.param)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(PRESETS, "draft", TINY)
        patch.setattr(loop, "CHECKPOINT_S", 1e9)
        trained(where, {"ada": person, "ben": person}, images=8, renderer=request.param, extractor="none")
    return where


@pytest.fixture(autouse=True)
def no_weights_elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("ANR_WEIGHTS", raising=False)
    monkeypatch.delenv("TORCH_HOME", raising=False)


# ---- bones, parts and their textures --------------------------------------------------------------------------------

def test_a_bones_map_is_one_on_it_falls_off_beside_it_and_carries_its_depth() -> None:
    joints, bone = torch.tensor([[[10.5, 20.5, 0.0], [30.5, 20.5, 0.4]]]), torch.tensor([[0, 1]])
    length = torch.tensor([(0.4**2 + 0.2**2) ** 0.5])           # 20 pixels across are 0.2 m: a pixel is 1 cm
    near, deep = bone_maps(joints, bone, length, torch.Size((48, 64)))[0]
    assert near.shape == (48, 64)
    torch.testing.assert_close(near[20, 10:31], torch.ones(21), atol=2e-3, rtol=0)
    torch.testing.assert_close(deep[20, 10:31], torch.linspace(0, 0.4, 21), atol=2e-3, rtol=0)
    assert near[32, 20].item() == pytest.approx(np.exp(-0.12 / BONE_M), abs=1e-3)
    assert near[20, 42].item() == pytest.approx(np.exp(-0.12 / BONE_M), abs=1e-3)      # beyond the end, its distance
    assert near[36, 42].item() == pytest.approx(np.exp(-0.20 / BONE_M), abs=1e-3)      # 3, 4, 5


def test_bone_maps_of_a_larger_picture_are_the_same_maps_larger() -> None:
    body = load_body()
    fit_joints = torch.rand(1, len(place_names(body)), 3, generator=torch.Generator().manual_seed(0))
    joints = fit_joints * torch.tensor([30.0, 60.0, 0.5])
    bones, lengths = torch.tensor(bones_of(body)), torch.tensor(bone_lengths(body))
    small = bone_maps(joints, bones, lengths, torch.Size((60, 30)))
    large = bone_maps(joints * torch.tensor([5.0, 5.0, 1.0]), bones, lengths, torch.Size((300, 150)))
    torch.testing.assert_close(large[..., 2::5, 2::5], small, atol=2e-3, rtol=0)


def test_a_metre_at_the_person_is_as_many_pixels_as_the_camera_says() -> None:
    body, camera = load_body(), camera_from_fov(256, 256, 40.0)
    betas = np.zeros(body.shape_dirs.shape[0])
    for angle in (0.0, 0.7, 1.6, 3.0):
        joints = torch.from_numpy(posed_joints(betas, turned(body, angle), camera, "weak"))[None]
        found = pixels_per_metre(joints, torch.tensor(bones_of(body)), torch.tensor(bone_lengths(body)))
        assert float(found) == pytest.approx(camera.K[0, 0] / 3.0, rel=0.05)           # it stands 3 m away


def test_bones_join_the_whole_body_and_both_sides_alike() -> None:
    body = load_body()
    names, bones = place_names(body), bones_of(body)
    ends = [(names[a], names[b]) for a, b in bones]
    assert len(set(ends)) == len(ends) == 23
    assert {b for _, b in ends} >= {"crown", "nose", "wrist.L", "wrist.R", "toe.L", "toe.R"}
    swap = {".L": ".R", ".R": ".L"}
    assert {tuple(name[:-2] + swap.get(name[-2:], name[-2:]) for name in pair) for pair in ends} == set(ends)


def test_every_texel_of_the_body_lies_in_the_room_of_its_part() -> None:
    charts, rooms = chart_map(load_body()), np.array(rooms_of(load_body()))
    rows, columns = np.nonzero(charts >= 0)
    place = (np.stack([columns, rows], 1) + 0.5) / 128 - 1
    room = rooms[charts[rows, columns]]
    assert len(rooms) == 23 and ((place > room[:, :2]) & (place < room[:, 2:])).all()


def test_each_part_reads_its_own_texture_by_its_own_coordinates() -> None:
    parts, share = torch.rand(5, 3, 16, 12), torch.rand(2, 5, 4, 6, 2)
    sizes = torch.tensor([[12.0, 16.0], [12.0, 16.0], [12.0, 16.0], [6.0, 9.0], [12.0, 16.0]])
    found = sampled(parts, share, sizes)
    assert found.shape == (2, 3, 5, 4, 6)
    for row, part in ((0, 3), (1, 3), (1, 0)):
        x, y = ((share[row, part, ..., axis] * sizes[part, axis] - 0.5).clamp_min(0) for axis in (0, 1))
        left, top = x.floor().long(), y.floor().long()
        u, v = x - left, y - top
        right, below = (left + 1).clamp_max(11), (top + 1).clamp_max(15)
        texture = parts[part]
        wanted = ((1 - v) * ((1 - u) * texture[:, top, left] + u * texture[:, top, right])
                  + v * ((1 - u) * texture[:, below, left] + u * texture[:, below, right]))
        torch.testing.assert_close(found[row, :, part], wanted)


def test_a_parts_texture_is_its_chart_and_around_it_the_nearest_texel_of_that() -> None:
    """Beside a slow reference; no corner of a rectangle has a colour of its own, or another part's."""
    body = load_body()
    parts, rooms = part_texels(body), ((np.array(rooms_of(body)) + 1) * 128).round().astype(int)
    drawn = face_map(body, dilated=False)
    charts = np.where(drawn >= 0, face_charts(body)[drawn], -1)
    rng = np.random.default_rng(0)
    assert {int(charts.ravel()[np.unique(parts[k])].min()) for k in range(23)} == set(range(23))
    for k, (left, top, right, bottom) in enumerate(rooms):
        assert (charts.ravel()[parts[k]] == k).all()
        here = np.arange(top, bottom)[:, None] * 256 + np.arange(left, right)
        own = charts[top:bottom, left:right] == k
        part = parts[k, :bottom - top, :right - left]
        np.testing.assert_array_equal(part[own], here[own])
        places = np.argwhere(charts == k)
        rows, columns = np.nonzero(~own)
        for i in rng.integers(len(rows), size=20):
            place = np.array([rows[i] + top, columns[i] + left])
            taken = np.array(divmod(part[rows[i], columns[i]], 256))
            assert ((taken - place) ** 2).sum() == ((places - place) ** 2).sum(1).min()


def test_assignments_of_one_draw_exactly_one_parts_texture_and_the_mask_is_what_is_no_background() -> None:
    """M_k = 1 for one part everywhere: I is its texture at its coordinates (paper, section 3)."""
    torch.manual_seed(0)
    network = build_renderer("tna", renderer_config("tna", TINY.network(3)))
    with torch.no_grad():
        network.stage.head.weight.zero_()
        network.stage.head.bias.zero_()
        network.stage.head.bias[1 + 4] = 50.0            # part 4 everywhere, at the middle of its room
    body, texture = load_body(), torch.rand(3, 256, 256) * 2 - 1
    joints = torch.rand(1, len(place_names(body)), 3) * 32
    needed = needed_by(network, zeros(32), texture, joints)
    predicted = network(*zeros(32), needed)
    room = np.array(rooms_of(body)[4])
    middle = torch.tensor((room[:2] + room[2:]) / 2).float().view(1, 1, 1, 2)
    colour = sample_texture(texture, middle, torch.ones(1, 1, 1, 1))            # the middle of the chart's rectangle
    torch.testing.assert_close(predicted.rgb, colour.expand(1, 3, 32, 32), atol=1e-4, rtol=0)
    assert bool((predicted.mask_logit > 40).all())
    network.stage.head.bias.data[0] = 100.0
    assert bool((network(*zeros(32), needed).mask_logit < -40).all())


def zeros(size: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    return torch.zeros(1, 3, size, size), torch.zeros(1, 3, size, size), torch.zeros(1, 1, size, size)


def test_a_textured_avatar_sees_bones_and_not_the_surface(person: dict[str, Path], tmp_path: Path) -> None:
    lesson, state = lesson_and_state(person, tmp_path / "job", "tna", texture_channels=3)
    batch = steps.draw_step(lesson, state.renderer, 0)[2]
    texture = state.textures["ada"].detach()
    features = torch.zeros(2, 3, *batch.inside.shape[-2:])
    first = predict(state.renderer, features, texture, batch)
    blind = batch._replace(normal=torch.zeros_like(batch.normal), inside=torch.zeros_like(batch.inside))
    assert torch.equal(first.rgb, predict(state.renderer, features, texture, blind).rgb)
    moved = batch._replace(joints=batch.joints + 5.0)
    assert not torch.equal(first.mask_logit, predict(state.renderer, features, texture, moved).mask_logit)


def test_the_surface_loss_is_nothing_where_parts_and_places_are_the_bodys(person: dict[str, Path],
                                                                        tmp_path: Path) -> None:
    lesson, state = lesson_and_state(person, tmp_path / "job", "tna", texture_channels=3, surface=2.0,
                                     surface_until=0.5)
    network, batch = state.renderer, steps.draw_step(lesson, state.renderer, 0)[2]
    shown = Shown(batch.image, batch.alpha, batch.grid, batch.inside)
    parts = 23
    part = chart_of(batch.grid, network.charts).clamp_min(0)
    right = torch.nn.functional.one_hot(part, parts).permute(0, 3, 1, 2) * 50.0
    own = {"assignment": torch.cat([torch.zeros_like(right[:, :1]), right], 1),
           "coordinates": batch.grid[:, None].expand(-1, parts, -1, -1, -1)}
    assert float(network.own_losses(own, shown, None)["surface"]) < 1e-6
    own["coordinates"] = own["coordinates"] + 0.1
    assert float(network.own_losses(own, shown, None)["surface"]) == pytest.approx(1.0, rel=1e-3)
    predicted = predict(network, torch.zeros_like(batch.normal), state.textures["ada"], batch)
    whole, half = (own_terms(network, predicted, batch, lesson.recipe, done)["surface"].item() for done in (0.0, 0.25))
    assert half == pytest.approx(whole / 2) and own_terms(network, predicted, batch, lesson.recipe, 0.5) == {}


# ---- flows ----------------------------------------------------------------------------------------------------------

def test_warping_by_a_constant_flow_moves_the_picture() -> None:
    image = torch.rand(1, 3, 20, 30)
    flow = torch.tensor([3.0, -2.0]).view(1, 2, 1, 1).expand(1, 2, 20, 30)
    torch.testing.assert_close(warped(image, flow)[..., 2:, :-3], image[..., :-2, 3:])
    torch.testing.assert_close(warped(image, torch.zeros(1, 2, 20, 30)), image)


def seen(maps: object, image: np.ndarray | None = None) -> Shown:
    inside = torch.from_numpy(maps.inside.astype(np.float32))[None, None]
    grid = torch.from_numpy(maps.uv.astype(np.float32))[None] * 2 - 1
    return Shown(torch.zeros(1, 3, *inside.shape[-2:]), inside, grid, inside)


def test_the_bodys_flow_is_where_its_triangles_were() -> None:
    """Beside a slow reference: each pixel's point of its triangle, projected with the pose of the frame before."""
    body, camera = load_body(), camera_from_fov(256, 256, 40.0)
    betas = np.zeros(body.shape_dirs.shape[0])
    verts = [pose_body(body, betas, turned(body, angle))[0] for angle in (0.5, 0.6)]
    before, now = (surface_maps(body.faces, body.uvs, body.face_uvs, each, camera) for each in verts)
    flow, known = body_flow(seen(now), seen(before))
    then = project(verts[0], camera)
    rows, columns = np.nonzero(now.inside)
    faces = now.face_index[rows, columns]
    corners = np.concatenate([body.uvs[body.face_uvs[faces]], np.ones((len(faces), 3, 1))], 2)
    wanted_uv = np.concatenate([now.uv[rows, columns], np.ones((len(faces), 1))], 1)
    bary = np.linalg.solve(np.swapaxes(corners, 1, 2).astype(float), wanted_uv.astype(float)[..., None])[..., 0]
    wanted = np.einsum("nk,nkc->nc", bary, then[body.faces[faces]]) - np.stack([columns, rows], 1) - 0.5
    found, told = flow[0].permute(1, 2, 0).numpy()[rows, columns], known[0, 0].numpy()[rows, columns] > 0
    error = np.linalg.norm(found - wanted, axis=1)[told]
    assert told.mean() > 0.8 and np.median(np.linalg.norm(wanted[told], axis=1)) > 1.0
    assert np.median(error) < 0.35 and np.percentile(error, 95) < 1.0


def test_what_was_hidden_in_the_frame_before_has_no_flow() -> None:
    body, camera = load_body(), camera_from_fov(128, 128, 40.0)
    betas = np.zeros(body.shape_dirs.shape[0])
    front, back = (surface_maps(body.faces, body.uvs, body.face_uvs, pose_body(body, betas, turned(body, angle))[0],
                                camera) for angle in (0.0, np.pi))
    flow, known = body_flow(seen(back), seen(front))
    assert float(known.sum()) < 0.1 * back.inside.sum()
    assert float(flow[:, :, ~torch.from_numpy(back.inside)].abs().sum()) == 0
    same, all_known = body_flow(seen(front), seen(front))
    assert float(all_known.sum()) > 0.98 * front.inside.sum() and float(same.abs().median()) < 0.2


# ---- the frame before -----------------------------------------------------------------------------------------------

def test_windows_of_two_frames_in_a_row_look_at_the_same_place(person: dict[str, Path], tmp_path: Path) -> None:
    lesson, state = lesson_and_state(person, tmp_path / "job", "v2v", batch=3, split=False, window=(48, 32))
    body, pupil = load_body(), lesson.pupils["ada"]
    root = [read_fit(person["fit"] / "fit.npz").pose(k).root_translation for k in (0, 1)]
    np.testing.assert_array_equal(*root)                 # nobody moves: root joints of both windows are one place
    held_out = set(split_frames(26).held_out.tolist())
    alone = 0
    for images in range(0, 60, 3):
        batch = steps.draw_step(lesson, state.renderer, images)[2]
        assert len(batch.index) == 6
        assert not set(batch.index.tolist()) & held_out
        torch.testing.assert_close(batch.joints[:3, body.joint("root")], batch.joints[3:, body.joint("root")],
                                   atol=0.02, rtol=0)
        for earlier, later in zip(batch.index[:3].tolist(), batch.index[3:].tolist()):
            alone += earlier == later
            assert earlier == (later - 1 if later - 1 in pupil.all else later)
    assert alone > 0                                     # the first frame after a held-out segment has no past


def test_a_frame_without_a_past_is_drawn_as_the_first_one(person: dict[str, Path], tmp_path: Path) -> None:
    lesson, state = lesson_and_state(person, tmp_path / "job", "v2v", batch=2, split=False)
    stirred(state.renderer)
    batch = steps.draw_step(lesson, state.renderer, 0)[2]
    batch = type(batch)(*(torch.cat([x[2:3], x[2:3]]) for x in batch))          # one frame, twice
    features = torch.rand(2, 8, *batch.inside.shape[-2:])
    features[0] = features[1]
    texture = state.textures["ada"]
    first, again = predict(state.renderer, features, texture, batch).rgb
    torch.testing.assert_close(first, again)
    known = batch._replace(index=torch.tensor([6, 7]))
    _, later = predict(state.renderer, features, texture, known).rgb
    assert not torch.allclose(first, later, atol=1e-3)


def stirred(network: torch.nn.Module) -> None:
    """Away from the zeros that residual blocks and a calm head start with."""
    torch.manual_seed(3)
    for parameter in network.parameters():
        parameter.data.add_(0.05 * torch.randn_like(parameter))


def test_what_is_recalled_lies_where_it_lay_in_the_whole_picture() -> None:
    generator = torch.Generator().manual_seed(0)
    inputs = tuple(torch.rand(1, channels, 40, 30, generator=generator) for channels in (8, 3, 1))
    picture = tuple(np.random.default_rng(0).random(shape, np.float32) for shape in ((40, 30, 3), (40, 30)))
    recall = Recall()
    assert float(recall.seen_from(inputs, (0, 0, 30, 40)).known) == 0.0
    recall.keep(inputs, picture, (100, 50, 130, 90))
    same = recall.seen_from(inputs, (100, 50, 130, 90))
    for kept, wanted in zip(same[2:5], inputs):
        torch.testing.assert_close(kept, wanted)
    torch.testing.assert_close(same.rgb[0].permute(1, 2, 0).numpy() / 2 + 0.5, torch.from_numpy(picture[0]).numpy(),
                               atol=1e-5, rtol=0)
    small = tuple(x[..., :20, :20] for x in inputs)
    part = recall.seen_from(small, (105, 60, 125, 80))
    torch.testing.assert_close(part.alpha[0, 0], torch.from_numpy(picture[1])[10:30, 5:25], atol=1e-5, rtol=0)
    torch.testing.assert_close(part.features, inputs[0][..., 10:30, 5:25])
    beside = recall.seen_from(small, (130, 50, 150, 70))
    assert float(beside.known) == 1.0 and float(beside.inside.abs().max()) == 0.0
    half = recall.seen_from(tuple(x[..., ::2, ::2] for x in inputs), (100, 50, 130, 90))
    assert half.rgb.shape == (1, 3, 20, 15)
    torch.testing.assert_close(half.alpha.mean(), same.alpha.mean(), atol=0.02, rtol=0)
    recall.forget()
    assert float(recall.seen_from(inputs, (100, 50, 130, 90)).known) == 0.0


def test_the_sequence_critic_judges_pictures_and_pairs_alike() -> None:
    torch.manual_seed(0)
    critic = SequenceCritic(5, 4, 2)
    pictures = torch.rand(6, 5, 32, 32)
    verdicts = critic(pictures)
    assert [verdict[-1].shape[0] for verdict in verdicts] == [6, 6, 3, 3]
    swapped = critic(torch.cat([pictures[3:], pictures[:3]]))
    torch.testing.assert_close(swapped[0][-1].roll(3, 0), verdicts[0][-1])
    assert not torch.allclose(swapped[2][-1], verdicts[2][-1])                  # the order of two frames tells


def test_vid2vid_learns_one_turn_of_a_body_and_does_not_drift(person: dict[str, Path], tmp_path: Path) -> None:
    """The sanity scene of a sequence: whoever fails here is weak by a bug.

    The flow comes near the body's, and the tenth picture in a row, drawn from its own nine, is as near as the first.
    """
    recipe = {**renderer_file("v2v").RECIPE, "scale": (1.0, 1.0), "window": (64, 48), "batch": 2, "warm_up": 1,
              "widths": (16, 24), "learning_rate": 4e-3, "average": 0.9}
    lesson, state = lesson_and_state(person, tmp_path / "job", "v2v", **recipe)
    pupil = dataclasses.replace(lesson.pupils["ada"], keyframes=list(range(10)), others=[])
    lesson = dataclasses.replace(lesson, pupils={"ada": pupil})
    flow = []
    for images in range(0, 160, 2):
        state.images = images
        flow.append(steps.take_step(lesson, state, *steps.draw_step(lesson, state.renderer, images))["flow"])
    assert np.mean(flow[-10:]) < 0.7 * flow[0], f"{flow[0]:.3f} -> {np.mean(flow[-10:]):.3f}"
    recall, errors = Recall(), []
    for k in range(10):
        frame = pupil.frames[k]
        batch = to_batch([frame], 1.0)
        inputs = sample_texture(state.average_textures["ada"], batch.grid, batch.inside), batch.normal, batch.inside
        height, width = frame.alpha.shape
        box = (*frame.corner, frame.corner[0] + width, frame.corner[1] + height)
        past = recall.seen_from(inputs, box)
        rgb, alpha = (x.numpy() for x in draw(state.average, *inputs, needed_by(state.average, inputs, inputs[0][0],
                                                                                None, past)))
        recall.keep(inputs, (rgb, alpha), box)
        shown = frame.inside > 0
        errors.append(float(np.abs(rgb - frame.image / 255.0)[shown].mean()))
    assert errors[0] < 0.12 and max(errors[-3:]) < 1.5 * errors[0], errors


# ---- through every stage --------------------------------------------------------------------------------------------

def test_both_are_trained_and_kept_like_every_renderer(folder: Path) -> None:
    avatar = load_avatar(folder, "cpu")
    name = avatar.description["renderer"]
    channels = 3 if name == "tna" else CODE_CHANNELS
    assert avatar.textures["ada"].shape == avatar.textures["ben"].shape == (channels, 256, 256)
    assert not torch.equal(avatar.textures["ada"], avatar.textures["ben"])
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert {"tna": "surface", "v2v": "flow"}[name] in rows[-1]
    assert ("critic" in rows[-1]) == (name == "v2v")


def test_a_frame_of_a_sequence_follows_on_the_one_drawn_last_and_an_isolated_one_rolls_in(
        folder: Path, person: dict[str, Path]) -> None:
    avatar, read = load_avatar(folder, "cpu"), []
    stirred(avatar.renderer)

    def maps_of(index: int) -> object:
        read.append(index)
        return read_maps(person["raster"] / "maps" / f"{index:05d}.maps")

    whole = Replay(avatar, "ada", maps_of)
    shown = [whole.frame(k)[0] for k in range(ROLL_IN + 3)]
    looks_back = avatar.description["renderer"] == "v2v"
    assert read == list(range(ROLL_IN + 3))
    read.clear()
    isolated = Replay(avatar, "ada", maps_of)
    np.testing.assert_array_equal(isolated.frame(ROLL_IN)[0], shown[ROLL_IN])   # all of its past is there
    np.testing.assert_array_equal(isolated.frame(ROLL_IN + 1)[0], shown[ROLL_IN + 1])
    assert read == (list(range(ROLL_IN + 2)) if looks_back else [ROLL_IN, ROLL_IN + 1])
    first = Replay(avatar, "ada", maps_of).frame(0)[0]
    np.testing.assert_array_equal(first, shown[0])
    if looks_back:
        maps = read_maps(person["raster"] / "maps" / f"{ROLL_IN:05d}.maps")
        alone = render_person(avatar, avatar.textures["ada"], maps)[0]
        assert np.abs(alone - shown[ROLL_IN]).max() > 1e-4


def test_joints_of_a_captured_frame_come_from_the_motion_kept_with_the_avatar(folder: Path,
                                                                             person: dict[str, Path]) -> None:
    avatar = load_avatar(folder, "cpu").person("ada")
    fit = read_fit(person["fit"] / "fit.npz")
    wanted = posed_joints(fit.betas, fit.pose(7), avatar.camera, "perspective")
    np.testing.assert_allclose(joints_of(avatar)(7), wanted, atol=1e-3)


def test_both_are_examined_and_rendered_and_tried_on(folder: Path, person: dict[str, Path], tmp_path: Path,
                                                     monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "eval").mkdir()
    inputs = {"train": folder, **{f"ada/{stage}": person[stage] for stage in ("capture", "raster", "matte")}}
    options = evaluate.EvalOptions(person="ada", frames=2)
    figures = evaluate.run(Job(tmp_path / "eval", options, inputs, Progress())).figures
    assert {"psnr", "ssim", "flip", "temporal_error"} <= set(figures) and all(np.isfinite(list(figures.values())))
    for number, (stage, asked) in enumerate([
            (render, {"person": "ada", "replay": True, "frames": "2:5"}), (render, {"person": "ben", "orbit": True}),
            (tryon, {"face": "ada", "shirt": "ben", "replay": True, "frames": "0:2"})]):
        where = tmp_path / f"shot{number}"
        where.mkdir()
        if "orbit" in asked:
            asked = {**asked, "frames": "0:3", "size": 96}
        assert run(stage, folder, where, **asked).figures["frames"] in (2, 3)


@pytest.mark.parametrize("name", ["anr", "v2v"])
def test_people_of_other_sizes_and_speeds_share_a_model(person: dict[str, Path], tmp_path: Path,
                                                        monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Trained, examined, replayed and worn by the other, each in their own size and at their own speed."""
    monkeypatch.setitem(PRESETS, "draft", TINY)
    tall = make_person(tmp_path / "tall", (72, 96), 25.0)
    trained(tmp_path / "train", {"ada": person, "tall": tall}, images=8, renderer=name, extractor="none")
    avatar = load_avatar(tmp_path / "train", "cpu")
    assert (avatar.person("tall").camera.width, avatar.person("tall").camera.height) == (72, 96)
    inputs = {f"{who}/{stage}": folders[stage] for who, folders in (("ada", person), ("tall", tall))
              for stage in ("capture", "raster", "matte")}
    (tmp_path / "eval").mkdir()
    report = evaluate.run(Job(tmp_path / "eval", evaluate.EvalOptions(frames=2),
                              {"train": tmp_path / "train", **inputs}, Progress()))
    assert np.isfinite(list(report.figures.values())).all()
    sizes = {}
    for who in ("ada", "tall"):
        where = tmp_path / f"replay-{who}"
        where.mkdir()
        outcome = run(render, tmp_path / "train", where, person=who, replay=True, frames="0:2", frames_dir="pictures")
        assert outcome.figures["frames"] == 2
        sizes[who] = read_image(where / "frames" / "00000.png").shape[1::-1]
    assert sizes == {"ada": (64, 64), "tall": (72, 96)}
    assert [avatar.person(who).fps for who in ("ada", "tall")] == [15.0, 25.0]
    (tmp_path / "worn").mkdir()
    assert run(tryon, tmp_path / "train", tmp_path / "worn", face="tall", shirt="ada", replay=True,
               frames="0:2").figures["frames"] == 2


def test_a_rendered_replay_shows_what_the_examination_saw(folder: Path, person: dict[str, Path],
                                                         tmp_path: Path) -> None:
    """Frame by frame from the first: the same network, the same past, though boxes have other margins."""
    outcome = run(render, folder, tmp_path, person="ada", replay=True, frames="0:3", frames_dir="asked")
    avatar = load_avatar(folder, "cpu")
    replay = Replay(avatar, "ada", lambda k: read_maps(person["raster"] / "maps" / f"{k:05d}.maps"))
    plate = read_image(avatar.person("ada").background).astype(float)
    for k in range(3):
        maps = read_maps(person["raster"] / "maps" / f"{k:05d}.maps")
        x0, y0, x1, y1 = maps.box
        rgb, alpha = replay.frame(k)
        wanted = plate.copy()
        wanted[y0:y1, x0:x1] += alpha[..., None] * (255 * rgb - wanted[y0:y1, x0:x1])
        found = read_image(tmp_path / "frames" / f"{k:05d}.png")[..., :3]
        assert np.abs(found - wanted)[maps.inside].mean() < 12
    assert outcome.figures["frames"] == 3


def test_other_engines_are_refused_before_anything_is_drawn(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(AnrError, match=r"openvino does not run the renderer (tna|v2v)") as caught:
        run(render, folder, tmp_path, person="ada", replay=True, engine="openvino")
    assert "Leave --engine away" in caught.value.hint


def test_what_a_renderer_cannot_use_is_refused_before_any_work() -> None:
    for renderer, change in (("pix2pix", "critic_sees_pairs=yes"), ("tna", "critic_sees_pairs=yes"),
                             ("tna", "refine=yes")):
        with pytest.raises(AnrError, match=f"--set {change} is not for the renderer '{renderer}'"):
            train.check(train.TrainOptions(renderer=renderer, changes=(change,)))
    train.check(train.TrainOptions(renderer="v2v", changes=("refine=yes",)))


def test_nothing_is_painted_on_a_texture_that_is_not_read_on_the_surface(folder: Path, tmp_path: Path) -> None:
    from pipelines import edit

    options = edit.EditOptions(person="ada", texture=str(tmp_path / "painted.png"))
    with pytest.raises(AnrError, match=r"nothing can be painted on it|has no neural texture"):
        edit.run(Job(tmp_path, options, {"train": folder}, Progress()))


@pytest.mark.parametrize("name", ["tna", "v2v"])
def test_a_rival_resumed_equals_one_never_stopped(person: dict[str, Path], tmp_path: Path, name: str,
                                                  monkeypatch: pytest.MonkeyPatch) -> None:
    from safetensors.torch import load_file

    monkeypatch.setitem(PRESETS, "draft", TINY)
    monkeypatch.setattr(loop, "CHECKPOINT_S", 0.0)
    people, asked = {"ada": person, "ben": person}, {"images": 8, "renderer": name, "extractor": "none"}
    trained(tmp_path / "whole", people, **asked)
    with interrupted_after(2):
        trained(tmp_path / "parts", people, **asked)
    assert (tmp_path / "parts" / CHECKPOINT).exists()
    trained(tmp_path / "parts", people, **asked)
    for file in ("network.safetensors", "textures.safetensors"):
        whole, parts = (load_file(tmp_path / each / file) for each in ("whole", "parts"))
        assert all(torch.equal(whole[key], parts[key]) for key in whole) and whole
