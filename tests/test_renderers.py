"""Renderers: what the table promises, and the neural texture's laws."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from pipelines.body.model import load_body
from pipelines.body.surface import chart_map
from pipelines.core.errors import AnrError
from pipelines.renderers import RENDERERS, Needed, Past, build_renderer, needs_of, renderer_config, renderer_file
from pipelines.renderers.avatar import draw
from pipelines.renderers.dnr import spherical_harmonics
from pipelines.renderers.engines import ENGINES, engine_for
from pipelines.renderers.openvino import Answer
from pipelines.renderers.past import example_of_needed, needed_by
from pipelines.renderers.places import place_names
from pipelines.renderers.texture import (
    CODE_CHANNELS,
    TEXTURE_SIZE,
    chart_of,
    flat_texture,
    perturb_grid,
    pyramid,
    sample_texture,
    start_texture,
    surface_code,
)
from pipelines.renderers.unet import parameters_of
from pipelines.training.recipe import PRESETS, recipe_for

SMALL = {"texture_channels": 4, "latent_channels": 5, "unshuffle": 2, "widths": [8, 12], "blocks": 1,
         "view_term": False}
JOINTS = len(place_names(load_body()))


@pytest.fixture(params=sorted(RENDERERS))
def renderer(request: pytest.FixtureRequest) -> torch.nn.Module:
    torch.manual_seed(0)
    return build_renderer(request.param, renderer_config(request.param, SMALL))


def inputs(height: int, width: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    return (torch.randn(1, 4, height, width, generator=generator),
            torch.randn(1, 3, height, width, generator=generator),
            (torch.rand(1, 1, height, width, generator=generator) > 0.5).float())


def needed(renderer: torch.nn.Module, height: int, width: int) -> tuple[Needed, ...]:
    """The last argument of a renderer that has one: something of everything it needs."""
    generator = torch.Generator().manual_seed(2)
    rgb, alpha = (torch.rand(1, channels, height, width, generator=generator) for channels in (3, 1))
    past = Past(rgb, alpha, *inputs(height, width), known=torch.ones(1, 1, 1, 1))
    joints = torch.rand(1, JOINTS, 3, generator=generator) * torch.tensor([width, height, 0.5])
    texture = torch.rand(4, TEXTURE_SIZE, TEXTURE_SIZE, generator=generator)
    found = needed_by(renderer, inputs(height, width), texture, joints, past)
    return (found,) if found else ()


def test_a_renderer_answers_with_colours_mask_and_coarse_colours_of_the_input_size(renderer: torch.nn.Module) -> None:
    size = 6 * int(renderer.multiple), 4 * int(renderer.multiple)
    rgb, mask_logit, coarse, _ = renderer(*inputs(*size), *needed(renderer, *size))
    assert rgb.shape == (1, 3, *size) and mask_logit.shape == (1, 1, *size)
    assert coarse is None or coarse.shape == rgb.shape


def test_every_weight_of_a_renderer_gets_a_gradient(renderer: torch.nn.Module) -> None:
    for parameter in renderer.parameters():          # away from the zeros that residual blocks start with
        parameter.data.add_(0.01 * torch.randn_like(parameter))
    size = 4 * int(renderer.multiple)
    predicted = renderer(*inputs(size, size), *needed(renderer, size, size))
    sum((x * torch.randn_like(x)).sum() for x in predicted[:3] if x is not None).backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in renderer.parameters())


def test_a_crop_gives_the_same_picture_as_the_whole_far_from_its_border(renderer: torch.nn.Module) -> None:
    multiple = int(renderer.multiple)
    size = 24 * multiple
    whole = [x.double() for x in inputs(size, size)]
    more = [doubled(x) for x in needed(renderer, size, size)]
    renderer = renderer.double()
    start, stop = 2 * multiple, 22 * multiple
    crop = [x[..., start:stop, start:stop] for x in whole]
    cropped = [cut(x, start, stop) for x in more]
    middle = slice(9 * multiple, 11 * multiple)
    inner = slice(9 * multiple + start, 11 * multiple + start)
    torch.testing.assert_close(renderer(*crop, *cropped).rgb[..., middle, middle],
                               renderer(*whole, *more).rgb[..., inner, inner], atol=1e-4, rtol=0)


def doubled(one: Needed) -> Needed:
    past = one.past and Past(*(x.double() for x in one.past))
    return Needed(*(x if x is None else x.double() for x in one[:2]), past)


def cut(one: Needed, start: int, stop: int) -> Needed:
    """Seen through a window from `start` to `stop`, each way."""
    joints = one.joints if one.joints is None else one.joints - torch.tensor([start, start, 0.0])
    past = one.past and Past(*(x[..., start:stop, start:stop] for x in one.past[:-1]), known=one.past.known)
    return Needed(one.texture, joints, past)


def test_drawing_pads_and_cuts_back_to_the_input_size(renderer: torch.nn.Module) -> None:
    rgb, alpha = draw(renderer.eval(), *inputs(37, 22), *needed(renderer, 37, 22))
    assert rgb.shape == (37, 22, 3) and alpha.shape == (37, 22)
    assert all(float(x.min()) >= 0 and float(x.max()) <= 1 for x in (rgb, alpha))


def test_an_unknown_renderer_is_refused_with_the_known_ones() -> None:
    with pytest.raises(AnrError) as caught:
        build_renderer("raytracer", SMALL)
    assert "anr" in caught.value.hint


@pytest.mark.parametrize(("preset", "millions"), [("draft", 2.7), ("standard", 17.2)])
def test_presets_have_the_parameters_they_state(preset: str, millions: float) -> None:
    network = build_renderer("anr", renderer_config("anr", PRESETS[preset].network(8)))
    assert sum(p.numel() for p in network.parameters()) / 1e6 == pytest.approx(millions, rel=0.05)


def test_the_paper_preset_has_the_papers_parameters() -> None:
    with torch.device("meta"):
        network = build_renderer("anr", renderer_config("anr", PRESETS["paper"].network(8)))
    assert sum(p.numel() for p in network.parameters()) / 1e6 == pytest.approx(161, rel=0.05)


@pytest.mark.parametrize("preset", sorted(PRESETS))
@pytest.mark.parametrize("name", sorted(RENDERERS))
def test_rivals_have_as_many_parameters_as_anr(name: str, preset: str) -> None:
    size = PRESETS[preset].network(8)
    counted = [parameters_of(lambda: build_renderer(each, renderer_config(each, size)))    # noqa: B023
               for each in ("anr", name)]
    assert counted[1] == pytest.approx(counted[0], rel=0.1)


@pytest.mark.parametrize("name", sorted(RENDERERS))
def test_what_a_renderer_sets_otherwise_are_numbers_of_a_recipe(name: str) -> None:
    recipe_for("draft", **renderer_file(name).RECIPE)
    assert isinstance(renderer_file(name).LEARNS_TEXTURE, bool)


def test_a_network_is_given_what_its_file_says_and_no_more(renderer: torch.nn.Module) -> None:
    declared = getattr(sys.modules[type(renderer).__module__], "NEEDS", frozenset())
    assert needs_of(renderer) == declared <= {"texture", "joints", "past"}
    given = example_of_needed(renderer, inputs(32, 32))
    assert {name for name in Needed._fields if given and getattr(given, name) is not None} == declared
    if "joints" in declared:
        with pytest.raises(ValueError, match="were not given"):
            needed_by(renderer, inputs(32, 32), torch.zeros(3, 8, 8), None)


@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_engines_other_than_torch_refuse_a_renderer_with_needs(renderer: torch.nn.Module) -> None:
    if not needs_of(renderer):
        traced = torch.jit.trace(Answer(renderer), inputs(64, 64), check_trace=False)
        torch.testing.assert_close(traced(*inputs(64, 64)), tuple(renderer(*inputs(64, 64))[:2]))
        return
    for name in set(ENGINES) - {"torch"}:
        with pytest.raises(AnrError, match=f"--engine {name} does not run the renderer") as caught:
            engine_for(name, renderer, torch.device("cpu"), 4)
        assert "Leave --engine away" in caught.value.hint
    answer = engine_for("torch", renderer.eval(), torch.device("cpu"), 4)
    rgb, alpha = answer(*inputs(30, 20), *needed(renderer, 30, 20))
    assert rgb.shape == (30, 20, 3) and alpha.shape == (30, 20)


def test_spherical_harmonics_are_orthonormal_over_the_sphere() -> None:
    heights = torch.linspace(-1, 1, 401).double()
    turns = torch.arange(0, 64).double() / 64 * 2 * torch.pi
    z, phi = torch.meshgrid((heights[1:] + heights[:-1]) / 2, turns, indexing="ij")
    ring = (1 - z**2).sqrt()
    basis = spherical_harmonics(torch.stack([ring * phi.cos(), ring * phi.sin(), z])[None])[0].double()
    products = torch.einsum("ahw,bhw->ab", basis, basis) * 4 * torch.pi / z.numel()
    torch.testing.assert_close(products, torch.eye(9).double(), atol=1e-3, rtol=0)


def test_the_view_term_needs_its_channels() -> None:
    with pytest.raises(ValueError, match="channels 3 to 11, there are 8"):
        renderer_config("dnr", {**PRESETS["draft"].network(8), "view_term": True})
    network = build_renderer("dnr", renderer_config("dnr", {**SMALL, "texture_channels": 16, "view_term": True}))
    features, (_, normal, inside) = torch.randn(1, 16, 32, 32), inputs(32, 32)
    one = network(features, F.normalize(normal, dim=1), inside).rgb
    assert not torch.equal(one, network(features, F.normalize(-normal.flip(1), dim=1), inside).rgb)


def test_everybody_starts_from_the_same_uniform_texture() -> None:
    first, second = start_texture(3), start_texture(3)
    assert torch.equal(first, second) and first.shape == (8, 256, 256)
    assert not torch.equal(first, start_texture(4))
    assert -1 <= float(first.min()) < -0.999 and 0.999 < float(first.max()) <= 1
    assert float(first.mean()) == pytest.approx(0.0, abs=0.01) and float(first.var()) == pytest.approx(1 / 3, abs=0.01)


def test_gradients_reach_exactly_the_sampled_texels() -> None:
    size = 8
    texture = torch.zeros(2, size, size, requires_grad=True)
    # between texels (row 2 and 3, column 5 and 6), at the very centre of texel (6, 1), and one pixel outside the body
    centre = [((5 + 0.75 + 0.5) / size, (2 + 0.25 + 0.5) / size), ((1 + 0.5) / size, (6 + 0.5) / size), (0.9, 0.9)]
    grid = torch.tensor(centre).view(1, 1, 3, 2) * 2 - 1
    inside = torch.tensor([1.0, 1.0, 0.0]).view(1, 1, 1, 3)
    sample_texture(texture, grid, inside).sum().backward()
    expected = torch.zeros(size, size)
    expected[2, 5], expected[2, 6], expected[3, 5], expected[3, 6] = 0.75 * 0.25, 0.75 * 0.75, 0.25 * 0.25, 0.25 * 0.75
    expected[6, 1] = 1.0
    torch.testing.assert_close(texture.grad, expected.expand(2, -1, -1), atol=1e-5, rtol=0)


def test_the_top_left_corner_of_uv_is_the_first_texel() -> None:
    texture = torch.arange(16.0).view(1, 4, 4)
    corners = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]).view(1, 2, 2, 2) * 2 - 1
    sampled = sample_texture(texture, corners, torch.ones(1, 1, 2, 2))
    np.testing.assert_allclose(sampled.flatten().numpy(), [0, 3, 12, 15])


def test_grid_noise_stays_within_its_bound_and_within_the_texture() -> None:
    grid = torch.rand(2, 30, 30, 2) * 2 - 1
    moved = perturb_grid(grid, 0.02, torch.Generator().manual_seed(0))
    assert float((moved - grid).abs().max()) <= 0.02 and float(moved.abs().max()) <= 1.0
    assert float((moved - grid).abs().max()) > 0.019
    assert perturb_grid(grid, 0.0, torch.Generator()) is grid


def on_the_surface(count: int) -> torch.Tensor:
    """A sampling grid (1, 1, count, 2) of points within faces, most of them near a chart's border."""
    body, rng = load_body(), np.random.default_rng(0)
    bary = rng.dirichlet([0.3, 0.3, 0.3], count)
    corners = body.uvs[body.face_uvs[rng.integers(len(body.faces), size=count)]]
    return torch.from_numpy(np.einsum("nk,nkc->nc", bary, corners)).float().view(1, 1, count, 2) * 2 - 1


