"""The critic of the adversarial loss: PatchGANs that judge patches of a picture at several scales.

Sources: Isola et al., Image-to-image translation with conditional adversarial networks (pix2pix), CVPR 2017, section
3.2.2 and appendix 6.1.2; Wang et al., High-resolution image synthesis (pix2pixHD), CVPR 2018, section 3.2; Mao et al.,
Least squares GANs, ICCV 2017; Lim and Ye, Geometric GAN, 2017 (hinge).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import nn

Verdicts = list[list[torch.Tensor]]         # per scale: the features of each layer, then the scores (B, 1, h, w)
LAYERS = 4                                  # convolutions before the scores; the last of them keeps the resolution
KERNEL, PADDING = 4, 2                      # pix2pixHD's padding: a window of 16 pixels still has scores


class PatchCritic(nn.Module):
    """Scores overlapping patches of 70 x 70 pixels: convolutions of 4 x 4, instance norm, leaky ReLU."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        widths = [channels, *(width * min(2**k, 8) for k in range(LAYERS))]
        self.layers = nn.ModuleList()
        for number, (a, b) in enumerate(pairwise(widths)):
            stride = 2 if number < LAYERS - 1 else 1
            conv = nn.Conv2d(a, b, KERNEL, stride, PADDING)
            norm = nn.InstanceNorm2d(b) if number else nn.Identity()    # the first layer sees the colours themselves
            self.layers.append(nn.Sequential(conv, norm, nn.LeakyReLU(0.2)))
        self.layers.append(nn.Conv2d(widths[-1], 1, KERNEL, 1, PADDING))
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.normal_(module.weight, 0.0, 0.02)               # pix2pix, appendix 6.2
                nn.init.zeros_(module.bias)                             # type: ignore[arg-type]

    def forward(self, image: torch.Tensor) -> list[torch.Tensor]:
        kept = [image]
        for layer in self.layers:
            kept.append(layer(kept[-1]))
        return kept[1:]


class MultiScaleCritic(nn.Module):
    """The same critic, with weights of its own, on the picture at 1, 1/2, 1/4 ... of its size."""

    def __init__(self, channels: int, width: int, scales: int) -> None:
        """
        channels  of what is judged: 3 for a picture, more where surface maps are judged with it
        scales    1 or more
        """
        super().__init__()
        self.critics = nn.ModuleList(PatchCritic(channels, width) for _ in range(scales))

    def forward(self, image: torch.Tensor) -> Verdicts:
        """image (B, C, H, W) -> per scale the features and scores."""
        verdicts = []
        for number, critic in enumerate(self.critics):
            if number:
                image = F.avg_pool2d(image, 3, 2, 1, count_include_pad=False)
            verdicts.append(critic(image))
        return verdicts


class SequenceCritic(nn.Module):
    """vid2vid's two critics in one: pictures one by one, and two in a row. Both have the same say.

    Source: Wang et al., Video-to-video synthesis, NeurIPS 2018, Eq. 5 to 7. Its critic of sequences is told the flow
    between the frames; here it sees the surface maps of both, from which that flow follows.
    """

    def __init__(self, channels: int, width: int, scales: int) -> None:
        super().__init__()
        self.single = MultiScaleCritic(channels, width, scales)
        self.pair = MultiScaleCritic(2 * channels, width, scales)

    def forward(self, image: torch.Tensor) -> Verdicts:
        """image (2 B, C, H, W), the frames before first -> the verdicts of each scale of both."""
        pairs = torch.cat(image.chunk(2), 1).contiguous(memory_format=torch.channels_last)
        return [*self.single(image), *self.pair(pairs)]


def receptive_field() -> int:
    """How many pixels across one score depends on, by the arithmetic of kernels and strides."""
    field = 1
    for stride in [1, 1, *([2] * (LAYERS - 1))]:
        field = field * stride + KERNEL - stride
    return field


def adversarial_loss(verdicts: Verdicts, kind: str) -> torch.Tensor:
    """Eq. 7, what the renderer minimises: D(I', 1), the mean over scales.

    kind  "lsgan": mean (D(I') - 1)^2; "hinge": -mean D(I')
    """
    scores = [scale[-1].float() for scale in verdicts]
    return torch.stack([((s - 1.0) ** 2).mean() if kind == "lsgan" else -s.mean() for s in scores]).mean()


def critic_loss(real: Verdicts, made: Verdicts, kind: str) -> torch.Tensor:
    """What the critic minimises, the mean over scales.

    kind  "lsgan": ((D(I) - 1)^2 + D(I')^2) / 2; "hinge": (max(0, 1 - D(I)) + max(0, 1 + D(I'))) / 2
    """
    terms = []
    for one, other in zip(real, made):
        good, bad = one[-1].float(), other[-1].float()
        if kind == "lsgan":
            terms.append(((good - 1.0) ** 2).mean() + (bad**2).mean())
        else:
            terms.append(F.relu(1.0 - good).mean() + F.relu(1.0 + bad).mean())
    return torch.stack(terms).mean() / 2.0


def feature_matching_loss(real: Verdicts, made: Verdicts) -> torch.Tensor:
    """pix2pixHD, Eq. 4: mean absolute difference of the critic's features, over layers and scales."""
    pairs: Sequence[tuple[torch.Tensor, torch.Tensor]] = [
        (a.float().detach(), b.float()) for one, other in zip(real, made) for a, b in zip(one[:-1], other[:-1])]
    return torch.stack([(b - a).abs().mean() for a, b in pairs]).mean()
