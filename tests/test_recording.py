"""Storage of recordings: depth without loss, colour within its budget, frames in their order."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pipelines.core.records import Camera, Frame
from pipelines.media.images import BEST_QUALITY, QUALITIES, quality_within, read_depth, write_depth, write_image
from pipelines.media.recording import Recording, RecordingWriter

SIX_GB, THREE_MINUTES = 6e9, 3 * 60 * 30


def lens(width: int, height: int) -> Camera:
    return Camera(np.array([[width, 0, width / 2], [0, width, height / 2], [0, 0, 1.0]]), width, height)


def written(folder: Path, frames: list[Frame], **settings: float) -> Recording:
    height, width = frames[0].image.shape[:2]
    with RecordingWriter(folder, lens(width, height), **settings) as writer:
        for frame in frames:
            writer.add(frame)
        writer.close(fps=30, height_m=1.7, intrinsics_from="a test", intrinsics_known=True, track=None)
    return Recording(folder)


@pytest.mark.parametrize("units_per_m", [1000.0, 5000.0, 256.0])
def test_every_16_bit_depth_comes_back_exactly(tmp_path: Path, units_per_m: float) -> None:
    depth_m = np.arange(65536, dtype=np.float32).reshape(256, 256) / np.float32(units_per_m)
    write_depth(tmp_path / "d.png", depth_m, units_per_m)
    np.testing.assert_array_equal(read_depth(tmp_path / "d.png", units_per_m), depth_m)
    write_depth(tmp_path / "far.png", np.full((4, 4), 1e6, np.float32), units_per_m)
    assert (read_depth(tmp_path / "far.png", units_per_m) == np.float32(65535) / np.float32(units_per_m)).all()


def test_depth_files_are_plain_16_bit_pngs(tmp_path: Path) -> None:
    from PIL import Image

    write_depth(tmp_path / "d.png", np.array([[0.0, 1.0, 2.3456]], np.float32))
    with Image.open(tmp_path / "d.png") as picture:
        assert np.asarray(picture).tolist() == [[0, 1000, 2346]]


def test_the_best_quality_that_fits_is_taken(tmp_path: Path) -> None:
    image = np.random.default_rng(0).integers(0, 256, (90, 120, 3)).astype(np.uint8)
    sizes = []
    for quality in QUALITIES:
        write_image(tmp_path / "p.jpg", image, quality)
        sizes.append((tmp_path / "p.jpg").stat().st_size)
    assert sizes == sorted(sizes, reverse=True)
    assert quality_within(image, sizes[0]) == BEST_QUALITY
    assert quality_within(image, sizes[3]) == QUALITIES[3] and quality_within(image, sizes[3] - 1) == QUALITIES[4]
    assert quality_within(image, 0) == QUALITIES[-1]


def test_three_minutes_of_full_hd_with_depth_stay_within_six_gb(tmp_path: Path) -> None:
    """A picture of much noise, and depth whose noise is that of a depth camera, enlarged as registering does."""
    import cv2

    rng = np.random.default_rng(1)
    coarse = rng.integers(0, 256, (135, 240, 3)).astype(np.uint8)
    smooth = cv2.resize(coarse, (1920, 1080), interpolation=cv2.INTER_CUBIC).astype(float)
    image = np.clip(smooth + rng.normal(0, 6, smooth.shape), 0, 255).astype(np.uint8)
    depth_m = cv2.resize((2.5 + rng.normal(0, 0.002, (576, 640))).astype(np.float32), (1920, 1080))
    depth_m[:, :700] = 0
    frames = [Frame(n, n / 30, image, depth_m) for n in range(2)]
    recording = written(tmp_path, frames)
    sizes = [path.stat().st_size for path in tmp_path.rglob("0000?.*")]
    assert sum(sizes) / 2 * THREE_MINUTES < SIX_GB
    stored_m = recording.depth_m(1)
    assert stored_m is not None and np.abs(stored_m - depth_m).max() <= 0.0005 + 1e-6


def test_depth_that_is_all_noise_does_not_spoil_the_colour(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    image = np.tile(np.linspace(0, 255, 1920).astype(np.uint8)[None, :, None], (1080, 1, 3))
    depth_m = (3 + rng.normal(0, 0.02, (1080, 1920))).astype(np.float32)
    with RecordingWriter(tmp_path, lens(1920, 1080)) as writer:
        writer.add(Frame(0, 0.0, image, depth_m))
    assert (tmp_path / "depth" / "00000.png").stat().st_size > 0.52 * 1920 * 1080      # depth alone is beyond it
    assert writer.quality == BEST_QUALITY


def test_small_pictures_keep_the_best_quality(tmp_path: Path) -> None:
    image = np.random.default_rng(0).integers(0, 256, (256, 256, 3)).astype(np.uint8)
    written(tmp_path, [Frame(0, 0.0, image)])
    write_image(tmp_path / "best.jpg", image)
    assert (tmp_path / "color" / "00000.jpg").read_bytes() == (tmp_path / "best.jpg").read_bytes()


def test_frames_come_back_under_their_numbers_however_they_were_encoded(tmp_path: Path) -> None:
    """Large and small files alternate, so that the threads finish in another order."""
    rng = np.random.default_rng(0)
    frames = []
    for n in range(40):
        image = np.full((120, 160, 3), 6 * n, np.uint8)
        if n % 2:
            image[:, :80] = rng.integers(0, 256, (120, 80, 3))
        frames.append(Frame(n, 0.5 + n / 30, image, np.full((120, 160), 1 + n / 100, np.float32)))
    recording = written(tmp_path, frames)
    assert [round(float(recording.image(n)[60, 140, 0]) / 6) for n in range(40)] == list(range(40))
    np.testing.assert_allclose([recording.depth_m(n)[0, 0] for n in range(40)], 1 + np.arange(40) / 100, atol=1e-3)  # type: ignore[index]
    np.testing.assert_allclose(recording.times_s, np.arange(40) / 30, atol=1e-6)


def test_what_an_encoder_meets_reaches_the_caller(tmp_path: Path) -> None:
    image = np.zeros((20, 30, 3), np.uint8)
    with pytest.raises(ValueError, match="frame 1 has other parts"):
        written(tmp_path, [Frame(0, 0.0, image), Frame(1, 0.1, image, np.ones((20, 30), np.float32))])
