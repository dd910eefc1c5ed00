"""Clips of models in the workspace: the same motions by every model, cut into stimuli nobody has learned from."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from avatar_double import FRAMES, HEIGHT, WIDTH, captured_camera, write_avatar

from anrcli.commands import study_clips
from anrcli.commands.study_clips import Filming, filmed, true_clips, windows_of
from pipelines.body.model import load_body, rest_pose
from pipelines.chain import STAGES, Request
from pipelines.core.errors import AnrError, UsageError
from pipelines.core.records import Frame, Motion
from pipelines.core.stage import Job, Progress
from pipelines.core.storage import write_json
from pipelines.core.workspace import Version, Workspace
from pipelines.media.images import write_alpha, write_image
from pipelines.media.recording import RecordingWriter
from pipelines.media.video import frames_at
from pipelines.motion.bvh import write_bvh
from pipelines.study import StudyOptions, make_study
from pipelines.studying.study import read_study

FPS = 12.0                              # of the avatar double's capture
MADE_FROM = {"ada/fit": "", "ben/fit": ""}
ORDINARY = Filming(("main", "other"), ("ada",), (), "capture", 2 / FPS, 20)


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """Two models of ada and ben that were not shown frames 2 to 5 and 1 to 5, and ada's recording; renders are real."""
    root = tmp_path / "ws"
    for name, held_out in (("main", [2, 3, 4, 5]), ("other", [1, 2, 3, 4, 5])):
        folder = root / "avatars" / name / "train" / "v001"
        folder.mkdir(parents=True)
        write_avatar(folder)
        write_json(folder / "split.json", {"held_out": {"ada": held_out, "ben": held_out}})
        write_json(folder / "manifest.json", {"made_from": {"stage": "train", "inputs": MADE_FROM}})
    capture = root / "people" / "ada" / "capture" / "v001"
    with RecordingWriter(capture, captured_camera()) as writer:
        for k in range(FRAMES):
            writer.add(Frame(k, k / FPS, np.full((HEIGHT, WIDTH, 3), 40 * k, np.uint8), None, None))
        writer.close(fps=FPS, height_m=None, intrinsics_from="", intrinsics_known=True, track=None)
    matte = root / "people" / "ada" / "matte" / "v001"
    for name in ("alpha", "edge"):
        (matte / name).mkdir(parents=True)
    alpha = np.zeros((HEIGHT, WIDTH), np.float32)
    alpha[:, :WIDTH // 2] = 1.0
    for k in range(FRAMES):
        write_alpha(matte / "alpha" / f"{k:05d}.png", alpha)
        write_image(matte / "edge" / f"{k:05d}.png", np.zeros((HEIGHT, WIDTH, 3), np.uint8))
    for folder in (capture, matte):
        write_json(folder / "manifest.json", {"made_from": {"stage": folder.parent.name, "inputs": {}}})
    monkeypatch.setattr(study_clips, "bring", rendering(tmp_path))
    return Workspace(root)


def rendering(place: Path) -> Any:
    """Runs the render stage on the model as it lies there, without a chain before it."""
    def bring(workspace: Workspace, name: str, request: Request, progress: Progress) -> list[Any]:
        assert name == "render"
        options = request.typed["render"]
        frames = options.get("frames", "all").replace(":", "-")
        folder = place / "renders" / f"{request.avatar}-{options['person']}-{frames}"
        folder.mkdir(parents=True)
        stage = STAGES["render"]
        model = workspace.avatar_place(request.avatar, "train") / "v001"
        outcome = stage.run(Job(folder, stage.Options(**options), {"train": model}, progress))
        return [SimpleNamespace(version=Version(folder, {"outputs": outcome.outputs, "figures": outcome.figures}))]
    return bring


def test_windows_lie_within_stretches_and_never_overlap() -> None:
    assert windows_of([0, 1, 2, 3, 4, 7, 8, 20], 2) == [range(0, 2), range(2, 4), range(7, 9)]
    assert windows_of([], 3) == [] and windows_of([1, 2], 3) == []


def test_a_replay_shows_only_what_no_model_has_seen(workspace: Workspace, tmp_path: Path) -> None:
    films = filmed(workspace, ORDINARY, Progress())
    assert list(films.takes) == ["main", "other"]
    assert sorted(films.takes["main"]) == sorted(films.takes["other"]) == ["ada-00002", "ada-00004"]
    assert {name: of.frames.tolist() for name, of in films.replayed.items()} == {
        "ada-00002": [2, 3], "ada-00004": [4, 5]}


def test_true_clips_are_the_person_before_the_avatars_background(workspace: Workspace, tmp_path: Path) -> None:
    """Frames were filled with 40 times their number, the matte is the left half, the plate's red its column."""
    true = true_clips("capture", filmed(workspace, ORDINARY, Progress()), workspace, tmp_path)
    for name, value in (("ada-00002", 80), ("ada-00004", 160)):
        picture = next(frames_at(true[name].path, [0.0])).astype(float)
        np.testing.assert_allclose(picture[:, 8:WIDTH // 2 - 8].mean(), value, atol=4)
        np.testing.assert_allclose(picture[:, WIDTH // 2 + 8:].mean(axis=0)[:, 0], np.arange(WIDTH // 2 + 8, WIDTH),
                                   atol=8)


def test_replays_and_true_clips_become_a_study(workspace: Workspace, tmp_path: Path) -> None:
    films = filmed(workspace, replace(ORDINARY, seconds=0.33), Progress())
    true = {"real": true_clips("capture", films, workspace, tmp_path)}
    study = make_study(tmp_path / "study", films.takes, true, StudyOptions(seconds=0.33, poses="same", checks=1),
                       Progress())
    assert study.methods == ("main", "other", "real") and (study.width, study.height) == (WIDTH, HEIGHT)
    assert read_study(tmp_path / "study") == study
    page = json.dumps(study.page)
    assert "ada" not in page and "main" not in page


def test_a_motion_is_cut_into_stimuli_of_equal_length(workspace: Workspace, tmp_path: Path) -> None:
    body, frames = load_body(), 10
    rotations = np.repeat(rest_pose(body).joint_rotations[None], frames, axis=0)
    above = np.where(np.arange(len(body.joint_names))[:, None] > 0, body.rest_joints[body.parents], 0.0)
    write_bvh(tmp_path / "stand.bvh", body.joint_names, body.parents, body.rest_joints - above,
              Motion(rotations, np.repeat(body.rest_joints[:1], frames, axis=0), 20.0))
    wanted = replace(ORDINARY, motions=(str(tmp_path / "stand.bvh"),), seconds=0.2, background="grey")
    films = filmed(workspace, wanted, Progress())
    for avatar in ("main", "other"):
        takes = films.takes[avatar]
        assert {name: take.start_s for name, take in takes.items()} == {"ada-stand-00": 0.0, "ada-stand-01": 0.2}
        assert len({take.path for take in takes.values()}) == 1         # rendered once
    assert not films.replayed
    with pytest.raises(AnrError, match=r"stand\.bvh is shorter than 1 s"):
        filmed(workspace, replace(wanted, seconds=1.0, people=("ben",)), Progress())


def test_models_that_cannot_be_compared_say_why(workspace: Workspace, tmp_path: Path) -> None:
    for filming, message in (
            (replace(ORDINARY, avatars=("main", "third")), "There is no avatar 'third'"),
            (replace(ORDINARY, people=("cleo",)), "The model 'main' does not know 'cleo'; it knows ada, ben"),
            (replace(ORDINARY, people=("ben",)), "There is no capture of 'ben'"),
            (replace(ORDINARY, seconds=5.0), "that the models have not seen lasts 5 s; the longest lasts 0.33 s")):
        with pytest.raises(AnrError) as problem:
            filmed(workspace, filming, Progress())
        assert message in problem.value.message and problem.value.hint
    with pytest.raises(UsageError, match="cannot be transparent"):
        filmed(workspace, replace(ORDINARY, background="transparent"), Progress())
    with pytest.raises(UsageError, match="only for --avatar with --replay"):
        true_clips("capture", None, workspace, tmp_path)
