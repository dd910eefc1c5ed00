"""One step of training: what is drawn, what is lost, what learns. All chance comes from (seed, images seen)."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import nn

from pipelines.core.stage import Progress
from pipelines.renderers import Prediction, needs_of
from pipelines.renderers.avatar import half_precision
from pipelines.renderers.texture import flat_texture, perturb_grid, sample_texture
from pipelines.training.dataset import FACE_PIXELS, Batch, CroppedFrame, PersonFrames, draw_batch
from pipelines.training.discriminator import adversarial_loss, critic_loss, feature_matching_loss
from pipelines.training.losses import (
    blend,
    check_finite,
    enlarged,
    face_boxes,
    feature_loss,
    mask_loss,
    pixel_loss,
    total_variation,
)
from pipelines.training.predicting import own_terms, predict
from pipelines.training.recipe import Recipe
from pipelines.training.state import Critic, State


@dataclass(frozen=True, eq=False)
class Pupil:
    """One person to learn."""

    frames: PersonFrames | Sequence[CroppedFrame]
    keyframes: Sequence[int]            # capture frame indices that teach texture and network
    others: Sequence[int]               # the remaining training frames
    validation: Sequence[int] = ()      # training frames set aside to see whether training still gains
    weight: float = 1.0                 # how often this one is drawn, beside the others' weights

    @property
    def all(self) -> Sequence[int]:
        return sorted({*self.keyframes, *self.others})


@dataclass(eq=False)
class Lesson:
    """What the loop is given."""

    pupils: Mapping[str, Pupil]
    recipe: Recipe
    seed: int
    device: torch.device
    extractor: nn.Module | None                 # None = no feature loss
    progress: Progress
    checkpoint: Path
    # called about every ten seconds with the state and the mean loss terms since the last call
    report: Callable[[State, dict[str, float]], None] = field(default=lambda state, terms: None)
    charts: torch.Tensor | None = None          # (S, S) the atlas chart of each texel, where noise is to stay in it


def draw_step(lesson: Lesson, renderer: nn.Module, images: int) -> tuple[str, bool, Batch]:
    """Who is drawn, whether their texture learns, and the windows of the step after `images` images (section 3.4)."""
    recipe = lesson.recipe
    rng = np.random.default_rng((lesson.seed, images))
    person = someone(lesson.pupils, rng)
    pupil = lesson.pupils[person]
    teaches_texture = not recipe.split or on_keyframe(images // recipe.batch, recipe.split_ratio) or not pupil.others
    if not recipe.split or (not teaches_texture and recipe.network_frames == "all"):
        pool = pupil.all
    else:
        pool = pupil.keyframes if teaches_texture else pupil.others
    chosen = [int(k) for k in rng.choice(np.asarray(pool), recipe.batch)]
    earlier = frames_before(pupil, chosen) if "past" in needs_of(renderer) else []
    multiple = int(renderer.multiple)                                       # type: ignore[arg-type]
    frames, before = ([pupil.frames[k] for k in which] for which in (chosen, earlier))
    return person, teaches_texture, draw_batch(frames, recipe, rng, multiple, before)


def someone(pupils: Mapping[str, Pupil], rng: np.random.Generator) -> str:
    """One of them by chance, each as often as its weight says."""
    names = sorted(pupils)
    weights = np.array([pupils[name].weight for name in names])
    if (weights == weights[0]).all():
        return names[int(rng.integers(len(names)))]
    return names[int(rng.choice(len(names), p=weights / weights.sum()))]


def frames_before(pupil: Pupil, chosen: Sequence[int]) -> list[int]:
    """The frame before each, where that is a training frame as well; else the frame itself: it has no past."""
    taught = set(pupil.all)
    return [k - 1 if k - 1 in taught else k for k in chosen]


def on_keyframe(step: int, ratio: float) -> bool:
    """Whether a step is one of Eq. 10 (keyframes, texture and network); `ratio` others of Eq. 9 follow on each.

    They are spread evenly, and step 0 is one of Eq. 10.
    """
    share = 1.0 / (1.0 + ratio)
    return math.ceil((step + 1) * share - 1e-9) > math.ceil(step * share - 1e-9)


class Drawn(NamedTuple):
    """What the network made of a batch."""

    predicted: Prediction
    blended: torch.Tensor               # (B, 3, H, W) I'
    maps: torch.Tensor | None           # (B, C, H, W) what the critic sees beside the picture


def take_step(lesson: Lesson, state: State, person: str, teaches_texture: bool, batch: Batch) -> dict[str, float]:
    """One step of Eq. 9 (network alone) or Eq. 10 (texture and network), then one of the critic; the loss terms."""
    recipe = lesson.recipe
    faces = face_boxes(batch.face, FACE_PIXELS) if recipe.face_feature > 0 else []
    batch = Batch(*(x.to(lesson.device) for x in batch))
    teaches_texture = teaches_texture and person in state.texture_optimisers
    critic = state.critic if state.images >= recipe.critic_from else None
    offsets = None
    if state.refinement and state.images >= recipe.refine_from:
        batch, offsets = state.refinement.moved(person, batch)
    drawn = _drawn(lesson, state, person, teaches_texture, batch)
    with half_precision(lesson.device):
        terms = _terms(lesson, state, drawn, batch, faces)
        if critic:
            terms.update(adversarial_terms(critic, drawn.blended, batch.image, drawn.maps, state.images, recipe))
    check_finite(terms, state.images)

    learning: list[tuple[torch.optim.Optimizer, float]] = [(state.network_optimiser, recipe.learning_rate)]
    if teaches_texture:
        learning.append((state.texture_optimisers[person], recipe.texture_learning_rate))
    for optimiser, _ in learning:
        optimiser.zero_grad(set_to_none=True)
    torch.stack(list(terms.values())).sum().backward()
    pull = offsets.grad if offsets is not None else None        # None also where the network does not see the surface
    _check_gradients(state, recipe, state.textures[person].grad if teaches_texture else None, pull)
    critic_terms = {}
    if critic:                          # before anybody moves: an error leaves the state as it was
        critic_terms = teach_critic(critic, drawn.blended.detach(), batch.image, drawn.maps, lesson, state.images)
    factor = rate_factor(state.images, state.plan.images, recipe)
    for optimiser, rate in learning:
        optimiser.param_groups[0]["lr"] = rate * factor
        optimiser.step()
    if critic:
        critic.optimiser.step()
    if state.refinement and pull is not None:
        state.refinement.learn(person, batch.index, pull, factor * state.refinement.warmth(state.images))
    _follow(state, person, recipe)
    return {**{name: value.item() for name, value in terms.items()}, **critic_terms,
            "learning rate": recipe.learning_rate * factor}


def _drawn(lesson: Lesson, state: State, person: str, teaches_texture: bool, batch: Batch) -> Drawn:
    """The network's pictures, with noise on the sampling grid; a texture that does not learn is held."""
    recipe = lesson.recipe
    stored = state.textures[person] if teaches_texture else state.textures[person].detach()
    noise = torch.Generator().manual_seed((lesson.seed << 32) + state.images)
    grid = perturb_grid(batch.grid, recipe.grid_noise, noise, lesson.charts)
    texture = flat_texture(stored, recipe.texture_levels)
    features = sample_texture(texture, grid, batch.inside)
    with half_precision(lesson.device):
        predicted = predict(state.renderer, features, texture, batch)
        blended = blend(predicted.mask_logit.sigmoid(), predicted.rgb, batch.background)
        maps = torch.cat([features, batch.normal, batch.inside], 1).detach() if recipe.critic_sees_maps else None
    return Drawn(predicted, blended, maps)


