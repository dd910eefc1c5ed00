"""Keyframes: greedy covering against every possible choice, and the person-centred silhouette."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from pipelines.core.errors import AnrError
from pipelines.core.split import split_frames
from pipelines.keyframes import (
    CELLS,
    LIMIT,
    centred_silhouette,
    edge_strength,
    frame_numbers,
    greedy_cover,
    keyframe_count,
    odd_triangles,
    overlap,
    reached,
    refuse_unusable,
    stacked,
    thinned,
    triangle_colours,
)


def covered_by(quality: np.ndarray, weights: np.ndarray, rows: tuple[int, ...]) -> float:
    return float(quality[list(rows)].max(axis=0) @ weights)


@pytest.mark.parametrize("seed", range(8))
def test_greedy_choice_is_within_its_bound_of_the_best_one(seed: int) -> None:
    rng = np.random.default_rng(seed)
    quality = rng.uniform(size=(9, 30)) * (rng.uniform(size=(9, 30)) < 0.3)
    weights = rng.uniform(size=30)
    for count in (1, 2, 3, 4):
        order, values = greedy_cover(quality, weights, count)
        best = max(covered_by(quality, weights, rows) for rows in combinations(range(9), count))
        assert values[-1] >= (1 - 1 / np.e) * best - 1e-9
        assert values[-1] == pytest.approx(covered_by(quality, weights, tuple(order)))
        if count == 1:
            assert values[0] == pytest.approx(best)


@pytest.mark.parametrize("seed", range(4))
def test_every_step_takes_the_row_that_adds_most(seed: int) -> None:
    """The lazy evaluation skips rows; this looks at all of them."""
    rng = np.random.default_rng(seed)
    quality, weights = rng.uniform(size=(40, 60)) ** 4, rng.uniform(size=60)
    order, values = greedy_cover(quality, weights, 12)
    assert len(set(order)) == 12
    for k in range(1, 12):
        rest = [row for row in range(40) if row not in order[:k]]
        assert values[k] == pytest.approx(max(covered_by(quality, weights, (*order[:k], row)) for row in rest))


def test_rows_that_add_nothing_are_still_chosen_once_each() -> None:
    order, values = greedy_cover(np.ones((5, 3)), np.ones(3), 5)
    assert sorted(order) == [0, 1, 2, 3, 4] and values == [3.0] * 5


def test_front_back_and_side_are_chosen_before_a_second_front() -> None:
    front, back, side = [1, 1, 0, 0, 0.2], [0, 0, 1, 1, 0.2], [0.5, 0, 0.5, 0, 1]
    order, _ = greedy_cover(np.array([front, front, front, side, back], float), np.ones(5), 3)
    assert {2 if k < 3 else k for k in order} == {2, 3, 4}


def test_keyframes_keep_their_distance_in_time_while_that_is_possible() -> None:
    rng = np.random.default_rng(2)
    quality, times = rng.uniform(size=(30, 50)), np.arange(30)
    order, _ = greedy_cover(quality, np.ones(50), 5, times, gap=3)
    assert min(abs(a - b) for a, b in combinations(order, 2)) >= 3
    crowded, _ = greedy_cover(quality, np.ones(50), 20, times, gap=3)
    assert len(set(crowded)) == 20


def test_what_is_named_comes_first_and_the_rest_is_chosen_around_it() -> None:
    rng = np.random.default_rng(4)
    quality, weights = rng.uniform(size=(20, 40)) ** 4, np.ones(40)
    order, values = greedy_cover(quality, weights, 5, first=[7, 3])
    assert order[:2] == [7, 3] and len(set(order)) == 5
    for k in range(2, 5):
        rest = [row for row in range(20) if row not in order[:k]]
        assert values[k] == pytest.approx(max(covered_by(quality, weights, (*order[:k], row)) for row in rest))


def test_frame_numbers_are_read_in_order_and_once() -> None:
    assert frame_numbers(" 40, 3,40 ,", 100) == [40, 3] and frame_numbers("", 100) == []
    for text in ("100", "x", "-1", "1.5"):
        with pytest.raises(AnrError, match="is not a frame of this recording, which has 0 to 99"):
            frame_numbers(text, 100)


def test_frames_that_must_not_teach_cannot_be_added() -> None:
    train, usable = np.array([0, 1, 2, 3]), np.array([0, 1, 2])
    refuse_unusable([0, 2], [1], train, usable)
    for added, dropped, words in (([1], [1], "both added and dropped"), ([9], [], "held out"), ([3], [], "no fit")):
        with pytest.raises(AnrError, match=words):
            refuse_unusable(added, dropped, train, usable)
    with pytest.raises(AnrError, match="3 frames are to be added, but only 2 keyframes"):
        keyframe_count(2, 100, 90, added=3)
    assert keyframe_count(0, 50, 40, added=12) == 12


def test_a_measure_alone_gives_the_other_no_weight() -> None:
    from pipelines.body.model import load_body
    from pipelines.keyframes import Views

    faces = len(load_body().faces)
    views = Views(np.ones((2, 16), np.float32), np.ones((2, faces), np.float32), np.ones(2))
    for measure, silhouette, surface in (("both", True, True), ("silhouette", True, False), ("surface", False, True)):
        _, weights = stacked(views, measure)
        assert (weights[:16].sum() > 0, weights[16:].sum() > 0) == (silhouette, surface)
    with pytest.raises(AnrError, match="--measure area is not known"):
        stacked(views, "area")


def test_five_thousand_frames_are_chosen_from_lazily() -> None:
    """Every look at a row is counted: a plain greedy search would look 5000 times for each of 100 choices."""
    looks = 0

    class Counted(np.ndarray):
        def __getitem__(self, key):  # type: ignore[no-untyped-def]
            nonlocal looks
            looks += isinstance(key, int | np.integer)
            return super().__getitem__(key)

    quality = (np.random.default_rng(0).uniform(size=(5000, 200)) ** 8).astype(np.float32).view(Counted)
    order, _ = greedy_cover(quality, np.ones(200, np.float32), 100)
    assert len(set(order)) == 100 and looks < 0.2 * 5000 * 100


def test_a_matte_that_is_the_body_overlaps_it_wholly() -> None:
    from pipelines.core.records import SurfaceMaps

    inside = np.zeros((10, 8), bool)
    inside[2:6, 3:7] = True
    empty = np.zeros((10, 8, 3), np.float32)
    maps = SurfaceMaps(np.where(inside, 1, -1), empty[..., :2], empty, empty[..., 0], (5, 4, 13, 14))
    alpha = np.zeros((20, 20), np.float32)
    alpha[4:14, 5:13] = inside
    assert overlap(alpha, maps) == pytest.approx(1)
    alpha[15:19, 0:4] = 1                       # a ball as large as the body
    assert overlap(alpha, maps) == pytest.approx(0.5)


def test_a_ball_before_the_body_is_seen_by_its_colour_and_cloth_in_changing_light_is_not() -> None:
    rng = np.random.default_rng(0)
    colours = np.tile(rng.uniform(30, 120, (50, 3)), (20, 1, 1)) + rng.normal(0, 8, (20, 50, 3))
    colours[7, 10:15] = 240
    colours[3, 20:25] = np.nan                  # turned away
    colours[:, 49] = np.nan                     # never seen
    odd = odd_triangles(colours)
    assert odd[7, 10:15].all() and odd.sum() == 5


def test_triangle_colours_are_means_over_their_pixels() -> None:
    from pipelines.core.records import SurfaceMaps

    empty = np.zeros((2, 3, 3), np.float32)
    maps = SurfaceMaps(np.array([[0, 0, -1], [2, 2, 2]]), empty[..., :2], empty, empty[..., 0], (1, 1, 4, 3))
    image = np.arange(5 * 5 * 3, dtype=np.uint8).reshape(5, 5, 3)
    pixels, colours = triangle_colours(image, maps, 4)
    assert pixels.tolist() == [2, 0, 3, 0]
    np.testing.assert_allclose(colours[0], image[1, 1:3].mean(axis=0))
    np.testing.assert_allclose(colours[2], image[2, 1:4].mean(axis=0))
    assert np.isnan(colours[[1, 3]]).all()


def test_coverage_grows_to_the_whole_when_all_rows_are_taken() -> None:
    quality = np.random.default_rng(0).uniform(size=(6, 20))
    shares = reached(quality, np.ones(20), [4, 2, 0, 1, 3, 5])
    assert shares == sorted(shares) and shares[-1] == pytest.approx(1)


@pytest.mark.parametrize("frames", [60, 90, 247, 1500, 5000])
def test_the_automatic_number_stays_under_ten_percent_of_the_training_frames(frames: int) -> None:
    training = len(split_frames(frames).train)
    count = keyframe_count(0, training, training)
    assert count >= 4 and count < LIMIT * training


def test_numbers_that_cannot_be_had_are_refused_with_one_that_can() -> None:
    with pytest.raises(AnrError, match=r"30 keyframes asked for, but 12 of the 40 .*--count 12"):
        keyframe_count(30, 40, 12)
    with pytest.raises(AnrError, match=r"0 of the 40"):
        keyframe_count(0, 40, 0)
    assert keyframe_count(12, 40, 12) == 12
    assert keyframe_count(0, 40, 2) == 2


def test_a_silhouette_moves_and_grows_with_the_person_and_stays_the_same() -> None:
    def disc(centre: tuple[float, float], px_per_m: float) -> np.ndarray:
        ys, xs = np.mgrid[:400, :500] + 0.5
        return (np.hypot(xs - centre[0], ys - centre[1]) < 0.4 * px_per_m).astype(np.float32)

    near = centred_silhouette(disc((200, 180), 250), np.array([200, 180]), 250)
    far = centred_silhouette(disc((371, 90), 100), np.array([371, 90]), 100)
    assert near.shape == (CELLS, CELLS)
    assert np.abs(near - far).max() < 0.35 and np.abs(near - far).mean() < 0.01
    assert near.sum() == pytest.approx(np.pi * (0.4 / 0.04) ** 2, rel=0.03)
    np.testing.assert_allclose(near, near[::-1], atol=0.05)         # centred
    np.testing.assert_allclose(near, near[:, ::-1], atol=0.05)


def test_blurred_frames_are_told_from_sharp_ones() -> None:
    import cv2

    image = np.random.default_rng(0).integers(0, 256, (80, 60, 3), dtype=np.uint8)
    alpha = np.zeros((80, 60), np.float32)
    alpha[10:70, 10:50] = 1
    assert edge_strength(cv2.GaussianBlur(image, (0, 0), 3), alpha) < 0.5 * edge_strength(image, alpha)
    assert edge_strength(image, np.zeros((80, 60), np.float32)) == 0


def test_thinning_keeps_first_and_last() -> None:
    assert thinned(5, 9).tolist() == [0, 1, 2, 3, 4]
    kept = thinned(1000, 37)
    assert len(kept) == 37 and kept[0] == 0 and kept[-1] == 999
