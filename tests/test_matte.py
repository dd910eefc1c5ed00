"""Mattes: known alphas composited on texture come back; what is not the person stays out."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pipelines.core.errors import AnrError
from pipelines.core.mapcache import write_maps
from pipelines.core.records import BodyFit, Camera, Frame
from pipelines.core.stage import Job, Progress
from pipelines.core.storage import write_fit
from pipelines.geometry.cameras import camera_from_fov, project
from pipelines.matte import STAGE, MatteOptions, check_options
from pipelines.matting.body import NO_REGION, distance_to_body, main_part
from pipelines.matting.closed_form import closed_form_alpha, person_alpha
from pipelines.matting.evidence import View, opinion_of
from pipelines.matting.ground import NEVER_SEEN, Ground, still_ground
from pipelines.matting.light import to_levels, to_light
from pipelines.matting.trimap import BACKGROUND, FOREGROUND, UNKNOWN, make_trimap


def textured(shape: tuple[int, int], base: tuple[int, int, int], seed: int, amount: float = 20) -> np.ndarray:
    """(H, W, 3) float smooth random texture around a colour."""
    import cv2

    noise = cv2.GaussianBlur(np.random.default_rng(seed).normal(size=shape).astype(np.float32), (0, 0), 6)
    return np.array(base) + amount * noise[..., None] / noise.std()


def soft_disc(shape: tuple[int, int], centre: tuple[float, float], radius: float, softness: float) -> np.ndarray:
    ys, xs = np.mgrid[:shape[0], :shape[1]] + 0.5
    return np.clip((radius - np.hypot(xs - centre[0], ys - centre[1])) / softness + 0.5, 0, 1).astype(np.float32)


def composite(alpha: np.ndarray, seed: int = 0) -> np.ndarray:
    return mixed(alpha, textured(alpha.shape, (190, 90, 70), seed), textured(alpha.shape, (60, 120, 80), seed + 1))


def mixed(alpha: np.ndarray, person: np.ndarray, ground: np.ndarray) -> np.ndarray:
    """(H, W, 3) uint8: what a camera sees, light mixed by alpha; person and ground are sRGB levels."""
    light = [to_light(np.clip(np.round(each), 0, 255).astype(np.uint8)) for each in (person, ground)]
    return to_levels(light[0] * alpha[..., None] + light[1] * (1 - alpha[..., None]))


def test_a_known_alpha_on_texture_is_recovered() -> None:
    truth = soft_disc((120, 100), (50, 60), 30, softness=8)
    trimap = np.full(truth.shape, UNKNOWN, np.uint8)
    trimap[soft_disc(truth.shape, (50, 60), 22, 1) > 0.5] = FOREGROUND
    trimap[soft_disc(truth.shape, (50, 60), 38, 1) < 0.5] = BACKGROUND
    alpha = closed_form_alpha(to_light(composite(truth)), trimap)
    assert alpha.dtype == np.float32 and alpha.min() >= 0 and alpha.max() <= 1
    assert np.abs(alpha - truth)[trimap == UNKNOWN].mean() < 0.04
    assert (alpha[trimap == FOREGROUND] == 1).all() and (alpha[trimap == BACKGROUND] == 0).all()


def test_a_mask_that_is_a_few_pixels_off_is_put_right() -> None:
    import cv2

    truth = soft_disc((140, 120), (60, 70), 36, softness=2)
    rough = cv2.GaussianBlur(soft_disc((140, 120), (62, 72), 38, softness=1), (0, 0), 4)
    alpha = person_alpha(composite(truth), rough, band_px=10)
    assert np.abs(alpha - truth).sum() < 0.6 * np.abs(rough - truth).sum()
    overlap = np.minimum(alpha, truth).sum() / np.maximum(alpha, truth).sum()
    assert overlap > 0.94


def test_a_large_band_solved_at_half_scale_is_still_the_person(monkeypatch: pytest.MonkeyPatch) -> None:
    from pipelines.matting import closed_form

    truth = soft_disc((140, 120), (60, 70), 36, softness=4)
    image = composite(truth)
    whole = person_alpha(image, truth, 8)
    monkeypatch.setattr(closed_form, "LARGEST_UNKNOWN", 500)
    assert np.abs(person_alpha(image, truth, 8) - whole).mean() < 0.01


def test_impossible_places_are_background_and_the_core_is_foreground_unless_the_mask_denies_it() -> None:
    mask = soft_disc((100, 100), (50, 50), 30, softness=4)
    mask[45:55, 45:55] = 0.35                       # the mask doubts the middle
    core = soft_disc((100, 100), (50, 50), 20, 1) > 0.5
    core[2:8, 2:8] = True                           # a misplaced limb, which the mask denies
    possible = np.ones((100, 100), bool)
    possible[:, 70:] = False
    alpha = person_alpha(composite(mask), mask, 5, core, possible)
    assert (alpha[45:55, 45:55] == 1).all()
    assert alpha[2:8, 2:8].max() < 0.5
    assert alpha[:, 76:].max() == 0


def test_the_trimap_is_sure_only_away_from_the_outline() -> None:
    mask = np.zeros((60, 60), np.float32)
    mask[20:, 20:40] = 1                            # cut off by the lower border
    trimap = make_trimap(mask, 4)
    assert set(np.unique(trimap[:, 30])) == {BACKGROUND, UNKNOWN, FOREGROUND}
    assert (trimap[26:, 30] == FOREGROUND).all()    # the border is no outline
    assert (trimap[17:23, 30] == UNKNOWN).all() and (trimap[:14] == BACKGROUND).all()
    assert (make_trimap(np.zeros((9, 9)), 3) == BACKGROUND).all()
    assert (make_trimap(np.ones((9, 9)), 3) == FOREGROUND).all()


def moving_clip(shake: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Images (F, H, W, 3), alphas (F, H, W) of a disc that crosses a textured ground (H, W, 3)."""
    ground = np.clip(textured((90, 140), (90, 120, 80), 7, amount=30), 0, 255)
    alphas = np.stack([soft_disc((90, 140), (30 + 9 * k, 45), 16, 2) for k in range(10)])
    noise = np.random.default_rng(0).normal(0, 1.5, (10, 90, 140, 3))
    views = np.stack([np.roll(ground, shake * (k % 5), axis=1) for k in range(10)])
    images = views * (1 - alphas[..., None]) + np.array([200, 60, 60]) * alphas[..., None] + noise
    return np.clip(np.round(images), 0, 255).astype(np.uint8), alphas, ground


