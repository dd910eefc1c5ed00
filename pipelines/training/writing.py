"""A trained model as files: what `load_avatar` reads."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import save

from pipelines.body import model
from pipelines.body.seams import across_seams, tied
from pipelines.training.recipe import Recipe
from pipelines.training.state import State, final_texture


def write_tensors(path: Path, tensors: Mapping[str, torch.Tensor]) -> None:
    """As float32 safetensors; written by Python, whose error for a full disk can be told from others."""
    path.write_bytes(save({name: tensor.detach().float().cpu().contiguous() for name, tensor in tensors.items()}))


def write_body(folder: Path) -> None:
    """The body that the model was made for."""
    shutil.copyfile(Path(model.__file__).parent / "assets" / "body.npz", folder / "body.npz")


def final_textures(state: State, recipe: Recipe) -> dict[str, torch.Tensor]:
    """The averaged texture (C, S, S) of everybody; learned ones hold in their gutters what lies across the seams."""
    textures = {person: final_texture(state, person, recipe).detach().cpu() for person in state.textures}
    return {person: across_tied(texture) if person in state.texture_optimisers else texture
            for person, texture in textures.items()}


def across_tied(texture: torch.Tensor) -> torch.Tensor:
    """A texture (C, S, S) whose gutters hold what lies across the seams."""
    return torch.from_numpy(tied(texture.float().cpu().numpy(), across_seams(model.load_body(), texture.shape[-1])))
