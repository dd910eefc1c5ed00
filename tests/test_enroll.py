"""Enrolment and fine-tuning: what is learned, what keeps every bit, and that an interruption leaves nothing half."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from avatar_double import write_avatar
from safetensors.torch import load_file
from training_helpers import TINY, Remembering, interrupted_after, make_person, trained

from pipelines import enroll, finetune
from pipelines.core.errors import AnrError
from pipelines.core.stage import Job, Outcome, Progress
from pipelines.core.storage import read_json, write_json
from pipelines.playback.around import some_surfaces
from pipelines.renderers import Prediction
from pipelines.renderers.avatar import load_avatar, render_person
from pipelines.training import learning, loop
from pipelines.training.colouring import calibrated_start, drawn
from pipelines.training.dataset import Batch, CroppedFrame
from pipelines.training.further import images_of, recipe_of
from pipelines.training.recipe import PRESETS
from pipelines.training.rehearsal import rehearsed
from pipelines.training.state import State
from pipelines.training.step import Lesson, Pupil, someone


@pytest.fixture(scope="module")
def person(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return make_person(tmp_path_factory.mktemp("person"))


@pytest.fixture(scope="module")
def base(person: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("base")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(PRESETS, "draft", TINY)
        patch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
        patch.delenv("ANR_WEIGHTS", raising=False)
        trained(folder / "train", {"ada": person, "ben": person}, images=20, extractor="none")
    return folder / "train"


def further(stage: object, base: Path, person: dict[str, Path], folder: Path, name: str,
            progress: Progress | None = None, **options: object) -> Outcome:
    folder.mkdir(parents=True, exist_ok=True)
    inputs = {"train": base, **{f"{name}/{key}": path for key, path in person.items()}}
    made = stage.STAGE.Options(person=name, device="cpu", **options)          # type: ignore[attr-defined]
    outcome: Outcome = stage.run(Job(folder, made, inputs, progress or Progress()))   # type: ignore[attr-defined]
    return outcome


def textures(folder: Path) -> dict[str, torch.Tensor]:
    found: dict[str, torch.Tensor] = load_file(folder / "textures.safetensors")
    return found


def test_enrolment_adds_somebody_and_leaves_all_else_to_the_bit(person: dict[str, Path], base: Path,
                                                               tmp_path: Path) -> None:
    before = {path: path.read_bytes() for path in base.rglob("*") if path.is_file()}
    progress = Remembering()
    outcome = further(enroll, base, person, tmp_path / "new", "cleo", progress, images=12)
    assert outcome.figures["images"] == 12 and outcome.figures["people"] == 3
    assert outcome.figures["share_of_training"] > 0
    assert (tmp_path / "new" / "network.safetensors").read_bytes() == (base / "network.safetensors").read_bytes()
    old, new = textures(base), textures(tmp_path / "new")
    assert set(new) == {"ada", "ben", "cleo"} and all(torch.equal(old[name], new[name]) for name in old)
    mean = (old["ada"] + old["ben"]) / 2
    assert (new["cleo"] != mean).any(), "its texture was learned"
    assert {path: path.read_bytes() for path in before} == before, "the model it came from stays"

    avatar = load_avatar(tmp_path / "new", "cpu")
    assert list(avatar.people) == ["ada", "ben", "cleo"]
    assert all(each.background.exists() and each.motion.exists() for each in avatar.people.values())
    split = read_json(tmp_path / "new" / "split.json")
    assert set(split["held_out"]) == {"ada", "ben", "cleo"} and split["train"]["ada"] == read_json(
        base / "split.json")["train"]["ada"]
    assert not (tmp_path / "new" / "checkpoint.pt").exists()
    assert avatar.description["derived"] == [{"how": "enrolled", "person": "cleo", "images": 12.0,
                                              "seconds": outcome.figures["seconds"],
                                              "share_of_training": outcome.figures["share_of_training"]}]


def test_enrolment_brings_the_new_person_nearer_to_what_was_captured(person: dict[str, Path], base: Path,
                                                                     tmp_path: Path,
                                                                     monkeypatch: pytest.MonkeyPatch) -> None:
    def pixel_loss(name: str, images: int) -> float:
        further(enroll, base, person, tmp_path / name, "cleo", images=images)
        return float(json.loads((tmp_path / name / "metrics.jsonl").read_text().splitlines()[-1])["pixel"])

    long, calibrated = pixel_loss("long", 30), pixel_loss("calibrated", 2)
    monkeypatch.setattr(learning, "calibrated_start", lambda renderer, start, frames: start)
    mean = pixel_loss("mean", 2)
    assert long < mean and calibrated < mean, "learning helps, and so does the start"


@pytest.mark.parametrize("stage, name", [(enroll, "cleo"), (finetune, "ada")])
def test_interrupted_learning_goes_on_and_ends_alike(person: dict[str, Path], base: Path, tmp_path: Path,
                                                     monkeypatch: pytest.MonkeyPatch, stage: object, name: str) -> None:
    further(stage, base, person, tmp_path / "whole", name, images=12)
    monkeypatch.setattr(loop, "CHECKPOINT_S", 0.0)
    monkeypatch.setattr(loop, "CHECKPOINT_SHARE", 0.0)
    with interrupted_after(3):
        further(stage, base, person, tmp_path / "parts", name, images=12)
    assert not (tmp_path / "parts" / "avatar.json").exists() and (tmp_path / "parts" / "checkpoint.pt").exists()
    progress = Remembering()
    assert further(stage, base, person, tmp_path / "parts", name, progress, images=12).figures["images"] == 12
    for file in ("network.safetensors", "textures.safetensors"):
        one, other = (load_file(tmp_path / part / file) for part in ("whole", "parts"))
        assert all(torch.equal(one[key], other[key]) for key in one), file


def test_fine_tuning_changes_network_and_one_texture_in_a_folder_of_its_own(person: dict[str, Path], base: Path,
                                                                           tmp_path: Path) -> None:
    before = {path: path.read_bytes() for path in base.rglob("*") if path.is_file()}
    further(finetune, base, person, tmp_path / "tuned", "ada", images=8)
    assert {path: path.read_bytes() for path in before} == before
    old, new = textures(base), textures(tmp_path / "tuned")
    assert torch.equal(old["ben"], new["ben"]) and not torch.equal(old["ada"], new["ada"])
    one, other = (load_file(folder / "network.safetensors") for folder in (base, tmp_path / "tuned"))
    assert any(not torch.equal(one[key], other[key]) for key in one)
    assert list(load_avatar(tmp_path / "tuned", "cpu").people) == ["ada", "ben"]


def test_what_cannot_be_learned_further_is_refused(person: dict[str, Path], base: Path, tmp_path: Path) -> None:
    with pytest.raises(AnrError, match="knows 'ada' already") as caught:
        further(enroll, base, person, tmp_path / "a", "ada")
    assert "anr train --finetune ada" in caught.value.hint
    with pytest.raises(AnrError, match="does not know 'zoe'"):
        further(finetune, base, person, tmp_path / "b", "zoe")
    for key, value, message in (("body_version", "0", "was trained on body version 0"),
                                ("renderer", "nerf", "no renderer called 'nerf'")):
        other = tmp_path / key
        other.mkdir()
        write_json(other / "avatar.json", {**read_json(base / "avatar.json"), key: value})
        with pytest.raises(AnrError, match=message):
            further(enroll, other, person, tmp_path / "c", "cleo")
    for stage in (enroll, finetune):
        with pytest.raises(AnrError, match="--minutes -1 is out of range"):
            stage.STAGE.check(stage.STAGE.Options(minutes=-1.0))
        with pytest.raises(AnrError, match="weights folder nowhere does not exist"):
            stage.STAGE.check(stage.STAGE.Options(weights="nowhere"))


def test_a_renderer_without_a_texture_cannot_enrol(person: dict[str, Path], tmp_path: Path,
                                                   monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PRESETS, "draft", TINY)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    trained(tmp_path / "train", {"ada": person}, images=2, renderer="pix2pix", extractor="none")
    with pytest.raises(AnrError, match="'pix2pix' of this avatar has no neural texture"):
        further(enroll, tmp_path / "train", person, tmp_path / "new", "cleo")


def test_a_new_person_without_a_keyframe_is_refused(person: dict[str, Path], base: Path, tmp_path: Path) -> None:
    empty = {**person, "keyframes": tmp_path / "keyframes"}
    (tmp_path / "keyframes").mkdir()
    write_json(tmp_path / "keyframes" / "keyframes.json", {"frames": [], "coverage": []})
    with pytest.raises(AnrError, match="cleo has no keyframe"):
        further(enroll, base, empty, tmp_path / "new", "cleo")


def test_the_recipe_and_the_share_are_the_models_own(base: Path, tmp_path: Path) -> None:
    avatar = load_avatar(base, "cpu")
    assert recipe_of(avatar).network(8) == TINY.network(8) and recipe_of(avatar).window == TINY.window
    avatar.description["images"] = 3000
    assert images_of(avatar, enroll.SHARES["texture"]) == 300
    double = load_avatar(write_avatar(tmp_path), "cpu")     # tells no recipe
    assert recipe_of(double).widths == (8, 8) and images_of(double, enroll.SHARES["texture"]) == 60


@pytest.mark.parametrize("stage, usual_s", [(enroll, 15 + 0.1 * 400), (finetune, 15 + 400 / 3)])
def test_the_announced_time_follows_the_images_asked_for(tmp_path: Path, stage: object, usual_s: float) -> None:
    write_json(tmp_path / "avatar.json", {"seconds": 400.0, "images": 2000})
    made, expected = stage.STAGE.Options, stage.STAGE.estimate_s            # type: ignore[attr-defined]
    inputs = {"train": tmp_path}
    assert expected(inputs, made()) == pytest.approx(usual_s)
    assert expected(inputs, made(images=1000)) == pytest.approx(15 + 200)
    assert expected(inputs, made(minutes=3.0)) == pytest.approx(15 + 180)
    assert expected(inputs, made(images=1000, minutes=3.0)) == pytest.approx(15 + 200), "images win, as in the stage"


def test_a_network_that_learns_rehearses_those_it_knows(person: dict[str, Path], base: Path, tmp_path: Path,
                                                        monkeypatch: pytest.MonkeyPatch) -> None:
    few = [next(some_surfaces(load_avatar(base, "cpu"), "ada"))]
    monkeypatch.setattr("pipelines.playback.around.some_surfaces", lambda avatar, name: few)
    take_step = loop.take_step
    drawn_people: list[str] = []

    def noted(lesson: Lesson, state: State, name: str, teaches: bool, batch: Batch) -> dict[str, float]:
        drawn_people.append(name)
        return take_step(lesson, state, name, teaches, batch)

    monkeypatch.setattr(loop, "take_step", noted)
    progress = Remembering()
    outcome = further(enroll, base, person, tmp_path / "kept", "cleo", progress, images=16, learn="network",
                      rehearse=0.6)
    assert outcome.figures["people"] == 3 and "rehearses the others" in " ".join(progress.notes)
    assert {"cleo"} < set(drawn_people) <= {"ada", "ben", "cleo"}
    old, new = textures(base), textures(tmp_path / "kept")
    assert set(new) == {"ada", "ben", "cleo"} and all(torch.equal(old[name], new[name]) for name in old)
    assert (tmp_path / "kept" / "network.safetensors").read_bytes() != (base / "network.safetensors").read_bytes()


def test_what_is_rehearsed_is_what_the_model_draws(base: Path) -> None:
    avatar = load_avatar(base, "cpu")
    maps = next(some_surfaces(avatar, "ben"))
    pupils = rehearsed(avatar, {"ada": [], "ben": [maps]}, 0.5)
    assert [pupil.weight for pupil in pupils.values()] == [0.5, 0.5], "half of the steps, one of weight 1 has the rest"
    frame = pupils["ben"].frames[0]
    rgb, alpha = render_person(avatar, avatar.textures["ben"], maps)
    np.testing.assert_allclose(frame.image, 255 * alpha[..., None] * rgb + 128 * (1 - alpha[..., None]), atol=0.51)
    np.testing.assert_allclose(frame.alpha, 255 * alpha, atol=0.51)
    assert ((frame.inside > 0) == maps.inside).all() and set(np.unique(frame.inside)) <= {0, 1, 2}
    assert rehearsed(avatar, {"ada": [maps]}, 0.0) == {}
    with pytest.raises(ValueError, match="not 1"):
        rehearsed(avatar, {"ada": [maps]}, 1)


def test_people_are_drawn_as_often_as_their_weights_say() -> None:
    chance = np.random.default_rng(0)
    pupils = {"ada": Pupil([], [], [], weight=0.25), "ben": Pupil([], [], [], weight=0.25), "cleo": Pupil([], [], [])}
    drawn = [someone(pupils, chance) for _ in range(3000)]
    shares = {name: drawn.count(name) / 3000 for name in pupils}
    assert shares == pytest.approx({"ada": 1 / 6, "ben": 1 / 6, "cleo": 2 / 3}, abs=0.03)
    alike = {name: Pupil([], [], []) for name in pupils}
    assert someone(alike, np.random.default_rng(5)) == sorted(alike)[int(np.random.default_rng(5).integers(3))]


class Linear(torch.nn.Module):
    """Colours that follow the texture by a matrix with one weak direction."""

    multiple = 4
    needs: frozenset[str] = frozenset()

    def __init__(self, matrix: torch.Tensor) -> None:
        super().__init__()
        self.matrix = matrix

    def forward(self, features: torch.Tensor, normal: torch.Tensor, inside: torch.Tensor) -> Prediction:
        rgb = torch.einsum("rc,bchw->brhw", self.matrix, features)
        return Prediction(rgb, inside * 20 - 10, None)


def flat_frame(size: int, colour: tuple[int, int, int]) -> CroppedFrame:
    """A frame whose body fills it and shows the whole atlas, in one colour."""
    along = ((np.arange(size) + 0.5) / size * 65535).astype(np.uint16)
    u, v = np.meshgrid(along, along)
    image = np.broadcast_to(np.array(colour, np.uint8), (size, size, 3)).copy()
    whole = np.full((size, size), 255, np.uint8)
    return CroppedFrame(image, whole, image, np.dstack([u, v]), np.zeros((size, size, 3), np.int8),
                        np.ones((size, size), np.uint8), np.zeros((74, 3), np.float32), 0, (0, 0))


def test_a_calibrated_start_shows_the_captured_colours_at_once() -> None:
    """Also along the direction of the network's answer that is ten times weaker than the strongest."""
    turn = torch.linalg.qr(torch.rand(8, 8, generator=torch.Generator().manual_seed(1)))[0][:3]
    renderer = Linear(torch.diag(torch.tensor([1.3, 0.6, 0.13])) @ turn)
    start = 0.1 * torch.rand(8, 256, 256, generator=torch.Generator().manual_seed(2))
    wanted = flat_frame(64, (230, 190, 30))
    texture = calibrated_start(renderer, start, [wanted])
    shown = drawn(renderer, texture, wanted).numpy()
    before = np.abs(drawn(renderer, start, wanted).numpy() - (wanted.image / 127.5 - 1)).mean()
    assert np.abs(shown - (wanted.image / 127.5 - 1)).mean() < 0.15 * before


def test_a_network_that_shows_one_colour_whatever_its_texture_leaves_the_start() -> None:
    start = torch.rand(8, 256, 256, generator=torch.Generator().manual_seed(2))
    assert torch.equal(calibrated_start(Linear(torch.zeros(3, 8)), start, [flat_frame(64, (230, 190, 30))]), start)


@pytest.mark.parametrize("typed, message", [({"learn": "everything"}, "--learn everything is not known"),
                                            ({"rehearse": 1.0}, "--rehearse 1 is not a share from 0 to 0.9")])
def test_options_that_cannot_be_are_refused_before_any_work(typed: dict[str, object], message: str) -> None:
    with pytest.raises(AnrError, match=message) as caught:
        enroll.STAGE.check(enroll.EnrollOptions(**typed))                   # type: ignore[misc, arg-type]
    assert caught.value.hint
