"""Keyframes: greedy covering against every possible choice, and the person-centred silhouette."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest

from pipelines.core.errors import AnrError
from pipelines.core.records import Camera, SurfaceMaps
from pipelines.core.split import split_frames
from pipelines.keyframes import (
    LIMIT,
    TIE,
    KeyframeOptions,
    check,
    chosen_rows,
    coverage,
    even_coverage,
    frame_numbers,
    keyframe_count,
    refuse_unusable,
    thinned,
)
from pipelines.keyframing.covering import Wishes, evenly, greedy_cover, reached
from pipelines.keyframing.views import (
    CELLS,
    FACE_WEIGHT,
    LEAST_TRUST,
    SURFACE,
    Glance,
    Views,
    centred_silhouette,
    edge_strength,
    odd_cells,
    overlap,
    seen_cells,
    stacked,
    surface_weights,
    together,
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
    order, _ = greedy_cover(quality, np.ones(50), 5, Wishes(times=times, gap=3))
    assert min(abs(a - b) for a, b in combinations(order, 2)) >= 3
    crowded, _ = greedy_cover(quality, np.ones(50), 20, Wishes(times=times, gap=3))
    assert len(set(crowded)) == 20


def test_what_is_named_comes_first_and_the_rest_is_chosen_around_it() -> None:
    rng = np.random.default_rng(4)
    quality, weights = rng.uniform(size=(20, 40)) ** 4, np.ones(40)
    order, values = greedy_cover(quality, weights, 5, Wishes(first=[7, 3]))
    assert order[:2] == [7, 3] and len(set(order)) == 5
    for k in range(2, 5):
        rest = [row for row in range(20) if row not in order[:k]]
        assert values[k] == pytest.approx(max(covered_by(quality, weights, (*order[:k], row)) for row in rest))


def test_frame_numbers_are_read_in_order_and_once() -> None:
    assert frame_numbers(" 40, 3,40 ,") == [40, 3] and frame_numbers("") == []
    for text in ("x", "-1", "1.5", "3 4"):
        with pytest.raises(AnrError, match=f"'{text}' is not the number of a frame"):
            frame_numbers(text)


def test_frames_that_must_not_teach_cannot_be_added() -> None:
    train, usable = np.array([0, 1, 2, 3]), np.array([0, 1, 2])
    refuse_unusable([0, 2], [1, 9], 10, train, usable)
    for added, dropped, words in (([10], [], "10 is not a frame of this recording, which has 0 to 9"),
                                  ([], [11], "11 is not a frame"), ([9], [], "held out"), ([3], [], "no fit")):
        with pytest.raises(AnrError, match=words):
            refuse_unusable(added, dropped, 10, train, usable)
    assert keyframe_count(0, 50, 40, added=12) == 12


def views_of(silhouette: np.ndarray, surface: np.ndarray, trust: np.ndarray | None = None,
             sharpness: np.ndarray | None = None) -> Views:
    ones = np.ones(len(silhouette))
    return Views(silhouette.astype(np.float32), surface.astype(np.float32), ones if trust is None else trust,
                 ones if sharpness is None else sharpness)


def test_a_measure_alone_leaves_the_other_out() -> None:
    views = views_of(np.ones((2, 16)), np.ones((2, SURFACE**2)))
    for measure, elements, worth in (("both", 16 + SURFACE**2, 3), ("silhouette", 16, 1), ("surface", SURFACE**2, 1)):
        quality, weights = stacked(views, measure)
        assert quality.shape == (2, elements) and weights.sum() == pytest.approx(worth, rel=1e-5)
    with pytest.raises(ValueError, match="measure 'area' is none of both, silhouette, surface"):
        stacked(views, "area")
    with pytest.raises(AnrError, match=r"--measure area is not known\. Choose one of both, silhouette, surface"):
        check(KeyframeOptions(measure="area"))


@pytest.mark.parametrize(("options", "words"), [
    ({"count": -3}, r"-3 keyframes asked for\. Use --count with a number above 0"),
    ({"count": 2, "add": "1,2,3"}, r"3 frames are to be added, but only 2 keyframes asked for\. Pass --count 3"),
    ({"add": "4,1", "drop": "1"}, "Frame 1 is both added and dropped.*forget what an earlier command said"),
    ({"add": "first"}, "'first' is not the number of a frame"),
    ({"drop": "1-4"}, "'1-4' is not the number of a frame"),
])
def test_numbers_that_contradict_each_other_are_refused_before_any_work(options: dict[str, object], words: str) -> None:
    with pytest.raises(AnrError, match=words):
        check(KeyframeOptions(**options))       # type: ignore[arg-type]


def test_of_frames_that_add_the_same_the_sharpest_is_taken() -> None:
    """Ten pictures of the same, and one that shows a little less, within a tie."""
    silhouette = np.ones((11, CELLS**2))
    silhouette[10, :CELLS**2 // 200] = 0
    sharpness = np.array([3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 9.5])
    views = views_of(silhouette, np.zeros((11, SURFACE**2)), sharpness=sharpness)
    assert chosen_rows(views, np.arange(11), "silhouette", 3, 0.0) == [10, 5, 7]
    blurred = views_of(silhouette, np.zeros((11, SURFACE**2)), trust=np.where(np.arange(11) == 5, LEAST_TRUST, 1.0),
                       sharpness=sharpness)
    assert chosen_rows(blurred, np.arange(11), "silhouette", 2, 0.0)[1] != 5         # sharp, but not to be trusted


@pytest.mark.parametrize("seed", range(4))
def test_preferring_sharp_frames_costs_no_more_than_a_tie(seed: int) -> None:
    rng = np.random.default_rng(seed)
    quality, weights = rng.uniform(size=(10, 12)), rng.uniform(size=12)
    for count in (2, 3):
        _, values = greedy_cover(quality, weights, count, Wishes(liking=rng.uniform(size=10), tie=TIE))
        best = max(covered_by(quality, weights, rows) for rows in combinations(range(10), count))
        assert values[-1] >= (1 - np.exp(TIE - 1)) * best - 1e-9


def test_a_tie_is_broken_by_liking_then_by_order() -> None:
    quality = np.eye(4)
    assert greedy_cover(quality, np.ones(4), 4)[0] == [0, 1, 2, 3]
    assert greedy_cover(quality, np.ones(4), 4, Wishes(liking=np.array([1.0, 3, 2, 3])))[0] == [1, 3, 2, 0]


def test_even_spacing_takes_the_middle_of_equal_shares() -> None:
    assert evenly(10, 2) == [2, 7] and evenly(9, 3) == [1, 4, 7] and evenly(4, 4) == [0, 1, 2, 3]
    with pytest.raises(ValueError, match="cannot choose 5 of 4"):
        evenly(4, 5)


def test_what_even_spacing_covers_is_told_for_every_number() -> None:
    rng = np.random.default_rng(1)
    views = views_of(rng.uniform(size=(12, 30)), rng.uniform(size=(12, SURFACE**2)))
    even = even_coverage(views, 4)
    assert len(even["coverage"]) == len(even["surface"]) == 4
    assert even["surface"][2] == pytest.approx(coverage(views, evenly(12, 3))["surface"][-1])


@pytest.mark.parametrize(("tie", "share"), [(1e-6, 0.06), (TIE, 0.08)])
def test_five_thousand_frames_are_chosen_from_lazily(tie: float, share: float) -> None:
    """Every look at a row is counted: a plain greedy search would look 5000 times for each of 100 choices."""
    looks = 0

    class Counted(np.ndarray):
        def __getitem__(self, key):  # type: ignore[no-untyped-def]
            nonlocal looks
            looks += isinstance(key, int | np.integer)
            return super().__getitem__(key)

    quality = (np.random.default_rng(0).uniform(size=(5000, 200)) ** 8).astype(np.float32).view(Counted)
    order, _ = greedy_cover(quality, np.ones(200, np.float32), 100,
                            Wishes((), np.arange(5000), 3.0, np.arange(5000.0), tie))
    assert len(set(order)) == 100 and looks < share * 5000 * 100


def test_a_matte_that_is_the_body_overlaps_it_wholly() -> None:
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
    odd = odd_cells(colours)
    assert odd[7, 10:15].all() and odd.sum() == 5


def plane_maps(tilt_rad: float, box: tuple[int, int, int, int] = (8, 9, 12, 12)) -> SurfaceMaps:
    """A surface in the middle of a picture of 20 x 21, tilted about the vertical; its right column is not covered."""
    shape = (box[3] - box[1], box[2] - box[0])
    inside = np.ones(shape, bool)
    inside[:, -1] = False
    uv = np.zeros((*shape, 2), np.float32)
    uv[..., 0] = (5 + 0.1) / SURFACE
    uv[1:, :, 1] = (7 + 0.5) / SURFACE
    normal = np.tile(np.float32([np.sin(tilt_rad), 0, -np.cos(tilt_rad)]), (*shape, 1))
    return SurfaceMaps(np.where(inside, 1, -1), uv, normal, np.ones(shape, np.float32), box)


def test_a_cell_is_seen_by_the_cosine_of_its_angle_and_in_its_mean_colour() -> None:
    far = Camera(np.array([[1e6, 0, 10], [0, 1e6, 10.5], [0, 0, 1]]), 20, 21)       # all lines of sight are parallel
    image = np.arange(21 * 20 * 3).reshape(21, 20, 3).astype(np.uint8)
    for tilt_rad, expected in ((0.0, 1.0), (np.pi / 3, 0.5), (2.0, 0.0)):
        seen, colours = seen_cells(image, plane_maps(tilt_rad), far)
        first, second = 5, 7 * SURFACE + 5
        assert seen[[first, second]] == pytest.approx(expected, abs=1e-4) and np.count_nonzero(seen) <= 2
        np.testing.assert_allclose(colours[first], image[9, 8:11].mean(axis=0))
        np.testing.assert_allclose(colours[second], image[10:12, 8:11].reshape(-1, 3).mean(axis=0))
        assert np.isnan(np.delete(colours, [first, second], axis=0)).all()


def test_the_line_of_sight_counts_not_the_camera_axis() -> None:
    """A surface seen 45 degrees off the axis and turned towards the camera is seen squarely."""
    wide = Camera(np.array([[10.0, 0, 0], [0, 10.0, 10.5], [0, 0, 1]]), 20, 21)
    seen, _ = seen_cells(np.zeros((21, 20, 3), np.uint8), plane_maps(-np.pi / 4), wide)
    assert seen.max() > 0.99


def test_the_surface_is_worth_its_area_and_the_face_more() -> None:
    from pipelines.body.model import load_body
    from pipelines.body.surface import face_map, region_map

    body, worth = load_body(), surface_weights()
    assert worth.shape == (SURFACE**2,) and worth.sum() == pytest.approx(1) and (worth >= 0).all()
    drawn = (face_map(body, 4 * SURFACE, dilated=False) >= 0).reshape(SURFACE, 4, SURFACE, 4).any(axis=(1, 3)).ravel()
    assert (worth[~drawn] == 0).all() and (worth[drawn] > 0).all()
    corners = body.verts[body.faces]
    area = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1)
    face = body.face_region == body.region_names.index("face")
    share = FACE_WEIGHT * area[face].sum() / (area.sum() + (FACE_WEIGHT - 1) * area[face].sum())
    on_face = (region_map(body, SURFACE) == body.region_names.index("face")).ravel()
    assert worth[on_face].sum() == pytest.approx(share, rel=0.05)


def test_blurred_fast_hidden_and_misfitted_frames_are_trusted_less() -> None:
    surface = np.zeros(SURFACE**2, np.float32)
    surface[:50] = 0.8
    colours = np.full((SURFACE**2, 3), np.nan, np.float16)
    colours[:50] = 100
    hidden = colours.copy()
    hidden[:20] = 250
    good = Glance(np.ones(CELLS**2, np.float32), surface, colours, 10.0, 0.9)
    views = together([*[good] * 9, replace(good, sharpness=4.0), replace(good, agreement=0.5),
                      replace(good, colours=hidden), good], np.array([*[0.01] * 12, 0.05]))
    assert (views.trust[:9] == 1).all() and (views.trust[9:] < 0.6).all() and views.trust.min() >= LEAST_TRUST
    assert not views.surface[11, :20].any() and views.surface[11, 20:50].all()


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
