"""Presets: every number of a training in one record."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from pipelines.core.errors import AnrError


@dataclass(frozen=True)
class Recipe:
    """How a model is built and trained. Counted in images, never in steps."""

    # network (see pipelines/renderers/anr.py)
    latent_channels: int = 12
    unshuffle: int = 4
    widths: tuple[int, ...] = (48, 96, 144)
    blocks: int = 1
    # what one step sees
    window: tuple[int, int] = (384, 256)        # height, width in pixels
    batch: int = 1
    scale: tuple[float, float] = (0.5, 1.25)    # rescaling factor f (paper, section 4.1)
    native_share: float = 0.0                   # share of windows that are not rescaled
    face_share: float = 0.25                    # share of windows placed about the face, where it is seen
    face_weight: float = 2.0                    # weight of the pixel loss on the face
    grid_noise: float = 0.02                    # of the [-1, 1] grid (paper, section 3.4)
    split: bool = True                          # alternate keyframes (texture + network) and others (network)
    # optimisation
    images: int = 3000                          # where neither these nor minutes are asked for ...
    minutes: float = 0.0                        # ... and the preset has no time budget of its own
    learning_rate: float = 1e-3
    texture_learning_rate: float = 1e-2
    warm_up: int = 50                           # images of linear warm-up
    decay_to: float = 0.02                      # of the learning rate, by half a cosine over the run
    clip_norm: float = 1.0                      # 3 of 15 runs collapsed without clipping, 0 of 11 with it
    average: float = 0.99                       # EMA of weights and textures, per step
    # loss weights (Eq. 8)
    pixel: float = 1.0
    mask: float = 3.0                           # above the largest pixel error, else the mask shrinks to flee from it
    feature: float = 0.1
    feature_warm_up: int = 200                  # images of linear warm-up: while colours are far off it thins the mask
    tv_image: float = 0.005                     # beta_I
    tv_mask: float = 0.01                       # beta_m
    feature_layers: tuple[int, ...] = field(default=(1, 4, 7, 12))   # of SqueezeNet 1.1, after these modules

    def network(self, texture_channels: int) -> dict[str, Any]:
        """The renderer's config, as kept in avatar.json."""
        return {"texture_channels": texture_channels, "latent_channels": self.latent_channels,
                "unshuffle": self.unshuffle, "widths": list(self.widths), "blocks": self.blocks}


# Parameters, and multiply-adds forward for a 512 x 512 picture:
# draft 2.7 M, 17 G; standard 17 M, 150 G; paper 160 M, 930 G (a test recounts the parameters).
PRESETS: dict[str, Recipe] = {
    # Half a texel of grid noise: with the paper's 0.02 (2.56 texels, several of a face's pixels) LPIPS on held-out
    # frames of a real clip was 0.163 instead of 0.139 after 400 images. Texture rate 0.05 for 0.01: 0.159
    # for 0.193 after 400 small windows of a made-up person; a network rate of 0.002 for 0.001 lost 2 dB.
    "draft": Recipe(minutes=9.0, grid_noise=0.004, texture_learning_rate=0.05, scale=(0.9, 1.1), native_share=0.5),
    "standard": Recipe(latent_channels=16, unshuffle=2, widths=(64, 128, 192, 256), blocks=2, window=(512, 512),
                       batch=2, images=60_000, warm_up=500, learning_rate=5e-4, average=0.998),
    "paper": Recipe(latent_channels=16, unshuffle=1, widths=(64, 128, 256, 512, 1024), blocks=2, window=(1024, 1024),
                    batch=2, images=400_000, warm_up=2000, learning_rate=2e-4, average=0.999),
}


def recipe_for(preset: str, **changes: Any) -> Recipe:
    """A preset with some numbers changed; None leaves the preset's."""
    if preset not in PRESETS:
        raise AnrError(f"There is no preset called {preset!r}.", hint=f"Choose one of: {', '.join(PRESETS)}.")
    return replace(PRESETS[preset], **{name: value for name, value in changes.items() if value is not None})
