"""The person's own colours at the edge, and mattes that stay still in time."""

from __future__ import annotations

import numpy as np
import pytest

from pipelines.matting.foreground import edge_colours, person_colours
from pipelines.matting.light import to_levels, to_light
from pipelines.matting.sheet import panel, sheet, worst_apart
from pipelines.matting.steady import doubt_of, flow_between, steadied

OLD, NEW, PERSON = (30, 220, 60), (120, 60, 160), (190, 90, 70)


def soft_square(shape: tuple[int, int] = (90, 80), left: float = 25.0, softness: float = 8.0) -> np.ndarray:
    ys, xs = np.mgrid[:shape[0], :shape[1]] + 0.5
    inside = np.minimum.reduce([xs - left, left + 30 - xs, ys - 25, 65 - ys])
    return np.clip(inside / softness + 0.5, 0, 1).astype(np.float32)


def seen(alpha: np.ndarray, person: tuple[int, ...] = PERSON, ground: tuple[int, ...] = OLD) -> np.ndarray:
    """(H, W, 3) uint8: light of two flat colours mixed by alpha."""
    light = [to_light(np.array(colour, np.uint8)) for colour in (person, ground)]
    return to_levels(light[0] * alpha[..., None] + light[1] * (1 - alpha[..., None]))


def test_levels_become_light_and_come_back() -> None:
    levels = np.arange(256, dtype=np.uint8)
    np.testing.assert_allclose(to_levels(to_light(levels)).astype(int), levels, atol=3)
    assert to_light(levels)[[0, 255]].tolist() == [0, 1]
    assert to_light(np.array([188], np.uint8))[0] == pytest.approx(0.5, abs=0.01)
    with pytest.raises(ValueError, match="float"):
        to_light(np.zeros(3))


def test_composited_on_another_background_nothing_of_the_old_one_remains() -> None:
    alpha = soft_square()
    image = seen(alpha)
    own = person_colours(image, alpha, edge_colours(image, alpha))
    edge = (alpha > 0.05) & (alpha < 1)
    assert np.abs(image[edge].astype(int) - PERSON).max() > 60          # the picture itself is green there
    assert np.abs(own[edge].astype(int) - PERSON).max() <= 6
    share = alpha[..., None]
    wanted = np.array(PERSON) * share + np.array(NEW) * (1 - share)
    naive, mended = (np.abs(colours * share + np.array(NEW) * (1 - share) - wanted) for colours in (image, own))
    assert mended.max() < 5 and naive.max() > 30
    np.testing.assert_array_equal(own[alpha == 1], image[alpha == 1])


def test_nobody_and_somebody_everywhere_have_no_edge() -> None:
    image = seen(soft_square())
    for alpha in (np.zeros(image.shape[:2], np.float32), np.ones(image.shape[:2], np.float32)):
        assert not edge_colours(image, alpha).any()
    with pytest.raises(ValueError, match=r"\(90, 80, 3\).*\(80, 90\)"):
        edge_colours(image, np.zeros((80, 90)))


def textured_scene(left: float) -> tuple[np.ndarray, np.ndarray]:
    """Picture and alpha of a textured square that stands `left` pixels from the left before a textured wall."""
    import cv2

    random = np.random.default_rng(0)
    wall = cv2.GaussianBlur(random.normal(100, 80, (90, 80)).astype(np.float32), (0, 0), 2)
    skin = cv2.GaussianBlur(random.normal(180, 80, (90, 200)).astype(np.float32), (0, 0), 2)
    start = round(100 - left)
    alpha = soft_square(left=left, softness=3)
    mixed = skin[:, start:start + 80] * alpha + wall * (1 - alpha)
    return np.repeat(np.clip(mixed, 0, 255).astype(np.uint8)[..., None], 3, axis=2), alpha