def _terms(lesson: Lesson, state: State, drawn: Drawn, batch: Batch,
           faces: Sequence[tuple[int, int, int, int] | None]) -> dict[str, torch.Tensor]:
    """Every term but the critic's, weighted and warmed up."""
    recipe = lesson.recipe
    terms = loss_terms(drawn.predicted, drawn.blended, batch, recipe, lesson.extractor)
    terms.update(own_terms(state.renderer, drawn.predicted, batch, recipe, share_done(state.images, state.plan.images)))
    if "feature" in terms:
        terms["feature"] = terms["feature"] * min(1.0, state.images / max(1, recipe.feature_warm_up))
    if lesson.extractor is not None and any(faces):
        terms["face"] = recipe.face_feature * feature_loss(lesson.extractor, enlarged(drawn.blended, faces),
                                                           enlarged(batch.image, faces))
    return terms


def _check_gradients(state: State, recipe: Recipe, texture: torch.Tensor | None, pull: torch.Tensor | None) -> None:
    """Clips the network's gradient; AnrError for one, of whatever learns, that is no number."""
    norm = nn.utils.clip_grad_norm_(state.renderer.parameters(), recipe.clip_norm)
    sums = {"gradient of the": norm, "gradient of the texture's": None if texture is None else texture.sum(),
            "gradient of the poses'": None if pull is None else pull.sum()}
    check_finite({name: value for name, value in sums.items() if value is not None}, state.images)


