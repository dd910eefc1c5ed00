"""The keyframes stage on a made-up person: what is chosen, what is written, what is refused."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from listening import Listening

from pipelines.body.model import load_body, pose_body
from pipelines.core.errors import AnrError
from pipelines.core.records import BodyPose
from pipelines.core.split import split_frames
from pipelines.core.stage import Job, Outcome, Progress
from pipelines.core.storage import read_fit, write_fit
from pipelines.keyframes import STAGE, KeyframeOptions
from pipelines.media.images import read_image, write_alpha
from tests.training_helpers import FRAMES, SIZE, make_person

TRAIN = split_frames(FRAMES).train.tolist()


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Capture, fit, maps and mattes of a body that turns once, 64 x 64 pixels."""
    folders = make_person(tmp_path_factory.mktemp("person"))
    fit, body = read_fit(folders["fit"] / "fit.npz"), load_body()
    joints = [pose_body(body, fit.betas, BodyPose(rotations, root))[1]
              for rotations, root in zip(fit.joint_rotations, fit.root_translation)]
    write_fit(folders["fit"] / "fit.npz", replace(fit, joints_m=np.stack(joints)))
    return folders


@pytest.fixture
def person(made: dict[str, Path], tmp_path: Path) -> dict[str, Path]:
    """The same, with fit and mattes that a test may spoil."""
    mine = dict(made)
    for name in ("fit", "matte"):
        mine[name] = tmp_path / name
        shutil.copytree(made[name], mine[name])
    return mine


def choose(person: dict[str, Path], folder: Path, progress: Progress | None = None,
           **options: object) -> tuple[dict[str, list[int]], Outcome]:
    folder.mkdir(exist_ok=True)
    outcome = STAGE.run(Job(folder, KeyframeOptions(**options), person, progress or Progress()))    # type: ignore[arg-type]
    return json.loads((folder / "keyframes.json").read_text()), outcome


def set_alpha(person: dict[str, Path], frame: int, alpha: np.ndarray) -> None:
    write_alpha(person["matte"] / "alpha" / f"{frame:05d}.png", alpha)


def distrust(person: dict[str, Path], frames: list[int]) -> None:
    fit = read_fit(person["fit"] / "fit.npz")
    write_fit(person["fit"] / "fit.npz", replace(fit, ok=fit.ok & ~np.isin(fit.frame_index, frames)))


@pytest.mark.parametrize("measure", ["both", "silhouette", "surface"])
def test_keyframes_are_training_frames_with_growing_coverage_and_pictures(person: dict[str, Path], tmp_path: Path,
                                                                          measure: str) -> None:
    told = Listening()
    stored, outcome = choose(person, tmp_path / "out", told, measure=measure)
    assert len(set(stored["frames"])) == len(stored["frames"]) == 4 and set(stored["frames"]) <= set(TRAIN)
    for name in ("coverage", "surface"):
        assert len(stored[name]) == 4 and stored[name] == sorted(stored[name]) and 0 < stored[name][-1] <= 1
    assert outcome.figures["coverage"] == pytest.approx(stored["coverage"][-1], abs=1e-4)
    assert set(stored["even"]) == {"coverage", "surface"}
    assert read_image(tmp_path / "out" / outcome.outputs["curve"]).shape == (300, 960, 3)
    assert read_image(tmp_path / "out" / outcome.outputs["sheet"]).shape[0] > 320
    assert f"4 keyframes of {len(TRAIN)} training frames show" in told.notes[0] and "at even spacing" in told.notes[0]
    assert f"4 keyframes are {100 * 4 / len(TRAIN):.0f} % of the {len(TRAIN)} training frames" in told.warnings[0]


def test_the_surface_measure_sees_more_surface_and_the_silhouettes_more_silhouette(person: dict[str, Path],
                                                                                   tmp_path: Path) -> None:
    """A body that only turns: its back is worth nothing to silhouettes."""
    silhouette, surface = (choose(person, tmp_path / name, measure=name, count=2)[0] for name in ("silhouette",
                                                                                                  "surface"))
    assert surface["surface"][-1] > silhouette["surface"][-1]
    assert silhouette["coverage"][-1] >= surface["coverage"][-1] - 1e-9


def test_what_is_added_comes_first_and_what_is_dropped_never(person: dict[str, Path], tmp_path: Path) -> None:
    free, _ = choose(person, tmp_path / "free", count=3)
    dropped = free["frames"][0]
    added = [frame for frame in TRAIN[::-3] if frame != dropped][:2]
    stored, _ = choose(person, tmp_path / "out", count=3, add=",".join(map(str, added)), drop=str(dropped))
    assert stored["frames"][:2] == added and len(stored["frames"]) == 3
    assert dropped not in stored["frames"]


