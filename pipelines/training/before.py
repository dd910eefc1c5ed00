"""What is said before a training starts: size, operations, memory, time, and what teaches."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import nn

from pipelines.renderers import build_renderer, renderer_config
from pipelines.renderers.past import example_of_needed
from pipelines.training.dataset import MEMORY_BUDGET
from pipelines.training.recipe import Recipe
from pipelines.training.state import Plan, State
from pipelines.training.step import Pupil

PICTURE = 512                           # pixels each way of the picture whose operations are counted
FIRST_STEP_S = 30.0                     # longer ones do not end within a minute of everything else
COPIES = 5                              # of each learned number: itself, its gradient, Adam's two moments, its average


def network_size(renderer: str, recipe: Recipe) -> tuple[int, float]:
    """Parameters, and multiply-adds forward for a 512 x 512 picture; nothing is computed or allocated.

    Counted are convolutions; the rest is below one percent of them.
    """
    with torch.device("meta"):
        module = build_renderer(renderer, renderer_config(renderer, recipe.network(recipe.texture_channels)))
        counted = _count_convolutions(module)
        features, normal, inside = (torch.empty(1, channels, PICTURE, PICTURE)
                                    for channels in (recipe.texture_channels, 3, 1))
        needed = example_of_needed(module, (features, normal, inside))
        with torch.no_grad():
            module(features, normal, inside, *((needed,) if needed else ()))
    return sum(p.numel() for p in module.parameters()), float(sum(counted))


def _count_convolutions(module: nn.Module) -> list[float]:
    """A list that fills with the multiply-adds of each convolution when the module is called."""
    counted: list[float] = []

    def count(conv: nn.Module, _: tuple[torch.Tensor, ...], out: torch.Tensor) -> None:
        counted.append(conv.weight.numel() * out[0, 0].numel() * out.shape[0])      # type: ignore[operator, union-attr]

    for each in module.modules():
        if isinstance(each, nn.Conv2d):
            each.register_forward_hook(count)
    return counted


def frames_bytes(pupils: Mapping[str, Pupil]) -> float:
    """What the training frames take in memory, judged by the keyframes."""
    total = 0.0
    for pupil in pupils.values():
        looked = [pupil.frames[k].bytes for k in pupil.keyframes]
        total += sum(looked) / len(looked) * (len(pupil.all) + len(pupil.validation))
    return total


def learned_bytes(state: State, extractor: nn.Module | None) -> tuple[float, float, float]:
    """Bytes of network, textures, and of critic with extractor, optimisers and averages included."""
    def of(module: nn.Module | None) -> int:
        return sum(p.numel() * p.element_size() for p in module.parameters()) if module else 0

    textures = sum(t.numel() * t.element_size() for t in state.textures.values())
    critic = of(state.critic.network) if state.critic else 0
    return float(COPIES * of(state.renderer)), float(COPIES * textures), float((COPIES - 1) * critic + of(extractor))


def announcement(renderer: str, recipe: Recipe, state: State, pupils: Mapping[str, Pupil],
                 extractor: nn.Module | None, seconds_per_image: float) -> list[str]:
    """The lines a person reads before training starts.

    seconds_per_image  a guess for this machine, used until the pace is measured; 0 = none is made
    """
    parameters, operations = network_size(renderer, recipe)
    length = f"{state.plan.images} images" if state.plan.images else f"{state.plan.minutes:g} minutes"
    left = time_left(state.plan, state.images, state.seconds, seconds_per_image)
    teaching = ", ".join(f"{name} {len(p.keyframes)}+{len(p.others)}" for name, p in pupils.items())
    frames = frames_bytes(pupils)
    network, textures, rest = (share / 1e6 for share in learned_bytes(state, extractor))
    first = " within a minute" if seconds_per_image * recipe.batch < FIRST_STEP_S else ", after the first step"
    kept = f"{frames / 1e6:.0f} MB of frames"
    if frames > MEMORY_BUDGET:
        kept = f"{MEMORY_BUDGET / 1e6:.0f} MB of frames (the others of {frames / 1e6:.0f} MB are read again)"
    return [f"{parameters / 1e6:.1f} M parameters, {operations / 1e9:.0f} G multiply-adds for a {PICTURE}x{PICTURE} "
            f"picture, {length}{left}, windows of {recipe.window[1]}x{recipe.window[0]}; "
            f"keyframes + other frames: {teaching}. First picture in progress/{first}.",
            f"Memory: {kept}, {network:.0f} MB for the network with its optimiser and average, {textures:.0f} MB for "
            f"textures, {rest:.0f} MB for critic and feature extractor; what a step computes comes on top."]


def time_left(plan: Plan, images: int, seconds: float, seconds_per_image: float) -> str:
    """", about N minutes left"; empty where nothing is known."""
    if plan.images and (plan.seconds_per_image or seconds_per_image):
        minutes = (plan.images - images) * (plan.seconds_per_image or seconds_per_image) / 60.0
    elif plan.minutes:
        minutes = plan.minutes - seconds / 60.0
    else:
        return ""
    return f", about {minutes:.0f} minutes left" if minutes < 120 else f", about {minutes / 60.0:.0f} hours left"
