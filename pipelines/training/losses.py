"""The losses of the paper's section 3.3, one definition each. Pictures in [-1, 1], masks in 0..1, all (B, C, H, W)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

from pipelines.core.errors import AnrError


def blend(mask: torch.Tensor, rgb: torch.Tensor, background: torch.Tensor) -> torch.Tensor:
    """I' = M I + (1 - M) B."""
    return mask * rgb + (1.0 - mask) * background


def pixel_loss(mask: torch.Tensor, coarse: torch.Tensor, rgb: torch.Tensor, image: torch.Tensor,
               weight: torch.Tensor | None = None) -> torch.Tensor:
    """Eq. 3: M |J - I| + M |I hat - I|, mean over pixels and colour channels.

    mask    (B, 1, H, W) the *predicted* mask; gradients reach it
    weight  (B, 1, H, W) importance of each pixel, or None for 1
    """
    error = (coarse - image).abs() + (rgb - image).abs()
    return (mask * error if weight is None else weight * mask * error).mean()


def mask_loss(mask_logit: torch.Tensor, alpha: torch.Tensor) -> torch.Tensor:
    """Eq. 4: binary cross entropy of the predicted mask with the matte, mean over pixels."""
    return F.binary_cross_entropy_with_logits(mask_logit, alpha)


def total_variation(image: torch.Tensor) -> torch.Tensor:
    """Eq. 6, each term: mean absolute difference of horizontal and of vertical neighbours, added."""
    return (image[..., :, 1:] - image[..., :, :-1]).abs().mean() + (image[..., 1:, :] - image[..., :-1, :]).abs().mean()


def feature_loss(extractor: nn.Module, blended: torch.Tensor, image: torch.Tensor) -> torch.Tensor:
    """Eq. 5: sum over layers of w_j |phi_j(I') - phi_j(I)|; w_j = 1 / mean |phi_j(I)| makes layers count alike."""
    with torch.no_grad():
        wanted = [layer.float() for layer in extractor(image.contiguous(memory_format=torch.channels_last))]
    found = extractor(blended.contiguous(memory_format=torch.channels_last))
    terms = [(a.float() - b).abs().mean() / b.abs().mean().clamp_min(1e-6) for a, b in zip(found, wanted)]
    return torch.stack(terms).sum()


class SqueezeFeatures(nn.Module):
    """SqueezeNet 1.1 activations after some of its modules, frozen."""

    shift: torch.Tensor
    scale: torch.Tensor

    def __init__(self, weights: Path, layers: Sequence[int]) -> None:
        super().__init__()
        from torchvision.models import squeezenet1_1

        stored = torch.load(weights, map_location="cpu", weights_only=True)
        features = squeezenet1_1(weights=None).features
        features.load_state_dict({key.removeprefix("features."): value for key, value in stored.items()
                                  if not key.startswith("classifier")})
        self.features = features[:max(layers) + 1].eval()
        self.layers = tuple(layers)
        mean, deviation = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
        # of pictures in [-1, 1]
        self.register_buffer("shift", (mean * 2 - 1).view(1, 3, 1, 1))
        self.register_buffer("scale", (deviation * 2).view(1, 3, 1, 1))
        self.requires_grad_(False)

    def forward(self, image: torch.Tensor) -> list[torch.Tensor]:
        x = (image - self.shift) / self.scale
        kept = []
        for number, module in enumerate(self.features):
            x = module(x)
            if number in self.layers:
                kept.append(x)
                x = x.clone() if number + 1 < len(self.features) and _in_place(self.features[number + 1]) else x
        return kept


def _in_place(module: nn.Module) -> bool:
    return getattr(module, "inplace", False)


def check_finite(terms: dict[str, torch.Tensor], images: int) -> None:
    """Stops a training whose loss is no longer a number, naming the image and the term."""
    for name, value in terms.items():
        if not torch.isfinite(value).item():
            raise AnrError(f"The {name} loss became {value.item()} at image {images}; the last checkpoint was kept.",
                           hint="Begin anew with a lower --learning-rate: anr train --fresh --learning-rate 0.0005")
