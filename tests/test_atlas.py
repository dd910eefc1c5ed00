"""The UV atlas: its figures, gutters that no bilinear sample crosses, seams, and soft regions."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pipelines.body.model import Body, load_body
from pipelines.body.quality import (
    UV_ERROR_TEXELS,
    WELL_MAPPED,
    atlas_quality,
    chart_gaps,
    face_stretches,
    refuse_poor,
)
from pipelines.body.seams import across_seams, bilinear_texels, cut_edges, tied
from pipelines.body.surface import (
    OUTSIDE,
    chart_map,
    face_charts,
    face_map,
    face_neighbours,
    region_map,
    region_shares,
    region_texels,
    texel_positions,
)
from pipelines.renderers.texture import TEXTURE_SIZE

GARMENTS = {"face": ("face",), "hair": ("scalp",), "skin": ("neck", "hand_l", "hand_r"), "shoes": ("foot_l", "foot_r"),
            "shirt": ("torso", "upper_arm_l", "upper_arm_r", "lower_arm_l", "lower_arm_r"),
            "trousers": ("hips", "upper_leg_l", "upper_leg_r", "lower_leg_l", "lower_leg_r")}
SMALLEST = 194                          # what docs/maps.md says


@pytest.fixture(scope="module")
def body() -> Body:
    return load_body()


def border_points(body: Body, size: int, count: int = 25) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Points on all cut edges: in the chart of one face and in that of the other (N, 2) texels, and the first's chart.

    Worked out face by face, as slowly as it is plain.
    """
    here: list[np.ndarray] = []
    there: list[np.ndarray] = []
    chart: list[int] = []
    neighbours, charts = face_neighbours(body.faces), face_charts(body)
    shares = np.linspace(0, 1, count)[:, None]
    uvs = body.uvs.astype(float) * size
    for face, side in np.argwhere(cut_edges(body)):
        other = neighbours[face, side]
        ends = body.faces[face, [side, (side + 1) % 3]]
        for owner, points in ((face, here), (other, there)):
            a, b = (uvs[body.face_uvs[owner, body.faces[owner].tolist().index(end)]] for end in ends)
            points.append(a + shares * (b - a))
        chart += [charts[face]] * count
    return np.concatenate(here), np.concatenate(there), np.array(chart)


def sampled(texture: np.ndarray, points: np.ndarray) -> np.ndarray:
    """(C, N) of a texture (C, S, S), read bilinearly."""
    texels, shares = bilinear_texels(points, texture.shape[-1])
    return (texture.reshape(len(texture), -1)[:, texels] * shares).sum(axis=2)


def texels_read_by_two(body: Body, size: int) -> int:
    """How many texels a bilinear sample of one chart reads, or holds, that another chart reads or holds as well."""
    texel_face = face_map(body, size, dilated=False).ravel()
    owner = np.where(texel_face >= 0, face_charts(body)[texel_face], -1)
    points, _, chart = border_points(body, size)
    mixed = set()
    for error in ((0, 0), *((x, y) for x in (-UV_ERROR_TEXELS, UV_ERROR_TEXELS) for y in (-UV_ERROR_TEXELS,
                                                                                         UV_ERROR_TEXELS))):
        texels, shares = bilinear_texels(points + np.array(error), size)
        for number in np.unique(chart):
            read = np.unique(texels[chart == number][shares[chart == number] > 0])
            mixed |= set(read[(owner[read] >= 0) & (owner[read] != number)].tolist())
            owner[read] = np.where(owner[read] < 0, number, owner[read])
    return len(mixed)


def test_the_atlas_meets_its_figures(body: Body) -> None:
    quality = atlas_quality(body)
    assert quality.flipped == 0 and quality.charts <= 25 and quality.used > 0.6
    assert quality.well_mapped >= WELL_MAPPED
    dense = quality.texels_per_m
    assert dense["face"] > 2.5 * dense["torso"] and min(dense["hand_l"], dense["hand_r"]) > 1.35 * dense["torso"]
    assert min(dense.values()) > 0.99 * dense["torso"]              # nothing is given less than the trunk
    assert quality.smallest_texture == SMALLEST <= TEXTURE_SIZE     # all presets train textures of TEXTURE_SIZE
    refuse_poor(quality, TEXTURE_SIZE)