def test_noise_that_stays_in_its_chart_never_leaves_it_and_is_otherwise_the_same() -> None:
    grid, charts = on_the_surface(20_000), torch.from_numpy(chart_map(load_body()))
    free = perturb_grid(grid, 0.02, torch.Generator().manual_seed(0))
    kept = perturb_grid(grid, 0.02, torch.Generator().manual_seed(0), charts)
    strayed = chart_of(free, charts) != chart_of(grid, charts)
    assert 20 < int(strayed.sum()) < 200          # the law is not empty; the gutter of 3 texels holds nearly all noise
    assert torch.equal(chart_of(kept, charts), chart_of(grid, charts))
    assert torch.equal(kept[~strayed], free[~strayed])
    assert float((kept - grid).abs().max()) <= 0.02
    assert float((kept != grid).any(-1).float().mean()) > 0.9          # few samples stay where they were


def test_a_pyramid_of_zeros_changes_nothing_and_one_coarse_texel_reaches_its_neighbourhood() -> None:
    texture = torch.rand(2, 16, 16)
    stored = pyramid(texture, 3)
    assert stored.shape == (2, 16, 24) and torch.equal(flat_texture(stored, 3), texture)
    assert pyramid(texture, 1) is texture and flat_texture(texture, 1) is texture
    stored[0, 8 + 1, 16 + 2] += 1.0                                    # level 2 (4 x 4 texels): row 1, column 2
    added = flat_texture(stored, 3) - texture
    assert float(added[1].abs().max()) == 0.0 and float(added[0, 4:8, 8:12].min()) > 0.3
    assert float(added.sum()) == pytest.approx(16.0, rel=1e-4)
    assert float(added[0, 12:].abs().max()) == 0.0
    with pytest.raises(ValueError, match="no 4 levels"):
        pyramid(torch.zeros(1, 12, 12), 4)


