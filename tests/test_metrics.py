"""Metrics: their laws, and the reference numbers of their authors."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pipelines.core.errors import AnrError
from pipelines.media.images import read_image
from pipelines.metrics.flip import flip
from pipelines.metrics.lpips import load_lpips
from pipelines.metrics.psnr import psnr
from pipelines.metrics.ssim import ssim
from pipelines.metrics.weights import find_weights, remedy


def picture(seed: int, height: int = 48, width: int = 40) -> np.ndarray:
    return np.random.default_rng(seed).uniform(size=(height, width, 3)).astype(np.float32)


def test_equal_pictures_are_perfect() -> None:
    image = picture(0)
    assert psnr(image, image) == float("inf")
    assert ssim(image, image) == pytest.approx(1.0, abs=1e-9)
    assert flip(image, image) == pytest.approx(0.0, abs=1e-6)


def test_an_error_of_a_tenth_everywhere_is_twenty_decibel() -> None:
    image = picture(0) * 0.5
    assert psnr(image, image + 0.1) == pytest.approx(20.0, abs=1e-4)


def test_ssim_equals_its_definition_written_as_loops() -> None:
    a, b = picture(1, 14, 13).astype(float), picture(2, 14, 13).astype(float)
    offsets = np.arange(11) - 5
    one = np.exp(-(offsets**2) / (2 * 1.5**2))
    window = np.outer(one, one) / np.outer(one, one).sum()
    values = []
    for channel in range(3):
        for y in range(14 - 10):
            for x in range(13 - 10):
                p, q = a[y:y + 11, x:x + 11, channel], b[y:y + 11, x:x + 11, channel]
                mp, mq = (window * p).sum(), (window * q).sum()
                vp, vq = (window * (p - mp) ** 2).sum(), (window * (q - mq) ** 2).sum()
                covariance = (window * (p - mp) * (q - mq)).sum()
                values.append((2 * mp * mq + 1e-4) * (2 * covariance + 9e-4)
                              / ((mp**2 + mq**2 + 1e-4) * (vp + vq + 9e-4)))
    assert ssim(a, b) == pytest.approx(float(np.mean(values)), abs=1e-9)


@pytest.mark.parametrize("metric", [psnr, ssim, flip])
def test_pictures_of_different_shape_are_refused(metric) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ValueError, match=r"48, 40"):
        metric(picture(0), picture(0, 50, 40))


def test_lpips_gives_its_authors_numbers(shared_data: Path) -> None:
    backbone = find_weights("squeezenet1_1", shared_data / "weights")
    assert backbone is not None
    distance = load_lpips(backbone)
    images = {name: read_image(shared_data / "metrics" / "lpips_images" / f"{name}.png") / 255.0
              for name in ("ex_ref", "ex_p0", "ex_p1")}
    assert distance(images["ex_ref"], images["ex_ref"]) == pytest.approx(0.0, abs=1e-7)
    assert distance(images["ex_ref"], images["ex_p0"]) == pytest.approx(0.711048, abs=1e-5)
    assert distance(images["ex_ref"], images["ex_p1"]) == pytest.approx(0.147902, abs=1e-5)


def test_flip_gives_its_authors_number(shared_data: Path) -> None:
    folder = shared_data / "metrics" / "flip_tree"
    truth, other = (read_image(folder / f"tree-{name}.png") / 255.0 for name in ("ref", "test"))
    assert flip(truth, other) == pytest.approx(0.133276, abs=1e-5)


def test_weights_are_found_under_either_name_and_one_folder_deep(tmp_path: Path, shared_data: Path,
                                                                monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("TORCH_HOME", raising=False)
    monkeypatch.delenv("ANR_WEIGHTS", raising=False)
    assert find_weights("squeezenet1_1") is None
    monkeypatch.setenv("ANR_WEIGHTS", str(shared_data / "weights"))
    found = find_weights("squeezenet1_1")
    assert found is not None and found.name == "squeeze.backbone.pth"


def test_weights_with_the_right_name_and_wrong_content_are_refused(tmp_path: Path) -> None:
    (tmp_path / "squeezenet1_1-b8a52dc0.pth").write_bytes(b"not weights")
    with pytest.raises(AnrError, match=r"expected b8a52dc0") as caught:
        find_weights("squeezenet1_1", tmp_path)
    assert "download" in caught.value.hint


def test_a_weights_folder_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(AnrError, match="does not exist"):
        find_weights("squeezenet1_1", tmp_path / "nowhere")


def test_the_remedy_names_the_address_and_the_option() -> None:
    assert "https://download.pytorch.org" in remedy("squeezenet1_1") and "--weights" in remedy("squeezenet1_1")
