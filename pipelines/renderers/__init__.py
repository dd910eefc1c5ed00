"""Renderers: networks that turn a sampled neural texture and a normal image into colours and a soft mask.

What a renderer's file promises (the conformance test runs over `RENDERERS`; docs/model.md tells it at length):

    configure(size) -> config       its config, plain JSON (`avatar.json`), from a preset's size (`Recipe.network`)
    build(config) -> nn.Module      with `multiple`, which height and width must be divisible by, and
                                    forward(features (B, C, H, W), normal (B, 3, H, W), inside (B, 1, H, W))
                                    -> Prediction
    LEARNS_TEXTURE                  True: `features` are the person's neural texture, sampled; False: the surface's
                                    own coordinates with a code of the person (`texture.surface_code`)
    RECIPE                          numbers of a training that its paper sets otherwise than the preset
"""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import TYPE_CHECKING, Any, NamedTuple

from pipelines.core.errors import AnrError

if TYPE_CHECKING:
    import torch

RENDERERS: dict[str, str] = {
    "anr": "pipelines.renderers.anr",
    "dnr": "pipelines.renderers.dnr",
    "pix2pix": "pipelines.renderers.pix2pix",
    "onestage": "pipelines.renderers.onestage",
}


class Prediction(NamedTuple):
    """What a renderer answers; colours in [-1, 1], not clamped."""

    rgb: torch.Tensor                   # (B, 3, H, W) I hat
    mask_logit: torch.Tensor            # (B, 1, H, W) sigmoid gives M hat
    coarse: torch.Tensor | None         # (B, 3, H, W) J hat; None for a renderer of one stage


def build_renderer(name: str, config: dict[str, Any]) -> torch.nn.Module:
    """The renderer `name` with random weights; an unknown name raises AnrError and lists the known ones."""
    module: torch.nn.Module = renderer_file(name).build(config)
    return module


def renderer_config(name: str, size: dict[str, Any]) -> dict[str, Any]:
    """The config that `build_renderer` wants, of a preset's size."""
    config: dict[str, Any] = renderer_file(name).configure(size)
    return config


def renderer_file(name: str) -> ModuleType:
    """The module of a renderer; an unknown name raises AnrError and lists the known ones."""
    if name not in RENDERERS:
        raise AnrError(f"There is no renderer called {name!r}.", hint=f"Known renderers: {', '.join(RENDERERS)}.")
    return importlib.import_module(RENDERERS[name])
