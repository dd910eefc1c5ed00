"""Try-on: whose texels are shown where, whose shape is worn, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from avatar_double import run, write_avatar

from pipelines import tryon
from pipelines.body.model import load_body
from pipelines.body.surface import region_map, texel_positions
from pipelines.core.errors import AnrError, UsageError
from pipelines.core.stage import Job, Progress
from pipelines.media.images import read_image, write_image
from pipelines.playback.wardrobe import GARMENTS, HEM, mixed_texture, read_mask, shares_of, texels_of


@pytest.fixture(scope="module")
def avatar(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_avatar(tmp_path_factory.mktemp("train"))


class Listener(Progress):
    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)


def texture_of(avatar: Path, face: str, worn: dict[str, str], mask: str = "") -> np.ndarray:
    from pipelines.renderers.avatar import load_avatar

    textures = load_avatar(avatar, "cpu").textures
    shares = shares_of(worn, mask, textures[face].shape[-1])
    return mixed_texture(textures[face], [(share, textures[owner]) for share, owner in shares]).numpy()


def share_of_ben(mixed: np.ndarray, avatar: Path, where: np.ndarray) -> float:
    """The median share of ben's texture in ada's, over the texels `where` (S, S) bool."""
    ada, ben = texture_of(avatar, "ada", {}), texture_of(avatar, "ben", {})
    return float(np.median(((mixed - ada) / np.where(ben == ada, 1, ben - ada))[:, where]))


def region(name: str, size: int = 256) -> np.ndarray:
    body = load_body()
    return region_map(body, size) == body.region_names.index(name)


@pytest.mark.parametrize(("worn", "swapped", "kept"), [
    ({"shirt": "ben"}, ("torso", "lower_arm_l"), ("face", "foot_r", "hand_l", "scalp")),
    ({"skin": "ben"}, ("hand_l", "hand_r"), ("face", "torso", "lower_leg_l")),
    ({"hair": "ben"}, ("scalp",), ("face", "torso")),
    ({"lower_arm_l": "ben"}, ("lower_arm_l",), ("lower_arm_r", "hand_l")),
])
def test_a_tryon_swaps_the_texels_of_what_was_named_and_nothing_else(
        avatar: Path, worn: dict[str, str], swapped: tuple[str, ...], kept: tuple[str, ...]) -> None:
    mixed = texture_of(avatar, "ada", worn)
    assert all(share_of_ben(mixed, avatar, region(name)) > 0.99 for name in swapped)
    assert all(share_of_ben(mixed, avatar, region(name)) == 0 for name in kept)


def test_wearing_ones_own_changes_nothing(avatar: Path) -> None:
    assert np.array_equal(texture_of(avatar, "ada", dict.fromkeys(GARMENTS, "ada")), texture_of(avatar, "ada", {}))


def test_borders_between_two_people_are_soft() -> None:
    for garment in GARMENTS:
        weights = texels_of([garment], 256)[garment]
        soft = (weights > 0.05) & (weights < 0.95)
        assert weights.min() >= 0 and weights.max() <= 1 and soft.any(), garment


def test_shirt_and_trousers_share_the_hips_at_a_hem_and_never_overlap() -> None:
    shirt, trousers = (texels_of([garment], 256)[garment] for garment in ("shirt", "trousers"))
    assert (shirt + trousers).max() < 1 + 1e-6
    body = load_body()
    hips = region("hips")
    height = texel_positions(body)[..., 1]
    hem = HEM * body.verts[:, 1].max()
    well_above, well_below = hips & (height > hem + 0.05), hips & (height < hem - 0.05)
    assert well_above.any() and well_below.any()
    assert np.median(shirt[well_above]) == 1 and np.median(trousers[well_below]) == 1
    assert trousers[well_above].max() == 0 and shirt[well_below].max() == 0


def test_a_painted_mask_swaps_what_is_white(avatar: Path, tmp_path: Path) -> None:
    painted = np.zeros((512, 512, 3), np.uint8)
    painted[region("torso", 512)] = 255
    write_image(tmp_path / "mask.png", painted)
    mixed = texture_of(avatar, "ada", {"mask": "ben"}, str(tmp_path / "mask.png"))
    assert share_of_ben(mixed, avatar, region("torso")) > 0.99
    assert share_of_ben(mixed, avatar, region("face")) == 0
    half = np.full((256, 256, 3), 128, np.uint8)
    write_image(tmp_path / "half.png", half)
    assert read_mask(tmp_path / "half.png") == pytest.approx(128 / 255)


@pytest.mark.parametrize(("picture", "message"), [
    (np.full((64, 96, 3), 255, np.uint8), "96x64 pixels; a texture is square"),
    (np.zeros((64, 64, 3), np.uint8), "white nowhere on the body"),
    (np.full((64, 64, 3), (200, 20, 20), np.uint8), "has colours"),
])
def test_bad_masks_are_explained(tmp_path: Path, picture: np.ndarray, message: str) -> None:
    write_image(tmp_path / "mask.png", picture)
    with pytest.raises(AnrError, match=message) as caught:
        tryon.refuse(tryon.TryonOptions(face="ada", mask=str(tmp_path / "mask.png"), mask_from="ben"))
    assert caught.value.hint


def test_a_tryon_reminds_and_goes_around_by_default(avatar: Path, tmp_path: Path) -> None:
    listener = Listener()
    options = tryon.TryonOptions(face="ada", shirt="ben", trousers="ben", fps=1.0, size=64)
    outcome = tryon.run(Job(tmp_path, options, {"train": avatar}, listener))
    assert outcome.figures["frames"] == 4
    assert "agreed" in listener.notes[0] and "texture and body shape alone" in listener.notes[0]
    assert "not simulated" in listener.notes[0] and "\n" not in listener.notes[0]
    told = json.loads((tmp_path / "render.json").read_text())
    assert told["worn"] == {"shirt": "ben", "trousers": "ben"} and told["person"] == told["shape"] == "ada"
    assert read_image(tmp_path / outcome.outputs["regions"]).shape == (1024, 1024, 3)


def test_the_guide_shows_every_region_in_a_colour_of_its_own(tmp_path: Path) -> None:
    from pipelines.playback.wardrobe import write_region_guide

    write_region_guide(tmp_path / "regions.png")
    guide = read_image(tmp_path / "regions.png")
    colours = {tuple(int(c) for c in np.median(guide[region(name, 1024)], axis=0)) for name in load_body().region_names}
    assert len(colours) == len(load_body().region_names)


def test_the_shape_is_the_face_owners_or_whose_was_named(avatar: Path, tmp_path: Path) -> None:
    tall = tmp_path / "train"
    import shutil

    shutil.copytree(avatar, tall)
    described = json.loads((tall / "avatar.json").read_text())
    described["people"]["ben"] = {**described["people"]["ben"], "betas": [2.0] + [0.0] * 9}
    (tall / "avatar.json").write_text(json.dumps(described))

    def spans(name: str, **options: object) -> np.ndarray:
        run(tryon, tall, tmp_path / name, face="ada", fps=1.0, size=64, **options)
        with np.load(tmp_path / name / "motion.npz") as stored:
            return np.ptp(stored["joints_px"], axis=1)

    shirt, shape = spans("shirt", shirt="ben"), spans("shape", shirt="ben", shape="ben")
    assert np.allclose(shirt, spans("alone", hair="ada"))
    assert not np.allclose(shirt, shape, rtol=0.01)


@pytest.mark.parametrize(("options", "error", "message"), [
    ({"shirt": "ben"}, UsageError, "whose face"), ({"face": "ada"}, UsageError, "should be swapped"),
    ({"face": "ada", "region": ("torso",)}, UsageError, "does not say whose region"),
    ({"face": "ada", "mask": "m.png"}, UsageError, "--mask-from whose: one is missing"),
    ({"face": "ada", "mask": "nowhere.png", "mask_from": "ben"}, AnrError, "There is no mask nowhere.png"),
    ({"face": "ada", "region": ("tail=ben",)}, AnrError, "No body has a region 'tail'"),
    ({"face": "ada", "shape": "ben", "replay": True}, AnrError, "ada's own shape"),
    ({"face": "ada", "shirt": "eve"}, AnrError, "does not know 'eve'"),
    ({"face": "ada", "region": ("torso=eve",)}, AnrError, "does not know 'eve'"),
    ({"face": "ada", "shape": "eve"}, AnrError, "does not know 'eve'"),
    ({"face": "eve", "shirt": "ada"}, AnrError, "does not know 'eve'")])
def test_bad_tryons_are_explained(avatar: Path, tmp_path: Path, options: dict, error: type[AnrError],
                                  message: str) -> None:
    with pytest.raises(error) as caught:
        run(tryon, avatar, tmp_path, **options)
    assert message in caught.value.message and caught.value.hint
    assert "eve" not in message or caught.value.hint.endswith("ada, ben.")
    assert list(tmp_path.iterdir()) == []


def test_what_several_people_wear_side_by_side_leaves_nothing_of_the_base() -> None:
    """Weights of everything that can be named sum to one on the body, at every seam, hem and corner of three."""
    import torch

    on_body = region_map(load_body()) < len(load_body().region_names)
    for single in ((), ("lower_arm_l", "hips"), ("torso",)):
        worn = {what: f"owner of {what}" for what in (*GARMENTS, "face", *single)}
        shares = shares_of(worn, "", 256)
        assert {owner for _, owner in shares} == set(worn.values())
        base, own = torch.zeros(1, 256, 256), torch.ones(1, 256, 256)
        mixed = mixed_texture(base, [(weights, own) for weights, _ in shares]).numpy()[0]
        np.testing.assert_allclose(mixed[on_body], 1, atol=1e-5)


def test_two_garments_of_one_person_meet_without_a_trace_of_the_other(avatar: Path) -> None:
    """Shirt and trousers of ben: at the hem and between them ada's texture is nowhere, though both borders are soft."""
    shirt, trousers = texels_of(("shirt", "trousers"), 256).values()
    both = (shirt > 0.05) & (trousers > 0.05)
    assert both.sum() > 50
    np.testing.assert_allclose((shirt + trousers)[both], 1, atol=1e-5)
    mixed = texture_of(avatar, "ada", {"shirt": "ben", "trousers": "ben"})
    np.testing.assert_allclose(mixed[:, both], texture_of(avatar, "ben", {})[:, both], atol=1e-5)


def test_a_region_counts_over_its_garment_and_a_mask_over_everything(avatar: Path, tmp_path: Path) -> None:
    mixed = texture_of(avatar, "ada", {"shirt": "ben", "lower_arm_l": "ada"})
    assert share_of_ben(mixed, avatar, region("torso")) > 0.99
    assert share_of_ben(mixed, avatar, region("lower_arm_l")) == 0
    painted = np.zeros((256, 256, 3), np.uint8)
    painted[region("torso")] = 255
    write_image(tmp_path / "mask.png", painted)
    mixed = texture_of(avatar, "ada", {"shirt": "ben", "mask": "ada"}, str(tmp_path / "mask.png"))
    assert share_of_ben(mixed, avatar, region("torso")) == 0
    assert share_of_ben(mixed, avatar, region("upper_arm_r")) > 0.99