def test_errors_that_come_and_go_are_averaged_with_the_neighbours_moved_along() -> None:
    scenes = [textured_scene(left) for left in (23, 25, 27)]
    random = np.random.default_rng(1)
    noisy = [np.clip(alpha + 0.2 * random.normal(size=alpha.shape) * ((alpha > 0) & (alpha < 1)), 0, 1)
             for _, alpha in scenes]
    truth = scenes[1][1]
    before = np.abs(noisy[1] - truth).sum()
    after = np.abs(steadied(scenes[1][0], noisy[1], [(scenes[k][0], noisy[k]) for k in (0, 2)]) - truth).sum()
    assert after < 0.85 * before
    alone = steadied(scenes[1][0], noisy[1], [])
    np.testing.assert_allclose(alone, noisy[1], atol=1e-6)


def test_a_neighbour_that_shows_something_else_counts_nothing() -> None:
    image, alpha = textured_scene(25)
    other = np.random.default_rng(2).integers(0, 255, image.shape).astype(np.uint8)
    np.testing.assert_allclose(steadied(image, alpha, [(other, 1 - alpha)]), alpha, atol=0.08)


def test_flow_points_to_where_a_pixel_lies_in_the_other_picture() -> None:
    (image, alpha), (other, _) = textured_scene(25), textured_scene(28)
    assert np.median(flow_between(image, other)[alpha == 1], axis=0) == pytest.approx([3, 0], abs=0.5)


def test_doubt_is_where_more_than_a_hair_differs() -> None:
    alpha = soft_square(softness=1)
    moved, torn = np.roll(alpha, 1, axis=1), alpha.copy()
    torn[30:50, 30:50] = 0
    assert doubt_of(alpha, moved, 3).max() < 0.2 < 0.9 < doubt_of(alpha, torn, 3).max()


def test_the_sheet_shows_the_most_doubtful_frames_first_and_apart() -> None:
    assert worst_apart([0.0, 0.5, 0.6, 0.1, 0, 0, 0, 0, 0.9, 0], count=2, apart=4) == [8, 2]
    assert worst_apart([1.0], 5) == [0] and worst_apart([], 5) == []
    image, alpha = seen(soft_square()), soft_square()
    one = panel(image, alpha, image, np.zeros(alpha.shape, np.float32))
    assert one.shape[1] / one.shape[0] == pytest.approx(3 * image.shape[1] / image.shape[0], rel=0.01)
    whole = sheet(["frame 3", "frame 9"], [(image, alpha, image, alpha)] * 2)
    assert whole.shape[1] > 2 * one.shape[1]


def test_what_moves_fast_may_be_smeared_and_what_stands_still_is_not() -> None:
    import cv2

    from pipelines.matting.steady import blur_px

    random = np.random.default_rng(3)
    wall, skin = (cv2.GaussianBlur(random.normal(110, 900, shape).astype(np.float32), (0, 0), 8).clip(0, 255)
                  .astype(np.uint8) for shape in ((160, 240), (64, 64)))
    image, other = (np.repeat(wall[..., None], 3, axis=2) for _ in range(2))
    patch = skin[..., None]
    image[48:112, 80:144] = patch
    other[48:112, 96:160] = patch                   # 16 px to the right
    smeared = blur_px(image, other)
    assert smeared.shape == wall.shape and 3 < np.median(smeared[64:96, 96:128]) < 12
    assert np.median(smeared[:, :40]) == 0 and not blur_px(image, image).any()


def test_the_band_may_be_wider_where_the_picture_is_smeared() -> None:
    from pipelines.matting.trimap import UNKNOWN, make_trimap

    mask = np.zeros((60, 60), np.float32)
    mask[:, 30:] = 1
    band_px = np.where(np.arange(60) < 30, 2.0, 8.0)[:, None] * np.ones((1, 60))
    unknown = (make_trimap(mask, band_px) == UNKNOWN).sum(axis=1)
    assert unknown[:30].max() <= 5 and unknown[30:].min() >= 15
