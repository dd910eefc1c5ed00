"""`--motion` and the options that change it, from a file to frames."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from avatar_double import run, write_avatar

from pipelines import render
from pipelines.body.model import load_body, rest_pose
from pipelines.core.errors import AnrError, UsageError
from pipelines.core.records import Motion
from pipelines.core.stage import Progress
from pipelines.geometry.rotations import rotation_from_vector
from pipelines.motion.bvh import write_bvh
from pipelines.motion.grounding import lowest_points
from pipelines.playback.estimate import seconds_expected
from pipelines.playback.performance import edited, performance_of
from pipelines.playback.request import PlaybackOptions, check

FRAMES, FPS = 41, 20.0


@pytest.fixture(scope="module")
def avatar(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_avatar(tmp_path_factory.mktemp("train"))


@pytest.fixture(scope="module")
def wave(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seconds in which the left arm is raised."""
    body = load_body()
    rotations = np.repeat(rest_pose(body).joint_rotations[None], FRAMES, axis=0)
    rotations[:, body.joint("upperarm01.L")] = rotation_from_vector(np.outer(np.linspace(0, 1, FRAMES), [0, 0, 1.0]))
    above = np.where(body.parents[:, None] >= 0, body.rest_joints[np.maximum(body.parents, 0)], 0.0)
    root = np.repeat([[0, body.rest_joints[0, 1], 0]], FRAMES, axis=0)
    path = tmp_path_factory.mktemp("bvh") / "wave.bvh"
    write_bvh(path, body.joint_names, body.parents, body.rest_joints - above, Motion(rotations, root, FPS))
    return path


def performed(wave: Path, **options: object) -> Motion:
    return performance_of(PlaybackOptions(motion=str(wave), **options), load_body(), np.zeros(10), Progress()).motion


@pytest.mark.parametrize(("options", "frames"), [
    ({}, 41), ({"trim": "0.5:1"}, 10), ({"trim": "1:"}, 21), ({"speed": 2.0}, 21), ({"speed": 0.5}, 81),
    ({"fps": 10.0}, 21), ({"trim": "0.5:1.5", "speed": 0.5, "fps": 10.0}, 20)])
def test_seconds_are_those_of_the_file_and_frames_those_of_the_video(wave: Path, options: dict, frames: int) -> None:
    assert len(performed(wave, **options).joint_rotations) == frames


def test_mirrored_the_other_arm_is_raised(wave: Path) -> None:
    body = load_body()

    def angles(motion: Motion) -> list[float]:
        turned = [motion.joint_rotations[-1, body.joint(f"upperarm01.{side}")] for side in "LR"]
        return [float(np.degrees(np.arccos(np.clip((np.trace(turn) - 1) / 2, -1, 1)))) for turn in turned]

    left, right = angles(performed(wave))
    assert left == pytest.approx(np.degrees(1.0), abs=1) and right == pytest.approx(0, abs=1)
    assert angles(performed(wave, mirror=True)) == pytest.approx([right, left], abs=0.5)


def test_a_loop_is_as_long_as_its_rounds_or_longer(wave: Path) -> None:
    assert len(performed(wave, loop=3).joint_rotations) > 2.5 * FRAMES


def test_editing_nothing_changes_nothing(wave: Path) -> None:
    motion = performed(wave)
    assert edited(motion, PlaybackOptions(motion=str(wave))) is motion


def test_the_joint_map_is_written_and_taken_back(avatar: Path, wave: Path, tmp_path: Path) -> None:
    outcome = run(render, avatar, tmp_path / "a", person="ada", motion=str(wave), frames="0:2", size=64)
    written = tmp_path / "a" / outcome.outputs["joint_map"]
    assert json.loads(written.read_text())["elbow.L"] == "lowerarm01.L"
    again = run(render, avatar, tmp_path / "b", person="ada", motion=str(wave), frames="0:2", size=64,
                joint_map=str(written))
    assert (tmp_path / "b" / again.outputs["joint_map"]).read_text() == written.read_text()


def test_a_camera_path_and_edits_go_together(avatar: Path, wave: Path, tmp_path: Path) -> None:
    path = tmp_path / "path.json"
    path.write_text('{"keys": [{"time_s": 0}, {"time_s": 1, "azimuth_deg": 120, "distance_m": 4}]}')
    outcome = run(render, avatar, tmp_path / "v001", person="ada", motion=str(wave), camera=str(path), size=64,
                  trim="0:1", fps=5.0, mirror=True)
    assert outcome.figures["frames"] == 5
    told = json.loads((tmp_path / "v001" / "render.json").read_text())
    assert told["options"]["trim"] == "0:1" and told["camera_follows"]


