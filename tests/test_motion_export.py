"""`anr export --bvh`: a fitted motion in a file that others read, and that comes back as the pose it was."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anrcli.app import main
from anrcli.commands.clean import old_folders
from pipelines.body.model import Body, betas_for_height, load_body, pose_sequence
from pipelines.core.errors import AnrError, UsageError
from pipelines.core.records import BodyFit, Motion
from pipelines.core.stage import Job, Progress
from pipelines.core.storage import camera_to_json, write_fit
from pipelines.core.workspace import Workspace, commit, writing
from pipelines.export import FILE, STAGE, ExportOptions, check, deliver, run
from pipelines.geometry.cameras import camera_from_fov
from pipelines.geometry.rotations import rotation_from_vector, vector_from_rotation
from pipelines.motion.bvh import BvhFile, pose_skeleton, read_bvh, write_bvh_file
from pipelines.motion.captured import as_bvh, evenly_timed, upright
from pipelines.motion.grounding import lowest_points
from pipelines.motion.retarget import retarget_fully

BETAS = np.array([0.8, -0.5, 0.3, 0, 0, 0, 0, 0, 0, 0])


@pytest.fixture(scope="module")
def body() -> Body:
    return load_body()


def stroll(body: Body, betas: np.ndarray, frames: int = 40, fps: float = 20.0) -> Motion:
    """Steps about a circle with swinging limbs, standing on the floor."""
    at = np.arange(frames) / fps * 2 * np.pi
    vectors = np.zeros((frames, len(body.joint_names), 3))
    for side, phase in (("L", 0.0), ("R", np.pi)):
        vectors[:, body.joint(f"upperleg01.{side}"), 0] = 0.4 * np.sin(at + phase)
        vectors[:, body.joint(f"lowerleg01.{side}"), 0] = 0.4 * (1 + np.sin(at + phase + 1))
        vectors[:, body.joint(f"upperarm01.{side}"), 2] = 0.5 * np.cos(at + phase)
        vectors[:, body.joint(f"finger2-1.{side}"), 0] = 0.2
    vectors[:, body.joint("head"), 1] = 0.5 * np.sin(at / 2)
    vectors[:, 0, 1] = 0.3 * np.arange(frames) / fps
    circle = np.stack([np.sin(at / 4), np.zeros(frames), np.cos(at / 4)], axis=1)
    motion = Motion(rotation_from_vector(vectors), circle, fps)
    lowest = lowest_points(motion, body, betas)
    return Motion(motion.joint_rotations, circle - lowest[:, None] * [0, 1, 0], fps)


def seen_by(motion: Motion, pitch: float, roll: float) -> Motion:
    """The motion in the frame of a camera 3 m away that looks down by `pitch` radians."""
    to_camera = rotation_from_vector(np.array([0, 0, roll])) @ rotation_from_vector(np.array([pitch, 0, 0])) @ np.diag(
        [1.0, -1.0, -1.0])
    rotations = motion.joint_rotations.copy()
    rotations[:, 0] = to_camera @ rotations[:, 0]
    return Motion(rotations, motion.root_translation @ to_camera.T + [0, 0.5, 3.0], motion.fps)


def angles_deg(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.degrees(np.linalg.norm(vector_from_rotation(np.swapaxes(a, -1, -2) @ b), axis=-1))


@settings(max_examples=12, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_what_is_written_comes_back_as_the_same_pose(body: Body, tmp_path_factory: pytest.TempPathFactory,
                                                     seed: int) -> None:
    chance = np.random.default_rng(seed)
    betas = chance.normal(0, 0.8, 10)
    vectors = chance.normal(0, 0.6, (4, len(body.joint_names), 3))
    vectors[:, 0] = chance.normal(0, 0.2, (4, 3))
    motion = Motion(rotation_from_vector(vectors), chance.normal(0, 0.3, (4, 3)), 30.0)
    path = tmp_path_factory.getbasetemp() / "again.bvh"
    write_bvh_file(path, as_bvh(motion, body, betas))
    again = retarget_fully(read_bvh(path), body, betas).motion
    assert angles_deg(again.joint_rotations, motion.joint_rotations)[:, 1:].max() < 0.5
    joints, wanted = (pose_sequence(body, betas, each.joint_rotations, each.root_translation)
                      for each in (again, motion))
    shape, truth = (each - each[:, :1] for each in (joints, wanted))
    np.testing.assert_allclose(np.linalg.norm(shape, axis=-1), np.linalg.norm(truth, axis=-1), atol=1e-4)


@pytest.mark.parametrize(("pitch", "roll"), [(0.0, 0.0), (0.35, 0.0), (0.2, 0.08), (-0.15, -0.05)])
def test_a_tilted_camera_does_not_tilt_the_person(body: Body, pitch: float, roll: float) -> None:
    motion = stroll(body, BETAS)
    again = upright(seen_by(motion, pitch, roll), body, BETAS)
    up, wanted = again.joint_rotations[:, 0, :, 1], motion.joint_rotations[:, 0, :, 1]
    assert np.degrees(np.arccos(np.clip((up * wanted).sum(axis=1), -1, 1))).max() < 3.0
    assert np.abs(lowest_points(again, body, BETAS)).max() < 0.05
    np.testing.assert_allclose(again.root_translation[0, [0, 2]], 0, atol=1e-9)
    np.testing.assert_array_equal(again.joint_rotations[:, 1:], motion.joint_rotations[:, 1:])
    if pitch == roll == 0.0:                             # a level camera: facing it is facing +z
        np.testing.assert_allclose(again.joint_rotations[:, 0] @ [0, 0, 1], motion.joint_rotations[:, 0] @ [0, 0, 1],
                                   atol=0.05)


def test_uneven_times_become_even(body: Body) -> None:
    motion = stroll(body, BETAS)
    times = np.arange(40) / 20.0
    kept = np.delete(np.arange(40), [3, 4, 17, 30])      # frames that were not to be trusted
    part = Motion(motion.joint_rotations[kept], motion.root_translation[kept], 20.0)
    even = evenly_timed(part, times[kept], 20.0)
    np.testing.assert_allclose(even.joint_rotations[kept], part.joint_rotations, atol=1e-9)
    assert len(even.joint_rotations) == 40 and angles_deg(even.joint_rotations, motion.joint_rotations).max() < 8
    assert len(evenly_timed(motion, times, 60.0).joint_rotations) == 118
    assert len(evenly_timed(motion, np.round(times, 3) + 1e-3 * np.sin(times), 20.0).joint_rotations) == 40


def test_every_bone_has_a_length_and_the_channels_are_the_usual_ones(body: Body) -> None:
    bvh: BvhFile = as_bvh(stroll(body, BETAS), body, BETAS)
    assert bvh.channels[0] == ("Xposition", "Yposition", "Zposition", "Zrotation", "Xrotation", "Yrotation")
    assert set(bvh.channels[1:]) == {("Zrotation", "Xrotation", "Yrotation")}
    leaves = set(range(74)) - set(bvh.parents.tolist())
    assert {joint for joint, _ in bvh.end_sites} == leaves
    for joint, tip in bvh.end_sites:
        assert 1.0 < np.linalg.norm(tip) < 30.0, bvh.joint_names[joint]       # centimetres
    places, _ = pose_skeleton(bvh)
    height = np.ptp(places[0, :, 1])
    assert 130 < height < 180
    np.testing.assert_array_equal(bvh.offsets[0], 0)


# ---- the stage


def folders(tmp_path: Path, body: Body, motion: Motion, ok: np.ndarray) -> dict[str, Path]:
    """A capture and a fit of a motion, as those stages leave them."""
    capture, fit = tmp_path / "capture", tmp_path / "fit"
    capture.mkdir()
    fit.mkdir()
    count = len(ok)
    (capture / "capture.json").write_text(json.dumps({
        "camera": camera_to_json(camera_from_fov(320, 240, 50.0)), "fps": motion.fps,
        "times_s": [round(k / motion.fps, 6) for k in range(count)], "height_m": None, "has_depth": False,
        "has_truth_alpha": False, "intrinsics_from": "a test", "intrinsics_known": True, "track": None}))
    nothing = np.zeros(count)
    joints = pose_sequence(body, BETAS, motion.joint_rotations, motion.root_translation)
    write_fit(fit / "fit.npz", BodyFit(BETAS, np.array(body.joint_names), np.arange(count), motion.joint_rotations,
                                       motion.root_translation, joints, nothing, nothing, ok))
    return {"capture": capture, "fit": fit}


def export(tmp_path: Path, inputs: dict[str, Path], **typed: Any) -> tuple[Path, dict[str, float]]:
    folder = tmp_path / "exports"
    folder.mkdir()
    outcome = run(Job(folder, ExportOptions(bvh=True, **typed), inputs, Progress()))
    return folder / outcome.outputs["bvh"], outcome.figures


def test_the_stage_writes_the_trusted_frames(body: Body, tmp_path: Path) -> None:
    motion = seen_by(stroll(body, BETAS), 0.2, 0.0)
    ok = np.ones(40, bool)
    ok[[0, 1, 20]] = False
    path, figures = export(tmp_path, folders(tmp_path, body, motion, ok))
    assert figures["frames"] == 38 and figures["bridged"] == 1 and abs(figures["fps"] - 20) < 1e-9
    again = retarget_fully(read_bvh(path), body, BETAS)
    assert again.reference == "our own skeleton" and abs(again.metres_per_unit - 0.01) < 1e-6
    trusted = np.flatnonzero(ok)
    assert angles_deg(again.motion.joint_rotations[trusted - 2], motion.joint_rotations[trusted])[:, 1:].max() < 0.5


def test_another_rate_and_locked_feet(body: Body, tmp_path: Path) -> None:
    inputs = folders(tmp_path, body, seen_by(stroll(body, BETAS), 0.0, 0.0), np.ones(40, bool))
    path, figures = export(tmp_path, inputs, fps=60.0, lock_feet=True)
    assert figures["frames"] == 118 and abs(read_bvh(path).fps - 60.0) < 1e-6
    motion = retarget_fully(read_bvh(path), body, BETAS).motion
    assert lowest_points(motion, body, BETAS).min() > -1e-5


def test_an_export_drives_somebody_else(body: Body, tmp_path: Path) -> None:
    path, _ = export(tmp_path, folders(tmp_path, body, seen_by(stroll(body, BETAS), 0.1, 0.0), np.ones(40, bool)))
    tall = betas_for_height(body, 1.95)
    result = retarget_fully(read_bvh(path), body, tall)
    assert lowest_points(result.motion, body, tall).min() > -1e-6
    assert angles_deg(result.free.joint_rotations, retarget_fully(read_bvh(path), body, BETAS).free.joint_rotations
                      )[:, 1:].max() < 1e-3


def test_a_fit_without_a_trusted_frame_has_no_motion(body: Body, tmp_path: Path) -> None:
    inputs = folders(tmp_path, body, stroll(body, BETAS), np.zeros(40, bool))
    with pytest.raises(AnrError, match="no motion to export"):
        export(tmp_path, inputs)


def test_the_copy_appears_where_it_was_asked_for(tmp_path: Path) -> None:
    (tmp_path / "v001").mkdir()
    (tmp_path / "v001" / FILE).write_text("HIERARCHY")
    target = tmp_path / "new" / "walk.bvh"
    deliver(tmp_path / "v001", ExportOptions(bvh=True, out=str(target)))
    assert target.read_text() == "HIERARCHY" and [each.name for each in target.parent.iterdir()] == ["walk.bvh"]


@pytest.mark.parametrize(("typed", "message"), [
    ({"fps": 500.0}, "--fps 500 is not a frame rate"),
    ({"fps": -1.0}, "--fps -1 is not a frame rate"),
    ({"out": "walk.fbx"}, r"A motion is a \.bvh file, so --out walk\.fbx cannot hold it"),
])
def test_bad_options_are_refused_before_any_work(typed: dict[str, Any], message: str) -> None:
    with pytest.raises(AnrError, match=message) as caught:
        check(ExportOptions(bvh=True, **typed))
    assert caught.value.hint


def test_a_folder_cannot_be_overwritten(tmp_path: Path) -> None:
    (tmp_path / "walk.bvh").mkdir()
    with pytest.raises(AnrError, match="Nothing can be written to"):
        check(ExportOptions(bvh=True, out=str(tmp_path / "walk.bvh")))


def test_the_command_has_its_exit_codes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UsageError, match="Nothing was said about what to export"):
        check(ExportOptions())
    root = str(tmp_path / "workspace")
    assert main(["-w", root, "export", "--bvh", "--colour"]) == 2
    assert main(["-w", root, "--json", "export", "--bvh", "--person", "zed"]) == 3
    told = json.loads(capsys.readouterr().out.strip().splitlines()[-1])
    assert told["command"] == "export" and not told["ok"] and "zed" in told["error"]["message"]
    assert STAGE.inputs == ("capture", "fit") and not STAGE.keeps_options


def test_cleaning_removes_exports_of_fits_that_are_no_longer_the_newest(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "workspace")
    workspace.create()

    def made(stage: str, folder: str, content: str, inputs: dict[str, str]) -> str:
        made_from = {"schema": 1, "stage": stage, "stage_version": 1, "options": {"content": content}, "inputs": inputs}
        with writing(workspace.person_place("ada", folder), made_from, resumable=False) as partial:
            (partial / "file").write_text(content)
            return commit(partial, {"made_from": made_from, "recorded": {}, "figures": {}, "outputs": {}, "facts": {},
                                    "seconds": 0.0}).digest

    capture, old = made("capture", "capture", "a", {}), made("fit", "fit", "old", {})
    made("export", "exports", "of the old fit", {"capture": capture, "fit": old})
    assert old_folders(workspace, interrupted=False) == []
    new = made("fit", "fit", "new", {})
    made("export", "exports", "at 24", {"capture": capture, "fit": new})
    made("export", "exports", "at 30", {"capture": capture, "fit": new})
    place = tmp_path / "workspace" / "people" / "ada"
    assert old_folders(workspace, interrupted=False) == [place / "fit" / "v001", place / "exports" / "v001"]
