"""Training's options: the critic in the loop, the split, early stop, start textures, rivals, what is said before."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from training_helpers import FRAMES, SIZE, TINY, Remembering, lesson_and_state, make_person, trained

from pipelines.body.model import load_body
from pipelines.body.surface import region_map
from pipelines.core.errors import AnrError
from pipelines.core.mapcache import read_maps
from pipelines.core.split import split_frames
from pipelines.renderers import RENDERERS, Prediction, build_renderer, renderer_config, renderer_file
from pipelines.renderers.avatar import load_avatar, render_person
from pipelines.renderers.texture import CODE_CHANNELS, TEXTURE_SIZE
from pipelines.renderers.unet import parameters_of
from pipelines.train import TrainOptions, _recipe, check
from pipelines.training import loop, step, validation
from pipelines.training.before import announcement, network_size, time_left
from pipelines.training.colours import average_colours, coloured_start
from pipelines.training.recipe import PRESETS
from pipelines.training.state import Plan, State, load_checkpoint, save_checkpoint
from pipelines.training.step import Lesson, adversarial_terms, draw_step, loss_terms, on_keyframe, take_step
from pipelines.training.validation import set_aside


@pytest.fixture(scope="module")
def person(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return make_person(tmp_path_factory.mktemp("person"))


@pytest.fixture(autouse=True)
def tiny_preset(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(PRESETS, "draft", TINY)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("ANR_WEIGHTS", raising=False)
    monkeypatch.delenv("TORCH_HOME", raising=False)
    monkeypatch.setattr(loop, "CHECKPOINT_S", 1e9)


def flat(module: torch.nn.Module) -> torch.Tensor:
    return torch.cat([p.detach().flatten().clone() for p in module.parameters()])


# ---- the critic in the loop -----------------------------------------------------------------------------------------

def test_the_critic_begins_when_it_is_told_and_moves_nobody_else(person: dict[str, Path], tmp_path: Path,
                                                                 monkeypatch: pytest.MonkeyPatch) -> None:
    def after_a_step(images: int, idle_critic: bool) -> tuple[torch.Tensor, torch.Tensor, dict[str, float]]:
        lesson, state = lesson_and_state(person, tmp_path / "job", adversarial=0.5, critic_from=4)
        assert state.critic is not None
        state.images = images
        with monkeypatch.context() as patch:
            if idle_critic:
                patch.setattr(step, "teach_critic", lambda *_: {})
            terms = take_step(lesson, state, *draw_step(lesson, state.renderer, images))
        return flat(state.critic.network), flat(state.renderer), terms

    untouched, _, early = after_a_step(2, False)
    learned, network, late = after_a_step(4, False)
    _, network_beside_idle_critic, _ = after_a_step(4, True)
    assert "adversarial" not in early and {"adversarial", "critic"} <= set(late)
    assert not torch.equal(untouched, learned) and torch.equal(network, network_beside_idle_critic)


def test_the_adversarial_loss_reaches_colours_and_mask_and_warms_up(person: dict[str, Path], tmp_path: Path) -> None:
    lesson, state = lesson_and_state(person, tmp_path / "job", adversarial=0.5, feature_matching=1.0, critic_from=10,
                                     critic_warm_up=4)
    assert state.critic is not None
    rgb, mask = torch.rand(1, 3, 32, 32, requires_grad=True), torch.full((1, 1, 32, 32), 0.5, requires_grad=True)
    image = torch.rand(1, 3, 32, 32)
    values = []
    for images in (10, 11, 13, 100):
        blended = mask * rgb + (1 - mask) * 0.2
        terms = adversarial_terms(state.critic, blended, image, None, images, lesson.recipe)
        values.append([terms[name].item() for name in ("adversarial", "feature matching")])
    np.testing.assert_allclose(np.array(values) / np.array(values[-1]), np.array([[1, 2, 4, 4]]).T / 4 * [1, 1],
                               rtol=1e-5)
    sum(terms.values()).backward()                                     # type: ignore[union-attr]
    assert rgb.grad is not None and mask.grad is not None
    assert float(rgb.grad.abs().sum()) > 0 < float(mask.grad.abs().sum())
    assert all(p.grad is None for p in state.critic.network.parameters())


def test_a_conditional_critic_sees_the_surface_maps(person: dict[str, Path], tmp_path: Path) -> None:
    lesson, state = lesson_and_state(person, tmp_path / "job", adversarial=0.5, critic_sees_maps=True)
    assert state.critic is not None
    first = next(p for p in state.critic.network.parameters() if p.ndim == 4)
    assert first.shape[1] == 3 + 8 + 3 + 1
    assert "adversarial" in take_step(lesson, state, *draw_step(lesson, state.renderer, 0))


class Colours(torch.nn.Module):
    """An extractor that hands on the picture and remembers its size."""

    def __init__(self) -> None:
        super().__init__()
        self.sizes: list[tuple[int, ...]] = []

    def forward(self, image: torch.Tensor) -> list[torch.Tensor]:
        self.sizes.append(tuple(image.shape))
        return [image]


def test_the_face_is_looked_at_enlarged_where_one_is_seen(person: dict[str, Path], tmp_path: Path) -> None:
    lesson, state = lesson_and_state(person, tmp_path / "job", face_feature=0.5, feature=0.0, batch=1)
    extractor = Colours()
    lesson = dataclasses.replace(lesson, extractor=extractor)
    name, teaches, batch = draw_step(lesson, state.renderer, 0)
    batch = batch._replace(face=torch.zeros_like(batch.face))
    assert "face" not in take_step(lesson, state, name, teaches, batch) and not extractor.sizes
    batch.face[:, :, 10:20, 8:18] = 1.0
    assert take_step(lesson, state, name, teaches, batch)["face"] > 0
    assert extractor.sizes == [(1, 3, 128, 128)] * 2                   # the picture's and the frame's


# ---- what stops a training ------------------------------------------------------------------------------------------

@pytest.mark.parametrize(("spoilt", "told"), [("mask_loss", "mask loss"), ("adversarial_loss", "adversarial loss"),
                                              ("critic_loss", "critic's loss"),
                                              ("total_variation", "variation loss")])
def test_a_term_that_is_no_number_stops_before_anything_has_moved(
        person: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spoilt: str, told: str) -> None:
    lesson, state = lesson_and_state(person, tmp_path / "job", adversarial=0.1)
    assert state.critic is not None
    save_checkpoint(lesson.checkpoint, state)
    kept = lesson.checkpoint.read_bytes()
    before = flat(state.renderer), flat(state.critic.network), state.textures["ada"].detach().clone()
    real = getattr(step, spoilt)
    monkeypatch.setattr(step, spoilt, lambda *arguments: real(*arguments) * float("nan"))
    with pytest.raises(AnrError, match=f"The {told} became nan at image 0; the last checkpoint was kept"):
        loop.train(lesson, state)
    after = flat(state.renderer), flat(state.critic.network), state.textures["ada"]
    assert all(torch.equal(a, b) for a, b in zip(before, after)) and lesson.checkpoint.read_bytes() == kept
    assert load_checkpoint(lesson.checkpoint, state).images == 0


def test_a_texture_gradient_that_is_no_number_is_named(person: dict[str, Path], tmp_path: Path) -> None:
    lesson, state = lesson_and_state(person, tmp_path / "job")
    state.textures["ada"].register_hook(lambda gradient: gradient * float("nan"))
    before = state.textures["ada"].detach().clone()
    with pytest.raises(AnrError, match="gradient of the texture's loss became nan at image 0"):
        take_step(lesson, state, *draw_step(lesson, state.renderer, 0))
    assert torch.equal(before, state.textures["ada"])


# ---- split optimisation ---------------------------------------------------------------------------------------------

@pytest.mark.parametrize("ratio", [0.0, 0.5, 1.0, 2.0, 3.0, 9.0])
def test_the_split_ratio_is_kept_and_spread_evenly(ratio: float) -> None:
    turns = [on_keyframe(k, ratio) for k in range(600)]
    assert turns[0] and sum(turns) == pytest.approx(600 / (1 + ratio), abs=1)
    gaps = np.diff(np.flatnonzero(turns))
    assert gaps.max() - gaps.min() <= 1


def test_one_to_one_is_every_other_step() -> None:
    assert [on_keyframe(k, 1.0) for k in range(1000)] == [k % 2 == 0 for k in range(1000)]


@pytest.mark.parametrize(("frames", "sees_keyframes"), [("others", False), ("all", True)])
def test_the_network_alone_learns_from_the_frames_it_is_told(person: dict[str, Path], tmp_path: Path, frames: str,
                                                            sees_keyframes: bool) -> None:
    lesson, state = lesson_and_state(person, tmp_path / "job", network_frames=frames, split_ratio=9.0)
    drawn: list[int] = []

    class Remembered:
        def __getitem__(self, index: int):                            # type: ignore[no-untyped-def]
            drawn.append(index)
            return lesson.pupils["ada"].frames[index]

    pupil = dataclasses.replace(lesson.pupils["ada"], frames=Remembered())      # type: ignore[arg-type]
    watched = dataclasses.replace(lesson, pupils={"ada": pupil})
    for images in range(2, 80, 2):
        if not draw_step(watched, state.renderer, images)[1]:
            continue
        del drawn[-2:]                                                # a keyframe's step
    assert bool({0, 5} & set(drawn)) is sees_keyframes


# ---- early stop -----------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("keys", [[0, 5], [2, 37, 38, 39], [0, 10, 20, 30], list(range(0, 40, 4))])
def test_validation_frames_are_a_stretch_of_training_frames_that_costs_few_keyframes(keys: list[int]) -> None:
    others = [k for k in range(40) if k not in keys]
    left, rest, aside = set_aside(keys, others)
    assert aside == list(range(aside[0], aside[0] + 4)) and sorted([*left, *rest, *aside]) == list(range(40))
    assert left and len(keys) - len(left) == min(sum(k in keys for k in range(s, s + 4)) for s in range(37))


def test_too_few_frames_set_nothing_aside() -> None:
    assert set_aside([1], [2, 3, 4]) == ([1], [2, 3, 4], [])


def test_training_stops_when_nothing_is_gained(person: dict[str, Path], tmp_path: Path,
                                              monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(validation, "LOOK_EVERY", 2)
    errors = iter([0.5, 0.4, 0.41, 0.3, 0.2999, 0.31, 0.3, 0.1])
    monkeypatch.setattr(validation, "validation_error", lambda *_: next(errors))
    outcome = trained(tmp_path / "train", {"ada": person}, images=100, patience=3)
    assert outcome.figures["images"] == 14
    split = json.loads((tmp_path / "train" / "split.json").read_text())
    aside = set(split["validation"]["ada"])
    assert aside and aside <= set(split_frames(FRAMES).train.tolist()) and not aside & set(split["keyframes"]["ada"])
    assert not aside & set(split["held_out"]["ada"])
    assert json.loads((tmp_path / "train" / "avatar.json").read_text())["plan"]["stopped"]


def test_an_early_stop_holds_against_a_time_budget(person: dict[str, Path], tmp_path: Path) -> None:
    _, state = lesson_and_state(person, tmp_path / "job")
    lesson, _ = lesson_and_state(person, tmp_path / "job")
    state.plan, state.images, state.seconds = Plan(50, 100.0, stopped=True), 50, 1.0
    clock = loop._Clock(state)
    clock.steps = [0.1] * 30
    clock._plan(lesson, state)
    assert state.plan.images == 50


def test_the_validation_error_is_that_of_the_blended_picture(person: dict[str, Path], tmp_path: Path,
                                                            monkeypatch: pytest.MonkeyPatch) -> None:
    lesson, state = lesson_and_state(person, tmp_path / "job", patience=1)
    frames = [lesson.pupils["ada"].frames[k] for k in lesson.pupils["ada"].validation]
    nobody = [np.abs(f.background / 255 - f.image / 255.0).mean() for f in frames]
    monkeypatch.setattr(validation, "draw", lambda network, features, normal, inside, needed: (
        torch.ones(*inside.shape[2:], 3), torch.zeros(inside.shape[2:])))
    assert validation.validation_error(lesson, state) == pytest.approx(np.mean(nobody), rel=1e-6)


# ---- start textures -------------------------------------------------------------------------------------------------

def test_averaged_colours_are_those_of_the_frames(person: dict[str, Path], tmp_path: Path) -> None:
    lesson, _ = lesson_and_state(person, tmp_path / "job")
    frame = lesson.pupils["ada"].frames[0]
    plain = dataclasses.replace(frame, image=np.full_like(frame.image, (255, 0, 51)))
    colours, weight = average_colours([plain, plain], TEXTURE_SIZE)
    assert np.abs(colours[weight > 0.01] - [1.0, -1.0, -0.6]).max() < 1e-6
    assert weight.sum() == pytest.approx(2 * ((frame.inside > 0) & (frame.alpha >= 128)).sum())


def test_colours_go_into_three_channels_and_unseen_texels_get_their_regions_mean(person: dict[str, Path],
                                                                                tmp_path: Path) -> None:
    lesson, _ = lesson_and_state(person, tmp_path / "job")
    frames = [lesson.pupils["ada"].frames[k] for k in (0, 5)]
    start = np.random.default_rng(0).uniform(-1, 1, (8, TEXTURE_SIZE, TEXTURE_SIZE))
    regions = region_map(load_body(), TEXTURE_SIZE)
    coloured = coloured_start(start, frames, regions)
    np.testing.assert_array_equal(coloured[3:], start[3:])
    colours, weight = average_colours(frames, TEXTURE_SIZE)
    seen = weight > 1e-3
    np.testing.assert_array_equal(coloured[:3][:, seen].T, colours[seen])
    torso = regions == load_body().region_names.index("torso")
    expected = colours[torso & seen].mean(0)
    assert (torso & ~seen).any() and np.abs(coloured[:3][:, torso & ~seen].T - expected).max() < 1e-9


# ---- what the ablations leave out -----------------------------------------------------------------------------------

def test_with_the_matte_in_equation_3_the_pixel_loss_says_nothing_of_the_mask(person: dict[str, Path],
                                                                              tmp_path: Path) -> None:
    """By hand: 0.5 under the predicted mask, 0.25 under the matte; both pictures are wrong by 1 everywhere."""
    lesson, state = lesson_and_state(person, tmp_path / "job")
    batch = draw_step(lesson, state.renderer, 0)[2]
    batch = batch._replace(alpha=torch.full_like(batch.alpha, 0.25), image=torch.zeros_like(batch.image),
                           weight=torch.ones_like(batch.weight))
    for counted, wanted in (("predicted", 0.5), ("matte", 0.25)):
        logit = torch.zeros_like(batch.alpha, requires_grad=True)
        one = torch.ones_like(batch.image).requires_grad_()
        recipe = dataclasses.replace(TINY, pixel_mask=counted)
        pixel = loss_terms(Prediction(one, logit, one), one, batch, recipe, None)["pixel"]
        assert pixel.item() == pytest.approx(2 * wanted)
        pixel.backward()
        assert (logit.grad is not None) == (counted == "predicted") and one.grad is not None


@pytest.mark.parametrize("name", ["anr", "onestage"])
def test_without_normals_the_picture_does_not_depend_on_them(name: str) -> None:
    features, normal, inside = torch.randn(1, 8, 16, 16), torch.randn(1, 3, 16, 16), torch.ones(1, 1, 16, 16)
    for normals in (True, False):
        torch.manual_seed(0)
        size = dataclasses.replace(TINY, normals=normals).network(8)
        network = build_renderer(name, renderer_config(name, size))
        seen, unseen = network(features, normal, inside), network(features, torch.zeros_like(normal), inside)
        assert torch.equal(seen.rgb, unseen.rgb) != normals


def test_a_model_from_before_there_was_a_choice_has_its_normals() -> None:
    config = renderer_config("anr", TINY.network(8))
    old = {key: value for key, value in config.items() if key != "normals"}
    assert list(build_renderer("anr", old).state_dict()) == list(build_renderer("anr", config).state_dict())
    assert build_renderer("anr", old).normals is True


@pytest.mark.parametrize("capacity", [0.5, 2.0])
@pytest.mark.parametrize("normals", [True, False])
def test_one_stage_has_the_capacity_it_is_told(capacity: float, normals: bool) -> None:
    size = dataclasses.replace(PRESETS["standard"], capacity=capacity, normals=normals).network(8)
    one, two = (parameters_of(lambda: build_renderer(name, renderer_config(name, size)))    # noqa: B023
                for name in ("onestage", "anr"))
    assert one == pytest.approx(capacity * two, rel=0.03)


# ---- rivals ---------------------------------------------------------------------------------------------------------

# of the first pixel loss, after 30 steps
FALLS_BELOW = {"anr": 0.3, "dnr": 0.25, "pix2pix": 0.4, "onestage": 0.3, "tna": 0.3, "v2v": 0.4}


@pytest.mark.parametrize("name", sorted(RENDERERS))
def test_every_renderer_learns_one_static_pose(person: dict[str, Path], tmp_path: Path, name: str) -> None:
    """The sanity scene: whoever fails here is weak by a bug."""
    recipe = {"texture_learning_rate": 0.05, **renderer_file(name).RECIPE, "scale": (1.0, 1.0), "window": (64, 48),
              "batch": 1, "warm_up": 1, "widths": (12, 16), "learning_rate": 4e-3}
    lesson, state = lesson_and_state(person, tmp_path / "job", name, **recipe)
    pupil = dataclasses.replace(lesson.pupils["ada"], keyframes=[5], others=[])
    lesson = dataclasses.replace(lesson, pupils={"ada": pupil})
    pixel, mask = [], []
    for images in range(30):
        state.images = images
        terms = take_step(lesson, state, *draw_step(lesson, state.renderer, images))
        pixel.append(terms["pixel"])
        mask.append(terms["mask"])
    assert np.mean(pixel[-5:]) < FALLS_BELOW[name] * pixel[0], f"{pixel[0]:.3f} -> {np.mean(pixel[-5:]):.3f}"
    assert np.mean(mask[-5:]) < 0.2 * mask[0]


@pytest.mark.parametrize(("name", "changes"), [
    ("dnr", ("texture_channels=16", "texture_levels=4", "view_term=yes")), ("dnr", ()), ("pix2pix", ()),
    ("onestage", ()), ("onestage", ("normals=no", "capacity=2"))])
def test_a_rival_goes_through_training_and_rendering(person: dict[str, Path], tmp_path: Path, name: str,
                                                    changes: tuple[str, ...]) -> None:
    trained(tmp_path / "train", {"ada": person, "ben": person}, images=4, renderer=name, changes=changes)
    avatar = load_avatar(tmp_path / "train", "cpu")
    assert avatar.description["renderer"] == name
    channels = CODE_CHANNELS if name == "pix2pix" else 16 if name == "dnr" and changes else 8
    assert avatar.textures["ada"].shape == (channels, TEXTURE_SIZE, TEXTURE_SIZE)
    if name == "pix2pix":
        assert not torch.equal(avatar.textures["ada"], avatar.textures["ben"])
    rgb, alpha = render_person(avatar, avatar.textures["ada"], read_maps(person["raster"] / "maps" / "00003.maps"))
    assert rgb.shape == (SIZE, SIZE, 3) and np.isfinite(rgb).all() and alpha.shape == (SIZE, SIZE)


@pytest.mark.parametrize("preset", sorted(PRESETS))
def test_without_typed_options_the_recipe_is_the_preset(preset: str) -> None:
    assert _recipe(TrainOptions(preset=preset)) == PRESETS[preset]


def test_what_a_rivals_paper_says_goes_before_the_preset_and_what_is_typed_before_both() -> None:
    assert _recipe(TrainOptions(renderer="anr")).split and not _recipe(TrainOptions(renderer="dnr")).split
    assert _recipe(TrainOptions(renderer="dnr", split=True)).split
    assert _recipe(TrainOptions(renderer="pix2pix")).feature == 0.0
    assert _recipe(TrainOptions(renderer="pix2pix", feature_weight=0.3)).feature == 0.3
    assert _recipe(TrainOptions(changes=("adversarial=0.2",), adversarial_weight=0.1)).adversarial == 0.2


def test_options_of_the_recipe_are_refused_before_any_work() -> None:
    check(TrainOptions(extractor="vgg19", texture_start="colours", network_frames="all",
                       changes=("critic_loss=hinge",)))
    for wrong, told in (({"extractor": "resnet"}, "extractor 'resnet' is not known"), ({"patience": -1}, "patience -1"),
                        ({"changes": ("magic=1",)}, "names nothing"), ({"split_ratio": -0.5}, "split ratio -0.5"),
                        ({"changes": ("view_term=yes",)}, "not for the renderer 'anr'"),
                        ({"changes": ("pixel_mask=none",)}, "pixel mask 'none' is not known"),
                        ({"renderer": "dnr", "changes": ("normals=no",)}, "normals=no is not for the renderer 'dnr'"),
                        ({"changes": ("capacity=2",)}, "capacity=2 is not for the renderer 'anr'"),
                        ({"renderer": "onestage", "changes": ("capacity=0",)}, "capacity 0 is out of range")):
        with pytest.raises(AnrError, match=told):
            check(TrainOptions(**wrong))                               # type: ignore[arg-type]


# ---- what is said before --------------------------------------------------------------------------------------------

@pytest.mark.parametrize(("preset", "millions", "billions"), [("standard", 17.2, 150), ("paper", 161, 930)])
def test_presets_have_the_operations_they_state(preset: str, millions: float, billions: float) -> None:
    parameters, operations = network_size("anr", PRESETS[preset])
    assert parameters / 1e6 == pytest.approx(millions, rel=0.05)
    assert operations / 1e9 == pytest.approx(billions, rel=0.05)


def test_operations_counted_by_hand() -> None:
    """A dnr network of one level: stem, two convolutions of its block and the head, all at full resolution."""
    recipe = dataclasses.replace(TINY, unshuffle=1, widths=(4,), blocks=1, texture_channels=8)
    _, operations = network_size("dnr", recipe)
    from pipelines.renderers import renderer_config

    width = renderer_config("dnr", recipe.network(8))["widths"][0]
    assert operations == 512 * 512 * 9 * (9 * width + 2 * width * width + (width + 9) * 4)


def test_before_training_it_says_size_memory_time_and_where_the_picture_will_be(person: dict[str, Path],
                                                                               tmp_path: Path) -> None:
    progress = Remembering()
    trained(tmp_path / "train", {"ada": person}, progress, images=2)
    said = " ".join(progress.notes)
    for part in ("M parameters", "G multiply-adds for a 512x512 picture", "2 images", "minutes left", "progress/",
                 "MB of frames", "MB for the network", "MB for textures"):
        assert part in said, said


def test_a_first_picture_is_promised_only_when_it_can_come(person: dict[str, Path], tmp_path: Path) -> None:
    lesson, state = lesson_and_state(person, tmp_path / "job")
    quick, slow = (announcement("anr", lesson.recipe, state, lesson.pupils, None, each)[0] for each in (0.3, 60.0))
    assert quick.endswith("First picture in progress/ within a minute.")
    assert slow.endswith("First picture in progress/, after the first step.")


def test_the_memory_that_is_said_is_what_is_there(person: dict[str, Path], tmp_path: Path) -> None:
    lesson, state = lesson_and_state(person, tmp_path / "job")
    text = " ".join(announcement("anr", lesson.recipe, state, lesson.pupils, None, 0.3))
    textures = 5 * 8 * 256 * 256 * 4 / 1e6
    assert f"{textures:.0f} MB for textures" in text
    held: State = state
    assert f"{5 * 4 * sum(p.numel() for p in held.renderer.parameters()) / 1e6:.0f} MB for the network" in text


def test_time_left_by_hand() -> None:
    assert time_left(Plan(1000, 0.0), 400, 60.0, 0.5) == ", about 5 minutes left"
    assert time_left(Plan(0, 9.0), 0, 180.0, 0.5) == ", about 6 minutes left"
    assert time_left(Plan(400_000, 0.0), 0, 0.0, 60.0) == ", about 6667 hours left"
    assert time_left(Plan(1000, 0.0, seconds_per_image=6.0), 0, 0.0, 0.5) == ", about 100 minutes left"
    assert time_left(Plan(1000, 0.0), 0, 0.0, 0.0) == ""


def test_lessons_know_no_charts_unless_noise_is_to_stay_in_them(person: dict[str, Path], tmp_path: Path) -> None:
    from pipelines.training.gathering import charts_for

    assert charts_for(TINY, torch.device("cpu")) is None
    charts = charts_for(dataclasses.replace(TINY, stay_in_chart=True), torch.device("cpu"))
    assert charts is not None and charts.shape == (TEXTURE_SIZE, TEXTURE_SIZE)
    lesson, state = lesson_and_state(person, tmp_path / "job", grid_noise=0.02)
    guarded: Lesson = dataclasses.replace(lesson, charts=charts)
    drawn = draw_step(guarded, state.renderer, 0)
    assert np.isfinite(list(take_step(guarded, state, *drawn).values())).all()
