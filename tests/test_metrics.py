"""Metrics: their laws, and the reference numbers of their authors."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pipelines.core.errors import AnrError
from pipelines.media.images import read_image
from pipelines.metrics.fid import FEATURES, fid_inception, frechet_distance, inception_input, load_inception
from pipelines.metrics.flip import flip, flip_map
from pipelines.metrics.lpips import load_lpips
from pipelines.metrics.psnr import psnr
from pipelines.metrics.ripfip import ripfip
from pipelines.metrics.ssim import ssim
from pipelines.metrics.temporal import change, same_points
from pipelines.metrics.weights import PRETRAINED, find_weights, remedy


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


# ---- Frechet distance -----------------------------------------------------------------------------------------------

def test_the_frechet_distance_of_two_lines_of_numbers_by_hand() -> None:
    """(m1 - m2)^2 + (s1 - s2)^2 with the samples' own means and deviations."""
    one, other = np.array([[0.0], [2.0], [4.0]]), np.array([[10.0], [11.0], [12.0]])
    assert frechet_distance(one, other) == pytest.approx((2 - 11) ** 2 + (2 - 1) ** 2)


def test_the_frechet_distance_equals_its_definition_with_a_matrix_root() -> None:
    from scipy.linalg import sqrtm

    rng = np.random.default_rng(0)
    one = rng.normal(size=(60, 5)) @ rng.normal(size=(5, 5)) + rng.normal(size=5)
    other = rng.normal(size=(40, 5)) @ rng.normal(size=(5, 5))
    a, b = np.cov(one.T), np.cov(other.T)
    apart = one.mean(0) - other.mean(0)
    wanted = apart @ apart + np.trace(a + b - 2 * np.real(sqrtm(a @ b)))
    assert frechet_distance(one, other) == pytest.approx(float(wanted), rel=1e-9)


def test_the_frechet_distance_is_symmetric_and_zero_for_the_same_sample_even_with_few_rows() -> None:
    rng = np.random.default_rng(1)
    one, other = rng.normal(size=(6, 300)), rng.normal(size=(9, 300)) + 0.1
    assert frechet_distance(one, one) == pytest.approx(0.0, abs=1e-9)
    assert frechet_distance(one, other) == pytest.approx(frechet_distance(other, one), rel=1e-9)
    assert frechet_distance(one, one + 2.0) == pytest.approx(300 * 4.0, rel=1e-9)


def test_one_picture_is_no_sample() -> None:
    with pytest.raises(ValueError, match=r"\(1, 4\) and \(3, 4\)"):
        frechet_distance(np.zeros((1, 4)), np.zeros((3, 4)))


def test_inception_sees_a_square_that_is_not_stretched() -> None:
    wide = np.full((100, 300, 3), 0.5, np.float32)
    wide[40:60, 140:160] = 1.0
    seen = inception_input(wide)[0, 0].numpy()
    assert seen.shape == (299, 299)
    white = seen > 0.5
    assert abs(int(white.any(0).sum()) - int(white.any(1).sum())) <= 1
    assert seen[0, 0] == pytest.approx(0.0, abs=1e-6) and seen.max() == pytest.approx(1.0, abs=1e-3)


