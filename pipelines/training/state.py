"""The state of a training: all that a checkpoint holds, how it begins, and how it is kept."""

from __future__ import annotations

import io
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from pipelines.core.errors import AnrError
from pipelines.core.stage import Progress
from pipelines.renderers import build_renderer, renderer_config, renderer_file
from pipelines.renderers.texture import flat_texture, pyramid, start_texture, surface_code
from pipelines.training.discriminator import MultiScaleCritic, SequenceCritic
from pipelines.training.recipe import Recipe
from pipelines.training.refinement import Refinement

CHECKPOINT = "checkpoint.pt"            # in the folder of a training that has not come to its end


@dataclass
class Plan:
    """How many images this training sees; written down, then kept."""

    images: int                         # 0 = not known yet
    minutes: float                      # 0 = no time budget
    seconds_per_image: float = 0.0      # measured
    checked: int = 0                    # images seen when the pace was last looked at
    stopped: bool = False               # ended early: validation frames brought no gain


@dataclass
class Search:
    """How the looks at validation frames went."""

    best: float = float("inf")          # the least error so far
    misses: int = 0                     # looks without a gain since


@dataclass(eq=False)
class Critic:
    """The adversarial loss's network and what trains it."""

    network: MultiScaleCritic | SequenceCritic
    optimiser: torch.optim.Optimizer


@dataclass(eq=False)
class State:
    """All that a checkpoint holds."""

    renderer: nn.Module
    textures: dict[str, nn.Parameter]           # person -> (C, 256, 256), or the pyramid of one
    network_optimiser: torch.optim.Optimizer
    texture_optimisers: dict[str, torch.optim.Optimizer]    # empty where the renderer learns no texture
    average: nn.Module                          # EMA of the renderer
    average_textures: dict[str, torch.Tensor]
    plan: Plan
    critic: Critic | None = None                # None = no adversarial loss
    search: Search | None = None                # None = no early stop
    refinement: Refinement | None = None        # None = bodies stay as they were fitted
    images: int = 0
    seconds: float = 0.0                        # of training, all sessions together


def begin(renderer: str, people: Sequence[str], recipe: Recipe, seed: int, plan: Plan, device: torch.device) -> State:
    """A fresh state: seeded network, and the same start texture for everybody."""
    torch.manual_seed(seed)
    network = build_renderer(renderer, renderer_config(renderer, recipe.network(recipe.texture_channels)))
    network = network.to(device).to(memory_format=torch.channels_last)
    learns = bool(renderer_file(renderer).LEARNS_TEXTURE)
    textures = {name: nn.Parameter(_start(number, learns, recipe, seed).to(device), learns)
                for number, name in enumerate(people)}
    optimisers: dict[str, torch.optim.Optimizer] = {
        name: torch.optim.Adam([texture], lr=recipe.texture_learning_rate, betas=(0.9, 0.99))
        for name, texture in textures.items() if learns}
    return State(network, textures,
                 torch.optim.Adam(network.parameters(), lr=recipe.learning_rate, betas=(0.9, 0.99)), optimisers,
                 deepcopy(network).requires_grad_(False),
                 {name: texture.detach().clone() for name, texture in textures.items()}, plan,
                 critic_of(recipe, device), Search() if recipe.patience else None)


def _start(person: int, learns: bool, recipe: Recipe, seed: int) -> torch.Tensor:
    if not learns:
        return surface_code(person, recipe.texture_channels)
    return pyramid(start_texture(seed, recipe.texture_channels), recipe.texture_levels)


def critic_of(recipe: Recipe, device: torch.device) -> Critic | None:
    """The critic of a recipe with untrained weights; None where nothing is adversarial."""
    if recipe.adversarial <= 0 and recipe.feature_matching <= 0:
        return None
    channels = 3 + (recipe.texture_channels + 4 if recipe.critic_sees_maps else 0)
    make = SequenceCritic if recipe.critic_sees_pairs else MultiScaleCritic
    network = make(channels, recipe.critic_width, recipe.critic_scales)
    network = network.to(device).to(memory_format=torch.channels_last)      # type: ignore[call-overload]
    return Critic(network, torch.optim.Adam(network.parameters(), lr=recipe.critic_learning_rate, betas=(0.5, 0.999)))


def set_texture(state: State, person: str, texture: torch.Tensor, levels: int) -> None:
    """Begins a person with a texture (C, S, S) of their own."""
    with torch.no_grad():
        state.textures[person].copy_(pyramid(texture, levels))
        state.average_textures[person].copy_(state.textures[person])


def final_texture(state: State, person: str, recipe: Recipe) -> torch.Tensor:
    """The averaged texture (C, S, S) of a person, as rendering reads it."""
    return flat_texture(state.average_textures[person], recipe.texture_levels)


def save_checkpoint(path: Path, state: State) -> None:
    """In one rename, so that an interruption leaves the one before."""
    stored = {
        "renderer": state.renderer.state_dict(), "textures": {k: v.detach() for k, v in state.textures.items()},
        "network_optimiser": state.network_optimiser.state_dict(),
        "texture_optimisers": {k: v.state_dict() for k, v in state.texture_optimisers.items()},
        "average": state.average.state_dict(), "average_textures": state.average_textures,
        "plan": vars(state.plan), "images": state.images, "seconds": state.seconds}
    if state.critic:
        stored["critic"] = state.critic.network.state_dict()
        stored["critic_optimiser"] = state.critic.optimiser.state_dict()
    if state.search:
        stored["search"] = vars(state.search)
    if state.refinement:
        stored["refinement"] = state.refinement.stored()
    buffer = io.BytesIO()               # torch's own writer hides a full disk behind a RuntimeError
    torch.save(stored, buffer)
    partial = path.with_suffix(".partial")
    partial.write_bytes(buffer.getbuffer())
    partial.replace(path)


def resumed(folder: Path, state: State, progress: Progress) -> State:
    """The state of an interrupted training in this folder, and says so; else the state as it is: no image seen."""
    if not (folder / CHECKPOINT).exists():
        return state
    state = load_checkpoint(folder / CHECKPOINT, state)
    progress.note(f"Going on after {state.images} images.")
    return state


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
        for name, optimiser in state.texture_optimisers.items():
            optimiser.load_state_dict(stored["texture_optimisers"][name])
        if state.critic:
            state.critic.network.load_state_dict(stored["critic"])
            state.critic.optimiser.load_state_dict(stored["critic_optimiser"])
        if state.search:
            state.search = Search(**stored["search"])
        if state.refinement:
            state.refinement.restore(stored["refinement"])
    except (RuntimeError, KeyError, ValueError, EOFError, pickle.UnpicklingError) as error:
        hint = "Begin anew: anr train --fresh"
        raise AnrError(f"The checkpoint {path} cannot be used: {error}.", hint=hint) from error
    state.plan = Plan(**stored["plan"])
    state.images, state.seconds = int(stored["images"]), float(stored["seconds"])
    return state