def test_a_still_background_is_learned_behind_somebody_who_moves() -> None:
    images, alphas, truth = moving_clip()
    ground = still_ground(images, alphas > 0.01)
    known = ground.spread < 255
    assert known.mean() > 0.95
    assert np.abs(ground.colour.astype(float) - truth)[known].mean() < 1.5
    assert np.median(ground.spread[known]) <= 6
    always = still_ground(images, np.ones(alphas.shape, bool))
    assert (always.spread == 255).all()


def view_of(image: np.ndarray, mask: np.ndarray, ground: Ground | None, **more: np.ndarray) -> View:
    """A person of 200 pixels a metre whose body is known everywhere."""
    body = np.zeros(mask.shape, np.uint8)
    return View(image, mask.astype(np.float32), body, np.zeros(mask.shape, bool), 200.0, ground, **more)


def test_a_known_background_puts_a_sloppy_mask_right_and_an_unknown_one_changes_nothing() -> None:
    images, alphas, _ = moving_clip()
    ground = still_ground(images, alphas > 0.01)
    sloppy = np.roll(alphas[4], 5, axis=1) * 0.9 + 0.05
    better = opinion_of(view_of(images[4], sloppy, ground))
    wrong_before, wrong_after = (((mask > 0.5) != (alphas[4] > 0.5)).sum() for mask in (sloppy, better))
    assert wrong_after < 0.45 * wrong_before
    unseen = Ground(ground.colour, np.full(ground.spread.shape, NEVER_SEEN, np.uint8))
    np.testing.assert_allclose(opinion_of(view_of(images[4], sloppy, unseen)), sloppy, atol=1e-6)


