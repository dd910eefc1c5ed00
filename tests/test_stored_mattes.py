"""Stored mattes: what counts as somebody, and what is said of a file that is gone or damaged."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pipelines.core.errors import AnrError
from pipelines.media.images import person_share, read_alpha, shows_somebody, write_alpha


@pytest.mark.parametrize(("alpha", "somebody"), [(np.zeros((20, 20)), False), (np.full((20, 20), 0.4), False),
                                                 (np.eye(20), True), (np.ones((20, 20)), False)])
def test_neither_an_empty_nor_a_full_matte_shows_somebody(alpha: np.ndarray, somebody: bool, tmp_path: Path) -> None:
    write_alpha(tmp_path / "alpha.png", alpha)
    assert shows_somebody(tmp_path / "alpha.png") is somebody


def test_the_share_of_a_person_counts_pixels_that_are_more_somebody_than_not() -> None:
    assert person_share(np.array([[0.4, 0.6], [1.0, 0.0]])) == 0.5


def test_a_missing_and_a_damaged_matte_are_told_apart_with_a_remedy_that_works(tmp_path: Path) -> None:
    with pytest.raises(AnrError, match=r"00003\.png is missing\. Delete that version folder and run the command again"):
        read_alpha(tmp_path / "00003.png")
    (tmp_path / "00003.png").write_bytes(b"no picture")
    with pytest.raises(AnrError, match=r"00003\.png is damaged\."):
        read_alpha(tmp_path / "00003.png")