@pytest.fixture(scope="module")
def inception_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with the tensors of the standard FID weights, made-up numbers."""
    import torch

    path = tmp_path_factory.mktemp("weights") / "pt_inception-2015-12-05-6726825d.pth"
    with torch.device("meta"):
        wanted = fid_inception().state_dict()
    generator = torch.Generator().manual_seed(0)
    state = {}
    for key, value in wanted.items():
        if key.endswith(("running_var", "bn.weight")):
            state[key] = torch.ones(value.shape)
        elif value.ndim > 1:
            state[key] = torch.randn(value.shape, generator=generator) * (2.0 / value[0].numel()) ** 0.5
        else:
            state[key] = torch.zeros(value.shape, dtype=value.dtype)
    torch.save({**state, "AuxLogits.conv0.bn.weight": torch.ones(3)}, path)
    return path


def test_the_fid_network_has_a_thousand_and_eight_classes_and_pools_as_it_is_defined() -> None:
    import torch

    with torch.device("meta"):
        network = fid_inception()
        assert network.fc.out_features == 1008
    block = type(network.Mixed_5b)(8, 4).eval()
    block.branch_pool = torch.nn.Identity()
    ones = torch.ones(1, 8, 6, 6)
    pooled = block._forward(ones)[-1]
    torch.testing.assert_close(pooled, ones)                          # the border is left out of the averages
    last = type(network.Mixed_7c)(8).eval()
    last.branch_pool = torch.nn.Identity()
    peak = torch.zeros(1, 8, 5, 5)
    peak[..., 2, 2] = 1.0
    assert int(last._forward(peak)[-1][0, 0].sum()) == 9              # a maximum, not an average


def test_inception_features_come_from_the_stored_weights(inception_weights: Path) -> None:
    features = load_inception(inception_weights, standard=True)
    one, other = features(picture(0)), features(picture(1))
    assert one.shape == (FEATURES,) and np.isfinite(one).all() and float(one.std()) > 0
    assert np.array_equal(one, features(picture(0))) and not np.array_equal(one, other)
    with pytest.raises(AnrError, match="expected 6726825d"):
        find_weights("inception_fid", inception_weights.parent)       # the right name, made-up numbers


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    import torch

    torch.save({"features.0.weight": torch.zeros(1)}, tmp_path / "other.pth")
    with pytest.raises(ValueError, match=r"lacks 5\d\d tensors of Inception v3"):
        load_inception(tmp_path / "other.pth", standard=False)


# ---- rIPFIP ---------------------------------------------------------------------------------------------------------

def test_ripfip_by_hand() -> None:
    """Half the LPIPS with a hundredth of ten thousand parameters: 1/2 * log 100 / log 10000 = 1/4."""
    assert ripfip(0.05, 1e2, 0.10, 1e4) == pytest.approx(0.25)


def test_ripfip_is_zero_for_vid2vid_itself_and_at_most_one() -> None:
    assert ripfip(0.07, 3e8, 0.07, 3e8) == 0.0
    assert ripfip(0.0, 1.0 + 1e-9, 0.07, 3e8) == pytest.approx(1.0)
    assert ripfip(0.12, 1e8, 0.07, 3e8) < 0 < ripfip(0.05, 1e8, 0.07, 3e8)


def test_ripfip_of_parameters_in_millions_is_refused() -> None:
    with pytest.raises(ValueError, match="expected parameters above 1"):
        ripfip(0.05, 0.161, 0.07, 0.3)


# ---- temporal stability ---------------------------------------------------------------------------------------------

def test_the_same_surface_points_are_found_again() -> None:
    uv = np.random.default_rng(0).uniform(0, 1, (200, 2))
    order = np.random.default_rng(1).permutation(200)
    a, b = same_points(uv, uv[order] + 1e-5)
    np.testing.assert_array_equal(a, order)
    np.testing.assert_array_equal(b, np.arange(200))
    assert not len(same_points(uv, uv + 5.0)[0]) and not len(same_points(uv[:0], uv)[0])


def test_changes_by_hand() -> None:
    uv = np.array([[0.1, 0.1], [0.5, 0.5]])
    first, second = np.array([[0.2] * 3, [0.4] * 3]), np.array([[0.3] * 3, [0.4] * 3])       # truth: +0.1, 0
    found = change((uv, uv[::-1]), (first, second[::-1]), (first, first[::-1] + 0.2))        # rendering: +0.2, +0.2
    assert found.points == 2
    assert (found.error, found.rendering, found.truth) == pytest.approx((0.15, 0.2, 0.05))


def test_a_rendering_that_moves_with_the_surface_does_not_shimmer() -> None:
    """The same colours on the same points, wherever they lie in the picture."""
    rng = np.random.default_rng(0)
    uv, colours, order = rng.uniform(size=(300, 2)), rng.uniform(size=(300, 3)), rng.permutation(300)
    still = change((uv, uv[order]), (colours, colours[order]), (colours, colours[order]))
    noisy = change((uv, uv[order]), (colours, colours[order]), (colours, rng.uniform(size=(300, 3))))
    assert still.error == still.rendering == 0.0 < noisy.error


def test_frames_without_a_common_point_have_no_points() -> None:
    empty, colours = np.zeros((0, 2)), np.zeros((0, 3))
    assert change((empty, empty), (colours, colours), (colours, colours)).points == 0


# ---- pictures of differences ----------------------------------------------------------------------------------------

def test_the_flip_map_is_black_where_nothing_differs_and_bright_where_it_does() -> None:
    truth = np.full((64, 96, 3), 0.5, np.float32)
    other = truth.copy()
    other[:, 64:] = (1.0, 0.0, 0.0)
    shown = flip_map(truth, other)
    assert shown.shape == truth.shape and shown.dtype == np.uint8
    assert shown[:, :40].max() < 10 < 100 < shown[20:44, 80:].max()


@pytest.mark.parametrize("name", sorted(PRETRAINED))
def test_every_pretrained_file_names_its_hash_its_licence_and_where_it_comes_from(name: str) -> None:
    wanted = PRETRAINED[name]
    file, digest = next(iter(wanted.files.items()))
    assert wanted.url.startswith("https://") and wanted.url.endswith(file)
    assert digest in file and wanted.size_mb > 0 and wanted.licence in remedy(name)