def test_a_darker_exposure_is_not_taken_for_somebody() -> None:
    images, alphas, _ = moving_clip()
    ground = still_ground(images, alphas > 0.01)
    view = view_of((images[4] * 0.8).astype(np.uint8), alphas[4] * 0.9 + 0.02, ground)
    far = replace(view, regions=np.where(alphas[4] > 0.5, 0, NO_REGION).astype(np.uint8))
    assert ((opinion_of(far) > 0.5) != (alphas[4] > 0.5)).mean() < 0.01


def test_what_lies_behind_the_body_is_not_the_person() -> None:
    depth_m, body_depth_m = np.full((60, 80), 2.0, np.float32), np.full((60, 80), 2.1, np.float32)
    depth_m[:, 50:] = 3.0                           # a gap through which the wall is seen
    depth_m[:10] = 0                                # no reading
    mask = np.full((60, 80), 0.9, np.float32)
    view = view_of(np.zeros((60, 80, 3), np.uint8), mask, None, depth_m=depth_m, body_depth_m=body_depth_m)
    opinion = opinion_of(view)
    assert opinion[12:, 52:].max() < 0.3 and opinion[:, :48].min() > 0.85
    assert opinion[:8].min() > 0.85                 # nothing read, nothing said
    np.testing.assert_allclose(opinion_of(replace(view, body_depth_m=None)), mask, atol=1e-6)


def test_a_camera_that_moves_makes_the_background_worth_little() -> None:
    still, moving = (moving_clip(shake) for shake in (0, 6))
    spreads = [np.median(still_ground(images, alphas > 0.01).spread) for images, alphas, _ in (still, moving)]
    assert spreads[1] > 3 * spreads[0]


def test_a_shadow_is_not_the_person() -> None:
    images, alphas, truth = moving_clip()
    ground = still_ground(images, alphas > 0.01)
    shaded = images[4].copy()
    shaded[60:70, 60:72] = np.round(truth[60:70, 60:72] * 0.6).astype(np.uint8)
    mask = np.maximum(alphas[4] * 0.9, 0.05)
    assert opinion_of(view_of(shaded, mask, ground))[62:68, 62:70].max() <= 0.06


def test_distance_to_the_body_names_the_nearest_region() -> None:
    regions = np.full((40, 50), NO_REGION, np.uint8)
    regions[10:20, 5:10], regions[10:20, 40:45] = 3, 7
    distance_m, nearest = distance_to_body(regions, px_per_m=100)
    assert nearest[15, 20] == 3 and nearest[15, 30] == 7
    assert distance_m[15, 19] == pytest.approx(0.10, rel=0.05) and distance_m[15, 7] == 0
    nobody, _ = distance_to_body(np.full((4, 4), NO_REGION, np.uint8), 100)
    assert not nobody.any()                         # no evidence, no limit


def test_pieces_that_touch_the_body_nowhere_are_left_out() -> None:
    mask = np.zeros((20, 40), np.float32)
    mask[5:15, 5:15], mask[5:15, 25:35] = 1, 1
    body = np.zeros((20, 40), bool)
    body[8:12, 8:12] = True
    kept = main_part(mask, np.ones((20, 40), bool), body)
    assert kept[10, 10] and not kept[10, 30] and kept[0, 0]


def test_shapes_that_do_not_belong_together_are_named() -> None:
    with pytest.raises(ValueError, match=r"\(4, 5, 3\).*\(5, 4\)"):
        person_alpha(np.zeros((4, 5, 3), np.uint8), np.zeros((5, 4)), 3)


# A whole stage on a drawn person

SIZE = 200


class Heard(Progress):
    def __init__(self) -> None:
        self.said: list[str] = []

    def warn(self, text: str) -> None:
        self.said.append(text)


@pytest.fixture
def drawn(tmp_path: Path) -> Job:
    return draw_clip(tmp_path, 6)


