"""Editing: the unwrapped texture shows what was captured, a painted patch is seen in renders, nothing else moves."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from avatar_double import write_avatar
from safetensors.torch import load_file
from training_helpers import make_person

from pipelines import edit, unwrap
from pipelines.body.model import load_body
from pipelines.body.surface import texel_positions
from pipelines.core.errors import AnrError
from pipelines.core.mapcache import read_maps
from pipelines.core.records import SurfaceMaps
from pipelines.core.stage import Job, Outcome, Progress
from pipelines.media.images import read_image, write_image
from pipelines.media.recording import Recording
from pipelines.playback.around import surfaces_around
from pipelines.renderers.avatar import load_avatar, render_person
from pipelines.training.painted import read_painted
from pipelines.training.repaint import (
    chosen_views,
    free_texels,
    in_light_of,
    painting,
    unseen_share,
)

SIZE = 1024
RED = (225, 25, 30)


@pytest.fixture(scope="module")
def person(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return make_person(tmp_path_factory.mktemp("person"))


@pytest.fixture(scope="module")
def unwrapped(person: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("unwrap")
    inputs = {name: person[name] for name in unwrap.STAGE.inputs}
    unwrap.run(Job(folder, unwrap.UnwrapOptions(), inputs, Progress(), person="ada"))
    return folder


@pytest.fixture(scope="module")
def avatar(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_avatar(tmp_path_factory.mktemp("avatar"))


def chest(size: int = SIZE) -> np.ndarray:
    """(size, size) bool: a square on the front of the trunk."""
    places = texel_positions(load_body(), size)
    low, tall = np.nanmin(places[..., 1]), np.nanmax(places[..., 1]) - np.nanmin(places[..., 1])
    with np.errstate(invalid="ignore"):
        return ((np.abs(places[..., 0]) < 0.1) & (np.abs((places[..., 1] - low) / tall - 0.7) < 0.07)
                & (places[..., 2] > 0.02))


def plain_texture() -> np.ndarray:
    return np.full((SIZE, SIZE, 3), 128, np.uint8)


def painted_red(texture: np.ndarray) -> np.ndarray:
    painted = texture.copy()
    painted[chest()] = RED
    return painted


# ---- the exported texture ------------------------------------------------------------------------------------------

def test_a_frame_drawn_with_the_exported_texture_looks_like_the_frame(person: dict[str, Path], unwrapped: Path) -> None:
    texture = read_image(unwrapped / unwrap.TEXTURE)
    assert texture.shape == (SIZE, SIZE, 3)
    recording = Recording(person["capture"])
    for frame in (0, 5, 6):                                 # the last is no keyframe
        maps = read_maps(person["raster"] / "maps" / f"{frame:05d}.maps")
        x0, y0, x1, y1 = maps.box
        place = (maps.uv * SIZE).astype(np.float32) - 0.5
        drawn = cv2.remap(texture, place[..., 0], place[..., 1], cv2.INTER_LINEAR)
        apart = np.abs(drawn.astype(float) - recording.image(frame)[y0:y1, x0:x1]).max(axis=2)
        inner = cv2.erode(maps.inside.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
        assert np.median(apart[inner]) < 6, frame


def test_every_texel_of_the_body_has_a_colour_and_the_guide_lies_beside(unwrapped: Path) -> None:
    texture, guide = (read_image(unwrapped / name) for name in (unwrap.TEXTURE, unwrap.REGIONS))
    on_body = np.isfinite(texel_positions(load_body(), SIZE)[..., 0])
    assert guide.shape == texture.shape
    assert not (texture[on_body] == 24).all(axis=1).any() and (texture[~on_body] == 24).all()


def test_the_texture_is_copied_out_whole_or_refused(unwrapped: Path, tmp_path: Path) -> None:
    unwrap.deliver(unwrapped, unwrap.UnwrapOptions(out=str(tmp_path / "new" / "ada.png")))
    assert (tmp_path / "new" / "ada.png").read_bytes() == (unwrapped / unwrap.TEXTURE).read_bytes()
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["ada.png"]
    with pytest.raises(AnrError, match=r"a \.png file, so --out ada\.jpg cannot hold it"):
        unwrap.check(unwrap.UnwrapOptions(out="ada.jpg"))


# ---- what is painted -----------------------------------------------------------------------------------------------

def test_bad_files_are_refused_with_what_is_wrong(tmp_path: Path) -> None:
    def refused(name: str, picture: np.ndarray | None, message: str) -> None:
        if picture is not None:
            cv2.imwrite(str(tmp_path / name), picture)
        with pytest.raises(AnrError, match=message):
            read_painted(tmp_path / name, 64)

    grey = np.full((64, 64, 3), 90, np.uint8)
    refused("none.png", None, "There is no texture")
    refused("photo.jpg", grey, "photo.jpg is not a PNG")
    refused("small.png", grey[:32], "64x32 pixels; the exported texture is 64x64")
    refused("holes.png", np.dstack([grey, np.full((64, 64), 254, np.uint8)]), "transparent places")
    (tmp_path / "cut.png").write_bytes((tmp_path / "small.png").read_bytes()[:40])
    refused("cut.png", None, "cut.png is damaged")


@pytest.mark.parametrize("form", ["rgb", "opaque alpha", "16 bit"])
def test_whatever_a_painting_program_saves_is_read_alike(form: str, tmp_path: Path) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (64, 64, 3)).astype(np.uint8)
    stored = {"rgb": picture[..., ::-1], "16 bit": picture[..., ::-1].astype(np.uint16) * 257,
              "opaque alpha": np.dstack([picture[..., ::-1], np.full((64, 64), 255, np.uint8)])}[form]
    cv2.imwrite(str(tmp_path / "painted.png"), stored)
    np.testing.assert_array_equal(read_painted(tmp_path / "painted.png", 64), picture)


def test_a_texture_without_a_change_on_the_body_is_refused() -> None:
    texture = plain_texture()
    beside = texture.copy()
    beside[~np.isfinite(texel_positions(load_body(), SIZE)[..., 0])] = RED
    hardly = np.clip(texture.astype(int) + 3, 0, 255).astype(np.uint8)
    for same in (texture, beside, hardly):
        with pytest.raises(AnrError, match="does not differ from the exported one anywhere on the body"):
            painting(texture, same)


def test_free_texels_are_those_painted_and_their_close_neighbours() -> None:
    texture = plain_texture()
    free = free_texels(painting(texture, painted_red(texture)), 256)
    core = cv2.erode(chest(256).astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    near = cv2.dilate(chest(256).astype(np.uint8), np.ones((11, 11), np.uint8)) > 0
    assert core.any() and free[core].all() and not (free & ~near).any()


def test_painted_colours_are_taken_as_they_are_in_the_light_the_texture_was_taken_in() -> None:
    rng = np.random.default_rng(1)
    before, after = rng.random((40, 40, 3)), rng.random((40, 40, 3))
    inside = np.ones((40, 40), bool)
    np.testing.assert_allclose(in_light_of(before, before, after, inside), after, atol=1e-4)
    darker = in_light_of(before * 0.6, before, after, inside)
    assert (darker <= after + 1e-6).all() and darker.mean() < 0.8 * after.mean()


# ---- the law -------------------------------------------------------------------------------------------------------

def made(avatar: Path, folder: Path, texture: np.ndarray, **options: object) -> Outcome:
    (folder / "unwrap").mkdir(parents=True)
    (folder / "edited").mkdir()
    write_image(folder / "unwrap" / "texture.png", plain_texture())
    write_image(folder / "painted.png", texture)
    return edit.run(Job(folder / "edited", edit.EditOptions(person="ada", texture=str(folder / "painted.png"),
                                                            device="cpu", **options),    # type: ignore[arg-type]
                        {"train": avatar, "ada/unwrap": folder / "unwrap"}, Progress()))


@pytest.fixture(scope="module")
def edited(avatar: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("edit")
    outcome = made(avatar, folder, painted_red(plain_texture()), images=30)
    assert outcome.figures["error"] < 0.8 * outcome.figures["error_before"]
    assert (folder / "edited" / outcome.outputs["picture"]).exists()
    return folder / "edited"


def front(avatar: Path) -> SurfaceMaps:
    return list(surfaces_around(load_avatar(avatar, "cpu"), "ada", captured=1, turns=4))[1]


def test_the_painted_patch_is_nearer_to_its_colour_and_far_pixels_hardly_move(avatar: Path, edited: Path) -> None:
    maps = front(avatar)
    before, after = (render_person(a, a.textures["ada"], maps)[0] * 255
                     for a in (load_avatar(avatar, "cpu"), load_avatar(edited, "cpu")))
    place = np.clip((maps.uv * SIZE).astype(int), 0, SIZE - 1)
    shown = chest()[place[..., 1], place[..., 0]] & maps.inside
    inner = cv2.erode(shown.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    near = cv2.dilate(shown.astype(np.uint8), np.ones((25, 25), np.uint8)) > 0
    assert inner.sum() > 20
    distance = [np.abs(picture[inner] - np.array(RED)).mean() for picture in (before, after)]
    assert distance[1] < 0.85 * distance[0]
    far = maps.inside & ~near
    assert far.any() and np.abs(after - before)[far].mean() < 2.0


def test_other_texels_other_people_and_the_network_keep_every_bit(avatar: Path, edited: Path) -> None:
    old, new = (load_file(folder / "textures.safetensors") for folder in (avatar, edited))
    assert torch.equal(old["ben"], new["ben"])
    changed = (old["ada"] != new["ada"]).any(0).numpy()
    what = painting(plain_texture(), painted_red(plain_texture()))
    gutters_too = cv2.dilate(free_texels(what, 256).astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    on_seams = changed & ~gutters_too
    assert changed.any() and on_seams.sum() < 0.1 * changed.sum(), "a few gutter texels follow across a seam"
    assert (edited / "network.safetensors").read_bytes() == (avatar / "network.safetensors").read_bytes()
    assert load_avatar(edited, "cpu").description["derived"][0]["how"] == "edited"


def test_somebody_whom_the_model_does_not_know_is_said(avatar: Path, tmp_path: Path) -> None:
    job = Job(tmp_path, edit.EditOptions(person="zoe", texture="x.png", device="cpu"), {"train": avatar}, Progress())
    with pytest.raises(AnrError, match="does not know 'zoe'") as caught:
        edit.run(job)
    assert "ada, ben" in caught.value.hint


def test_no_pictures_to_learn_from_is_out_of_range() -> None:
    with pytest.raises(AnrError, match="--images 0 is out of range"):
        edit.check(edit.EditOptions(images=0))


def test_views_are_chosen_that_see_the_change(avatar: Path) -> None:
    what = painting(plain_texture(), painted_red(plain_texture()))
    surfaces = list(surfaces_around(load_avatar(avatar, "cpu"), "ada", captured=1, turns=4))
    chosen = chosen_views(what, surfaces, 2)
    assert chosen and 3 not in chosen, "the third turn shows the back"
    assert unseen_share(what, [surfaces[k] for k in chosen]) < 0.5
    assert unseen_share(what, [surfaces[3]]) == 1.0
