"""The training loop, told once. All chance comes from (seed, images seen): a resumed run equals an unbroken one."""

from __future__ import annotations

import io
import math
import statistics
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from pipelines.core.errors import AnrError
from pipelines.core.stage import Progress
from pipelines.renderers import build_renderer
from pipelines.renderers.avatar import half_precision
from pipelines.renderers.texture import TEXTURE_CHANNELS, perturb_grid, sample_texture, start_texture
from pipelines.training.dataset import Batch, PersonFrames, draw_batch
from pipelines.training.losses import blend, check_finite, feature_loss, mask_loss, pixel_loss, total_variation
from pipelines.training.recipe import Recipe

CHECKPOINT_S = 30.0                     # between checkpoints, at least ...
CHECKPOINT_SHARE = 20.0                 # ... and so many times as long as one takes
MEASURED_IMAGES = 24                    # a time budget is turned into images after at least so many ...
MEASURED_S = 8.0                        # ... and so long; the first ones are slow and do not count
SLOW_START_IMAGES = 6
RECHECK_EVERY = 0.1                     # of the planned images: the plan is corrected if the pace was misjudged ...
RECHECK_IMAGES = 8                      # (after at least so many images)
RECHECK_BEYOND = 0.1                    # ... by more than this share
LAST_RECHECK = 0.8                      # of the time
KEPT_BACK = 0.05                        # of the time budget, for progress pictures, checkpoints and writing the result


@dataclass(frozen=True, eq=False)
class Pupil:
    """One person to learn."""

    frames: PersonFrames
    keyframes: Sequence[int]            # capture frame indices that teach texture and network
    others: Sequence[int]               # the remaining training frames

    @property
    def all(self) -> Sequence[int]:
        return sorted({*self.keyframes, *self.others})


@dataclass
class Plan:
    """How many images this training sees; written down, then kept."""

    images: int                         # 0 = not known yet
    minutes: float                      # 0 = no time budget
    seconds_per_image: float = 0.0      # measured
    checked: int = 0                    # images seen when the pace was last looked at


@dataclass(eq=False)
class State:
    """All that a checkpoint holds."""

    renderer: nn.Module
    textures: dict[str, nn.Parameter]           # person -> (C, 256, 256)
    network_optimiser: torch.optim.Optimizer
    texture_optimisers: dict[str, torch.optim.Optimizer]
    average: nn.Module                          # EMA of the renderer
    average_textures: dict[str, torch.Tensor]
    plan: Plan
    images: int = 0
    seconds: float = 0.0                        # of training, all sessions together


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


def begin(renderer: str, people: Sequence[str], recipe: Recipe, seed: int, plan: Plan, device: torch.device) -> State:
    """A fresh state: seeded network, and the same start texture for everybody."""
    torch.manual_seed(seed)
    network = build_renderer(renderer, recipe.network(TEXTURE_CHANNELS))
    network = network.to(device).to(memory_format=torch.channels_last)
    textures = {name: nn.Parameter(start_texture(seed).to(device)) for name in people}
    return State(network, textures,
                 torch.optim.Adam(network.parameters(), lr=recipe.learning_rate, betas=(0.9, 0.99)),
                 {name: torch.optim.Adam([texture], lr=recipe.texture_learning_rate, betas=(0.9, 0.99))
                  for name, texture in textures.items()},
                 deepcopy(network).requires_grad_(False),
                 {name: texture.detach().clone() for name, texture in textures.items()}, plan)


def train(lesson: Lesson, state: State) -> State:
    """Trains until the planned number of images; `state` is a fresh one or one read from a checkpoint."""
    clock = _Clock(state)
    with ThreadPoolExecutor(1) as reader:       # the next windows are cut while this step computes
        coming = reader.submit(draw_step, lesson, state.renderer, state.images)
        while state.plan.images == 0 or state.images < state.plan.images:
            planned = state.plan.images
            for _ in lesson.progress.track(*_remaining(state, lesson.recipe)):
                person, teaches_texture, batch = coming.result()
                coming = reader.submit(draw_step, lesson, state.renderer, state.images + lesson.recipe.batch)
                terms = take_step(lesson, state, person, teaches_texture, batch)
                state.images += lesson.recipe.batch
                clock.tick(lesson, state, terms)
                if state.plan.images != planned:
                    break
        coming.cancel()
    clock.flush(lesson, state)
    return state