def draw_clip(tmp_path: Path, count: int) -> Job:
    """Frames of the rest body in 2 cm of cloth; a ball at its foot in frame 2, nobody found in frame 5."""
    import cv2

    from pipelines.body.model import load_body, rest_body
    from pipelines.media.images import write_alpha
    from pipelines.media.recording import RecordingWriter
    from pipelines.rasterizers.cpu import surface_maps

    body = load_body()
    verts, joints = rest_body(body, np.zeros(body.shape_dirs.shape[0]))
    turned = verts * [1, -1, -1] + [0, 0.5 * np.ptp(verts[:, 1]) + verts[:, 1].min(), 3.0]
    joints = joints * [1, -1, -1] + [0, 0.5 * np.ptp(verts[:, 1]) + verts[:, 1].min(), 3.0]
    camera: Camera = camera_from_fov(SIZE, SIZE, 45)
    maps = surface_maps(body.faces, body.uvs, body.face_uvs, turned, camera)
    clothed = cv2.GaussianBlur(cv2.dilate(maps.inside.astype(np.float32), np.ones((3, 3))), (0, 0), 0.8)
    foot = project(joints[list(body.joint_names).index("foot.L")], camera)
    ball = soft_disc((SIZE, SIZE), (foot[0] + 16, foot[1] + 2), 10, 1)

    inputs = {name: tmp_path / name for name in ("capture", "keypoints", "fit", "raster")}
    for folder in (inputs["keypoints"] / "person_mask", inputs["raster"] / "maps", inputs["fit"], tmp_path / "matte"):
        folder.mkdir(parents=True)
    writer = RecordingWriter(inputs["capture"], camera)
    found = np.ones(count, bool)
    found[5:6] = False
    for k in range(count):
        image = composite(clothed, seed=2 * k)
        mask = cv2.GaussianBlur(clothed, (0, 0), 2)
        if k == 2:
            image = np.where(ball[..., None] > 0.5, np.uint8(235), image)
            mask = np.maximum(mask, ball)
        writer.add(Frame(k, k / 10, image, alpha=clothed if found[k] else 0 * clothed))
        write_alpha(inputs["keypoints"] / "person_mask" / f"{k:05d}.png", mask)
        write_maps(inputs["raster"] / "maps" / f"{k:05d}.maps", maps)
    writer.close(fps=10, height_m=None, intrinsics_from="drawn", intrinsics_known=True, track=None)
    np.savez(inputs["keypoints"] / "keypoints.npz", pixels=np.zeros((count, 33, 2)), confidence=np.zeros((count, 33)),
             found=found)
    write_fit(inputs["fit"] / "fit.npz", BodyFit(
        np.zeros(10), np.array(body.joint_names), np.arange(count), np.tile(np.eye(3), (count, len(joints), 1, 1)),
        np.tile(joints[0], (count, 1)), np.tile(joints, (count, 1, 1)), np.zeros(count), np.zeros(count),
        np.ones(count, bool)))
    return Job(tmp_path / "matte", MatteOptions(), inputs, Heard())


def test_the_stage_writes_a_matte_per_frame_and_leaves_the_ball_out(drawn: Job) -> None:
    from pipelines.media.images import read_alpha
    from pipelines.media.recording import Recording

    outcome = STAGE.run(drawn)
    truth = Recording(drawn.inputs["capture"]).truth_alpha(0)
    mattes = [read_alpha(drawn.folder / "alpha" / f"{k:05d}.png") for k in range(6)]
    assert mattes[0].shape == (SIZE, SIZE)
    for k in (0, 1, 2, 3, 4):               # frame 2 has the ball
        overlap = np.minimum(mattes[k], truth).sum() / np.maximum(mattes[k], truth).sum()
        assert overlap > (0.93 if k == 2 else 0.95), f"frame {k}"
    assert not mattes[5].any()
    assert outcome.figures["frames_without_person"] == 1 and outcome.figures["truth_iou"] > 0.95
    assert (drawn.folder / outcome.outputs["sheet"]).exists()
    assert any("Nobody was found in 1 frames (first: 5)" in text for text in drawn.progress.said)


def test_what_sticks_out_can_be_kept(drawn: Job) -> None:
    from pipelines.media.images import read_alpha

    STAGE.run(drawn)
    without = read_alpha(drawn.folder / "alpha" / "00002.png").sum()
    kept = drawn.folder.parent / "kept"
    kept.mkdir()
    STAGE.run(replace(drawn, folder=kept, options=MatteOptions(keep_all=True)))
    assert read_alpha(kept / "alpha" / "00002.png").sum() > without + 100


