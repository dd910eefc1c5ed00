"""Training: the losses by hand, what a step may change, windows, resuming, and the two stages on a tiny person."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from training_helpers import (
    FRAMES,
    SIZE,
    TINY,
    Remembering,
    interrupted_after,
    lesson_and_state,
    make_person,
    trained,
    turned,
)

from pipelines.body.model import load_body, pose_body, rest_body
from pipelines.core.errors import AnrError
from pipelines.core.mapcache import read_maps
from pipelines.core.records import BodyPose
from pipelines.core.split import split_frames
from pipelines.core.storage import write_json
from pipelines.geometry.cameras import camera_for_maps, camera_from_fov
from pipelines.media.images import read_alpha, write_alpha, write_image
from pipelines.media.recording import Recording
from pipelines.rasterizers.cpu import surface_maps
from pipelines.renderers.avatar import load_avatar, render_person
from pipelines.renderers.places import ENDS, place_names, places_of, posed_joints
from pipelines.training import loop, reporting, validation
from pipelines.training import state as states
from pipelines.training import step as steps
from pipelines.training.dataset import (
    CroppedFrame,
    Memory,
    PersonFrames,
    clean_plate,
    cut_window,
    draw_batch,
    turn_window,
)
from pipelines.training.features import SqueezeFeatures
from pipelines.training.losses import (
    blend,
    check_finite,
    feature_loss,
    mask_loss,
    pixel_loss,
    total_variation,
)
from pipelines.training.recipe import PRESETS, recipe_for
from pipelines.training.state import CHECKPOINT

# ---- losses ---------------------------------------------------------------------------------------------------------

def one(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float32).view(1, 1, 1, -1)


def test_pixel_loss_by_hand() -> None:
    mask, coarse, rgb, image = one(1, 0.5), one(0.2, 0), one(0, -1), one(0, 0)
    assert pixel_loss(mask, coarse, rgb, image).item() == pytest.approx((1 * 0.2 + 0.5 * 1.0) / 2)
    assert pixel_loss(mask, coarse, rgb, image, one(3, 1)).item() == pytest.approx((3 * 0.2 + 0.5 * 1.0) / 2)


def test_the_pixel_loss_reaches_the_predicted_mask() -> None:
    mask = one(0.5, 0.5).requires_grad_()
    pixel_loss(mask, one(1, 0), one(1, 0), one(0, 0)).backward()
    assert mask.grad is not None and mask.grad.flatten().tolist() == pytest.approx([1.0, 0.0])


def test_mask_loss_by_hand() -> None:
    logit = one(0.0, math.log(3.0))                  # masks 1/2 and 3/4
    assert mask_loss(logit, one(1, 0)).item() == pytest.approx((math.log(2) + math.log(4)) / 2)


def test_total_variation_by_hand() -> None:
    image = torch.tensor([[0.0, 1.0], [3.0, 3.0]]).view(1, 1, 2, 2)
    assert total_variation(image).item() == pytest.approx((1 + 0) / 2 + (3 + 2) / 2)
    assert total_variation(torch.full((1, 3, 5, 5), 0.3)).item() == 0.0


def test_blending_shows_the_person_where_the_mask_is_one_and_the_background_where_it_is_zero() -> None:
    assert blend(one(1, 0, 0.25), one(8, 8, 8), one(4, 4, 4)).flatten().tolist() == [8, 4, 5]


class Doubling(torch.nn.Module):
    def forward(self, image: torch.Tensor) -> list[torch.Tensor]:
        return [image, 2 * image + 1]


def test_feature_loss_by_hand() -> None:
    found, wanted = one(1.0, 3.0), one(1.0, 1.0)     # layer 1: 1 / 1; layer 2: 2 / 3
    assert feature_loss(Doubling(), found, wanted).item() == pytest.approx(1.0 + 2.0 / 3.0)


def test_squeeze_features_vanish_for_equal_pictures_and_not_for_others(shared_data: Path) -> None:
    extractor = SqueezeFeatures(shared_data / "weights" / "lpips_squeeze" / "squeeze.backbone.pth", (1, 4, 7, 12))
    image = torch.rand(1, 3, 64, 48) * 2 - 1
    assert [layer.shape[1] for layer in extractor(image)] == [64, 128, 256, 512]
    assert feature_loss(extractor, image, image).item() == 0.0
    assert feature_loss(extractor, image.flip(2), image).item() > 0.1


def test_a_loss_that_is_no_number_names_image_and_term() -> None:
    with pytest.raises(AnrError, match=r"feature loss became nan at image 70") as caught:
        check_finite({"pixel": torch.tensor(1.0), "feature": torch.tensor(float("nan"))}, 70)
    assert "--fresh" in caught.value.hint


# ---- recipe and plan ------------------------------------------------------------------------------------------------

def test_an_unknown_preset_lists_the_known_ones() -> None:
    with pytest.raises(AnrError) as caught:
        recipe_for("huge")
    assert all(name in caught.value.hint for name in PRESETS)


def test_only_given_numbers_change_a_preset() -> None:
    assert recipe_for("draft", batch=None) == PRESETS["draft"]
    assert recipe_for("draft", batch=4).batch == 4


def test_the_learning_rate_warms_up_and_decays_once_to_its_end() -> None:
    recipe = dataclasses.replace(PRESETS["draft"], warm_up=10, decay_to=0.1)
    factors = [steps.rate_factor(k, 100, recipe) for k in range(101)]
    assert factors[0] == pytest.approx(0.1, rel=0.01) and factors[100] == pytest.approx(0.1)
    assert np.all(np.diff(factors[:9]) > 0) and np.all(np.diff(factors[12:]) < 0)


def test_a_time_budget_becomes_images_at_the_measured_pace() -> None:
    kept = 1 - loop.KEPT_BACK
    assert loop.planned_images(20, 10.0, 1.0, 0.5, 1) == 20 + int((60 * kept - 10) / 0.5)
    assert loop.planned_images(20, 100.0, 1.0, 0.5, 4) == 24         # over budget already: one step more, then the end


# ---- windows --------------------------------------------------------------------------------------------------------

def checkered(height: int, width: int) -> CroppedFrame:
    ys, xs = np.mgrid[:height, :width]
    image = np.stack([ys, xs, (ys + xs) % 2 * 200], -1).astype(np.uint8)
    inside = ((np.abs(ys - height / 2) < height / 4) & (np.abs(xs - width / 2) < width / 4)).astype(np.uint8)
    inside[height // 4 + 1:height // 4 + 9, width // 2 - 5:width // 2 + 5] = 2
    return CroppedFrame(image, inside.astype(bool) * np.uint8(255), image // 2,
                        np.stack([xs, ys], -1).astype(np.uint16), np.stack([xs, ys, ys], -1).astype(np.int8), inside,
                        np.float32([[width / 2, height / 2, 0.0], [3.5, 9.5, -0.2]]), 4, (100, 200))


def test_a_window_at_scale_one_is_a_cut_of_every_array() -> None:
    frame = checkered(60, 50)
    window = cut_window(frame, (5, 7, 32, 16), (32, 16))
    for name in ("image", "alpha", "background", "uv", "normal", "inside"):
        np.testing.assert_array_equal(getattr(window, name), getattr(frame, name)[5:37, 7:23])
    np.testing.assert_array_equal(window.joints, frame.joints - np.float32([7, 5, 0]))
    assert window.index == frame.index and window.corner == (107, 205)


@pytest.mark.parametrize("quarters", [0, 1, 2, 3])
def test_a_turned_window_keeps_pictures_maps_and_joints_together(quarters: int) -> None:
    rng = np.random.default_rng(0)
    alpha = np.zeros((6, 4), np.uint8)
    alpha[1, 3] = 255
    maps = {"uv": rng.integers(0, 9, (6, 4, 2)).astype(np.uint16),
            "normal": rng.integers(0, 9, (6, 4, 3)).astype(np.int8)}
    window = CroppedFrame(np.repeat(alpha[..., None], 3, 2), alpha, np.repeat(alpha[..., None], 3, 2), **maps,
                          inside=alpha // 255, joints=np.array([[3.5, 1.5, 0.25]], np.float32), index=7, corner=(0, 0))
    found = turn_window(window, quarters)
    row, column = np.argwhere(found.alpha)[0]
    assert found.alpha.shape == ((4, 6) if quarters % 2 else (6, 4))
    assert np.allclose(found.joints, [[column + 0.5, row + 0.5, 0.25]])
    assert (found.uv[row, column] == window.uv[1, 3]).all() and (found.normal[row, column] == window.normal[1, 3]).all()
    assert found.image[row, column, 0] == found.background[row, column, 0] == 255 and found.inside[row, column] == 1


def test_turned_windows_fill_the_batch_and_leave_the_others_as_they_were(person: dict[str, Path],
                                                                        tmp_path: Path) -> None:
    lesson, _ = lesson_and_state(person, tmp_path / "job")
    frames = [lesson.pupils["ada"].frames[k] for k in (3, 4, 5, 6)]
    plain, some, all_of_them = (draw_batch(frames, dataclasses.replace(lesson.recipe, turned_share=share),
                                           np.random.default_rng(1), 8) for share in (0.0, 0.5, 1.0))
    assert plain.image.shape == some.image.shape == all_of_them.image.shape
    again = draw_batch(frames, dataclasses.replace(lesson.recipe, turned_share=0.0), np.random.default_rng(1), 8)
    assert torch.equal(plain.image, again.image) and not torch.equal(plain.image, all_of_them.image)


def test_beyond_the_frame_a_window_is_empty() -> None:
    window = cut_window(checkered(20, 20), (-6, -6, 32, 32), (32, 32))
    outside = np.ones((32, 32), bool)
    outside[6:26, 6:26] = False
    assert not window.alpha[outside].any() and not window.inside[outside].any()


def test_rescaling_never_mixes_uv_or_normals() -> None:
    frame = checkered(60, 50)
    window = cut_window(frame, (0, 0, 60, 50), (35, 29))
    assert {tuple(x) for x in window.uv.reshape(-1, 2)} <= {tuple(x) for x in frame.uv.reshape(-1, 2)}
    assert {tuple(x) for x in window.normal.reshape(-1, 3)} <= {tuple(x) for x in frame.normal.reshape(-1, 3)}


def test_windows_are_multiples_of_what_the_network_needs_and_face_windows_show_the_face() -> None:
    recipe = dataclasses.replace(PRESETS["draft"], window=(40, 40), face_share=1.0, face_weight=5.0)
    for seed in range(20):
        batch = draw_batch([checkered(90, 70)], recipe, np.random.default_rng(seed), 16)
        assert batch.image.shape == (1, 3, 48, 48)
        assert float(batch.weight.max()) == 5.0


def test_batch_values_are_in_the_papers_ranges() -> None:
    batch = draw_batch([checkered(90, 70)], recipe_for("draft"), np.random.default_rng(0), 16)
    for tensor in (batch.image, batch.background, batch.grid):
        assert float(tensor.min()) >= -1 and float(tensor.max()) <= 1
    assert set(batch.inside.unique().tolist()) <= {0.0, 1.0} and float(batch.alpha.max()) == 1.0


def test_joints_of_a_window_lie_on_the_body_that_its_maps_show(person: dict[str, Path], tmp_path: Path) -> None:
    """Hips and chest of the fitted body are inside its own outline in every window, at every scale."""
    body = load_body()
    middle = [body.joint(name) for name in ("root", "spine03", "neck01")]
    lesson, state = lesson_and_state(person, tmp_path / "job", window=(64, 64), scale=(0.6, 1.2))
    for images in range(0, 40, 2):
        batch = steps.draw_step(lesson, state.renderer, images)[2]
        assert batch.joints.shape == (2, len(body.joint_names) + len(ENDS), 3)
        assert torch.equal(batch.joints[:, 0, 2], torch.zeros(2))
        for inside, joints in zip(batch.inside[:, 0], batch.joints):
            for x, y in joints[middle, :2].tolist():
                if 0 <= x < inside.shape[1] and 0 <= y < inside.shape[0]:
                    assert inside[int(y), int(x)] == 1
    assert set(batch.index.tolist()) <= set(lesson.pupils["ada"].all)


def test_weak_perspective_moves_joints_as_it_moves_the_surface() -> None:
    body = load_body()
    camera = camera_from_fov(200, 200, 60.0)
    pose, betas = turned(body, 0.8), np.zeros(body.shape_dirs.shape[0])
    for projection in ("perspective", "weak"):
        verts, joints = pose_body(body, betas, pose)
        drawn = surface_maps(body.faces, body.uvs, body.face_uvs, verts, camera_for_maps(camera, verts, projection))
        found = posed_joints(betas, pose, camera, projection)
        names = place_names(body)
        assert len(found) == len(names) and np.isfinite(found).all()
        rows = np.nonzero(drawn.inside)[0]
        assert found[names.index("crown"), 1] == pytest.approx(rows.min(), abs=1.5)
        np.testing.assert_allclose(found[:len(joints), 2], joints[:, 2] - joints[0, 2], atol=1e-5)
        behind = np.asarray(pose.root_translation) * [1, 1, -1]
        assert np.isfinite(posed_joints(betas, BodyPose(pose.joint_rotations, behind), camera, projection)).all()


def test_the_ends_of_the_body_are_where_their_names_say() -> None:
    body = load_body()
    verts, joints = rest_body(body, np.zeros(0))
    places = dict(zip(place_names(body), places_of(verts, joints)))
    assert places["crown"][1] == verts[:, 1].max() and places["nose"][2] > places["head"][2] + 0.05
    assert places["toe.L"][0] > 0 > places["toe.R"][0]
    assert all(places[f"toe.{side}"][2] > places[f"foot.{side}"][2] + 0.05 for side in "LR")


# ---- a tiny person through both stages ------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def person(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The inputs of one person: the body itself, coloured by height, turning before a striped wall."""
    return make_person(tmp_path_factory.mktemp("person"))


