"""Mattes made elsewhere: what is taken, and what is refused with which words."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pipelines.core.errors import AnrError
from pipelines.matting.given import check_shares, given_mattes, read_given


def save(path: Path, pixels: np.ndarray) -> Path:
    import cv2

    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), pixels)
    return path


def grey(value: int = 200, dtype: type = np.uint8, shape: tuple[int, ...] = (6, 8)) -> np.ndarray:
    return np.full(shape, value, dtype)


def refused(folder: Path, frames: int) -> str:
    with pytest.raises(AnrError) as error:
        given_mattes(folder, frames)
    return f"{error.value.message} {error.value.hint}"


def test_8_and_16_bit_grey_and_alpha_channels_mean_the_same(tmp_path: Path) -> None:
    half = np.zeros((6, 8), np.uint8)
    half[:, 4:] = 51                                # 0.2
    colour = np.random.default_rng(0).integers(0, 255, (6, 8, 3)).astype(np.uint8)
    forms = {"grey8": half, "grey16": half.astype(np.uint16) * 257, "rgb": np.repeat(half[..., None], 3, axis=2),
             "rgba": np.dstack([colour, half]), "rgba16": np.dstack([colour, half]).astype(np.uint16) * 257}
    for name, pixels in forms.items():
        alpha = read_given(save(tmp_path / f"{name}.png", pixels), 8, 6)
        np.testing.assert_allclose(alpha, half / 255, atol=1e-6, err_msg=name)
        assert alpha.dtype == np.float32


def test_files_go_by_their_numbers_from_0_or_from_1_else_by_the_order_of_names(tmp_path: Path) -> None:
    for folder, names in {"zero": ["m2", "m0", "m10", "m1", *(f"m{k}" for k in range(3, 10))],
                          "one": [f"frame_{k}" for k in (3, 1, 2)], "words": ["b", "a", "c"]}.items():
        for name in names:
            save(tmp_path / folder / f"{name}.png", grey())
    assert [path.stem for path in given_mattes(tmp_path / "zero", 11)] == [f"m{k}" for k in range(11)]
    assert [path.stem for path in given_mattes(tmp_path / "one", 3)] == ["frame_1", "frame_2", "frame_3"]
    assert [path.stem for path in given_mattes(tmp_path / "words", 3)] == ["a", "b", "c"]


def test_missing_frames_are_named(tmp_path: Path) -> None:
    for k in (0, 1, 4):
        save(tmp_path / f"{k:05d}.png", grey())
    assert "3 mattes for 5 frames; none for 2-3" in refused(tmp_path, 5)
    assert "3 mattes, but the capture has 2 frames" in refused(tmp_path, 2)


def test_a_folder_that_is_none_or_holds_none_is_refused(tmp_path: Path) -> None:
    assert "is no folder of mattes" in refused(tmp_path / "nowhere", 3)
    assert "holds no PNG files" in refused(tmp_path, 3)


def test_another_size_colours_and_damage_are_refused(tmp_path: Path) -> None:
    with pytest.raises(AnrError, match="is 8x6, but the capture is 16x12"):
        read_given(save(tmp_path / "small.png", grey()), 16, 12)
    colours = np.random.default_rng(0).integers(0, 255, (6, 8, 3)).astype(np.uint8)
    with pytest.raises(AnrError, match="has colours but no alpha channel"):
        read_given(save(tmp_path / "colours.png", colours), 8, 6)
    (tmp_path / "broken.png").write_bytes(b"no picture")
    with pytest.raises(AnrError, match="is not a matte that can be read"):
        read_given(tmp_path / "broken.png", 8, 6)


def test_empty_and_full_mattes_are_told_and_nothing_else_is_refused(tmp_path: Path) -> None:
    assert check_shares(np.array([0.2, 0.3]), tmp_path) == []
    said = check_shares(np.array([0.2, 0.0, 0.0, 1.0, 0.3]), tmp_path)
    assert said == ["2 of 5 mattes are empty: frames 1-2.", "1 of 5 mattes are full: frames 3."]
    for shares, word in (([0, 0], "empty"), ([1, 1], r"full \(all white\)"), ([0, 1], "empty or full")):
        with pytest.raises(AnrError, match=f"All 2 mattes .* are {word}"):
            check_shares(np.array(shares, float), tmp_path)