def draw_step(lesson: Lesson, renderer: nn.Module, images: int) -> tuple[str, bool, Batch]:
    """Who is drawn, whether their texture learns, and the windows of the step after `images` images (section 3.4)."""
    recipe = lesson.recipe
    rng = np.random.default_rng((lesson.seed, images))
    person = sorted(lesson.pupils)[int(rng.integers(len(lesson.pupils)))]
    pupil = lesson.pupils[person]
    teaches_texture = not recipe.split or (images // recipe.batch) % 2 == 0 or not pupil.others
    pool = pupil.all if not recipe.split else pupil.keyframes if teaches_texture else pupil.others
    frames = [pupil.frames[int(k)] for k in rng.choice(np.asarray(pool), recipe.batch)]
    return person, teaches_texture, draw_batch(frames, recipe, rng, int(renderer.multiple))   # type: ignore[arg-type]


def take_step(lesson: Lesson, state: State, person: str, teaches_texture: bool, batch: Batch) -> dict[str, float]:
    """One step of Eq. 9 (network alone) or Eq. 10 (texture and network); returns the loss terms."""
    recipe = lesson.recipe
    batch = Batch(*(x.to(lesson.device) for x in batch))
    texture = state.textures[person] if teaches_texture else state.textures[person].detach()
    noise = torch.Generator().manual_seed((lesson.seed << 32) + state.images)

    grid = perturb_grid(batch.grid, recipe.grid_noise, noise)
    features = sample_texture(texture, grid, batch.inside)
    with half_precision(lesson.device):
        predicted = state.renderer(features.contiguous(memory_format=torch.channels_last), batch.normal, batch.inside)
        terms = loss_terms(predicted.rgb, predicted.mask_logit, predicted.coarse, batch, recipe, lesson.extractor)
        if "feature" in terms:
            terms["feature"] = terms["feature"] * min(1.0, state.images / max(1, recipe.feature_warm_up))
    total = torch.stack(list(terms.values())).sum()
    check_finite(terms, state.images)

    optimisers = [state.network_optimiser, *([state.texture_optimisers[person]] if teaches_texture else [])]
    for optimiser in optimisers:
        optimiser.zero_grad(set_to_none=True)
    total.backward()
    norm = nn.utils.clip_grad_norm_(state.renderer.parameters(), recipe.clip_norm)
    check_finite({"gradient of the": norm}, state.images)
    factor = rate_factor(state.images, state.plan.images, recipe)
    for optimiser, rate in zip(optimisers, (recipe.learning_rate, recipe.texture_learning_rate)):
        optimiser.param_groups[0]["lr"] = rate * factor
        optimiser.step()
    _follow(state, person, recipe)
    return {**{name: value.item() for name, value in terms.items()}, "learning rate": recipe.learning_rate * factor}


def loss_terms(rgb: torch.Tensor, mask_logit: torch.Tensor, coarse: torch.Tensor, batch: Batch, recipe: Recipe,
               extractor: nn.Module | None) -> dict[str, torch.Tensor]:
    """Eq. 8: every term, already weighted."""
    mask = mask_logit.sigmoid()
    blended = blend(mask, rgb, batch.background)
    terms = {"pixel": recipe.pixel * pixel_loss(mask, coarse, rgb, batch.image, batch.weight),
             "mask": recipe.mask * mask_loss(mask_logit, batch.alpha),
             "variation": recipe.tv_image * total_variation(blended) + recipe.tv_mask * total_variation(mask)}
    if extractor is not None and recipe.feature > 0:
        terms["feature"] = recipe.feature * feature_loss(extractor, blended, batch.image)
    return terms


def rate_factor(images: int, planned: int, recipe: Recipe) -> float:
    """Linear warm-up, then half a cosine down to `decay_to` at the planned end (none while the plan is not made)."""
    warm = min(1.0, (images + 1) / max(1, recipe.warm_up))
    done = min(1.0, images / planned) if planned else 0.0
    return warm * (recipe.decay_to + (1.0 - recipe.decay_to) * 0.5 * (1.0 + math.cos(math.pi * done)))


def planned_images(images: int, seconds: float, minutes: float, seconds_per_image: float, batch: int) -> int:
    """How many images fit a time budget when `images` took `seconds` so far."""
    more = max(0.0, minutes * 60.0 * (1.0 - KEPT_BACK) - seconds) / seconds_per_image
    return images + max(1, int(more / batch)) * batch


def save_checkpoint(path: Path, state: State) -> None:
    """In one rename, so that an interruption leaves the one before."""
    stored = {
        "renderer": state.renderer.state_dict(), "textures": {k: v.detach() for k, v in state.textures.items()},
        "network_optimiser": state.network_optimiser.state_dict(),
        "texture_optimisers": {k: v.state_dict() for k, v in state.texture_optimisers.items()},
        "average": state.average.state_dict(), "average_textures": state.average_textures,
        "plan": vars(state.plan), "images": state.images, "seconds": state.seconds}
    buffer = io.BytesIO()               # torch's own writer hides a full disk behind a RuntimeError
    torch.save(stored, buffer)
    partial = path.with_suffix(".partial")
    partial.write_bytes(buffer.getbuffer())
    partial.replace(path)


def load_checkpoint(path: Path, state: State) -> State:
    """Fills a state made by `begin` with the same arguments; AnrError when the file is damaged."""
    import pickle

    try:
        stored: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        state.renderer.load_state_dict(stored["renderer"])
        state.average.load_state_dict(stored["average"])
        state.network_optimiser.load_state_dict(stored["network_optimiser"])
        for name, texture in state.textures.items():
            with torch.no_grad():
                texture.copy_(stored["textures"][name])
                state.average_textures[name].copy_(stored["average_textures"][name])
            state.texture_optimisers[name].load_state_dict(stored["texture_optimisers"][name])
    except (RuntimeError, KeyError, ValueError, EOFError, pickle.UnpicklingError) as error:
        hint = "Begin anew: anr train --fresh"
        raise AnrError(f"The checkpoint {path} cannot be used: {error}.", hint=hint) from error
    state.plan = Plan(**stored["plan"])
    state.images, state.seconds = int(stored["images"]), float(stored["seconds"])
    return state


class _Clock:
    """Time budget, checkpoints and reports: all that looks at the wall clock."""

    def __init__(self, state: State) -> None:
        self.before, self.started = state.seconds, time.monotonic()
        self.saved = self.reported = self.last = self.started
        self.saving = 0.0                       # seconds the last checkpoint took
        self.steps: list[float] = []            # seconds of each step of this session
        self.terms: list[dict[str, float]] = []

    def tick(self, lesson: Lesson, state: State, terms: dict[str, float]) -> None:
        now = time.monotonic()
        self.steps.append(now - self.last)
        self.terms.append(terms)
        state.seconds = self.before + now - self.started
        self._plan(lesson, state)
        if now - self.reported > 10.0:
            self.flush(lesson, state)
            self.reported = time.monotonic()
        if now - self.saved > max(CHECKPOINT_S, CHECKPOINT_SHARE * self.saving):
            save_checkpoint(lesson.checkpoint, state)
            self.saved = time.monotonic()
            self.saving = self.saved - now
        self.last = time.monotonic()

    def flush(self, lesson: Lesson, state: State) -> None:
        if self.terms:
            lesson.report(state, {name: statistics.fmean(t[name] for t in self.terms) for name in self.terms[0]})
            self.terms = []

    def _plan(self, lesson: Lesson, state: State) -> None:
        """Turns the minutes into images once the pace is known, and corrects the number where it was misjudged."""
        plan, batch = state.plan, lesson.recipe.batch
        if plan.minutes <= 0:
            return
        if plan.images == 0:
            counted = self.steps[SLOW_START_IMAGES // batch + 1:]
            if len(counted) * batch < MEASURED_IMAGES or state.seconds - self.before < MEASURED_S:
                return
            pace = statistics.median(counted) / batch
        else:
            since = state.images - plan.checked
            due = since >= max(RECHECK_IMAGES, RECHECK_EVERY * plan.images) or state.images >= plan.images
            usable = self.steps[SLOW_START_IMAGES // batch + 1:][-max(1, since // batch):]
            if not due or not usable or state.seconds > LAST_RECHECK * plan.minutes * 60.0:
                return
            pace = statistics.fmean(usable) / batch
        plan.checked = state.images
        better = planned_images(state.images, state.seconds, plan.minutes, pace, batch)
        if plan.images == 0 or abs(better / plan.images - 1) > RECHECK_BEYOND:
            plan.images, plan.seconds_per_image = better, pace
            lesson.progress.note(f"{pace:.2f} s per image: {plan.images} images fit {plan.minutes:g} minutes.")


def _remaining(state: State, recipe: Recipe) -> tuple[Iterable[int], str, int | None]:
    """What the progress bar walks over: the images still to see, or an open end while the pace is measured."""
    if state.plan.images == 0:
        return count(state.images, recipe.batch), "Measuring the speed", None
    steps = range(state.images, state.plan.images, recipe.batch)
    return steps, "Training", len(steps)


@torch.no_grad()
def _follow(state: State, person: str, recipe: Recipe) -> None:
    """Moves the averages towards the current weights; quickly at first."""
    step = state.images // recipe.batch
    share = 1.0 - min(recipe.average, (1.0 + step) / (10.0 + step))
    torch._foreach_lerp_(list(state.average.parameters()), list(state.renderer.parameters()), share)
    state.average_textures[person].lerp_(state.textures[person], share)
