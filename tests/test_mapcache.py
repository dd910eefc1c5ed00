"""The map cache: what comes back is what went in, up to stated rounding; what is damaged is said."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from pipelines.core import mapcache, mapcodec
from pipelines.core.errors import AnrError
from pipelines.core.mapcache import maps_from_bytes, maps_to_bytes, read_maps, write_maps
from pipelines.core.records import SurfaceMaps


def random_maps(seed: int = 0, covered: float = 0.4, shape: tuple[int, int] = (53, 31)) -> SurfaceMaps:
    rng = np.random.default_rng(seed)
    inside = rng.uniform(size=shape) < covered
    normal = rng.normal(size=(*shape, 3))
    normal /= np.linalg.norm(normal, axis=-1, keepdims=True)
    return SurfaceMaps(
        np.where(inside, rng.integers(0, 3658, shape), -1).astype(np.int32),
        (rng.uniform(size=(*shape, 2)) * inside[..., None]).astype(np.float32),
        (normal * inside[..., None]).astype(np.float32),
        (rng.uniform(2, 4, shape) * inside).astype(np.float32), (-3, 20, shape[1] - 3, 20 + shape[0]))


def smooth_maps() -> SurfaceMaps:
    ys, xs = np.mgrid[:300, :200].astype(np.float32)
    normal = np.stack([(xs - 100) / 150, (ys - 150) / 220, np.zeros_like(xs)], -1)
    normal[..., 2] = -np.sqrt(1 - np.sum(normal**2, -1).clip(0, 1))
    return SurfaceMaps((ys // 10 * 20 + xs // 10).astype(np.int32), np.stack([xs / 800, ys / 900], -1), normal,
                       2 + xs / 1000, (0, 0, 200, 300))


def assert_close(back: SurfaceMaps, maps: SurfaceMaps) -> None:
    """The promise of the cache: UV within 1/8 texel even of a 2048 texture, normals within a quarter of a degree."""
    assert back.box == maps.box
    np.testing.assert_array_equal(back.face_index, maps.face_index)
    inside = maps.inside
    assert np.abs(back.uv[inside] - maps.uv[inside]).max(initial=0) * 2048 <= 1 / 8
    cosine = np.sum(back.normal[inside].astype(float) * maps.normal[inside], -1)
    assert np.degrees(np.arccos(np.clip(cosine, -1, 1))).max(initial=0) < 0.25
    deep = np.ptp(maps.depth_m[inside]) if inside.any() else 0.0
    step = max(mapcache.DEPTH_STEP_M, deep / mapcodec.DEPTH_TOP)
    np.testing.assert_allclose(back.depth_m, maps.depth_m, rtol=1e-6, atol=0.51 * step)
    for restored, original in ((back.uv, maps.uv), (back.normal, maps.normal), (back.depth_m, maps.depth_m)):
        assert restored.dtype == original.dtype and not restored[~inside].any()


@pytest.mark.parametrize("covered", [0.0, 0.05, 0.4, 0.95, 1.0])
def test_maps_come_back_within_the_stated_rounding(tmp_path: Path, covered: float) -> None:
    maps = random_maps(covered=covered)
    written = write_maps(tmp_path / "00000.maps", maps)
    assert written == (tmp_path / "00000.maps").stat().st_size
    assert_close(read_maps(tmp_path / "00000.maps"), maps)


finite = st.floats(-1, 1, width=32)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_any_maps_come_back_within_the_stated_rounding(data: st.DataObject) -> None:
    """Any shape and coverage, UV to the very ends, any direction of the normal, depths of any spread."""
    shape = data.draw(hnp.array_shapes(min_dims=2, max_dims=2, max_side=24))
    faces = data.draw(hnp.arrays(np.int32, shape, elements=st.sampled_from([-1, -1, 0, 1, 2, 3657, 0xFFFE])))
    inside = (faces >= 0)[..., None]
    uv = data.draw(hnp.arrays(np.float32, (*shape, 2), elements=st.floats(0, 1, width=32), fill=st.just(0.5)))
    normal = data.draw(hnp.arrays(np.float32, (*shape, 3), elements=finite, fill=st.just(-1.0))).astype(np.float64)
    normal[np.linalg.norm(normal, axis=-1) < 1e-3] = [0, 0, -1]
    normal /= np.linalg.norm(normal, axis=-1, keepdims=True)
    depth = data.draw(hnp.arrays(np.float32, shape, elements=st.floats(0.125, 64, width=32), fill=st.just(2.0)))
    x0, y0 = data.draw(st.tuples(st.integers(-50, 2000), st.integers(-50, 2000)))
    maps = SurfaceMaps(faces, uv * inside, (normal * inside).astype(np.float32), depth * inside[..., 0],
                       (x0, y0, x0 + shape[1], y0 + shape[0]))
    assert_close(maps_from_bytes(maps_to_bytes(maps)), maps)


def through(codec: mapcodec.Codec, maps: SurfaceMaps) -> tuple[np.ndarray, np.ndarray, np.ndarray, SurfaceMaps]:
    """Runs, codes and words of maps, and the maps again."""
    arrays = maps.face_index, maps.uv, maps.normal, maps.depth_m
    height, width = maps.face_index.shape
    runs = np.zeros(height * (width + 3), np.uint16)
    run_count, count = codec.cover(maps.face_index, runs)
    runs = runs[:run_count]
    codes = np.zeros((count, mapcodec.CHANNELS), np.int32)
    codec.quantise(*arrays, 2.0, 1e-4, codes)
    words = np.zeros(count * mapcodec.WORDS_PER_PIXEL + mapcodec.SPARE_WORDS, np.uint32)
    word_count = codec.pack(runs, height, width, codes, words)
    words = words[:word_count + mapcodec.SPARE_WORDS]
    again = np.zeros_like(codes)
    assert codec.pixels(runs, height) == count and codec.unpack(runs, height, width, words, again)
    np.testing.assert_array_equal(again, codes)
    back = SurfaceMaps.unwritten(maps.box)
    codec.restore(runs, codes, 2.0, 1e-4, (back.face_index, back.uv, back.normal, back.depth_m))
    return runs, codes, words, back


def test_compiled_and_plain_functions_agree_to_the_bit() -> None:
    """The codec run by Python itself is the slow reference of the one that numba makes."""
    maps = random_maps(covered=0.7, shape=(12, 17))
    slow, fast = through(mapcodec.plain(), maps), through(mapcodec.compiled(), maps)
    for one, other in zip(slow[:3], fast[:3]):
        np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(slow[3].face_index, fast[3].face_index)
    np.testing.assert_array_equal(slow[3].uv, fast[3].uv)
    np.testing.assert_allclose(slow[3].normal, fast[3].normal, atol=1e-6)
    np.testing.assert_allclose(slow[3].depth_m, fast[3].depth_m, atol=1e-6)
    arrays = maps.face_index, maps.uv, maps.normal, maps.depth_m
    assert mapcodec.survey(*arrays) == mapcodec.compiled().survey(*arrays)


def test_equal_maps_become_equal_bytes() -> None:
    assert maps_to_bytes(random_maps()) == maps_to_bytes(random_maps())


def test_smooth_maps_become_small() -> None:
    smooth = smooth_maps()
    raw = sum(a.nbytes for a in (smooth.face_index, smooth.uv, smooth.normal, smooth.depth_m))
    assert len(maps_to_bytes(smooth)) < raw / 15


def test_even_the_worst_maps_fit_the_room_kept_for_them() -> None:
    """Single pixels that nothing predicts, and noise everywhere: the widest the packing can become."""
    chequered = random_maps(covered=1.0, shape=(40, 40))
    odd = np.indices((40, 40)).sum(0) % 2 == 1
    alone = SurfaceMaps(np.where(odd, chequered.face_index, -1).astype(np.int32), chequered.uv * odd[..., None],
                        chequered.normal * odd[..., None], chequered.depth_m * odd, chequered.box)
    for maps in (chequered, alone):
        assert_close(maps_from_bytes(maps_to_bytes(maps)), maps)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(AnrError, match=r"00007.maps is missing.*Delete that version folder and run `anr raster` again"):
        read_maps(tmp_path / "00007.maps")


def test_a_file_cut_short_at_any_byte_is_named(tmp_path: Path) -> None:
    path = tmp_path / "00007.maps"
    write_maps(path, random_maps(shape=(9, 7)))
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(AnrError, match=r"00007.maps is damaged.*Delete that version folder and run `anr raster`"):
            read_maps(path)


@settings(max_examples=80, deadline=None)
@given(st.data())
def test_any_wrong_byte_is_noticed(data: st.DataObject) -> None:
    whole = bytearray(maps_to_bytes(random_maps(shape=(9, 7))))
    at = data.draw(st.integers(0, len(whole) - 1))
    whole[at] ^= data.draw(st.integers(1, 255))
    with pytest.raises(ValueError, match=r"checksum|begins with|bytes where"):
        maps_from_bytes(bytes(whole))


def test_another_file_or_an_older_cache_is_named(tmp_path: Path) -> None:
    path = tmp_path / "00007.maps"
    for other in (b"\x89PNG" + bytes(200), b"anrmaps1" + bytes(200), b""):
        path.write_bytes(other)
        with pytest.raises(AnrError, match=r"00007.maps is damaged"):
            read_maps(path)


def test_contents_that_do_not_fit_are_not_unpacked() -> None:
    """Beyond the checksum: runs wider than the box, too few or too many, and words or codes that are not there."""
    codec = mapcodec.compiled()
    runs, codes, words, _ = through(codec, random_maps(shape=(6, 9)))
    assert codec.pixels(runs[:-1], 6) == -1 and codec.pixels(np.append(runs, runs[:1]), 6) == -1
    wide = runs.copy()
    assert wide[0] > 0
    wide[2] = 500                       # the first run's length
    spare = mapcodec.SPARE_WORDS
    for bad_runs, bad_words, bad_codes in ((wide, words, codes), (runs, words[:spare + 1], codes),
                                           (runs, words, codes[:-1]), (runs, words, np.append(codes, codes, axis=0))):
        assert not codec.unpack(bad_runs, 6, 9, bad_words, bad_codes.copy())


def test_a_face_told_by_a_neighbour_that_is_not_there_is_noticed() -> None:
    codec = mapcodec.compiled()
    runs, codes = np.array([1, 0, 1], np.uint16), np.zeros((1, mapcodec.CHANNELS), np.int32)
    alone = np.zeros(1 + mapcodec.SPARE_WORDS, np.uint32)      # all widths 0: "the left one", and there is none
    assert not codec.unpack(runs, 1, 1, alone, codes)


def test_maps_that_cannot_be_kept_are_refused() -> None:
    maps = random_maps()
    with pytest.raises(ValueError, match=r"\(53, 31\)"):
        maps_to_bytes(SurfaceMaps(maps.face_index, maps.uv, maps.normal, maps.depth_m, (0, 0, 5, 5)))
    with pytest.raises(ValueError, match="70000"):
        maps_to_bytes(SurfaceMaps(maps.face_index + 70000 - maps.face_index.max(), maps.uv, maps.normal,
                                  maps.depth_m, maps.box))
    broken = maps.uv.copy()
    broken[maps.inside] = np.nan
    with pytest.raises(ValueError, match="not finite"):
        maps_to_bytes(SurfaceMaps(maps.face_index, broken, maps.normal, maps.depth_m, maps.box))
    with pytest.raises(ValueError, match="70001x1 pixels"):
        maps_to_bytes(SurfaceMaps.unwritten((0, 0, 70001, 1)))


def test_the_part_index_counts_regions_from_one() -> None:
    maps = random_maps(shape=(9, 7))
    regions = np.random.default_rng(1).integers(0, 17, 3658).astype(np.uint8)
    parts = maps.part_index(regions)
    assert parts.dtype == np.uint8 and not parts[~maps.inside].any()
    np.testing.assert_array_equal(parts[maps.inside], regions[maps.face_index[maps.inside]] + 1)
