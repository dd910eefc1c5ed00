"""Engines: all that run here give the pictures that torch gives in float32, within the stated tolerance."""

from __future__ import annotations

import importlib.util

import pytest
import torch

from pipelines.core.errors import AnrError
from pipelines.playback.request import ENGINES as OFFERED
from pipelines.renderers import build_renderer
from pipelines.renderers.engines import ENGINES, TOLERANCE, engine_for

CPU = torch.device("cpu")
CHANNELS = 8
DRAFT = {"texture_channels": CHANNELS, "latent_channels": 12, "unshuffle": 4, "widths": [48, 96, 144], "blocks": 1}


@pytest.fixture(scope="module")
def network() -> torch.nn.Module:
    """The draft network with weights that make pictures of full contrast."""
    torch.manual_seed(3)
    renderer = build_renderer("anr", DRAFT).eval().requires_grad_(False)
    for name, parameter in renderer.named_parameters():
        if name.endswith("head.weight"):
            parameter.mul_(2.0)
    return renderer


def inputs(height: int, width: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(height)
    inside = torch.zeros(1, 1, height, width)
    inside[..., height // 4:-height // 4, width // 4:-width // 4] = 1
    features = (torch.rand(1, CHANNELS, height, width, generator=generator) * 2 - 1) * inside
    normal = torch.nn.functional.normalize(torch.randn(1, 3, height, width, generator=generator), dim=1) * inside
    return features, normal, inside


@pytest.mark.parametrize("name", sorted(ENGINES))
def test_engines_agree_with_torch_in_full_precision(network: torch.nn.Module, name: str) -> None:
    if name == "openvino" and importlib.util.find_spec("openvino") is None:
        pytest.skip("openvino is not installed here (pip install \"anr[openvino]\")")
    engine = engine_for(name, network, CPU, CHANNELS)
    multiple = int(network.multiple)
    for height, width in ((96, 64), (131, 75), (64, 160)):
        features, normal, inside = inputs(height, width)
        rgb, alpha = engine(features, normal, inside)
        padding = (0, -width % multiple, 0, -height % multiple)
        with torch.no_grad():
            truth = network(*(torch.nn.functional.pad(x, padding) for x in (features, normal, inside)))
        wanted = ((truth.rgb[0, :, :height, :width] + 1) / 2).clamp(0, 1).permute(1, 2, 0).numpy()
        covered = truth.mask_logit[0, 0, :height, :width].sigmoid().numpy()
        assert rgb.shape == (height, width, 3) and alpha.shape == (height, width)
        assert abs(rgb - wanted).max() < TOLERANCE and abs(alpha - covered).max() < TOLERANCE
        assert wanted.std() > 0.05                       # the pictures are not empty


def test_the_engines_offered_are_those_there_are() -> None:
    assert sorted(OFFERED) == sorted(ENGINES)


def test_an_unknown_engine_is_refused_with_the_known_ones(network: torch.nn.Module) -> None:
    with pytest.raises(AnrError) as caught:
        engine_for("abacus", network, CPU, CHANNELS)
    assert "torch, openvino" in caught.value.hint


def test_an_engine_that_is_not_installed_says_how_to_get_it(network: torch.nn.Module,
                                                            monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(AnrError, match="not installed") as caught:
        engine_for("openvino", network, CPU, CHANNELS)
    assert 'pip install "anr[openvino]"' in caught.value.hint
