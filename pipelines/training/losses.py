"""The losses of the paper's section 3.3, one definition each. Pictures in [-1, 1], masks in 0..1, all (B, C, H, W)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import nn

from pipelines.core.errors import AnrError

FACE_ROOM = 1.4                         # how much larger than the face its crop is
FACE_SIDE = 128                         # pixels of the enlarged crop


def blend(mask: torch.Tensor, rgb: torch.Tensor, background: torch.Tensor) -> torch.Tensor:
    """I' = M I + (1 - M) B."""
    return mask * rgb + (1.0 - mask) * background


def pixel_loss(mask: torch.Tensor, coarse: torch.Tensor | None, rgb: torch.Tensor, image: torch.Tensor,
               weight: torch.Tensor | None = None) -> torch.Tensor:
    """Eq. 3: M |J - I| + M |I hat - I|, mean over pixels and colour channels.

    mask    (B, 1, H, W) the *predicted* mask, and gradients reach it; or the matte (`pixel_mask` of the recipe)
    coarse  (B, 3, H, W) J, or None for a renderer of one stage: then the first term is left out
    weight  (B, 1, H, W) importance of each pixel, or None for 1
    """
    error = (rgb - image).abs() if coarse is None else (coarse - image).abs() + (rgb - image).abs()
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


def face_boxes(face: torch.Tensor, least: int) -> list[tuple[int, int, int, int] | None]:
    """A square y0, y1, x0, x1 about the face of each window, cut off at its border; None where there is hardly one.

    face   (B, 1, H, W) 0 or 1
    least  pixels; fewer are no face
    """
    boxes: list[tuple[int, int, int, int] | None] = []
    height, width = face.shape[-2:]
    for shown in face[:, 0] > 0:
        ys, xs = torch.nonzero(shown, as_tuple=True)
        if len(ys) < least:
            boxes.append(None)
            continue
        low, high = (int(ys.min()), int(xs.min())), (int(ys.max()) + 1, int(xs.max()) + 1)
        half = round(0.5 * FACE_ROOM * max(high[0] - low[0], high[1] - low[1]))
        middle = (low[0] + high[0]) // 2, (low[1] + high[1]) // 2
        boxes.append((max(0, middle[0] - half), min(height, middle[0] + half),
                      max(0, middle[1] - half), min(width, middle[1] + half)))
    return boxes


def enlarged(image: torch.Tensor, boxes: Sequence[tuple[int, int, int, int] | None]) -> torch.Tensor:
    """The boxes of a batch (B, 3, H, W) as pictures of one size (N, 3, 128, 128); a None box gives none."""
    parts = [image[k:k + 1, :, box[0]:box[1], box[2]:box[3]] for k, box in enumerate(boxes) if box is not None]
    return torch.cat([F.interpolate(part.float(), (FACE_SIDE, FACE_SIDE), mode="bilinear", align_corners=False)
                      for part in parts])


class Diverged(AnrError):
    """A training whose loss or gradient is no longer a number."""


def check_finite(terms: dict[str, torch.Tensor], images: int) -> None:
    """Stops a training whose loss is no longer a number, naming the image and the term."""
    for name, value in terms.items():
        if not torch.isfinite(value).item():
            raise Diverged(f"The {name} loss became {value.item()} at image {images}; the last checkpoint was kept.",
                           hint="Begin anew with a lower --learning-rate: anr train --fresh --learning-rate 0.0005")
