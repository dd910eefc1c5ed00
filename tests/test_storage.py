"""Files that are missing or damaged are told as such."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pipelines.core.errors import AnrError
from pipelines.core.storage import read_fit, read_json, read_npz


@pytest.fixture
def arrays(tmp_path: Path) -> Path:
    noise = np.random.default_rng(0).normal(size=(40, 3))
    np.savez_compressed(tmp_path / "a.npz", noise=noise, count=np.array(3))
    return tmp_path / "a.npz"


def test_arrays_come_back(arrays: Path) -> None:
    stored = read_npz(arrays, ["noise"])
    assert set(stored) == {"noise", "count"} and stored["noise"].shape == (40, 3) and stored["count"] == 3


def test_a_missing_file_is_named_with_a_hint(tmp_path: Path) -> None:
    for read in (read_npz, read_fit, read_json):
        with pytest.raises(AnrError, match=r"nowhere is missing") as caught:
            read(tmp_path / "nowhere")
        assert "anr status --verify" in caught.value.hint


def test_a_missing_array_is_named(arrays: Path) -> None:
    with pytest.raises(AnrError, match=r"a\.npz is damaged: it has no pixels, found"):
        read_npz(arrays, ["noise", "pixels", "found"])
    with pytest.raises(AnrError, match=r"it has no betas"):
        read_fit(arrays)


@pytest.mark.parametrize("content", [b"", b"PK", b"neither text nor numbers", b"\x93NUMPY", b"PK\x03\x04" + bytes(200)])
def test_what_is_no_archive_is_called_damaged(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.npz").write_bytes(content)
    with pytest.raises(AnrError, match=r"a\.npz is damaged") as caught:
        read_npz(tmp_path / "a.npz")
    assert caught.value.hint


def test_an_archive_cut_short_anywhere_is_called_damaged(arrays: Path) -> None:
    whole = arrays.read_bytes()
    for length in range(0, len(whole), 29):
        arrays.write_bytes(whole[:length])
        with pytest.raises(AnrError, match=r"a\.npz is damaged"):
            read_npz(arrays)


def test_no_wrong_byte_is_anything_but_damage(arrays: Path) -> None:
    whole = arrays.read_bytes()
    found = 0
    for place in range(len(whole)):
        arrays.write_bytes(whole[:place] + bytes([whole[place] ^ 0x55]) + whole[place + 1:])
        try:
            read_npz(arrays, ["noise", "count"])         # a wrong date harms nobody
        except AnrError as error:
            found += 1
            assert str(arrays) in error.message
    assert found > 0.8 * len(whole)
