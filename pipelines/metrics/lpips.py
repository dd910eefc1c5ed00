"""LPIPS(squeeze): perceptual distance by calibrated SqueezeNet features."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np


def load_lpips(backbone: Path) -> Callable[[np.ndarray, np.ndarray], float]:
    """The metric: a function of two pictures (H, W, 3), float in 0..1, 32 pixels or more each way; 0 for equal ones.

    backbone  SqueezeNet 1.1 weights (`pipelines.metrics.weights.find_weights`); the linear heads, version 0.1,
              come with the lpips package
    source    Zhang et al., The unreasonable effectiveness of deep features as a perceptual metric, CVPR 2018
    """
    import lpips
    import torch

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")          # torchvision deprecates the argument lpips passes
        metric = lpips.LPIPS(net="squeeze", version="0.1", pnet_rand=True, verbose=False)
    _load_backbone(metric.net, backbone)
    metric.eval().requires_grad_(False)

    def distance(truth: np.ndarray, other: np.ndarray) -> float:
        if truth.shape != other.shape or min(truth.shape[:2]) < 32:
            raise ValueError(f"expected two pictures of one shape, 32 pixels or wider: {truth.shape}, {other.shape}")
        pair = [torch.from_numpy(np.ascontiguousarray(x, np.float32)).permute(2, 0, 1)[None] * 2 - 1
                for x in (truth, other)]
        with torch.no_grad():
            return float(metric(*pair))

    return distance


def _load_backbone(net: object, backbone: Path) -> None:
    """lpips cuts torchvision's `features` into slices but keeps its layer numbers within them."""
    import torch

    stored = torch.load(backbone, map_location="cpu", weights_only=True)
    by_layer = {key.removeprefix("features."): value for key, value in stored.items()
                if not key.startswith("classifier")}
    state = net.state_dict()                     # type: ignore[attr-defined]
    net.load_state_dict({key: by_layer[key.split(".", 1)[1]] for key in state})   # type: ignore[attr-defined]
