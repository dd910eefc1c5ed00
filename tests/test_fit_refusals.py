"""What the stage refuses and says: nobody, a person cut at the waist, absurd heights, depth that cannot be; cuts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from fit_helpers import CAMERA, seen, some_model, standing
from listening import Listening

from pipelines.core.errors import AnrError
from pipelines.core.records import Frame, Landmarks
from pipelines.core.stage import Job, Outcome
from pipelines.core.storage import read_fit
from pipelines.fit import STAGE, FitOptions
from pipelines.fitting.model import Model
from pipelines.media.images import write_alpha
from pipelines.media.recording import RecordingWriter

SHAPE = (CAMERA.height, CAMERA.width)


@pytest.fixture(scope="module")
def model() -> Model:
    return some_model()


def fitted(folder: Path, marks: Sequence[Landmarks], options: FitOptions | None = None, found: bool = True,
           height_m: float | None = 1.75, depth_m: float | None = None) -> tuple[Outcome, list[str]]:
    """Runs the stage on a recording that shows these landmarks and, where asked for, one depth everywhere."""
    capture, keypoints = folder / "capture", folder / "keypoints"
    (keypoints / "person_mask").mkdir(parents=True)
    writer = RecordingWriter(capture, CAMERA)
    for row in range(len(marks)):
        depth = None if depth_m is None else np.full(SHAPE, depth_m, np.float32)
        writer.add(Frame(row, row / 25.0, np.full((*SHAPE, 3), 90, np.uint8), depth))
        write_alpha(keypoints / "person_mask" / f"{row:05d}.png", np.zeros(SHAPE, np.float32))
    writer.close(fps=25.0, height_m=height_m, intrinsics_from="a test", intrinsics_known=True, track=None)
    np.savez(keypoints / "keypoints.npz", frame_index=np.arange(len(marks)),
             pixels=np.array([each.pixels for each in marks]), confidence=np.array([each.confidence for each in marks]),
             world_m=np.array([each.world_m for each in marks]), found=np.full(len(marks), found))
    (folder / "fit").mkdir()
    said = Listening()
    inputs = {"capture": capture, "keypoints": keypoints}
    outcome = STAGE.run(Job(folder / "fit", options or FitOptions(), inputs, said))
    return outcome, said.lines


def upright(model: Model, frames: int = 6) -> list[Landmarks]:
    return [seen(model, standing(model, 0.1), 0.5, row) for row in range(frames)]


def test_nobody_to_fit_is_refused(tmp_path: Path, model: Model) -> None:
    with pytest.raises(AnrError, match="There is nobody to fit in these 6 frames"):
        fitted(tmp_path, upright(model), FitOptions(accept=True), found=False)


def test_somebody_cut_at_the_waist_is_refused_by_the_joints_names_unless_accepted(tmp_path: Path, model: Model) -> None:
    low = [replace(each, pixels=each.pixels + np.array([0.0, 150.0])) for each in upright(model)]
    with pytest.raises(AnrError, match="never in the picture: left knee, right knee, left ankle, right a") as caught:
        fitted(tmp_path / "refused", low)
    assert "--accept" in str(caught.value.hint)
    _, lines = fitted(tmp_path / "taken", low, FitOptions(accept=True))
    assert any("left knee" in line and "Taken all the same" in line for line in lines)
    assert np.isfinite(read_fit(tmp_path / "taken" / "fit" / "fit.npz").joints_m).all()


def test_an_absurd_height_is_refused(tmp_path: Path, model: Model) -> None:
    with pytest.raises(AnrError, match=r"A height of 17.50 m is not one the body can have"):
        fitted(tmp_path, upright(model), height_m=17.5)


@pytest.mark.parametrize(("depth_m", "words"), [(0.0, "no reading on the person in any of 6 frames"),
                                                (30.0, "the depth is ten times too large")])
def test_impossible_depth_is_refused_and_may_be_left_out(tmp_path: Path, model: Model, depth_m: float,
                                                         words: str) -> None:
    with pytest.raises(AnrError, match=words) as caught:
        fitted(tmp_path / "with", upright(model), FitOptions(accept=True), depth_m=depth_m)
    assert "--no-depth" in str(caught.value.hint)
    outcome, _ = fitted(tmp_path / "without", upright(model), FitOptions(depth=False), depth_m=depth_m)
    assert outcome.figures["residual_share"] < 0.01 and "residual_mm" not in outcome.figures


def test_a_cut_is_told_by_its_frame(tmp_path: Path, model: Model) -> None:
    aside = replace(standing(model, 0.8, arm_l=-1.4, arm_r=-1.4), place=np.array([0.5, 0.0, 2.7]))
    marks = upright(model) + [seen(model, aside, 0.5, row) for row in range(6)]
    _, lines = fitted(tmp_path, marks)
    assert any("a new shot begins at frame 6." in line for line in lines)
    assert read_fit(tmp_path / "fit" / "fit.npz").ok.all()