@pytest.fixture(autouse=True)
def tiny_preset(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(PRESETS, "draft", TINY)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("ANR_WEIGHTS", raising=False)
    monkeypatch.delenv("TORCH_HOME", raising=False)
    monkeypatch.setattr(loop, "CHECKPOINT_S", 1e9)


def networks_equal(one: Path, other: Path) -> bool:
    from safetensors.torch import load_file

    return all(torch.equal(a, b) for file in ("network.safetensors", "textures.safetensors")
               for a, b in zip(load_file(one / file).values(), load_file(other / file).values()))


EVERYTHING = {"adversarial": 0.1, "feature_matching": 0.1, "critic_from": 4, "critic_warm_up": 8, "patience": 9,
              "stay_in_chart": True, "texture_levels": 3, "split_ratio": 2.0, "texture_start": "colours"}


@pytest.mark.parametrize("changes", [{}, EVERYTHING], ids=["draft", "everything on"])
def test_training_resumed_equals_training_never_stopped(person: dict[str, Path], tmp_path: Path,
                                                        monkeypatch: pytest.MonkeyPatch,
                                                        changes: dict[str, object]) -> None:
    people = {"ada": person, "ben": person}
    monkeypatch.setitem(PRESETS, "draft", dataclasses.replace(TINY, **changes))    # type: ignore[arg-type]
    monkeypatch.setattr(validation, "LOOK_EVERY", 6)
    trained(tmp_path / "whole", people, images=14)
    monkeypatch.setattr(loop, "CHECKPOINT_S", 0.0)
    with interrupted_after(4):
        trained(tmp_path / "parts", people, images=14)
    assert (tmp_path / "parts" / CHECKPOINT).exists()
    assert trained(tmp_path / "parts", people, images=14).figures["images"] == 14
    assert networks_equal(tmp_path / "whole", tmp_path / "parts")
    assert not networks_equal(tmp_path / "whole", _other_seed(tmp_path / "other", people))


def _other_seed(folder: Path, people: dict[str, dict[str, Path]]) -> Path:
    trained(folder, people, images=14, seed=1)
    return folder


def test_keyframes_teach_texture_and_network_and_other_frames_the_network_alone(person: dict[str, Path],
                                                                               tmp_path: Path) -> None:
    lesson, state = lesson_and_state(person, tmp_path / "job")
    for images, teaches in ((0, True), (2, False), (4, True), (6, False)):
        state.images = images
        texture, network = state.textures["ada"].detach().clone(), _weights(state)
        step = steps.draw_step(lesson, state.renderer, images)
        assert step[1] is teaches
        steps.take_step(lesson, state, *step)
        assert torch.equal(texture, state.textures["ada"]) is not teaches
        assert not torch.equal(network, _weights(state))


def _weights(state: states.State) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in state.renderer.parameters()])