def test_two_processes_give_the_mattes_of_one_and_keyframes_follow(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from pipelines import matte
    from pipelines.core.split import split_frames
    from pipelines.keyframes import STAGE as KEYFRAMES

    clip = draw_clip(tmp_path, 30)
    STAGE.run(clip)
    monkeypatch.setattr(matte, "FEWEST_FOR_WORKERS", 1000)
    alone, keyframes = tmp_path / "alone", tmp_path / "keyframes"
    alone.mkdir()
    keyframes.mkdir()
    STAGE.run(replace(clip, folder=alone))
    for k in range(30):
        name = f"alpha/{k:05d}.png"
        assert (clip.folder / name).read_bytes() == (alone / name).read_bytes(), name

    outcome = KEYFRAMES.run(Job(keyframes, KEYFRAMES.Options(), {**clip.inputs, "matte": alone}, clip.progress))
    stored = json.loads((keyframes / "keyframes.json").read_text())
    assert set(stored["frames"]) <= set(split_frames(30).train.tolist()) and len(stored["frames"]) == 4
    assert 5 not in stored["frames"]        # nobody was found there
    assert len(stored["coverage"]) == 4 and stored["coverage"] == sorted(stored["coverage"])
    assert (keyframes / outcome.outputs["sheet"]).exists()


def test_a_band_of_nothing_and_a_folder_that_is_none_are_refused_before_any_work(tmp_path: Path) -> None:
    for band in (0.0, -1.0, 0.5, float("nan")):
        with pytest.raises(AnrError, match=rf"A band of {band} m.*--band"):
            check_options(MatteOptions(band=band))
    with pytest.raises(AnrError, match=r'nowhere is no folder of mattes.*--mattes "" makes mattes again'):
        check_options(MatteOptions(mattes=str(tmp_path / "nowhere")))


def test_mattes_made_elsewhere_are_taken_as_they_are_with_their_own_edge_colours(drawn: Job, tmp_path: Path) -> None:
    import cv2

    from pipelines.media.images import read_alpha, read_image
    from pipelines.media.recording import Recording

    given = tmp_path / "given"
    given.mkdir()
    recording = Recording(drawn.inputs["capture"])
    truths = [recording.truth_alpha(k) for k in range(6)]
    for k, truth in enumerate(truths):
        assert truth is not None
        cv2.imwrite(str(given / f"{k}.png"), np.round(truth * 65535).astype(np.uint16))
    outcome = STAGE.run(replace(drawn, options=MatteOptions(mattes=str(given))))
    for k, truth in enumerate(truths):
        np.testing.assert_allclose(read_alpha(drawn.folder / "alpha" / f"{k:05d}.png"), truth, atol=1 / 250)
    edge = read_image(drawn.folder / "edge" / "00000.png")
    alpha = read_alpha(drawn.folder / "alpha" / "00000.png")
    mixed_pixels = (alpha > 0.3) & (alpha < 0.7)
    assert not edge[alpha == 0].any() and not edge[alpha == 1].any()
    assert np.abs(np.median(edge[mixed_pixels], axis=0) - (190, 90, 70)).max() < 25     # not (60, 120, 80) behind
    assert outcome.figures["truth_iou"] > 0.99
    assert any("1 of 6 mattes are empty: frames 5" in text for text in drawn.progress.said)
    assert not (drawn.folder / "drafts").exists()


def test_given_mattes_whose_white_is_one_level_are_refused(drawn: Job, tmp_path: Path) -> None:
    import cv2

    (tmp_path / "given").mkdir()
    for k in range(6):
        one_level = soft_disc((200, 200), (100, 100), 50, 1).round().astype(np.uint8)
        cv2.imwrite(str(tmp_path / "given" / f"{k}.png"), one_level)
    with pytest.raises(AnrError, match=r"All 6 mattes of .* are empty\. White \(255, in 16-bit files 65535\)"):
        STAGE.run(replace(drawn, options=MatteOptions(mattes=str(tmp_path / "given"))))


def test_given_mattes_of_another_size_are_refused(drawn: Job, tmp_path: Path) -> None:
    import cv2

    (tmp_path / "given").mkdir()
    for k in range(6):
        cv2.imwrite(str(tmp_path / "given" / f"{k}.png"), np.full((10, 20), 200, np.uint8))
    with pytest.raises(AnrError, match="is 20x10, but the capture is 200x200"):
        STAGE.run(replace(drawn, options=MatteOptions(mattes=str(tmp_path / "given"))))


def test_the_fast_way_is_close_to_the_default_and_one_frame_is_enough(tmp_path: Path) -> None:
    from pipelines.media.images import read_alpha
    from pipelines.media.recording import Recording

    clip = draw_clip(tmp_path, 1)
    truth = Recording(clip.inputs["capture"]).truth_alpha(0)
    for name, options in {"whole": MatteOptions(), "fast": MatteOptions(fast=True)}.items():
        (tmp_path / name).mkdir()
        STAGE.run(replace(clip, folder=tmp_path / name, options=options))
        alpha = read_alpha(tmp_path / name / "alpha" / "00000.png")
        assert np.minimum(alpha, truth).sum() / np.maximum(alpha, truth).sum() > (0.95 if name == "whole" else 0.92)


def test_frames_are_held_against_those_beside_them_in_time() -> None:
    from pipelines.matte import beside

    times_s, found = np.array([0, 0.05, 0.1, 0.6, 0.65]), np.array([True, True, True, True, False])
    assert [beside(k, times_s, found) for k in range(4)] == [(1,), (0, 2), (1,), ()]


def test_clothes_may_be_as_far_from_any_part_of_the_body_as_they_are_in_the_clip() -> None:
    from pipelines.matting.body import region_names, within_reach

    names = region_names()
    hand, leg = names.index("hand_l"), names.index("upper_leg_l")
    regions = np.full((40, 80), NO_REGION, np.uint8)
    regions[:, 10:20], regions[:, 40:45] = leg, hand
    reach_m = np.zeros(len(names))
    reach_m[leg], reach_m[hand] = 0.25, 0.05
    within = within_reach(regions, 100.0, reach_m)
    assert within[20, 44] and within[20, 49] and not within[20, 52]
    assert within[20, 38] and within[20, 10:45].all()       # the skirt behind the hand, which is nearer
    assert not within[20, 60:].any()
    assert within_reach(np.full((3, 3), NO_REGION, np.uint8), 100.0, reach_m).all()


def test_a_body_that_leaves_the_picture_is_sure_up_to_the_border() -> None:
    mask = np.zeros((80, 60), np.float32)
    mask[40:, 20:60] = 1                            # cut off below and on the right
    alpha = person_alpha(composite(mask), mask, 4)
    assert (alpha[50:, 30:] == 1).all() and alpha[:30].max() == 0


def test_clothes_between_the_legs_come_back_where_depth_says_they_are_near() -> None:
    """The mask knows nothing of a patch that hides the background at the body's depth; a shadow stays out."""
    ground = Ground(np.full((90, 120, 3), 120, np.uint8), np.ones((90, 120), np.uint8))
    image = ground.colour.copy()
    image[20:70, 30:50] = (40, 60, 160)             # the body
    image[30:60, 56:70] = (220, 170, 20)            # cloth beside it
    image[64:70, 56:70] = 80                        # a shadow
    regions = np.full((90, 120), NO_REGION, np.uint8)
    regions[20:70, 30:50] = 0
    mask = (regions == 0).astype(np.float32)
    depth_m = np.full((90, 120), 4.0, np.float32)
    depth_m[20:70, 30:50], depth_m[:, 56:70] = 2.0, 2.1
    body_depth_m = np.where(mask > 0, 2, 0).astype(np.float32)
    view = replace(view_of(image, mask, ground, depth_m=depth_m, body_depth_m=body_depth_m),
                   regions=regions)
    opinion = opinion_of(view)
    assert opinion[34:56, 60:66].min() > 0.8 and opinion[65:69, 58:68].max() < 0.1
    assert opinion_of(replace(view, depth_m=None))[34:56, 60:66].max() < 0.1


def test_a_matte_made_before_mattes_could_be_given_asks_for_no_file() -> None:
    from types import SimpleNamespace

    from pipelines.chaining.identity import check_same_files, options_identity

    older = SimpleNamespace(made_from={"options": {"band": 0.012, "keep_all": False}})
    identity = options_identity(STAGE, MatteOptions(), older, {})        # type: ignore[arg-type]
    assert identity["mattes"] == ""
    check_same_files(STAGE, MatteOptions(), {"options": identity}, {})
