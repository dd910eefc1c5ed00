"""The whole chain: two synthetic people small and short, and 48 frames of a real clip where it is there."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pytest

import anrcli
from anrcli.commands.command import Report
from pipelines.chain import PERSON_STAGES, STAGES, Request, bring_up_to_date, status
from pipelines.core.split import MARGIN, split_frames
from pipelines.core.stage import Progress
from pipelines.core.workspace import Workspace, newest_version, partial_folders
from pipelines.media.images import read_alpha, read_image
from pipelines.media.recording import Recording

T = TypeVar("T")
FRAMES = 45                             # the session in three seconds; in two, arms fly faster than any fit follows
ALL_FIT = 0.8                           # share of frames whose fit must be trusted


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("chain") / "workspace"


@pytest.fixture(scope="module")
def demo(workspace: Path) -> Report:
    """The demo itself, two seconds of each person at 192x192, a few seconds of training."""
    return anrcli.demo(workspace=workspace, seconds=FRAMES / 15, size=192, minutes=0.1, frames="0:32")


def newest(workspace: Path, stage: str, person: str = "") -> Path:
    place = Workspace(workspace)
    folder = STAGES[stage].folder
    found = newest_version(place.person_place(person, folder) if person else place.avatar_place("main", folder))
    assert found is not None
    return found.folder


def video_frames(path: Path) -> list[np.ndarray]:
    import av

    with av.open(str(path)) as container:
        assert container.streams.video[0].codec_context.name == "h264"
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


def test_the_demo_ends_with_three_videos_and_their_strips(demo: Report) -> None:
    for name in ("walk", "orbit", "tryon"):
        frames = video_frames(demo.outputs[name])
        assert len(frames) == 32
        changes = [float(np.abs(a.astype(float) - b).mean()) for a, b in zip(frames, frames[8:])]
        assert max(changes) > 0.2, f"nothing moves in {name}"
        strip = read_image(demo.outputs[f"{name}_strip"])
        assert strip.shape[1] > 2 * strip.shape[0]
    assert demo.outputs["motion"].read_text().startswith("HIERARCHY")


@pytest.mark.parametrize("person", ["ada", "ben"])
def test_every_stage_keeps_the_contract_of_its_files(demo: Report, workspace: Path, person: str) -> None:
    with np.load(newest(workspace, "keypoints", person) / "keypoints.npz") as found:
        assert found["pixels"].shape == (FRAMES, 33, 2) and found["world_m"].shape == (FRAMES, 33, 3)
        assert found["confidence"].shape == (FRAMES, 33) and found["found"].dtype == bool
        assert found["found"].mean() > ALL_FIT
    with np.load(newest(workspace, "fit", person) / "fit.npz", allow_pickle=False) as fit:
        assert fit["joint_rotations"].shape == (FRAMES, 74, 3, 3) and fit["joints_m"].shape == (FRAMES, 74, 3)
        assert fit["joint_names"].shape == (74,) and fit["ok"].mean() > ALL_FIT
        np.testing.assert_array_equal(fit["frame_index"], np.arange(FRAMES))
        for name in ("betas", "joint_rotations", "root_translation", "joints_m", "residual_px"):
            assert np.isfinite(fit[name]).all(), name
    assert len(list((newest(workspace, "raster", person) / "maps").glob("*.maps"))) == FRAMES
    assert len(list((newest(workspace, "matte", person) / "alpha").glob("*.png"))) == FRAMES
    chosen = json.loads((newest(workspace, "keyframes", person) / "keyframes.json").read_text())
    assert set(chosen["frames"]) <= set(split_frames(FRAMES).train.tolist()) and len(chosen["coverage"]) == len(
        chosen["frames"]
    )


@pytest.mark.parametrize("person", ["ada", "ben"])
def test_the_fit_lies_near_the_true_body(demo: Report, workspace: Path, person: str) -> None:
    with np.load(newest(workspace, "fit", person) / "fit.npz") as fit, \
            np.load(newest(workspace, "capture", person) / "truth.npz") as truth:
        away_m = np.linalg.norm(fit["joints_m"] - truth["joints_m"], axis=-1)[fit["ok"]]
        main = [list(fit["joint_names"]).index(name) for name in
                ("upperarm01.L", "lowerarm01.L", "upperleg01.L", "lowerleg01.L", "foot.L",
                 "upperarm01.R", "lowerarm01.R", "upperleg01.R", "lowerleg01.R", "foot.R")]  # fmt: skip
    assert np.median(away_m[:, main]) < 0.10, "metres; a person of 140 pixels, filmed for two seconds"


@pytest.mark.parametrize("person", ["ada", "ben"])
def test_the_matte_agrees_with_the_true_one(demo: Report, workspace: Path, person: str) -> None:
    recording = Recording(newest(workspace, "capture", person))
    agreement = []
    for index in range(0, FRAMES, 5):
        found = read_alpha(newest(workspace, "matte", person) / "alpha" / f"{index:05d}.png")
        truth = recording.truth_alpha(index)
        assert truth is not None
        agreement.append(np.minimum(found, truth).sum() / np.maximum(found, truth).sum())
    assert np.median(agreement) > 0.85


def test_held_out_frames_are_far_from_training_frames(demo: Report, workspace: Path) -> None:
    split = json.loads((newest(workspace, "train") / "split.json").read_text())
    assert set(split["train"]) == set(split["held_out"]) == {"ada", "ben"}
    for person in ("ada", "ben"):
        train, held_out = np.array(split["train"][person]), np.array(split["held_out"][person])
        assert len(held_out) >= 0.15 * FRAMES
        assert np.abs(train[:, None] - held_out[None]).min() > MARGIN
        assert set(split["keyframes"][person]) <= set(split["train"][person])


def test_a_second_demo_does_nothing(demo: Report, workspace: Path) -> None:
    before = sorted(path for path in workspace.rglob("manifest.json"))
    again = anrcli.demo(workspace=workspace, seconds=FRAMES / 15, size=192, minutes=0.1, frames="0:32")
    assert again.outputs == demo.outputs
    assert sorted(path for path in workspace.rglob("manifest.json")) == before


def test_nothing_is_out_of_date_after_the_demo(demo: Report, workspace: Path) -> None:
    for row in status(Workspace(workspace)):
        if row.stage in {stage.name for stage in PERSON_STAGES} or row.stage == "train":
            assert row.state == "up to date", row


def test_render_delivers_frames_and_a_copy(demo: Report, workspace: Path, tmp_path: Path) -> None:
    report = anrcli.render(workspace=workspace, person="ada", replay=True, frames="4:8", background="transparent",
                           frames_dir=str(tmp_path / "png"))
    assert sorted(path.name for path in (tmp_path / "png").iterdir()) == [f"{n:05d}.png" for n in range(4, 8)]
    import cv2

    picture = cv2.imread(str(tmp_path / "png" / "00004.png"), cv2.IMREAD_UNCHANGED)
    assert picture.shape == (192, 192, 4) and picture[..., 3].min() == 0 and picture[..., 3].max() > 200
    with np.load(report.outputs["folder"] / "motion.npz") as motion:
        assert motion["joints_px"].shape == (4, 74, 2) and motion["time_s"].shape == (4,)
    copied = anrcli.render(workspace=workspace, person="ada", replay=True, frames="4:8", out=str(tmp_path / "copy.mp4"))
    assert (tmp_path / "copy.mp4").read_bytes() == copied.outputs["video"].read_bytes()


def test_a_model_renders_without_its_captures(demo: Report, workspace: Path, tmp_path: Path) -> None:
    """What training writes is all that rendering needs: it can be carried to another machine."""
    moved = tmp_path / "moved"
    shutil.copytree(newest(workspace, "train"), moved / "avatars" / "main" / "train" / "v001")
    report = anrcli.render(workspace=moved, person="ben", orbit=True, frames="0:3")
    assert report.outputs["video"].stat().st_size > 0


def test_eval_gives_finite_figures_and_a_sheet(demo: Report, workspace: Path) -> None:
    report = anrcli.eval(workspace=workspace, frames=2)
    assert 5 < report.figures["psnr"] < 60 and 0 < report.figures["ssim"] <= 1
    assert (report.outputs["folder"] / "eval.json").exists() and (report.outputs["folder"] / "sheet.jpg").exists()


def test_a_changed_option_redoes_only_what_depends_on_it(demo: Report, workspace: Path) -> None:
    asked = Request(person="ada", typed={"keyframes": {"count": 3}})
    made = [result.stage.name for result in bring_up_to_date(Workspace(workspace), "keyframes", asked) if result.made]
    assert made == ["keyframes"]
    kept = bring_up_to_date(Workspace(workspace), "keyframes", Request(person="ada"))
    assert not any(result.made for result in kept), "the option typed last is kept"


class Stopping(Progress):
    """Ctrl-C after some items of the loop with a label."""

    def __init__(self, label: str, after: int) -> None:
        self._label, self._after = label, after

    def track(self, items: Iterable[T], label: str, total: int | None = None) -> Iterator[T]:
        for number, item in enumerate(items):
            if label.startswith(self._label) and number >= self._after:
                raise KeyboardInterrupt
            yield item


def test_an_interrupted_training_goes_on_where_it_stopped(demo: Report, workspace: Path) -> None:
    typed: dict[str, Any] = {
        "workspace": workspace,
        "avatar": "stopped",
        "person": ("ada",),
        "images": 12,
        "preset": "draft",
    }
    with pytest.raises(KeyboardInterrupt):
        anrcli.train(progress=Stopping("", 4), **typed)
    place = Workspace(workspace).avatar_place("stopped", "train")
    assert newest_version(place) is None and len(partial_folders(place)) == 1
    report = anrcli.train(**typed)
    assert report.figures["images"] == 12 and partial_folders(place) == []


def test_48_frames_of_a_real_clip_become_a_walking_avatar(shared_data: Path, tmp_path: Path) -> None:
    report = anrcli.run(
        workspace=tmp_path / "ws",
        source=str(shared_data / "videos" / "sam2_juggle.mp4"),
        person="juggler",
        motion=str(shared_data / "bvh" / "cmu_12_01_walk.bvh"),
        height_m=1.78,
        max_frames=48,
        max_side=640,
        images=6,
        frames="0:6",
        weights=str(shared_data / "weights"),
    )
    assert len(video_frames(report.outputs["video"])) == 6
    assert report.outputs["overlay"].stat().st_size > 0
    with np.load(newest_version(Workspace(tmp_path / "ws").person_place("juggler", "fit")).folder / "fit.npz") as fit:
        assert fit["ok"].mean() > ALL_FIT
        assert 2 < np.median(fit["joints_m"][:, 0, 2]) < 12, "metres from the camera"
