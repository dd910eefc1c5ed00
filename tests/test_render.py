"""Rendering and try-on on a tiny avatar whose network was never trained: sizes, places and files are right anyway."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from avatar_double import FRAMES, HEIGHT, TALL_PX, WIDTH, captured_camera, captured_motion, run, sitting, write_avatar

from pipelines import render, tryon
from pipelines.body.model import BodyPose, load_body, pose_body, rest_pose
from pipelines.core.errors import AnrError, UsageError
from pipelines.core.records import Motion
from pipelines.geometry.cameras import project
from pipelines.media.images import read_image, write_image
from pipelines.motion.bvh import read_bvh, write_bvh
from pipelines.motion.retarget import retarget
from pipelines.playback.delivery import deliver
from pipelines.playback.framing import picture_size
from pipelines.playback.shots import orbit, perform
from pipelines.renderers.picture import (
    cut_out,
    foreground,
    over_captured,
    over_other,
    to_linear,
    to_srgb,
    without_haze,
)


@pytest.fixture(scope="module")
def avatar(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_avatar(tmp_path_factory.mktemp("train"))


def frames_of(path: Path) -> list[np.ndarray]:
    import av

    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


def test_a_replay_has_the_captures_size_frames_and_camera(avatar: Path, tmp_path: Path) -> None:
    outcome = run(render, avatar, tmp_path, person="ada", replay=True, frames="2:99", frames_dir="asked")
    decoded = frames_of(tmp_path / outcome.outputs["video"])
    assert len(decoded) == FRAMES - 2 and decoded[0].shape == (HEIGHT, WIDTH, 3)
    with np.load(tmp_path / "motion.npz") as stored:
        assert stored["frame_index"].tolist() == [2, 3, 4, 5] and stored["time_s"][0] == 0.0
        motion = captured_motion()
        pose = BodyPose(motion.joint_rotations[2], motion.root_translation[2])
        joints = pose_body(load_body(), np.zeros(10), pose)[1]
        np.testing.assert_allclose(stored["joints_px"][0], project(joints, captured_camera()), atol=1e-6)
        assert tuple(stored["joint_names"]) == load_body().joint_names
    assert sorted(p.name for p in (tmp_path / "frames").iterdir()) == [f"0000{k}.png" for k in (2, 3, 4, 5)]
    told = json.loads((tmp_path / "render.json").read_text())
    assert told["person"] == "ada" and told["way"] == "replay"


def test_far_from_the_person_a_replay_shows_the_clean_plate(avatar: Path, tmp_path: Path) -> None:
    run(render, avatar, tmp_path, person="ada", replay=True, frames="0:1", frames_dir="asked")
    picture = read_image(tmp_path / "frames" / "00000.png")
    np.testing.assert_array_equal(picture[:, -8:, 0], np.tile(np.arange(WIDTH - 8, WIDTH), (HEIGHT, 1)))


def test_an_orbit_goes_once_around(avatar: Path, tmp_path: Path) -> None:
    outcome = run(render, avatar, tmp_path, person="ben", orbit=True, fps=3.0, size=96, background="white")
    decoded = frames_of(tmp_path / outcome.outputs["video"])
    assert len(decoded) == 12 and decoded[0].shape == (96, 96, 3)
    assert decoded[0][:4, :4].min() > 250
    with np.load(tmp_path / "motion.npz") as stored:
        names = stored["joint_names"].tolist()
        left, right = (stored["joints_px"][:, names.index(name), 0] for name in ("wrist.L", "wrist.R"))
    assert left[0] > right[0] and left[6] < right[6]     # facing us, then turned away
    assert (tmp_path / "strip.jpg").exists()


def test_a_motion_is_performed_at_its_own_pace(avatar: Path, tmp_path: Path) -> None:
    body = load_body()
    path = tmp_path / "turn.bvh"
    rotations = np.repeat(rest_pose(body).joint_rotations[None], 41, axis=0)
    above = np.where(body.parents[:, None] >= 0, body.rest_joints[np.maximum(body.parents, 0)], 0.0)
    root = np.linspace([0, body.rest_joints[0, 1], 0], [0, body.rest_joints[0, 1], 1.5], 41)
    write_bvh(path, body.joint_names, body.parents, body.rest_joints - above, Motion(rotations, root, 60.0))
    outcome = run(render, avatar, tmp_path / "v001", person="ada", motion=str(path), size=96)
    assert len(frames_of(tmp_path / "v001" / outcome.outputs["video"])) == 21     # 0.67 s at 30 per second
    told = json.loads((tmp_path / "v001" / "render.json").read_text())
    assert told["reference"] == "our own skeleton" and told["fps"] == 30.0


def test_a_transparent_render_has_straight_alpha(avatar: Path, tmp_path: Path) -> None:
    import cv2

    outcome = run(render, avatar, tmp_path, person="ada", replay=True, frames="0:2", background="transparent",
                  frames_dir="asked")
    assert outcome.outputs["video"] == "video.webm"
    picture = cv2.imread(str(tmp_path / "frames" / "00000.png"), cv2.IMREAD_UNCHANGED)
    assert picture.shape == (HEIGHT, WIDTH, 4)
    assert picture[:, -8:, 3].max() == 0 and picture[..., 3].max() > 200


def test_results_are_delivered_where_they_were_asked_for(avatar: Path, tmp_path: Path) -> None:
    asked = {"person": "ada", "replay": True, "frames": "0:2", "out": str(tmp_path / "there" / "a.mp4"),
             "frames_dir": str(tmp_path / "pngs")}
    run(render, avatar, tmp_path / "v001", **asked)
    deliver(tmp_path / "v001", render.RenderOptions(**asked))
    assert len(frames_of(tmp_path / "there" / "a.mp4")) == 2
    assert sorted(p.name for p in (tmp_path / "pngs").iterdir()) == ["00000.png", "00001.png"]


def test_a_copy_that_fails_leaves_the_old_file_and_nothing_half_written(tmp_path: Path,
                                                                        monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "v001").mkdir()
    (tmp_path / "v001" / "video.mp4").write_bytes(b"new")
    there = tmp_path / "there"
    there.mkdir()
    (there / "a.mp4").write_bytes(b"old")

    def full(source: Path, target: Path) -> None:
        Path(target).write_bytes(b"n")
        raise OSError(28, os.strerror(28))

    options = render.RenderOptions(orbit=True, out=str(there / "a.mp4"))
    with monkeypatch.context() as patched:
        patched.setattr(shutil, "copyfile", full)
        with pytest.raises(AnrError, match="The disk is full"):
            deliver(tmp_path / "v001", options)
    assert [p.name for p in there.iterdir()] == ["a.mp4"] and (there / "a.mp4").read_bytes() == b"old"
    deliver(tmp_path / "v001", options)
    assert [p.name for p in there.iterdir()] == ["a.mp4"] and (there / "a.mp4").read_bytes() == b"new"


def test_without_a_video_there_is_no_copy_but_a_hint(tmp_path: Path) -> None:
    (tmp_path / "frames").mkdir()
    (tmp_path / "frames" / "00000.png").write_bytes(b"picture")
    with pytest.raises(AnrError, match="no video to copy") as caught:
        deliver(tmp_path, render.RenderOptions(orbit=True, out=str(tmp_path / "a.mp4"),
                                               frames_dir=str(tmp_path / "pngs")))
    assert "imageio-ffmpeg" in caught.value.hint and not (tmp_path / "a.mp4").exists()
    assert (tmp_path / "pngs" / "00000.png").read_bytes() == b"picture"


@pytest.mark.parametrize(("stage", "options"), [
    (render, {"orbit": True, "replay": True}), (render, {"replay": True, "size": 128}),
    (render, {"replay": True, "fps": 12.0}), (render, {}),
    (tryon, {"face": "ada", "shirt": "ben", "orbit": True, "replay": True}),
    (tryon, {"face": "ada", "shirt": "ben", "replay": True, "size": 128})])
def test_contradictions_are_errors_of_the_command(stage, options: dict) -> None:
    with pytest.raises(UsageError) as caught:
        stage.STAGE.check(stage.STAGE.Options(**options))
    assert caught.value.hint


@pytest.mark.parametrize("frames", ["5:5", "8:4", ":0", "all", "3", "1:2:3", "-4:9", "a:b", " "])
def test_no_frames_are_refused_before_any_work(frames: str) -> None:
    with pytest.raises(AnrError, match="--frames") as caught:
        render.STAGE.check(render.RenderOptions(orbit=True, frames=frames))
    assert caught.value.hint and not isinstance(caught.value, UsageError)


@pytest.mark.parametrize("frames", ["", "0:1", "4:", ":9", " 2 : 3 ", ":"])
def test_frames_that_may_be_there_are_not(frames: str) -> None:
    render.STAGE.check(render.RenderOptions(orbit=True, frames=frames))


def test_a_background_that_cannot_be_read_is_refused_before_any_work(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_text("no picture")
    write_image(tmp_path / "b.png", np.zeros((4, 4, 3), np.uint8))
    for background, message in ((tmp_path / "a.png", "not a picture"), (tmp_path, "no background"),
                                (tmp_path / "c.png", "no background"), ("mauve", "no background")):
        with pytest.raises(AnrError, match=message):
            render.STAGE.check(render.RenderOptions(orbit=True, background=str(background)))
    for background in ("capture", "white", "green", "transparent", tmp_path / "b.png"):
        render.STAGE.check(render.RenderOptions(orbit=True, background=str(background)))


@pytest.mark.parametrize("file", ["network.safetensors", "textures.safetensors", "avatar.json", "motions/ada.npz"])
@pytest.mark.parametrize("left", [-1, 0, 40])
def test_a_damaged_avatar_is_told_as_such(avatar: Path, tmp_path: Path, file: str, left: int) -> None:
    shutil.copytree(avatar, tmp_path / "train")
    damaged = tmp_path / "train" / file
    content = damaged.read_bytes()
    damaged.unlink()
    if left >= 0:
        damaged.write_bytes(content[:left])
    with pytest.raises(AnrError) as caught:
        run(render, tmp_path / "train", tmp_path / "v001", person="ada", replay=True)
    assert caught.value.hint and list((tmp_path / "v001").iterdir()) == []


def test_an_unknown_device_is_refused() -> None:
    from pipelines.renderers.avatar import best_device

    assert best_device("cpu").type == "cpu" and best_device("auto").type in ("cpu", "cuda")
    with pytest.raises(AnrError, match="--device tpu") as caught:
        best_device("tpu")
    assert caught.value.hint == "Use auto, cpu or cuda."


@pytest.mark.parametrize(("options", "message"), [
    ({"person": "ada"}, "Nothing was said about what"),
    ({"person": "ada", "orbit": True, "replay": True}, "Only one of --orbit, --replay"),
    ({"person": "eve", "orbit": True}, "does not know 'eve'"),
    ({"orbit": True}, "several people"),
    ({"person": "ada", "motion": "nowhere.bvh"}, "There is no file nowhere.bvh"),
    ({"person": "ada", "orbit": True, "background": "nowhere.png"}, "There is no background 'nowhere.png'"),
    ({"person": "ada", "replay": True, "size": 64}, "--replay has the capture's size"),
    ({"person": "ada", "orbit": True, "size": 9000}, "--size 9000"),
    ({"person": "ada", "orbit": True, "out": "a.gif"}, "a .mp4, .webm or .mov file, so --out a.gif"),
    ({"person": "ada", "orbit": True, "out": f"{__file__}/a.mp4"}, "Nothing can be written to"),
    ({"person": "ada", "replay": True, "frames": "50:60"}, "--frames 50:60"),
])
def test_bad_requests_are_explained(avatar: Path, tmp_path: Path, options: dict, message: str) -> None:
    with pytest.raises(AnrError) as caught:
        run(render, avatar, tmp_path, **options)
    assert message in caught.value.message and caught.value.hint
    assert list(tmp_path.iterdir()) == []                # nothing half-written


def test_the_whole_body_stays_in_the_picture_whatever_it_does(shared_data: Path) -> None:
    body, betas = load_body(), np.zeros(10)
    for name in ("cmu1_jumping_jacks", "blender_walk01", "pymo_AV_8Walk"):
        motion = retarget(read_bvh(shared_data / "bvh" / f"{name}.bvh"), body, betas)
        shot = perform(motion, body, betas, sitting(), 256, view_deg=20.0)
        for k in range(0, len(shot), 17):
            pixels = project(pose_body(body, betas, shot.pose(k))[0], shot.cameras[k])
            assert pixels.min() > 0 and pixels.max() < 256, f"{name} frame {k}"


def test_a_person_is_as_tall_as_in_the_capture_and_stands_where_they_stood() -> None:
    body, betas = load_body(), np.zeros(10)
    shot = orbit(body, betas, sitting(), 0, 4.0)
    pixels = project(pose_body(body, betas, shot.pose(0))[0], shot.cameras[0])
    assert abs(np.ptp(pixels[:, 1]) - TALL_PX) < 0.06 * TALL_PX
    assert abs(pixels[:, 1].max() - 112.0) < 4.0
    assert abs(np.median(pixels[:, 0]) - 64.0) < 3.0     # in the middle of the square cut from 160x128


def test_the_camera_follows_a_walk_and_rests_before_someone_who_stays() -> None:
    body, betas = load_body(), np.zeros(10)
    turns = np.repeat(rest_pose(body).joint_rotations[None], 50, axis=0)
    for length_m, follows in ((0.8, False), (4.0, True)):
        way = np.linspace([0, 0.9, 0], [0, 0.9, length_m], 50)
        shot = perform(Motion(turns, way, 24.0), body, betas, sitting(), 128, view_deg=90.0)
        columns = [project(way[k], shot.cameras[k])[0] for k in range(50)]
        assert (np.ptp(columns) < 1.0) == follows        # a steady walk stays in the middle from first to last frame


def test_wide_captures_give_square_pictures_and_tall_ones_keep_their_shape() -> None:
    assert picture_size(sitting(), 0) == (128, 128)
    tall = replace(sitting(), camera=replace(captured_camera(), width=72, height=128))
    assert picture_size(tall, 0) == (72, 128) and picture_size(tall, 256) == (144, 256)


def test_over_the_captured_background_pictures_blend_as_in_training() -> None:
    background = np.full((6, 8, 3), 100, np.uint8)
    rgb, alpha = np.full((4, 4, 3), 0.8, np.float32), np.full((4, 4), 0.25, np.float32)
    picture = over_captured(background, rgb, alpha, (6, 4, 10, 8))      # reaches beyond the picture
    assert picture[5, 7, 0] == round(0.25 * 0.8 * 255 + 0.75 * 100)
    assert picture[3, 7, 0] == 100 and picture[5, 5, 0] == 100


def test_other_backgrounds_blend_light_not_numbers() -> None:
    background = np.zeros((9, 9, 3), np.uint8)
    rgb, alpha = np.ones((9, 9, 3), np.float32), np.full((9, 9), 0.5, np.float32)
    grey = over_other(background, rgb, alpha, (0, 0, 9, 9))[4, 4, 0]
    assert abs(int(grey) - 188) <= 1                     # half the light of white is 188 in sRGB, not 128
    values = np.linspace(0, 1, 50)
    np.testing.assert_allclose(to_srgb(to_linear(values)), values, atol=1e-6)


def test_the_old_background_does_not_shine_at_the_border() -> None:
    """A red person filmed before blue: the soft border must be red on the new background."""
    alpha = np.clip((12 - np.abs(np.arange(40) - 20)) / 4, 0, 1).astype(np.float32)
    alpha = np.tile(alpha, (40, 1))
    red, blue = np.array([0.9, 0.1, 0.1], np.float32), np.array([0.1, 0.1, 0.9], np.float32)
    mixed = alpha[..., None] * red + (1 - alpha[..., None]) * blue
    soft = (alpha > 0.05) & (alpha < 0.6)
    assert np.abs(foreground(mixed, alpha)[soft] - red).max() < 0.12
    assert np.abs(mixed[soft] - red).max() > 0.5
    cut = cut_out(40, 40, mixed, alpha, (0, 0, 40, 40))
    assert cut[20, 0].tolist() == [0, 0, 0, 0] and cut[20, 20, 3] == 255


def test_dark_clothes_that_are_a_little_transparent_stay_dark_before_white() -> None:
    alpha = np.zeros((40, 40), np.float32)
    alpha[8:32, 8:32] = 0.85
    rgb = np.full((40, 40, 3), 0.05, np.float32)
    seen = over_other(np.full((40, 40, 3), 255, np.uint8), rgb, alpha, (0, 0, 40, 40))
    assert seen[12:28, 12:28].max() < 20 and cut_out(40, 40, rgb, alpha, (0, 0, 40, 40))[20, 20, 3] == 255
    assert seen[8, 20, 0] > 60 and (seen[:8] == 255).all()          # the border is what it was


def test_soft_borders_and_thin_things_keep_their_alpha() -> None:
    ramp = np.tile(np.linspace(0.0, 1.0, 41, dtype=np.float32), (9, 1))
    soft = without_haze(ramp)[4]
    plain = np.clip((ramp[4] - 0.03) / 0.94, 0.0, 1.0)
    assert np.allclose(soft[:17], plain[:17]) and (np.diff(soft) >= -1e-6).all()
    strand = np.zeros((15, 15), np.float32)
    strand[:, 7] = 0.9
    assert np.allclose(without_haze(strand)[:, 7], (0.9 - 0.03) / 0.94)