def test_a_step_changes_only_texels_that_its_windows_saw(person: dict[str, Path], tmp_path: Path) -> None:
    lesson, state = lesson_and_state(person, tmp_path / "job", grid_noise=0.0)
    before = state.textures["ada"].detach().clone()
    name, teaches, batch = steps.draw_step(lesson, state.renderer, 0)
    steps.take_step(lesson, state, name, teaches, batch)
    changed = (state.textures["ada"] != before).any(0)
    place = ((batch.grid + 1) * 128 - 0.5)[batch.inside[:, 0] > 0]
    seen = torch.zeros(256, 256, dtype=torch.bool)
    for dx in (0, 1):
        for dy in (0, 1):
            x, y = (place[:, 0].floor().long() + dx).clamp(0, 255), (place[:, 1].floor().long() + dy).clamp(0, 255)
            seen[y, x] = True
    assert changed.any() and not (changed & ~seen).any()


def test_the_same_images_draw_the_same_windows(person: dict[str, Path], tmp_path: Path) -> None:
    lesson, state = lesson_and_state(person, tmp_path / "job")
    first, again, later = (steps.draw_step(lesson, state.renderer, k)[2] for k in (6, 6, 8))
    assert all(torch.equal(a, b) for a, b in zip(first, again))
    assert not torch.equal(first.image, later.image)