def test_stretch_is_what_is_left_when_a_chart_is_its_surface_laid_flat(body: Body) -> None:
    """A body whose vertices lie flat where their uvs are is not stretched anywhere; one drawn out twice as wide is."""
    flat = np.zeros((len(body.uvs), 3))
    flat[:, :2] = body.uvs * [1.7, -1.7]
    laid = replace(body, verts=flat, faces=body.face_uvs)
    stretch, surface, mapped = face_stretches(laid)
    np.testing.assert_allclose(stretch, 1, atol=1e-5)
    np.testing.assert_allclose(surface, 1.7**2 * mapped, rtol=1e-5)
    stretch, _, _ = face_stretches(replace(laid, verts=flat * [2, 1, 1]))
    np.testing.assert_allclose(stretch, np.tile([2**0.5, 0.5**0.5], (len(stretch), 1)), rtol=1e-5)


def test_an_atlas_that_misses_its_figures_is_refused_with_the_reason(body: Body) -> None:
    with pytest.raises(ValueError, match="turns 3658 faces over"):
        refuse_poor(atlas_quality(replace(body, uvs=body.uvs * [-1, 1] + [1, 0])))
    middles = np.array([body.uvs[np.unique(body.face_uvs[face_charts(body) == chart])].mean(0)
                        for chart in range(face_charts(body).max() + 1)])
    chart_of = np.zeros(len(body.uvs), int)
    chart_of[body.face_uvs] = face_charts(body)[:, None]
    pulled = middles[chart_of] + (body.uvs - middles[chart_of]) * [0.3, 3.4]
    with pytest.raises(ValueError, match=r"only \d.* % of the surface is stretched within \(0.5, 2.0\), expected 99 %"):
        refuse_poor(atlas_quality(replace(body, uvs=pulled)))
    grown = middles[chart_of] + (body.uvs - middles[chart_of]) * 1.03
    with pytest.raises(ValueError, match=r"a texture of 256 mixes them, the smallest that does not has \d+"):
        refuse_poor(atlas_quality(replace(body, uvs=grown)))


def test_charts_are_as_far_apart_as_the_closest_points_of_their_outlines(body: Body) -> None:
    from scipy.spatial import cKDTree

    points, _, chart = border_points(body, 256, count=60)
    slow = min(cKDTree(points[chart != k]).query(points[chart == k], p=np.inf)[0].min() for k in np.unique(chart))
    exact = 256 * chart_gaps(body).min()
    assert exact <= slow <= exact + 0.2             # points 0.2 texels apart miss the closest place by less


@pytest.mark.parametrize("size", [SMALLEST, 200, TEXTURE_SIZE, 512, 1024])
def test_no_bilinear_sample_at_any_chart_border_mixes_charts(body: Body, size: int) -> None:
    assert texels_read_by_two(body, size) == 0


def test_a_texture_too_small_for_the_atlas_does_mix_them(body: Body) -> None:
    assert texels_read_by_two(body, 128) > 0


@pytest.mark.parametrize("size", [SMALLEST, TEXTURE_SIZE, 512])
def test_every_texel_that_a_chart_reads_is_of_that_chart_in_the_maps(body: Body, size: int) -> None:
    points, _, chart = border_points(body, size)
    texels, shares = bilinear_texels(points, size)
    charts, regions = chart_map(body, size).ravel(), region_map(body, size).ravel()
    of_chart = np.array([body.face_region[face_charts(body) == number][0] for number in range(chart.max() + 1)])
    read = shares > 0
    np.testing.assert_array_equal(charts[texels][read], np.broadcast_to(chart[:, None], texels.shape)[read])
    np.testing.assert_array_equal(regions[texels][read], np.broadcast_to(of_chart[chart][:, None], texels.shape)[read])


def test_a_chart_is_of_one_region_so_regions_do_not_mix_either(body: Body) -> None:
    charts = face_charts(body)
    assert all(len(np.unique(body.face_region[charts == chart])) == 1 for chart in np.unique(charts))


