"""Renderers: networks that turn a sampled neural texture and a normal image into colours and a soft mask.

What a renderer's file promises (the conformance test runs over `RENDERERS`; docs/model.md tells it at length):

    configure(size) -> config       its config, plain JSON (`avatar.json`), from a preset's size (`Recipe.network`)
    build(config) -> nn.Module      with `multiple`, which height and width must be divisible by, and
                                    forward(features (B, C, H, W), normal (B, 3, H, W), inside (B, 1, H, W))
                                    -> Prediction
    LEARNS_TEXTURE                  True: `features` are the person's neural texture, sampled; False: the surface's
                                    own coordinates with a code of the person (`texture.surface_code`)
    RECIPE                          numbers of a training that its paper sets otherwise than the preset

A renderer that needs more than the sampled texture says so; its `forward` has one argument more, a `Needed`:

    NEEDS                           which of "texture", "joints", "past" it is given; its nn.Module has them as `needs`

An nn.Module whose Prediction keeps something as `own` has own_losses(own, now, before): its own losses by the name of
their weight in a recipe. `now` and `before` are `Shown`; `before` is None for a renderer that does not look back.
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
    "tna": "pipelines.renderers.tna",
    "v2v": "pipelines.renderers.v2v",
}


class Prediction(NamedTuple):
    """What a renderer answers; colours in [-1, 1], not clamped."""

    rgb: torch.Tensor                   # (B, 3, H, W) I hat
    mask_logit: torch.Tensor            # (B, 1, H, W) sigmoid gives M hat
    coarse: torch.Tensor | None         # (B, 3, H, W) J hat; None for a renderer of one stage
    own: dict[str, torch.Tensor] | None = None      # what the renderer's own losses look at


class Past(NamedTuple):
    """The frame before, seen through the window of the present one; all zero where there is none, or beyond it."""

    rgb: torch.Tensor                   # (B, 3, H, W) what the renderer drew of it, in [-1, 1]
    alpha: torch.Tensor                 # (B, 1, H, W) its mask, 0..1
    features: torch.Tensor              # (B, C, H, W) its surface maps, as `forward` was given them
    normal: torch.Tensor                # (B, 3, H, W)
    inside: torch.Tensor                # (B, 1, H, W)
    known: torch.Tensor                 # (B, 1, 1, 1) 1, or 0: there is none


class Needed(NamedTuple):
    """What `forward` is given beside the sampled texture, normals and coverage: what its `needs` name, else None."""

    texture: torch.Tensor | None        # (C, S, S) the person's
    joints: torch.Tensor | None         # (B, J, 3) x, y in pixels of the window, metres behind the root (`places.py`)
    past: Past | None


class Shown(NamedTuple):
    """What a window of a captured frame shows: what a renderer's own losses compare with."""

    image: torch.Tensor                 # (B, 3, H, W) in [-1, 1]
    alpha: torch.Tensor                 # (B, 1, H, W) the matte
    grid: torch.Tensor                  # (B, H, W, 2) the body's surface, 2 uv - 1
    inside: torch.Tensor                # (B, 1, H, W) 0 or 1


def needs_of(renderer: torch.nn.Module) -> frozenset[str]:
    """Which parts of a `Needed` a network wants; none: its `forward` has three arguments."""
    needs: frozenset[str] = getattr(renderer, "needs", frozenset())
    return needs


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