def test_windows_come_from_training_frames_alone(person: dict[str, Path], tmp_path: Path) -> None:
    lesson, _ = lesson_and_state(person, tmp_path / "job")
    pupil, split = lesson.pupils["ada"], split_frames(FRAMES)
    assert set(pupil.keyframes) == {0, 5}
    assert set(pupil.all) == set(split.train.tolist()) and not set(pupil.all) & set(split.held_out.tolist())


def test_training_writes_what_rendering_needs_and_nothing_of_the_capture(person: dict[str, Path],
                                                                         tmp_path: Path) -> None:
    progress = Remembering()
    outcome = trained(tmp_path / "train", {"ada": person}, progress)
    assert outcome.figures["images"] == 12
    root = tmp_path / "train"
    names = {path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()}
    assert {"network.safetensors", "textures.safetensors", "avatar.json", "body.npz", "backgrounds/ada.png",
            "motions/ada.npz", "split.json", "metrics.jsonl"} <= names
    assert CHECKPOINT not in names and outcome.outputs["picture"] in names
    assert any("feature loss" in text and "--weights" in text for text in progress.warnings)
    rows = [json.loads(line) for line in (tmp_path / "train" / "metrics.jsonl").read_text().splitlines()]
    assert rows[-1]["images"] == 12 and {"pixel", "mask", "variation"} <= set(rows[-1])

    avatar = load_avatar(tmp_path / "train", "cpu")
    assert avatar.person("ada").background.exists() and avatar.person("ada").motion.exists()
    assert avatar.textures["ada"].shape == (8, 256, 256)
    with pytest.raises(AnrError, match="does not know 'eve'"):
        avatar.person("eve")

    body = load_body()
    verts, _ = pose_body(body, np.zeros(body.shape_dirs.shape[0]), turned(body, 0.3))
    maps = surface_maps(body.faces, body.uvs, body.face_uvs, verts, camera_from_fov(SIZE, SIZE, 40.0), (7, 3, 50, 60))
    rgb, alpha = render_person(avatar, avatar.textures["ada"], maps)
    assert rgb.shape == (57, 43, 3) and alpha.shape == (57, 43) and rgb.dtype == alpha.dtype == np.float32