def test_a_frame_whose_fit_failed_or_whose_matte_is_empty_or_full_is_never_chosen(person: dict[str, Path],
                                                                                  tmp_path: Path) -> None:
    distrust(person, TRAIN[:4])
    set_alpha(person, TRAIN[4], np.zeros((SIZE, SIZE)))
    set_alpha(person, TRAIN[5], np.ones((SIZE, SIZE)))
    left, told = TRAIN[6:], Listening()
    stored, _ = choose(person, tmp_path / "out", told, count=len(left))
    assert sorted(stored["frames"]) == left
    assert f"The mattes of 1 frames are full (first: {TRAIN[5]})" in told.warnings[0]
    for frame in (TRAIN[0], TRAIN[4], TRAIN[5]):
        with pytest.raises(AnrError, match=f"Frame {frame} has no fit to trust, or nobody in its matte"):
            choose(person, tmp_path / "out", add=str(frame))


def test_of_twins_the_sharp_frame_is_chosen(made: dict[str, Path], person: dict[str, Path], tmp_path: Path) -> None:
    """Every frame shows the same, with noise of its own; all pictures but one are smoothed."""
    import cv2

    person["capture"], person["raster"] = tmp_path / "capture", tmp_path / "raster"
    for name in ("capture", "raster"):
        shutil.copytree(made[name], person[name])
    fit = read_fit(person["fit"] / "fit.npz")
    same = {name: np.repeat(getattr(fit, name)[:1], FRAMES, axis=0)
            for name in ("joint_rotations", "root_translation", "joints_m")}
    write_fit(person["fit"] / "fit.npz", replace(fit, **same))
    picture = np.random.default_rng(0).integers(100, 130, (SIZE, SIZE, 3), dtype=np.uint8)
    blurred = cv2.GaussianBlur(picture, (0, 0), 1.5)
    for k in range(FRAMES):
        shutil.copyfile(made["raster"] / "maps" / "00000.maps", person["raster"] / "maps" / f"{k:05d}.maps")
        shutil.copyfile(made["matte"] / "alpha" / "00000.png", person["matte"] / "alpha" / f"{k:05d}.png")
        sharp = cv2.cvtColor(picture if k == TRAIN[9] else blurred, cv2.COLOR_RGB2BGR)
        cv2.imwrite(str(person["capture"] / "color" / f"{k:05d}.jpg"), sharp, [cv2.IMWRITE_JPEG_QUALITY, 95])
    for measure in ("both", "silhouette", "surface"):
        assert choose(person, tmp_path / measure, count=1, measure=measure)[0]["frames"] == [TRAIN[9]]


def test_more_keyframes_than_frames_is_refused_with_a_number_that_can_be_had(person: dict[str, Path],
                                                                             tmp_path: Path) -> None:
    with pytest.raises(AnrError, match=rf"40 keyframes asked for, but {len(TRAIN)} of the {len(TRAIN)} training frames "
                                       rf"can be one .*--count {len(TRAIN)}"):
        choose(person, tmp_path / "out", count=40)
    everything = ",".join(map(str, TRAIN))
    with pytest.raises(AnrError, match=r"but 0 of the .* not dropped\)\. Leave some out of --drop"):
        choose(person, tmp_path / "out", drop=everything)


def test_mattes_that_are_all_empty_or_full_are_told_apart(person: dict[str, Path], tmp_path: Path) -> None:
    distrust(person, TRAIN[:3])
    for k in TRAIN:
        set_alpha(person, k, np.full((SIZE, SIZE), k % 2))
    odd = sum(k % 2 for k in TRAIN[3:])
    with pytest.raises(AnrError, match=f"No training frame can be a keyframe: of {len(TRAIN)}, 3 have no fit to trust, "
                                       f"{len(TRAIN) - 3 - odd} an empty matte and {odd} a full one"):
        choose(person, tmp_path / "out")


def test_a_matte_of_another_size_is_named_with_both_sizes(person: dict[str, Path], tmp_path: Path) -> None:
    set_alpha(person, TRAIN[3], np.ones((SIZE // 2, SIZE)))
    with pytest.raises(AnrError, match=rf"{TRAIN[3]:05d}\.png is {SIZE}x{SIZE // 2} pixels, the recording "
                                       rf"{SIZE}x{SIZE}\. Delete that version folder and run `anr matte` again"):
        choose(person, tmp_path / "out")