@pytest.mark.parametrize("name", ["cmu1_jumping_jacks", "mixamo_freebvh", "blender_walk01"])
def test_feet_stand_in_what_is_rendered_however_it_was_edited(shared_data: Path, name: str) -> None:
    """Locked before the edits, feet slid up to 12 mm in a loop and 50 mm in slow motion, and sank by 2 mm."""
    body, betas = load_body(), np.zeros(10)
    path, contacts = shared_data / "bvh" / f"{name}.bvh", {}
    for asked in ("", "loop", "slow", "fast", "fps", "trim mirror"):
        options = {"": {}, "loop": {"loop": 2}, "slow": {"speed": 0.5}, "fast": {"speed": 1.7}, "fps": {"fps": 12.5},
                   "trim mirror": {"trim": "0.6:1.9", "mirror": True}}[asked]
        result = performance_of(PlaybackOptions(motion=str(path), **options), body, betas, Progress())
        assert result.figures["skate_max_mm"] < 5, asked
        assert lowest_points(result.motion, body, betas).min() > -1e-6, asked
        contacts[asked] = result.figures["contacts"]
    assert abs(contacts["slow"] - contacts[""]) <= 4     # a foot that swings slowly does not stand
    assert contacts["loop"] >= 1.6 * contacts[""] and contacts["trim mirror"] < contacts[""]


def test_a_jump_that_is_cut_out_stays_in_the_air(shared_data: Path) -> None:
    """Heights are those of the whole motion: a stretch without a step is not set on the floor."""
    body, path = load_body(), str(shared_data / "bvh" / "cmu1_jumping_jacks.bvh")
    whole = performance_of(PlaybackOptions(motion=path), body, np.zeros(10), Progress()).motion
    heights = lowest_points(whole, body, np.zeros(10))
    top = int(heights.argmax())
    assert heights[top] > 0.02
    trim = f"{(top - 1) / whole.fps:.3f}:{(top + 2) / whole.fps:.3f}"
    cut = performance_of(PlaybackOptions(motion=path, trim=trim), body, np.zeros(10), Progress()).motion
    assert lowest_points(cut, body, np.zeros(10)).max() == pytest.approx(heights[top], abs=0.005)


def test_limbs_are_told_before_and_after_feet_were_locked(shared_data: Path) -> None:
    result = performance_of(PlaybackOptions(motion=str(shared_data / "bvh" / "cmu_12_01_walk.bvh")), load_body(),
                            np.zeros(10), Progress())
    assert result.figures["limb_error_deg"] < 0.1 < result.figures["limb_error_locked_mean_deg"] < 3
    assert result.figures["limb_error_locked_deg"] < 20 and result.figures["hand_error_deg"] < 1


def test_what_was_written_from_this_very_body_is_played_as_it_is(wave: Path) -> None:
    result = performance_of(PlaybackOptions(motion=str(wave)), load_body(), np.zeros(10), Progress())
    assert result.figures["limb_error_locked_deg"] == result.figures["limb_error_deg"]
    assert result.figures["contacts"] == 0


@pytest.mark.parametrize(("text", "message"), [
    ("Frames: 0\nFrame Time: 0.05\n", "the motion has no frames"), ("Frames: 1\nFrame Time: 0.05\n", "malformed")])
def test_a_motion_of_no_length_is_refused(wave: Path, tmp_path: Path, text: str, message: str) -> None:
    content = wave.read_text()
    start = content.index("Frames:")
    (tmp_path / "none.bvh").write_text(content[:start] + text)
    with pytest.raises(AnrError, match=message) as caught:
        performed(tmp_path / "none.bvh")
    assert caught.value.hint


@pytest.mark.parametrize(("options", "message"), [
    ({"trim": "7:9"}, "--trim 7:9 holds no frame: wave.bvh lasts 2.05 s"),
    ({"loop": 1000, "fps": 60.0}, "A motion of 123000 frames is too long; 100000 can"),
    ({"joint_map": "nowhere.json"}, "There is no joint map nowhere.json"), ({"replay": True}, "Only one of")])
def test_what_cannot_be_performed_is_refused_before_any_work(wave: Path, options: dict, message: str) -> None:
    with pytest.raises((AnrError, UsageError)) as caught:
        asked = render.RenderOptions(person="ada", motion=str(wave), **options)
        render.STAGE.check(asked)
    assert message in caught.value.message and caught.value.hint


def test_slower_and_longer_takes_longer(wave: Path) -> None:
    def seconds(**options: object) -> float:
        return seconds_expected(PlaybackOptions(motion=str(wave), **options), 100, 512, 512)

    assert seconds() < seconds(loop=3) and seconds() < seconds(speed=0.5) and seconds(trim="0:1") < seconds()
    assert seconds_expected(PlaybackOptions(replay=True), 100, 512, 512) > 6
    check(PlaybackOptions(motion=str(wave), trim="0:1"))