def test_tensorboard_shows_losses_held_out_frames_and_textures(person: dict[str, Path], tmp_path: Path,
                                                              monkeypatch: pytest.MonkeyPatch) -> None:
    shown: dict[str, tuple[int, ...]] = {}

    class Board:
        def add_scalar(self, name: str, value: float, images: int) -> None:
            shown[name] = ()

        def add_image(self, name: str, picture: np.ndarray | torch.Tensor, images: int,
                      dataformats: str = "CHW") -> None:
            assert picture.min() >= 0 and picture.max() <= (1 if dataformats == "CHW" else 255)
            shown[name] = tuple(picture.shape)

        def close(self) -> None:
            shown["closed"] = ()

    monkeypatch.setattr(reporting, "_tensorboard", lambda folder: Board())
    trained(tmp_path / "train", {"ada": person}, images=4)
    assert {"loss/pixel", "loss/mask", "held out", "texture/ada", "closed"} <= set(shown)
    assert shown["texture/ada"] == (3, 256, 256)


def test_an_avatar_of_another_body_or_without_its_network_is_refused(person: dict[str, Path], tmp_path: Path) -> None:
    trained(tmp_path / "train", {"ada": person}, images=2)
    (tmp_path / "train" / "network.safetensors").unlink()
    with pytest.raises(AnrError, match="incomplete"):
        load_avatar(tmp_path / "train", "cpu")
    stored = json.loads((tmp_path / "train" / "avatar.json").read_text())
    write_json(tmp_path / "train" / "avatar.json", {**stored, "body_version": "another"})
    with pytest.raises(AnrError, match="body version another"):
        load_avatar(tmp_path / "train", "cpu")


