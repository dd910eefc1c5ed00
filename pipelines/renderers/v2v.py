"""vid2vid, the rival: each picture is painted anew where it must be, and else the picture before, moved by a flow.

Source: Wang et al., Video-to-video synthesis, NeurIPS 2018 (arXiv 1808.06601): the sequential generator of its Eq. 3
and 4 with one frame of memory (its L),

    x_t = (1 - m_t) w_t(x_t-1) + m_t h_t

hallucinated picture h, flow w and occlusion mask m from the surface maps of both frames and the picture drawn before;
an image critic that sees the maps and a critic of two frames in a row (Eq. 5 to 7; `SequenceCritic`), feature
matching, perceptual loss and flow loss (Eq. 8). Its flow ground truth is FlowNet2's; here it is the fitted body's own:
where the surface point that a pixel shows was in the frame before (`body_flow`). The U-Net is that of the other
renderers, with as many parameters as ANR. The mask is our addition.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from pipelines.renderers import Needed, Prediction, Shown, anr
from pipelines.renderers.texture import CODE_CHANNELS, TEXTURE_CHANNELS
from pipelines.renderers.unet import Stage, parameters_of, widths_for

NEEDS = frozenset({"past"})
LEARNS_TEXTURE = False
# Flow and colours share a trunk, and a pixel of flow moves the loss by a picture's whole gradient. With a weight of 1
# and 20 pixels a flow of 1, the flow's gradient in the last layer was 20 to 160 times the colours', clipped with them.
FLOW_WEIGHT = 0.1
FLOW_PX = 4.0                           # of a flow of 1
RECIPE: dict[str, Any] = {"texture_channels": CODE_CHANNELS, "split": False, "grid_noise": 0.0, "tv_image": 0.0,
                          "tv_mask": 0.0, "adversarial": 0.01, "feature_matching": 0.1, "flow": FLOW_WEIGHT,
                          "critic_sees_maps": True, "critic_sees_pairs": True, "critic_from": 0}
KNOWN = 0.05                            # less of a texel seen in the frame before tells no flow
FLOW_TEXELS = 256                       # each way: on them the frame before is looked up


def configure(size: dict[str, Any]) -> dict[str, Any]:
    """The config of a preset's size: widths that give as many parameters as ANR's two stages."""
    kept = {key: size[key] for key in ("texture_channels", "unshuffle", "blocks")}
    wanted = parameters_of(lambda: anr.build(anr.configure({**size, "texture_channels": TEXTURE_CHANNELS})))
    return {**kept, "widths": widths_for(lambda widths: V2V(**kept, widths=widths), size["widths"], wanted)}


def build(config: dict[str, Any]) -> V2V:
    """config: texture_channels (of the surface code), unshuffle (1, 2 or 4), widths (one per level), blocks."""
    return V2V(**config)


class V2V(nn.Module):
    """Surface maps of this frame and of the one before, and its picture in; colours and mask out."""

    def __init__(self, texture_channels: int, unshuffle: int, widths: list[int], blocks: int) -> None:
        super().__init__()
        self.needs = NEEDS
        self.multiple = unshuffle * 2 ** (len(widths) - 1)
        self.stage = Stage(2 * (texture_channels + 4) + 5, 7, unshuffle, widths, blocks)
        self.coverage_gain = nn.Parameter(torch.tensor(6.0))

    def forward(self, features: torch.Tensor, normal: torch.Tensor, inside: torch.Tensor,
                needed: Needed) -> Prediction:
        """Keeps as `own`: flow (B, 2, H, W) in pixels, from here to where the point was in the frame before; known."""
        past = needed.past
        assert past is not None
        known = past.known.expand(-1, -1, *inside.shape[-2:])
        out = self.stage(torch.cat([features, normal, inside, past.features, past.normal, past.inside, past.rgb,
                                    past.alpha, known], 1)).float()
        flow = FLOW_PX * out[:, 4:6]
        kept = known * out[:, 6:].sigmoid()                             # 1 - m
        rgb = kept * warped(past.rgb.float(), flow) + (1.0 - kept) * out[:, :3]
        mask_logit = out[:, 3:4] + self.coverage_gain * (inside - 0.5)
        return Prediction(rgb, mask_logit, None, {"flow": flow, "known": past.known})

    def own_losses(self, own: dict[str, torch.Tensor], now: Shown, before: Shown | None) -> dict[str, torch.Tensor]:
        """Eq. 8: the flow beside the true one, and the true frame before, moved by it, beside the true frame.

        The first where the body shows a point in both frames, in units of `FLOW_PX`; the second on the person.
        """
        assert before is not None
        true, seen = body_flow(now, before)
        seen = seen * own["known"]
        apart = ((own["flow"] - true).abs().mean(1, keepdim=True) / FLOW_PX * seen).sum() / seen.sum().clamp_min(1.0)
        person = now.alpha * own["known"]
        moved = (warped(before.image, own["flow"]) - now.image).abs().mean(1, keepdim=True)
        return {"flow": apart + (moved * person).sum() / person.sum().clamp_min(1.0)}


def warped(image: torch.Tensor, flow: torch.Tensor) -> torch.Tensor:
    """The picture (B, C, H, W) read where the flow (B, 2, H, W), x and y in pixels, points from each pixel."""
    height, width = image.shape[-2:]
    x, y = pixel_centres(height, width).to(image)
    grid = torch.stack([(x + flow[:, 0]) / width, (y + flow[:, 1]) / height], -1) * 2.0 - 1.0
    return F.grid_sample(image, grid, mode="bilinear", padding_mode="border", align_corners=False)


def body_flow(now: Shown, before: Shown) -> tuple[torch.Tensor, torch.Tensor]:
    """Where the surface point that each pixel shows was in the frame before, as the fitted body tells.

    Pixels of the frame before leave their place on the atlas (bilinear splatting), pixels of this one read it there.

    returns  (B, 2, H, W) pixels, x and y, from here to there; (B, 1, H, W) 1 where the point was seen then, else 0
    """
    batch, _, height, width = now.inside.shape
    centres = pixel_centres(height, width).to(now.inside)
    place = torch.cat([centres, torch.ones_like(centres[:1])])                                     # (3, H, W)
    flows, seens = [], []
    for k in range(batch):
        left = _splatted(place, before.grid[k], before.inside[k])
        found = F.grid_sample(left[None], now.grid[k][None], mode="bilinear", padding_mode="zeros", align_corners=False)
        weight = found[:, 2:]
        seen = (weight > KNOWN).float() * now.inside[k]
        flows.append((found[:, :2] / weight.clamp_min(KNOWN) - place[:2]) * seen)
        seens.append(seen)
    return torch.cat(flows), torch.cat(seens)


def pixel_centres(height: int, width: int) -> torch.Tensor:
    """(2, H, W): x and y of every pixel's centre."""
    y, x = torch.meshgrid(torch.arange(height) + 0.5, torch.arange(width) + 0.5, indexing="ij")
    return torch.stack([x, y])


def _splatted(place: torch.Tensor, grid: torch.Tensor, inside: torch.Tensor) -> torch.Tensor:
    """(3, S, S): x, y and one of every covered pixel, laid down on the texels around its place on the atlas."""
    shown = inside[0] > 0
    values = place[:, shown]                                                                       # (3, N)
    texel = (grid[shown] + 1.0) * (FLOW_TEXELS / 2.0) - 0.5
    first = texel.floor()
    rest = texel - first
    total = values.new_zeros(3, FLOW_TEXELS * FLOW_TEXELS)
    for across in (0, 1):
        for down in (0, 1):
            column, row = ((first[:, axis].long() + step).clamp(0, FLOW_TEXELS - 1) for axis, step in
                           ((0, across), (1, down)))
            share = (rest[:, 0] if across else 1 - rest[:, 0]) * (rest[:, 1] if down else 1 - rest[:, 1])
            total.index_add_(1, row * FLOW_TEXELS + column, values * share)
    return total.view(3, FLOW_TEXELS, FLOW_TEXELS)
