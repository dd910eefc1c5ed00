"""Landmarks and masks: nobody, one person, the right one of two."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pipelines.core.errors import AnrError
from pipelines.core.records import Camera, Frame
from pipelines.core.stage import Job, Progress
from pipelines.detectors.mediapipe import Window, whole_window
from pipelines.keypoints import STAGE, KeypointOptions
from pipelines.media.images import read_alpha
from pipelines.media.recording import RecordingWriter


def write_capture(folder: Path, images: list[np.ndarray], track: int | None = None) -> Path:
    h, w = images[0].shape[:2]
    writer = RecordingWriter(folder, Camera(np.array([[w, 0, w / 2], [0, w, h / 2], [0, 0, 1.0]]), w, h))
    for row, image in enumerate(images):
        writer.add(Frame(row, row / 25.0, image))
    writer.close(fps=25.0, height_m=None, intrinsics_from="a test", intrinsics_known=False, track=track)
    return folder


def clip_images(path: Path, rows: list[int]) -> list[np.ndarray]:
    """Frames of a shared clip, sRGB."""
    import cv2

    if not path.exists():
        pytest.skip(f"{path.name} is not in ../shared/data")
    reader = cv2.VideoCapture(str(path))
    images = []
    for row in range(max(rows) + 1):
        image = reader.read()[1]
        if row in rows:
            images.append(image[:, :, ::-1].copy())
    return images


def run_stage(folder: Path, capture: Path) -> dict[str, np.ndarray]:
    folder.mkdir()
    STAGE.run(Job(folder, KeypointOptions(), {"capture": capture}, Progress()))
    with np.load(folder / "keypoints.npz") as stored:
        return dict(stored)


def test_nobody_in_the_clip_is_an_error_that_says_how_far_it_looked(tmp_path: Path) -> None:
    capture = write_capture(tmp_path / "capture", [np.full((96, 128, 3), 120, np.uint8)] * 7)
    with pytest.raises(AnrError, match=r"Nobody was found.*7 frames searched"):
        run_stage(tmp_path / "keypoints", capture)


def test_one_person_is_found_with_a_mask(tmp_path: Path, shared_data: Path) -> None:
    images = clip_images(shared_data / "videos" / "gymtrainer_bicepcurl.mp4", [0, 1, 2, 3])
    found = run_stage(tmp_path / "keypoints", write_capture(tmp_path / "capture", images))
    assert found["found"].all() and found["pixels"].shape == (4, 33, 2) and found["world_m"].shape == (4, 33, 3)
    assert found["frame_index"].tolist() == [0, 1, 2, 3]
    for row in range(4):
        mask = read_alpha(tmp_path / "keypoints" / "person_mask" / f"{row:05d}.png")
        assert mask.shape == images[0].shape[:2] and 0.05 < (mask > 0.5).mean() < 0.6
        x, y = found["pixels"][row, [11, 12, 23, 24]].mean(axis=0).astype(int)
        assert mask[y, x] > 0.9
    # The person faces the camera, so the left shoulder is on the right side of the picture.
    assert (found["pixels"][:, 11, 0] > found["pixels"][:, 12, 0]).all()


@pytest.mark.parametrize("track", [0, 1])
def test_of_two_people_the_one_asked_for_is_kept(tmp_path: Path, shared_data: Path, track: int) -> None:
    images = clip_images(shared_data / "videos_hard" / "mmaction2_two_people.mp4", [0, 6, 12, 18])
    found = run_stage(tmp_path / "keypoints", write_capture(tmp_path / "capture", images, track))
    assert found["found"].all()
    middle = found["pixels"][:, [11, 12, 23, 24], 0].mean(axis=1)
    assert ((middle < 900) if track == 0 else (middle > 900)).all(), middle


def test_a_window_pastes_masks_back_where_they_were_cut() -> None:
    image = np.zeros((40, 60, 3), np.uint8)
    image[10:20, 50:60] = 255
    for window in (whole_window(image), Window(35, -5, 30), Window(48, 8, 14)):
        cut = window.cut(image)
        assert cut.shape[0] == cut.shape[1] >= 512
        back = window.paste(cut[..., 0].astype(np.float32) / 255, 40, 60)
        np.testing.assert_allclose(back > 0.5, image[..., 0] > 0)
