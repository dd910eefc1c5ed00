"""`anr edit --texture FILE`: what somebody painted on the exported texture is seen in renders, as another model.

    textures.safetensors, network.safetensors, avatar.json, ...   a model folder as `anr train` writes it; the network
                                                                  and all texels that were not painted are the old ones
    painted.png     the texture as it was painted
    before_after.png                                              some views of the person, old above new
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pipelines.core.errors import AnrError
from pipelines.core.options import option
from pipelines.core.stage import Job, Outcome, Stage

if TYPE_CHECKING:
    import torch

    from pipelines.core.records import SurfaceMaps
    from pipelines.renderers.avatar import Avatar

VIEWS = 12                              # that teach the painted texels
SHOWN, SHOWN_PX = 5, 420                # views of before_after.png, and how tall each is
HARDLY = 0.05                           # a smaller share of the painting that is seen from nowhere is not told


@dataclass(frozen=True)
class EditOptions:
    avatar: str = option("main", "The model that the person is in; it stays as it is.")
    person: str = option("", "Whose texture was painted.")
    texture: str = option("", "The painted texture: a PNG, painted over what --export wrote.", file=True)
    images: int = option(120, "How many pictures the painted texels learn from, one after the other.")
    device: str = option("auto", "auto, cpu or cuda.", recorded_only=True)


def check(options: EditOptions) -> None:
    """Refuses what could only fail after the work before it."""
    from pipelines.renderers.avatar import best_device

    best_device(options.device)
    if options.images < 1:
        raise AnrError(f"--images {options.images} is out of range.", hint="120 are usual; more come closer.")


def run(job: Job) -> Outcome:
    from pipelines.media.images import read_image, write_image
    from pipelines.playback.around import surfaces_around
    from pipelines.renderers import needs_of
    from pipelines.renderers.avatar import load_avatar
    from pipelines.training.further import Derived, check_learns_texture, write_derived
    from pipelines.training.painted import read_painted
    from pipelines.training.repaint import chosen_views, free_texels, painting, repainted, unseen_share, view_of

    options: EditOptions = job.options
    person = options.person
    avatar = load_avatar(job.inputs["train"], options.device)
    check_learns_texture(avatar)
    if needs_of(avatar.renderer):
        raise AnrError(f"The renderer {avatar.description['renderer']!r} of this avatar reads its texture anywhere, "
                       "not where the body's surface is: nothing can be painted on it.",
                       hint="Use a model of the renderer anr or dnr.")
    avatar.person(person)
    before = read_image(job.inputs[f"{person}/unwrap"] / "texture.png")
    what = painting(before, read_painted(Path(options.texture), len(before)))
    texture = avatar.textures[person]
    surfaces = list(job.progress.track(surfaces_around(avatar, person), "Looking at the person from all sides"))
    chosen = chosen_views(what, surfaces, VIEWS)
    views = [view for k in chosen if (view := view_of(what, surfaces[k], avatar.renderer, texture))]
    if not views:
        raise AnrError("What was painted is seen from nowhere: it may be too small, or hidden in a fold of the body.",
                       hint="Paint a larger place; regions.png shows what lies where.")
    unseen = unseen_share(what, [surfaces[k] for k in chosen])
    if unseen > HARDLY:
        job.progress.note(f"{unseen:.0%} of what was painted is hidden from all sides, and stays as it is.")
    free = free_texels(what, texture.shape[-1])
    painted, error_before, error = repainted(avatar.renderer, texture, free, views, options.images, job.progress)
    changed = (painted != texture).any(0).float().mean().item()
    figures = {"texels_changed": round(changed, 5), "error_before": round(error_before, 4), "error": round(error, 4)}
    write_derived(job.folder, avatar, Derived("edited", person, {person: painted}, None, {}, figures))
    shutil.copyfile(options.texture, job.folder / "painted.png")
    write_image(job.folder / "before_after.png",
                _before_after(avatar, (texture, painted), [surfaces[k] for k in chosen[:SHOWN]]))
    return Outcome(figures, {"picture": "before_after.png", "painted": "painted.png"})


def _before_after(avatar: Avatar, textures: tuple[torch.Tensor, ...], surfaces: list[SurfaceMaps]) -> np.ndarray:
    """(H, W, 3) uint8: views side by side on grey, one row for each texture."""
    from pipelines.media.sheets import fit_height, tile
    from pipelines.renderers.avatar import render_person

    shown = []
    for texture in textures:
        for maps in surfaces:
            rgb, alpha = render_person(avatar, texture, maps)
            share = alpha[..., None]
            shown.append(fit_height(np.rint(255 * (share * rgb + (1 - share) * 0.5)).astype(np.uint8), SHOWN_PX))
    return tile(shown, columns=len(surfaces))


def _estimate_s(inputs: Mapping[str, Path], options: EditOptions) -> float:
    return 15.0 + 0.15 * options.images


STAGE = Stage(name="edit", version=1, doing="Repainting", Options=EditOptions, run=run, inputs=("unwrap",),
              folder_name="train", check=check, estimate_s=_estimate_s)