def test_a_surface_code_says_where_and_who() -> None:
    codes = [surface_code(person, 8, 32) for person in range(5)]
    assert all(float(code.abs().max()) <= 1 and code.shape == (8, 32, 32) for code in codes)
    assert torch.equal(codes[0][:2], codes[3][:2])                     # where
    assert len({tuple(code[2:, 0, 0].tolist()) for code in codes}) == 5
    assert len(torch.unique(codes[0][:2].flatten(1), dim=1).T) == 32 * 32
    with pytest.raises(ValueError, match="no room for person 64"):
        surface_code(64, 8)


def test_a_surface_code_with_room_has_waves_of_the_coordinates() -> None:
    code = surface_code(5, CODE_CHANNELS, 256)
    assert torch.equal(code[:8], surface_code(5, 8, 256)) and code.shape == (28, 256, 256)
    for octave in range(5):
        length = 256 // 2 ** (octave + 1)                               # texels of a wave
        for channel in range(4):
            wave = code[8 + 4 * octave + channel]
            along = wave if channel % 2 == 0 else wave.T                # u, v, u, v
            torch.testing.assert_close(along[:, length:], along[:, :-length], atol=1e-4, rtol=0)
            assert float((along - along[:1]).abs().max()) == 0.0 and float(along.max()) > 0.9
    assert float(surface_code(0, 11, 16)[8:].abs().max()) == 0.0        # no room for a whole octave


def test_a_texture_of_the_wrong_shape_is_refused() -> None:
    with pytest.raises(ValueError, match=r"\(1, 8, 4, 4\)"):
        sample_texture(torch.zeros(1, 8, 4, 4), torch.zeros(1, 2, 2, 2), torch.ones(1, 1, 2, 2))
