"""What a network draws of a batch in training, given what it needs; and its own losses."""

from __future__ import annotations

import torch
from torch import nn

from pipelines.renderers import Past, Prediction, Shown, needs_of
from pipelines.renderers.past import Inputs, needed_by
from pipelines.training.dataset import Batch
from pipelines.training.recipe import Recipe


def predict(renderer: nn.Module, features: torch.Tensor, texture: torch.Tensor, batch: Batch) -> Prediction:
    """The network's answer for every row of a batch.

    A renderer that looks back draws the first half, the frames before, without a past, then the second half with what
    it drew as its past (vid2vid, Eq. 3); nothing is learned through that past. `own` is then of the second half.

    features  (B, C, H, W) the texture sampled
    texture   (C, S, S)
    """
    inputs = features.contiguous(memory_format=torch.channels_last), batch.normal, batch.inside
    needs = needs_of(renderer)
    if not needs:
        plain: Prediction = renderer(*inputs)
        return plain
    if "past" not in needs:
        answer: Prediction = renderer(*inputs, needed_by(renderer, inputs, texture, batch.joints))
        return answer
    half = len(batch.index) // 2
    earlier, later = (_rows(inputs, part) for part in (slice(None, half), slice(half, None)))
    before: Prediction = renderer(*earlier, needed_by(renderer, earlier, texture, batch.joints[:half]))
    known = (batch.index[:half] + 1 == batch.index[half:]).to(features)[:, None, None, None]
    kept = before.rgb.clamp(-1.0, 1.0), before.mask_logit.sigmoid(), *earlier
    past = Past._make([*(x.detach() * known for x in kept), known])
    now: Prediction = renderer(*later, needed_by(renderer, later, texture, batch.joints[half:], past))
    return Prediction(torch.cat([before.rgb, now.rgb]), torch.cat([before.mask_logit, now.mask_logit]), None, now.own)


def own_terms(renderer: nn.Module, predicted: Prediction, batch: Batch, recipe: Recipe,
              done: float) -> dict[str, torch.Tensor]:
    """The losses that only this renderer has, weighted: `flow`, and `surface`, which fades out.

    done  share of the planned images that were seen, 0..1
    """
    if predicted.own is None:
        return {}
    shown = Shown(batch.image, batch.alpha, batch.grid, batch.inside)
    now, before = shown, None
    if "past" in needs_of(renderer):
        half = len(batch.index) // 2
        before, now = Shown(*(x[:half] for x in shown)), Shown(*(x[half:] for x in shown))
    weights = {"flow": recipe.flow, "surface": recipe.surface * max(0.0, 1.0 - done / max(recipe.surface_until, 1e-9))}
    terms = renderer.own_losses(predicted.own, now, before)                                # type: ignore[operator]
    return {name: weights[name] * value for name, value in terms.items() if weights[name] > 0}


def _rows(inputs: Inputs, part: slice) -> Inputs:
    features, normal, inside = inputs
    return features[part], normal[part], inside[part]