def loss_terms(predicted: Prediction, blended: torch.Tensor, batch: Batch, recipe: Recipe,
               extractor: nn.Module | None) -> dict[str, torch.Tensor]:
    """Eq. 8 without its adversarial term: every term, already weighted."""
    mask = predicted.mask_logit.sigmoid()
    counted = batch.alpha if recipe.pixel_mask == "matte" else mask
    terms = {"pixel": recipe.pixel * pixel_loss(counted, predicted.coarse, predicted.rgb, batch.image, batch.weight),
             "mask": recipe.mask * mask_loss(predicted.mask_logit, batch.alpha),
             "variation": recipe.tv_image * total_variation(blended) + recipe.tv_mask * total_variation(mask)}
    if extractor is not None and recipe.feature > 0:
        terms["feature"] = recipe.feature * feature_loss(extractor, blended, batch.image)
    return terms


def adversarial_terms(critic: Critic, blended: torch.Tensor, image: torch.Tensor, maps: torch.Tensor | None,
                      images: int, recipe: Recipe) -> dict[str, torch.Tensor]:
    """Eq. 7 on the blended picture and, by option, feature matching, both weighted and warmed up."""
    word = min(1.0, (images - recipe.critic_from + 1) / max(1, recipe.critic_warm_up))
    critic.network.requires_grad_(False)
    made = critic.network(judged(blended, maps))
    terms = {}
    if recipe.adversarial > 0:
        terms["adversarial"] = word * recipe.adversarial * adversarial_loss(made, recipe.critic_loss)
    if recipe.feature_matching > 0:
        with torch.no_grad():
            real = critic.network(judged(image, maps))
        terms["feature matching"] = word * recipe.feature_matching * feature_matching_loss(real, made)
    return terms


def teach_critic(critic: Critic, made: torch.Tensor, image: torch.Tensor, maps: torch.Tensor | None, lesson: Lesson,
                 images: int) -> dict[str, float]:
    """Leaves in the critic the gradients of its own loss; the caller takes the step."""
    critic.network.requires_grad_(True)
    critic.optimiser.zero_grad(set_to_none=True)
    with half_precision(lesson.device):
        loss = critic_loss(critic.network(judged(image, maps)), critic.network(judged(made, maps)),
                           lesson.recipe.critic_loss)
    check_finite({"critic's": loss}, images)
    loss.backward()
    norm = nn.utils.clip_grad_norm_(critic.network.parameters(), lesson.recipe.clip_norm)
    check_finite({"gradient of the critic's": norm}, images)
    return {"critic": loss.item()}


def judged(picture: torch.Tensor, maps: torch.Tensor | None) -> torch.Tensor:
    """What the critic sees: the picture, with the surface maps where it is a conditional one."""
    whole = picture.float() if maps is None else torch.cat([picture.float(), maps.float()], 1)
    return whole.contiguous(memory_format=torch.channels_last)


def share_done(images: int, planned: int) -> float:
    """0..1; 0 while the plan is not made."""
    return min(1.0, images / planned) if planned else 0.0


def rate_factor(images: int, planned: int, recipe: Recipe) -> float:
    """Linear warm-up, then half a cosine down to `decay_to` at the planned end (none while the plan is not made)."""
    warm = min(1.0, (images + 1) / max(1, recipe.warm_up))
    done = share_done(images, planned)
    return warm * (recipe.decay_to + (1.0 - recipe.decay_to) * 0.5 * (1.0 + math.cos(math.pi * done)))


@torch.no_grad()
def _follow(state: State, person: str, recipe: Recipe) -> None:
    """Moves the averages towards the current weights; quickly at first."""
    step = state.images // recipe.batch
    share = 1.0 - min(recipe.average, (1.0 + step) / (10.0 + step))
    torch._foreach_lerp_(list(state.average.parameters()), list(state.renderer.parameters()), share)
    state.average_textures[person].lerp_(state.textures[person], share)
