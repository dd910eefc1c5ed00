"""Renderers: networks that turn a sampled neural texture and a normal image into colours and a soft mask.

What a renderer promises (the conformance test runs over `RENDERERS`): its file has `build(config) -> torch.nn.Module`
whose `forward(features, normal, inside)` takes (B, C, H, W) sampled texture, (B, 3, H, W) normals and (B, 1, H, W)
coverage, H and W multiples of `module.multiple`, and returns a `Prediction`. `config` is plain JSON (`avatar.json`).
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from pipelines.core.errors import AnrError

if TYPE_CHECKING:
    import torch

RENDERERS: dict[str, str] = {
    "anr": "pipelines.renderers.anr",
}


def build_renderer(name: str, config: dict[str, Any]) -> torch.nn.Module:
    """The renderer `name` with random weights; an unknown name raises AnrError and lists the known ones."""
    if name not in RENDERERS:
        raise AnrError(f"There is no renderer called {name!r}.", hint=f"Known renderers: {', '.join(RENDERERS)}.")
    module: torch.nn.Module = importlib.import_module(RENDERERS[name]).build(config)
    return module
