"""Objects before the body are told from what somebody wears."""

from __future__ import annotations

import numpy as np

from pipelines.core.records import SurfaceMaps
from pipelines.matting.body import NO_REGION, region_names
from pipelines.matting.evidence import View
from pipelines.matting.objects import Looks, bins, in_palette, looks_of, objects_in, palette, taken_out

SIZE, PX_PER_M = (160, 100), 100.0
NAVY, SKIN, WHITE, RED = (25, 30, 60), (180, 130, 100), (240, 240, 240), (200, 30, 30)
WHOLE = (slice(0, SIZE[0]), slice(0, SIZE[1]))


def body_maps() -> SurfaceMaps:
    """A board 60 px wide that shows the whole texture; its upper face is an arm, the lower one a leg."""
    rows, columns = np.mgrid[:160, :60]
    uv = np.stack([(columns + 0.5) / 60, (rows + 0.5) / 160], axis=-1).astype(np.float32)
    face = np.where(rows < 40, 0, 1).astype(np.int32)
    ones = np.ones((160, 60), np.float32)
    return SurfaceMaps(face, uv, np.zeros((160, 60, 3), np.float32), ones, (20, 0, 80, 160))


def face_region() -> np.ndarray:
    names = region_names()
    return np.array([names.index("lower_arm_l"), names.index("upper_leg_l")], np.uint8)


def picture(*patches: tuple[slice, slice, tuple[int, ...]]) -> np.ndarray:
    image = np.zeros((*SIZE, 3), np.uint8)
    image[:, 20:80] = NAVY
    image[:40, 20:80] = SKIN
    for rows, columns, colour in patches:
        image[rows, columns] = colour
    return image


BALL = (slice(90, 115), slice(40, 65), WHITE)
BELT = (slice(60, 66), slice(20, 80), RED)


def clip_of(*often: tuple[slice, slice, tuple[int, ...]]) -> Looks:
    mask = np.zeros(SIZE, np.float32)
    mask[:, 20:80] = 1
    frames = [(picture(*often), body_maps(), mask)] * 7 + [(picture(*often, BALL), body_maps(), mask)] * 3
    return looks_of(frames, face_region())


def found(image: np.ndarray, looks: Looks) -> np.ndarray:
    regions = np.full(SIZE, NO_REGION, np.uint8)
    regions[:, 20:80] = face_region()[1]
    opinion = (regions != NO_REGION).astype(np.float32)
    view = View(image, opinion, regions, np.zeros(SIZE, bool), PX_PER_M)
    return objects_in(view, opinion, body_maps(), WHOLE, looks)


def test_a_ball_before_the_legs_is_an_object_and_nothing_else_is() -> None:
    ball = np.zeros(SIZE, bool)
    ball[BALL[:2]] = True
    looks = clip_of(BELT)
    objects = found(picture(BELT, BALL), looks)
    assert (objects & ball).sum() > 0.95 * ball.sum()
    ball[88:117, 38:67] = True                      # two pixels more
    assert not (objects & ~ball).any()
    assert not found(picture(BELT), looks).any()


def test_what_is_always_there_is_worn() -> None:
    assert not found(picture(BALL), clip_of(BALL)).any()


def test_an_arm_before_the_legs_and_something_small_are_no_objects() -> None:
    arm = (slice(80, 92), slice(20, 80), SKIN)
    button = (slice(100, 104), slice(45, 49), WHITE)
    assert not found(picture(arm, button), clip_of()).any()


def test_a_body_whose_colours_nobody_knows_has_no_objects() -> None:
    unknown = looks_of([], face_region())
    assert not unknown.known.any() and not found(picture(BALL), unknown).any()


def test_a_palette_holds_its_colours_and_their_neighbours_only() -> None:
    colours = palette(np.array([SKIN] * 99 + [WHITE] * 400, np.uint8))
    near = np.array([[SKIN, (190, 120, 110), WHITE, NAVY, (0, 255, 0)]], np.int16)
    assert in_palette(near, colours).tolist() == [[True, True, True, False, False]]
    rare = palette(np.array([SKIN] * 999 + [RED], np.uint8))
    assert not in_palette(np.array([[RED]], np.int16), rare).any()
    assert bins(np.array([255, 255, 255], np.int16)) == 12 ** 3 - 1


def test_a_view_that_is_a_part_of_the_picture_finds_the_same() -> None:
    looks, image = clip_of(), picture(BALL)
    whole = found(image, looks)
    part = (slice(50, 140), slice(10, 90))
    regions = np.full(SIZE, NO_REGION, np.uint8)
    regions[:, 20:80] = face_region()[1]
    opinion = (regions != NO_REGION).astype(np.float32)
    view = View(image[part], opinion[part], regions[part], np.zeros(opinion[part].shape, bool), PX_PER_M)
    np.testing.assert_array_equal(objects_in(view, opinion[part], body_maps(), part, looks), whole[part])


def test_an_object_found_too_small_leaves_no_rim_of_it_on_the_body() -> None:
    """A white ball before navy cloth, of which a ring 2 px wide was missed; the body's core reaches up to it."""
    from pipelines.matting.closed_form import person_alpha

    rows, columns = np.mgrid[:160, :160] + 0.5
    away = np.hypot(rows - 80, columns - 80)
    image = np.where((away < 30)[..., None], WHITE, NAVY).astype(np.uint8)
    image = np.clip(image + np.random.default_rng(0).normal(0, 3, image.shape), 0, 255).astype(np.uint8)
    somebody = np.ones((160, 160), np.float32)
    view = View(image, somebody, np.zeros((160, 160), np.uint8), np.ones((160, 160), bool), 200.0)
    without, opinion = taken_out(view, somebody, away < 28)
    assert not opinion[away < 28].any() and opinion[away >= 28].all() and without.core[away > 28 + 11].all()
    alpha = person_alpha(image, opinion, 4.0, without.core)
    assert alpha[away < 29.5].mean() < 0.02 and alpha[away > 31].min() > 0.9
    kept = person_alpha(image, opinion, 4.0, view.core & (away >= 28))
    assert kept[(away > 28.5) & (away < 29.5)].mean() > 0.9         # what the core would keep
