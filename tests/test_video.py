"""Videos written are videos that can be read."""

from __future__ import annotations

import errno
from pathlib import Path

import numpy as np
import pytest

from pipelines.core.errors import AnrError
from pipelines.media.sheets import fit_height, label, spread, tile
from pipelines.media.video import VideoWriter


def _ramp(width: int, height: int, step: int) -> np.ndarray:
    """A picture whose red falls from left to right and whose blue tells the frame."""
    image = np.zeros((height, width, 3), np.uint8)
    image[..., 0] = np.linspace(220, 30, width).astype(np.uint8)[None]
    image[..., 2] = 40 + 10 * step
    return image


def _read(path: Path) -> list[np.ndarray]:
    import av

    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


def test_a_video_reads_back_with_its_count_size_and_colours(tmp_path: Path) -> None:
    frames = [_ramp(64, 48, k) for k in range(7)]
    with VideoWriter(tmp_path / "a.mp4", 64, 48, 15.0) as writer:
        for frame in frames:
            writer.add(frame)
    decoded = _read(tmp_path / "a.mp4")
    assert len(decoded) == 7
    assert decoded[0].shape == (48, 64, 3)
    for read, written in zip(decoded, frames):
        assert np.abs(read.astype(int) - written).mean() < 6


def test_the_video_is_what_browsers_play(tmp_path: Path) -> None:
    import av

    with VideoWriter(tmp_path / "a.mp4", 32, 32, 12.0) as writer:
        for k in range(3):
            writer.add(_ramp(32, 32, k))
    with av.open(str(tmp_path / "a.mp4")) as container:
        stream = container.streams.video[0]
        assert stream.codec_context.name == "h264"
        assert stream.codec_context.pix_fmt == "yuv420p"
        assert float(stream.average_rate) == 12.0
    raw = (tmp_path / "a.mp4").read_bytes()
    assert raw.index(b"moov") < raw.index(b"mdat")       # +faststart: playable before it is wholly loaded


def test_odd_sizes_gain_one_repeated_row_and_column(tmp_path: Path) -> None:
    with VideoWriter(tmp_path / "a.mp4", 33, 47, 10.0) as writer:
        writer.add(_ramp(33, 47, 0))
    assert _read(tmp_path / "a.mp4")[0].shape == (48, 34, 3)


def test_transparency_survives_in_webm_and_is_refused_in_mp4(tmp_path: Path) -> None:
    import av

    picture = np.dstack([_ramp(32, 32, 0), np.full((32, 32), 255, np.uint8)])
    picture[:, :16, 3] = 0
    with VideoWriter(tmp_path / "a.webm", 32, 32, 10.0, alpha=True) as writer:
        for _ in range(3):
            writer.add(picture)
    with av.open(str(tmp_path / "a.webm")) as container:
        assert container.streams.video[0].metadata.get("alpha_mode", "") == "1"
    with pytest.raises(AnrError, match="cannot hold transparency"):
        VideoWriter(tmp_path / "a.mp4", 32, 32, 10.0, alpha=True)


def test_an_error_inside_leaves_no_file(tmp_path: Path) -> None:
    with pytest.raises(KeyError), VideoWriter(tmp_path / "a.mp4", 32, 32, 10.0) as writer:
        writer.add(_ramp(32, 32, 0))
        raise KeyError("stop")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_does_not_exist_is_told_in_one_message(tmp_path: Path) -> None:
    with pytest.raises(AnrError, match=r"ffmpeg stopped while writing a\.mp4"), \
            VideoWriter(tmp_path / "nowhere" / "a.mp4", 64, 64, 10.0) as writer:
        for k in range(50):
            writer.add(_ramp(64, 64, k % 8))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full to stand for a full disk")
@pytest.mark.parametrize("ending", ["mp4", "webm"])
def test_a_full_disk_is_told_as_one(tmp_path: Path, ending: str) -> None:
    writer = VideoWriter(tmp_path / "other.mp4", 32, 32, 10.0)
    partial = writer._partial.with_name(writer._partial.name.replace("other", "a").replace("mp4", ending))
    writer.abandon()
    partial.symlink_to("/dev/full")
    with pytest.raises(OSError, match=r"No space left on device") as caught, \
            VideoWriter(tmp_path / f"a.{ending}", 32, 32, 10.0) as writer:
        for k in range(8):
            writer.add(_ramp(32, 32, k))
    assert caught.value.errno == errno.ENOSPC
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_ending_names_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(AnrError, match=r"\.mp4, \.webm, \.mov"):
        VideoWriter(tmp_path / "a.wmv", 64, 64, 10.0)


def test_wrong_picture_sizes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="expected"), VideoWriter(tmp_path / "a.mp4", 64, 64, 10.0) as writer:
        writer.add(np.zeros((32, 32, 3), np.uint8))


def test_tiles_lie_where_they_belong() -> None:
    reds = [np.full((4, 6, 3), 10 * k, np.uint8) for k in range(5)]
    sheet = tile(reds, columns=3, gap=2)
    assert sheet.shape == (2 * 4 + 2, 3 * 6 + 2 * 2, 3)
    assert sheet[0, 0, 0] == 0 and sheet[0, 8, 0] == 10 and sheet[6, 0, 0] == 30
    assert sheet[6, 16, 0] == 255                        # the empty cell stays white


def test_a_strip_runs_from_the_first_picture_to_the_last() -> None:
    assert spread(100, 8)[0] == 0 and spread(100, 8)[-1] == 99 and len(spread(100, 8)) == 8
    assert spread(3, 8) == [0, 1, 2]


def test_a_label_changes_only_the_copy() -> None:
    image = np.zeros((40, 80, 3), np.uint8)
    assert label(image, "7").max() > 0 and image.max() == 0
    assert fit_height(image, 20).shape == (20, 40, 3)