def test_an_edge_is_cut_for_both_of_its_faces_or_for_neither(body: Body) -> None:
    neighbours, cut = face_neighbours(body.faces), cut_edges(body)
    for face, side in np.ndindex(*cut.shape):
        other = neighbours[face, side]
        back = neighbours[other].tolist().index(face)
        assert cut[face, side] == cut[other, back]
        ends = body.face_uvs[face, [side, (side + 1) % 3]]
        assert cut[face, side] == (set(ends.tolist()) != set(body.face_uvs[other, [back, (back + 1) % 3]].tolist()))


def test_gutters_hold_what_lies_across_the_seam(body: Body) -> None:
    """A texture that is smooth on the surface, its place, reads the same from both sides of every seam once tied."""
    size = 256
    places = np.moveaxis(np.where((face_map(body, size, dilated=False) >= 0)[..., None],
                                  texel_positions(body, size), 0), -1, 0)
    across = across_seams(body, size)
    np.testing.assert_allclose(across.shares.sum(axis=1), 1, atol=1e-5)
    own = face_map(body, size, dilated=False).ravel() >= 0
    assert not own[across.texels].any() and own[across.sources[across.shares > 0]].all()
    here, there, _ = border_points(body, size, count=9)
    together = tied(places, across)
    apart_m = np.linalg.norm(sampled(together, here) - sampled(together, there), axis=0)
    assert np.median(apart_m) < 0.0003 and np.percentile(apart_m, 95) < 0.002      # a texel is 7 mm wide
    np.testing.assert_allclose(tied(together, across), together, atol=1e-9)         # once is enough


def test_tying_changes_gutters_alone_and_nothing_in_a_texture_of_one_colour(body: Body) -> None:
    across = across_seams(body, 256)
    np.testing.assert_allclose(tied(np.full((2, 256, 256), 0.7), across), 0.7, atol=1e-6)
    texture = np.random.default_rng(0).normal(size=(3, 256, 256)).astype(np.float32)
    own = face_map(body, 256, dilated=False) >= 0
    np.testing.assert_array_equal(tied(texture, across)[:, own], texture[:, own])


@pytest.mark.parametrize("size", [SMALLEST, 256])
def test_shared_out_regions_sum_to_one_everywhere(body: Body, size: int) -> None:
    shares = region_shares(body, GARMENTS, size, soft_px=3.0)
    assert set(shares) == {*GARMENTS, ""} and not shares[""].any()          # every region has a group
    np.testing.assert_allclose(np.sum(list(shares.values()), axis=0), region_map(body, size) != OUTSIDE, atol=1e-6)
    assert min(share.min() for share in shares.values()) >= 0
    for name, regions in GARMENTS.items():                                  # deep inside each is the group's alone
        numbers = [body.region_names.index(region) for region in regions]
        drawn = face_map(body, size, dilated=False)
        inside = np.isin(region_map(body, size), numbers) & (drawn >= 0)
        assert shares[name][inside].max() == pytest.approx(1) and shares[name][inside].min() > 0.3
        assert shares[name][~inside & (drawn >= 0)].max() <= 0.5


def test_shares_of_two_groups_are_the_weights_of_their_regions(body: Body) -> None:
    shares = region_shares(body, {"shirt": GARMENTS["shirt"]})
    np.testing.assert_allclose(shares["shirt"], region_texels(body, GARMENTS["shirt"]), atol=1e-6)


@pytest.mark.parametrize("garment", GARMENTS)
def test_soft_borders_go_on_across_seams(body: Body, garment: str) -> None:
    here, there, _ = border_points(body, 256, count=9)
    weight = region_shares(body, GARMENTS)[garment][None]
    step = np.abs(sampled(weight, here) - sampled(weight, there))[0]
    assert np.percentile(step, 99) < 0.05 and step.max() < 0.2      # the worst where three charts meet in one point


def test_a_region_of_two_groups_is_refused(body: Body) -> None:
    with pytest.raises(ValueError, match="more than one group: hips"):
        region_shares(body, {"shirt": ("torso", "hips"), "trousers": ("hips",)})
    with pytest.raises(ValueError, match="no region named belly"):
        region_shares(body, {"shirt": ("belly",)})
    with pytest.raises(ValueError, match="a group has no name"):
        region_shares(body, {"": ("hips",)})
