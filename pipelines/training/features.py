"""Pretrained extractors of the feature loss: VGG19 where its weights are to be had, else SqueezeNet 1.1."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import nn

from pipelines.core.stage import Progress
from pipelines.metrics.weights import PRETRAINED, fetch_weights, find_weights, remedy
from pipelines.training.recipe import Recipe


class Features(nn.Module):
    """Activations of a network's feature part after some of its modules, frozen."""

    name = ""                           # as `--extractor` calls it
    shift: torch.Tensor
    scale: torch.Tensor

    def __init__(self, features: nn.Sequential, weights: Path, layers: Sequence[int]) -> None:
        """
        features  torchvision's, with its module numbers
        weights   a file of its state, the whole network's or the feature part's
        layers    the modules after which activations are taken
        """
        super().__init__()
        stored = torch.load(weights, map_location="cpu", weights_only=True)
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
        """image (B, 3, H, W) in [-1, 1], 32 pixels or more each way -> a tensor per layer."""
        x = (image - self.shift) / self.scale
        kept = []
        for number, module in enumerate(self.features):
            x = module(x)
            if number in self.layers:
                kept.append(x)
                x = x.clone() if number + 1 < len(self.features) and _in_place(self.features[number + 1]) else x
        return kept


class SqueezeFeatures(Features):
    """Of SqueezeNet 1.1."""

    name = "squeezenet1_1"

    def __init__(self, weights: Path, layers: Sequence[int]) -> None:
        from torchvision.models import squeezenet1_1

        super().__init__(squeezenet1_1(weights=None).features, weights, layers)


class VggFeatures(Features):
    """Of VGG19, the extractor that the works around the paper use (pix2pixHD, vid2vid)."""

    name = "vgg19"

    def __init__(self, weights: Path, layers: Sequence[int]) -> None:
        from torchvision.models import vgg19

        super().__init__(vgg19(weights=None, init_weights=False).features, weights, layers)


def load_extractor(recipe: Recipe, weights_dir: str, progress: Progress, device: torch.device) -> nn.Module | None:
    """The recipe's extractor, or SqueezeNet in its place, or None with a warning: then there is no feature loss."""
    if recipe.extractor == "none" or (recipe.feature <= 0 and recipe.face_feature <= 0):
        return None
    if recipe.extractor == "vgg19":
        found = find_weights("vgg19", weights_dir or None) or fetch_weights("vgg19")
        if found is not None:
            return _ready(VggFeatures(found, recipe.vgg_layers), device)
        progress.warn(f"VGG19's weights ({PRETRAINED['vgg19'].size_mb:g} MB) are not here: the feature loss uses "
                      "SqueezeNet in its place. " + remedy("vgg19") + " Then: anr train --fresh")
    found = find_weights("squeezenet1_1", weights_dir or None) or fetch_weights("squeezenet1_1")
    if found is None:
        progress.warn("SqueezeNet's weights are not here, so this training has no feature loss and will be less sharp. "
                      + remedy("squeezenet1_1") + " Then: anr train --fresh")
        return None
    return _ready(SqueezeFeatures(found, recipe.feature_layers), device)


def name_of(extractor: nn.Module | None) -> str:
    """As `--extractor` calls it: what was really used, whatever was wished for."""
    return extractor.name if isinstance(extractor, Features) else "none"


def _ready(extractor: nn.Module, device: torch.device) -> nn.Module:
    return extractor.to(device).to(memory_format=torch.channels_last)


def _in_place(module: nn.Module) -> bool:
    return getattr(module, "inplace", False)
