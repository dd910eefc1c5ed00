"""The map cache: what comes back is what went in, up to stated rounding."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pipelines.core.errors import AnrError
from pipelines.core.mapcache import from_octahedral, octahedral, read_maps, write_maps
from pipelines.core.records import SurfaceMaps


def random_maps(seed: int = 0, covered: float = 0.4) -> SurfaceMaps:
    rng = np.random.default_rng(seed)
    inside = rng.uniform(size=(53, 31)) < covered
    normal = rng.normal(size=(53, 31, 3))
    normal /= np.linalg.norm(normal, axis=-1, keepdims=True)
    return SurfaceMaps(
        np.where(inside, rng.integers(0, 3658, inside.shape), -1).astype(np.int32),
        (rng.uniform(size=(53, 31, 2)) * inside[..., None]).astype(np.float32),
        (normal * inside[..., None]).astype(np.float32),
        (rng.uniform(2, 4, inside.shape) * inside).astype(np.float32), (-3, 20, 28, 73))


@pytest.mark.parametrize("covered", [0.0, 0.4, 1.0])
def test_maps_come_back_within_the_stated_rounding(tmp_path: Path, covered: float) -> None:
    maps = random_maps(covered=covered)
    write_maps(tmp_path / "00000.maps", maps)
    back = read_maps(tmp_path / "00000.maps")
    assert back.box == maps.box
    np.testing.assert_array_equal(back.face_index, maps.face_index)
    inside = maps.inside
    assert np.abs(back.uv - maps.uv).max() * 256 <= 1 / 120        # far under an eighth of a texel
    cosine = np.sum(back.normal[inside].astype(float) * maps.normal[inside], -1)
    assert np.degrees(np.arccos(np.clip(cosine, -1, 1))).max(initial=0) < 0.25
    np.testing.assert_allclose(back.depth_m, maps.depth_m, atol=2 / 30000)
    for restored, original in ((back.uv, maps.uv), (back.normal, maps.normal), (back.depth_m, maps.depth_m)):
        assert restored.dtype == original.dtype and not restored[~inside].any()


def test_octahedral_coding_loses_nothing() -> None:
    vectors = np.random.default_rng(1).normal(size=(1000, 3))
    vectors[:6] = np.concatenate([np.eye(3), -np.eye(3)])
    vectors /= np.linalg.norm(vectors, axis=-1, keepdims=True)
    points = octahedral(vectors)
    assert np.abs(points).max() <= 1
    np.testing.assert_allclose(from_octahedral(points), vectors, atol=1e-12)


def test_smooth_maps_become_small(tmp_path: Path) -> None:
    ys, xs = np.mgrid[:300, :200].astype(np.float32)
    normal = np.stack([(xs - 100) / 150, (ys - 150) / 220, np.zeros_like(xs)], -1)
    normal[..., 2] = -np.sqrt(1 - np.sum(normal**2, -1).clip(0, 1))
    smooth = SurfaceMaps((ys // 10 * 20 + xs // 10).astype(np.int32), np.stack([xs / 800, ys / 900], -1), normal,
                         2 + xs / 1000, (0, 0, 200, 300))
    write_maps(tmp_path / "smooth.maps", smooth)
    raw = sum(a.nbytes for a in (smooth.face_index, smooth.uv, smooth.normal, smooth.depth_m))
    assert (tmp_path / "smooth.maps").stat().st_size < raw / 10


def test_damaged_and_missing_files_are_named(tmp_path: Path) -> None:
    path = tmp_path / "00007.maps"
    with pytest.raises(AnrError, match=r"00007.maps is missing"):
        read_maps(path)
    write_maps(path, random_maps())
    whole = path.read_bytes()
    for damaged in (whole[:-20], whole[:10], b"PNG" + whole[3:], b""):
        path.write_bytes(damaged)
        with pytest.raises(AnrError, match=r"00007.maps is damaged.*anr raster"):
            read_maps(path)


def test_maps_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    maps = random_maps()
    with pytest.raises(ValueError, match=r"\(53, 31\)"):
        write_maps(tmp_path / "x", SurfaceMaps(maps.face_index, maps.uv, maps.normal, maps.depth_m, (0, 0, 5, 5)))
    with pytest.raises(ValueError, match="70000"):
        write_maps(tmp_path / "x", SurfaceMaps(maps.face_index + 70000 - maps.face_index.max(), maps.uv, maps.normal,
                                               maps.depth_m, maps.box))