def test_a_person_without_a_trusted_keyframe_is_refused(person: dict[str, Path], tmp_path: Path) -> None:
    (tmp_path / "keyframes").mkdir()
    write_json(tmp_path / "keyframes" / "keyframes.json", {"frames": [], "coverage": []})
    with pytest.raises(AnrError, match="ada has no keyframe"):
        trained(tmp_path / "train", {"ada": {**person, "keyframes": tmp_path / "keyframes"}})


def test_nothing_to_learn_from_after_the_split_is_said_with_the_numbers(person: dict[str, Path],
                                                                          tmp_path: Path) -> None:
    empty = np.zeros(read_alpha(person["matte"] / "alpha" / "00000.png").shape, np.float32)
    (tmp_path / "matte" / "alpha").mkdir(parents=True)
    for path in (person["matte"] / "alpha").iterdir():
        write_alpha(tmp_path / "matte" / "alpha" / path.name, empty)
    with pytest.raises(AnrError, match=rf"nothing to learn from: of {FRAMES} captured frames \d+ are held") as caught:
        trained(tmp_path / "train", {"ada": {**person, "matte": tmp_path / "matte"}})
    assert "anr matte --person ada" in caught.value.hint


def test_a_damaged_checkpoint_is_said(person: dict[str, Path], tmp_path: Path) -> None:
    (tmp_path / "train").mkdir()
    (tmp_path / "train" / CHECKPOINT).write_bytes(b"half a file")
    with pytest.raises(AnrError, match="cannot be used") as caught:
        trained(tmp_path / "train", {"ada": person})
    assert "--fresh" in caught.value.hint


def test_minutes_become_a_number_of_images_that_is_written_down(person: dict[str, Path], tmp_path: Path,
                                                               monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "MEASURED_S", 0.0)
    monkeypatch.setattr(loop, "MEASURED_IMAGES", 8)
    outcome = trained(tmp_path / "train", {"ada": person}, minutes=0.03)
    plan = json.loads((tmp_path / "train" / "avatar.json").read_text())["plan"]
    assert plan["images"] == outcome.figures["images"] >= 16 and plan["seconds_per_image"] > 0


def test_a_slow_start_does_not_shorten_a_training(person: dict[str, Path], tmp_path: Path) -> None:
    lesson, state = lesson_and_state(person, tmp_path / "job", batch=1)
    state.plan = states.Plan(0, 1.0)
    clock = loop._Clock(state)
    for _ in range(60):                              # 4 s per image, then a tenth of that
        clock.steps.append(4.0 if state.images < 30 else 0.4)
        state.images += 1
        state.seconds += clock.steps[-1] / 4
        clock._plan(lesson, state)
        if state.images == 32:
            assert state.plan.images < 60
    assert state.plan.images > 90 and state.plan.seconds_per_image == pytest.approx(0.4, rel=0.1)


def test_the_clean_plate_is_the_wall_where_it_was_ever_seen(person: dict[str, Path]) -> None:
    plate = clean_plate(Recording(person["capture"]), person["matte"], list(range(20)))
    wall = np.arange(SIZE) * 3.0
    assert np.abs(plate[:8].astype(float) - wall[:, None]).max() < 6         # JPEG
    assert np.abs(plate.astype(float) - wall[:, None]).max() < 60             # painted in where the person always stood


