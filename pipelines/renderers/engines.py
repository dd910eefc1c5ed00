"""Engines: what runs a renderer's network. torch is the reference; others are optional and agree within a tolerance.

An engine takes the sampled texture (1, C, h, w), normals (1, 3, h, w) and coverage (1, 1, h, w) of one frame and
answers rgb (h, w, 3) and alpha (h, w), float32 in 0..1. It is a file with `open_engine(renderer, device,
texture_channels)`, and a line here. A renderer that needs more (`renderers.NEEDS`) is run by torch alone, whose engine
takes a `Needed` as its fourth argument.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable

import numpy as np
import torch

from pipelines.core.errors import AnrError
from pipelines.renderers import Needed, needs_of
from pipelines.renderers.avatar import draw, has_bfloat16

Engine = Callable[..., tuple[np.ndarray, np.ndarray]]
ENGINES: dict[str, str] = {
    "torch": "pipelines.renderers.engines",
    "openvino": "pipelines.renderers.openvino",
}
# How far colours and alpha (0..1) of an engine may be from torch's in float32: both compute in bfloat16 where they can.
TOLERANCE = 0.03


def engine_for(name: str, renderer: torch.nn.Module, device: torch.device, texture_channels: int) -> Engine:
    """The engine `name`; AnrError for an unknown one, one without its package, and one that cannot run the renderer."""
    if name not in ENGINES:
        raise AnrError(f"There is no engine called {name!r}.", hint=f"Known engines: {', '.join(ENGINES)}.")
    if name != "torch" and needs_of(renderer):
        kind = type(renderer).__name__.lower()
        raise AnrError(f"--engine {name} does not run the renderer {kind}, which needs more than surface maps: "
                       f"{', '.join(sorted(needs_of(renderer)))}.", hint="Leave --engine away: torch runs it.")
    engine: Engine = importlib.import_module(ENGINES[name]).open_engine(renderer, device, texture_channels)
    return engine


def open_engine(renderer: torch.nn.Module, device: torch.device, texture_channels: int) -> Engine:
    """torch itself. Weights are turned to bfloat16 once, where the processor computes with it, not for every frame."""
    from copy import deepcopy

    network = deepcopy(renderer)
    if has_bfloat16(device):
        for module in network.modules():
            if isinstance(module, torch.nn.Conv2d):
                module.to(torch.bfloat16)

    def run(features: torch.Tensor, normal: torch.Tensor, inside: torch.Tensor,
            needed: Needed | None = None) -> tuple[np.ndarray, np.ndarray]:
        rgb, alpha = draw(network, features, normal, inside, needed)
        return rgb.cpu().numpy(), alpha.cpu().numpy()

    return run
