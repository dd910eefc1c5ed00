"""Going on from a trained model: its recipe, its state for one person, and the model that comes of it as files."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from pipelines.core.errors import AnrError
from pipelines.core.storage import read_json, write_json
from pipelines.renderers import renderer_file
from pipelines.renderers.avatar import Avatar
from pipelines.renderers.texture import pyramid
from pipelines.training.recipe import Recipe
from pipelines.training.state import Plan, State, critic_of
from pipelines.training.writing import write_tensors

LEAST_IMAGES = 60
GENTLER = 0.3                           # learning rates of a fine-tuning, times those of the training
SHARED = ("network.safetensors", "body.npz")


@dataclass(frozen=True)
class Derived:
    """What another model takes over from a base, and what is its own."""

    how: str                                    # "enrolled", "tuned" or "edited"
    person: str
    textures: dict[str, torch.Tensor]           # person -> (C, S, S), new or changed ones
    network: nn.Module | None                   # None: the base's, to the bit
    people: dict[str, dict[str, Any]]           # what avatar.json says of new or changed people
    figures: dict[str, float]


def check_learns_texture(avatar: Avatar) -> None:
    """AnrError where the renderer has no neural texture."""
    name = avatar.description["renderer"]
    if not renderer_file(name).LEARNS_TEXTURE:
        raise AnrError(f"The renderer {name!r} of this avatar has no neural texture that could be learned.",
                       hint="Use a model of the renderer anr or dnr.")


def recipe_of(avatar: Avatar) -> Recipe:
    """The numbers that the model was trained with; today's where it does not tell one."""
    told = avatar.description.get("recipe", {})
    known = {each.name for each in fields(Recipe)}
    size = {key: value for key, value in avatar.description["config"].items() if key in known}
    given: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value
                             for key, value in {**told, **size}.items() if key in known}
    return Recipe(**given)


def enrolment(recipe: Recipe, images: int) -> Recipe:
    """For somebody new: keyframes teach the texture, no critic judges it, and its rate rises at once."""
    return replace(recipe, adversarial=0.0, feature_matching=0.0, patience=0, warm_up=min(recipe.warm_up, images // 10),
                   feature_warm_up=0, split=True, learning_rate=GENTLER * recipe.learning_rate)


def tuning(recipe: Recipe) -> Recipe:
    """For network and texture of a person the model knows: gentler, as both are good already."""
    return replace(recipe, patience=0, feature_warm_up=0, learning_rate=GENTLER * recipe.learning_rate,
                   texture_learning_rate=GENTLER * recipe.texture_learning_rate)


def images_of(avatar: Avatar, share: float) -> int:
    """So many images as are that share of what the model saw."""
    return max(LEAST_IMAGES, round(share * float(avatar.description.get("images", 0))))


def going_on(avatar: Avatar, person: str, recipe: Recipe, plan: Plan, network_learns: bool,
             others: Sequence[str] = ()) -> State:
    """A state that begins with the model's network, and for the person with their texture, else with the mean of all.

    The mean is a texture that the network can draw: what keyframes do not show looks plausible.

    others  who is rehearsed: their textures are there and stay as they are
    """
    network = deepcopy(avatar.renderer).requires_grad_(network_learns).train()
    known = avatar.textures.get(person)
    start = torch.stack(list(avatar.textures.values())).mean(0) if known is None else known
    first = {name: pyramid(texture.detach().clone(), recipe.texture_levels)
             for name, texture in {person: start, **{name: avatar.textures[name] for name in others}}.items()}
    textures = {name: nn.Parameter(texture, name == person) for name, texture in first.items()}
    return State(network, textures,
                 torch.optim.Adam(network.parameters(), lr=recipe.learning_rate, betas=(0.9, 0.99)),
                 {person: torch.optim.Adam([textures[person]], lr=recipe.texture_learning_rate, betas=(0.9, 0.99))},
                 deepcopy(network).requires_grad_(False), {name: texture.clone() for name, texture in first.items()},
                 plan, critic_of(recipe, avatar.device))


def write_derived(folder: Path, avatar: Avatar, derived: Derived) -> None:
    """A model folder of its own: whatever is the base's is linked or copied, so that it can be given away alone."""
    base = avatar.folder
    for path in sorted(p for name in ("backgrounds", "motions") for p in (base / name).iterdir()):
        if not (folder / path.relative_to(base)).exists():
            _take_over(path, folder / path.relative_to(base))
    for name in SHARED:
        if (base / name).exists() and not (name == SHARED[0] and derived.network):
            _take_over(base / name, folder / name)
    if derived.network:
        write_tensors(folder / SHARED[0], derived.network.state_dict())
    write_tensors(folder / "textures.safetensors", {**avatar.textures, **derived.textures})
    _merge_split(base / "split.json", folder / "split.json")
    history = [*avatar.description.get("derived", []),
               {"how": derived.how, "person": derived.person, **derived.figures}]
    write_json(folder / "avatar.json", {**avatar.description, "derived": history,
                                        "people": {**avatar.description["people"], **derived.people}})


def _merge_split(base: Path, own: Path) -> None:
    """Everybody's frames: the base's, with those of whoever was learned now."""
    if not base.exists():
        return
    before, now = read_json(base), read_json(own) if own.exists() else {}
    write_json(own, {part: {**before.get(part, {}), **now.get(part, {})} for part in {**before, **now}})


def _take_over(source: Path, target: Path) -> None:
    """Linked where the file system can: files of a version never change."""
    target.parent.mkdir(exist_ok=True)
    target.unlink(missing_ok=True)
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