@pytest.mark.parametrize("scale", [0.5, 0.9, 1.1, 1.25])
def test_a_rescaled_window_keeps_picture_and_maps_together(scale: float) -> None:
    """A ramp as picture and as uv: what a pixel shows and what its uv says stay within half a source pixel."""
    side, out = 200, round(200 * scale)
    ramp = np.tile(np.arange(side, dtype=np.uint16), (side, 1))
    full = np.full((side, side), 255, np.uint8)
    frame = CroppedFrame(image=np.repeat(ramp[..., None], 3, 2).astype(np.uint8), alpha=full,
                         background=np.zeros((side, side, 3), np.uint8), uv=np.stack([ramp, ramp.T], 2),
                         normal=np.zeros((side, side, 3), np.int8), inside=np.ones((side, side), np.uint8),
                         joints=np.float32([[100.5, 40.5, 0.3]]), index=0, corner=(0, 0))
    cut = cut_window(frame, (0, 0, side, side), (out, out))
    beside = cut.uv[out // 2, 4:-4, 0].astype(float) - cut.image[out // 2, 4:-4, 0]
    assert np.abs(beside).max() <= 1.01 and abs(beside.mean()) < 0.3
    column = int(cut.joints[0, 0])
    assert abs(float(cut.image[out // 2, column, 0]) - 100) <= 1.0          # a joint lies on what it lay on before


def test_options_that_could_never_work_are_refused_before_any_work() -> None:
    from pipelines.train import TrainOptions, check

    check(TrainOptions())
    for wrong in ({"minutes": -1.0}, {"images": -3}, {"batch": 0}, {"seed": -1}, {"preset": "best"},
                  {"renderer": "magic"}, {"device": "toaster"}, {"minutes": float("nan")}):
        with pytest.raises(AnrError):
            check(TrainOptions(**wrong))


def test_what_the_matte_leaves_out_is_not_wanted(person: dict[str, Path], tmp_path: Path) -> None:
    """A ball before the person: the mask has a hole there, so the picture to learn must show the background in it."""
    import shutil

    matte = tmp_path / "matte"
    shutil.copytree(person["matte"], matte)
    first = read_maps(person["raster"] / "maps" / "00000.maps").inside
    row, column = (int(np.median(where)) for where in np.nonzero(first))
    alpha = first.astype(np.float32)
    alpha[row - 2:row + 3, column - 2:column + 3] = 0.0
    alpha[row + 3, column - 2:column + 3] = 0.5
    colours = np.full((SIZE, SIZE, 3), 200, np.uint8)
    write_alpha(matte / "alpha" / "00000.png", alpha)
    write_image(matte / "edge" / "00000.png", colours)
    plate = np.full((SIZE, SIZE, 3), 10, np.uint8)
    no_face = np.zeros(len(load_body().faces), bool)
    frame = PersonFrames(person["capture"], person["raster"], matte, plate, no_face,
                         lambda index: np.zeros((1, 3), np.float32), Memory())[0]
    assert np.all(frame.image[frame.alpha == 0] == frame.background[frame.alpha == 0])
    hole = (frame.alpha == 0) & (frame.inside > 0)
    assert hole.sum() >= 20 and np.all(frame.image[hole] == 10, axis=1).sum() >= 12       # its rim is near the person
    half = (frame.alpha > 100) & (frame.alpha < 150)
    assert half.sum() == 5 and np.all(np.abs(frame.image[half].astype(int) - 105) <= 1)


def test_a_frame_with_nobody_in_its_matte_never_teaches(person: dict[str, Path], tmp_path: Path) -> None:
    """Where a short gap in the landmarks was bridged the fit is trusted, but the matte is empty."""
    import shutil

    matte = tmp_path / "matte"
    shutil.copytree(person["matte"], matte)
    empty = json.loads((person["keyframes"] / "keyframes.json").read_text())["frames"][0]
    write_alpha(matte / "alpha" / f"{empty:05d}.png", np.zeros((SIZE, SIZE)))
    trained(tmp_path / "train", {"ada": {**person, "matte": matte}}, images=2)
    split = json.loads((tmp_path / "train" / "split.json").read_text())
    assert empty not in split["train"]["ada"] and empty not in split["keyframes"]["ada"]
    assert len(split["train"]["ada"]) == len(split_frames(len(Recording(person["capture"]))).train) - 1
