"""Frechet inception distance: how far two sets of pictures lie apart, without pairing them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import torch

SIDE = 299                              # pixels each way of what Inception v3 sees
FEATURES = 2048                         # its last pooled layer


def frechet_distance(one: np.ndarray, other: np.ndarray) -> float:
    """|m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2)) of two samples' means and covariances.

    one, other  (N, D) and (M, D), 2 rows or more each. The trace of the root is the nuclear norm of A^T B with
                C1 = A A^T and C2 = B B^T, so no D x D root is taken: with fewer samples than D it would be singular
    source      Heusel et al., GANs trained by a two time-scale update rule, NeurIPS 2017, Eq. 6
    """
    if one.ndim != 2 or other.ndim != 2 or one.shape[1] != other.shape[1] or min(len(one), len(other)) < 2:
        raise ValueError(f"expected two samples (N, D) of 2 rows or more, got {one.shape} and {other.shape}")
    first, second = one.astype(np.float64), other.astype(np.float64)
    apart = first.mean(0) - second.mean(0)
    a = (first - first.mean(0)) / np.sqrt(len(first) - 1)
    b = (second - second.mean(0)) / np.sqrt(len(second) - 1)
    root = np.linalg.svd(a @ b.T, compute_uv=False).sum()
    return float(max(0.0, apart @ apart + (a * a).sum() + (b * b).sum() - 2.0 * root))


def load_inception(weights: Path, standard: bool) -> Callable[[np.ndarray], np.ndarray]:
    """A function of one picture (H, W, 3), float in 0..1, that gives its 2048 features.

    standard  True: the weights and the pooling that FID is defined by; False: torchvision's own network
    """
    import torch

    network = fid_inception() if standard else torchvision_inception()
    stored = torch.load(weights, map_location="cpu", weights_only=True)
    wanted = network.state_dict()
    missing = sorted(set(wanted) - set(stored))
    if missing:
        raise ValueError(f"{weights} lacks {len(missing)} tensors of Inception v3, the first is {missing[0]}")
    network.load_state_dict({key: stored[key] for key in wanted})
    network.fc = torch.nn.Identity()    # type: ignore[assignment]
    network.eval().requires_grad_(False)

    def features(picture: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            return network(inception_input(picture))[0].double().numpy()

    return features


def inception_input(picture: np.ndarray) -> torch.Tensor:
    """(1, 3, 299, 299) in [-1, 1], the picture (H, W, 3) padded with its corner's colour to a square, not stretched."""
    import torch
    import torch.nn.functional as F

    height, width = picture.shape[:2]
    side = max(height, width)
    square = np.empty((side, side, 3), np.float32)
    square[:] = picture[0, 0]
    top, left = (side - height) // 2, (side - width) // 2
    square[top:top + height, left:left + width] = picture
    tensor = torch.from_numpy(square).permute(2, 0, 1)[None]
    return F.interpolate(tensor, (SIDE, SIDE), mode="bilinear", align_corners=False, antialias=True) * 2.0 - 1.0


def torchvision_inception() -> Any:
    """torchvision's Inception v3, which wants pictures in [-1, 1]."""
    from torchvision.models import inception_v3

    return inception_v3(weights=None, aux_logits=False, init_weights=False, transform_input=False)


def fid_inception() -> Any:
    """The network of the standard FID weights: 1008 classes, averages that leave the border out, one maximum.

    source  TensorFlow's inception-2015-12-05, as described at github.com/mseitzer/pytorch-fid
    """
    import torch.nn.functional as F
    from torchvision.models import inception, inception_v3

    def mean_inside(x: torch.Tensor) -> torch.Tensor:
        return F.avg_pool2d(x, 3, 1, 1, count_include_pad=False)

    def maximum(x: torch.Tensor) -> torch.Tensor:
        return F.max_pool2d(x, 3, 1, 1)

    def pooled(kind: type, pool: Callable[[torch.Tensor], torch.Tensor], *sizes: int, **more: int) -> Any:
        """A block of torchvision's whose pooling branch pools otherwise."""
        class Block(kind):              # type: ignore[misc]
            def _forward(self, x: torch.Tensor) -> list[torch.Tensor]:
                return [*super()._forward(x)[:-1], self.branch_pool(pool(x))]

        return Block(*sizes, **more)

    network = inception_v3(weights=None, aux_logits=False, init_weights=False, transform_input=False, num_classes=1008)
    for name, channels, pool_features in (("5b", 192, 32), ("5c", 256, 64), ("5d", 288, 64)):
        setattr(network, f"Mixed_{name}", pooled(inception.InceptionA, mean_inside, channels,
                                                 pool_features=pool_features))
    for name, narrow in (("6b", 128), ("6c", 160), ("6d", 160), ("6e", 192)):
        setattr(network, f"Mixed_{name}", pooled(inception.InceptionC, mean_inside, 768, channels_7x7=narrow))
    network.Mixed_7b = pooled(inception.InceptionE, mean_inside, 1280)
    network.Mixed_7c = pooled(inception.InceptionE, maximum, 2048)
    return network
