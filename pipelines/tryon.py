"""Stage 9, `anr tryon`: a person in somebody else's clothes, by mixing the textures of people of one model.

    video.mp4, strip.jpg, motion.npz, frames/    as `anr render` writes them
    render.json                                  besides: whose texture each region has
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pipelines.core.errors import UsageError
from pipelines.core.options import option
from pipelines.core.stage import Job, Outcome, Stage
from pipelines.core.storage import read_json
from pipelines.playback.request import PlaybackOptions, check, chosen_way, deliver, seconds_expected

if TYPE_CHECKING:
    import torch

    from pipelines.renderers.avatar import Avatar

GARMENTS: dict[str, tuple[str, ...]] = {    # which of the body's regions go with a garment; see also HEM
    "shirt": ("torso", "upper_arm_l", "upper_arm_r", "lower_arm_l", "lower_arm_r", "hips"),
    "hair": ("scalp",),
    "trousers": ("hips", "upper_leg_l", "upper_leg_r", "lower_leg_l", "lower_leg_r"),
    "shoes": ("foot_l", "foot_r"),
}
HEM = 0.52                              # of the body's height: shirts worn outside end about here, below the waist
HEM_SOFT_M = 0.02
BEYOND_HEM = {"shirt": ("upper_leg_l", "upper_leg_r"), "trousers": ("torso",)}   # across the hips from the garment
SOFT_TEXELS = 2.0                       # width of the border between two people's textures
REMINDER = ("Show people only in ways they agreed to. The swap changes texture and body shape alone: the cut of a "
            "skirt or a bulky jacket is not simulated.")


@dataclass(frozen=True)
class TryonOptions(PlaybackOptions):
    """Whose what; everything not named is the face's owner's, body shape and hands included."""

    face: str = option("", "Whose face, hands and body shape.")
    shirt: str = option("", "Whose shirt (trunk and arms, down to a hem below the waist).")
    hair: str = option("", "Whose hair.")
    trousers: str = option("", "Whose trousers (from the hem of the shirt down).")
    shoes: str = option("", "Whose shoes.")


def run(job: Job) -> Outcome:
    options: TryonOptions = job.options
    worn = worn_by(options)
    check(options)
    from pipelines.playback.play import play
    from pipelines.renderers.avatar import load_avatar

    avatar = load_avatar(job.inputs["train"], options.device)
    person = avatar.person(options.face)
    for name in worn.values():
        avatar.person(name)             # AnrError that lists who there is
    job.progress.note(REMINDER)
    texture = mixed_texture(avatar, options.face, worn)
    told = {"person": options.face, "worn": worn}
    return play(job.folder, avatar, person, texture, chosen_way(options) or "orbit", options, job.progress, told)


def worn_by(options: TryonOptions) -> dict[str, str]:
    """{garment: its owner} of what was asked for; UsageError when it is not a swap."""
    if not options.face:
        raise UsageError("Nothing was said about whose face it is.",
                         hint="For example: anr tryon --face ada --shirt ben")
    worn = {garment: getattr(options, garment) for garment in GARMENTS if getattr(options, garment)}
    if not worn:
        raise UsageError("Nothing was named that should be swapped.",
                       hint=f"Name the owner of one of {', '.join('--' + garment for garment in GARMENTS)}.")
    return worn


def refuse(options: TryonOptions) -> None:
    """UsageError or AnrError for what cannot be tried on or rendered, before any work."""
    worn_by(options)
    chosen_way(options)
    check(options)


def mixed_texture(avatar: Avatar, face: str, worn: Mapping[str, str]) -> torch.Tensor:
    """(C, 256, 256): the face's owner's texture with the named garments' texels from theirs, borders blended."""
    import torch

    mixed = avatar.textures[face].clone()
    for garment, owner in worn.items():
        share = torch.from_numpy(garment_texels(garment, mixed.shape[-1])).to(mixed)[None]
        mixed = mixed + share * (avatar.textures[owner] - mixed)
    return mixed


def garment_texels(garment: str, size: int) -> np.ndarray:
    """(size, size) float32 weights 0..1 of a garment's texels, with soft borders.

    The hips are shared: what lies above the hem goes with the shirt, what lies below with the trousers.
    """
    from pipelines.body.model import load_body
    from pipelines.body.surface import region_map, region_texels, texel_positions

    body = load_body()
    weight = region_texels(body, GARMENTS[garment], size, SOFT_TEXELS)
    if "hips" not in GARMENTS[garment]:
        return weight
    hem_m = body.verts[:, 1].min() + HEM * np.ptp(body.verts[:, 1])
    above = np.clip((texel_positions(body, size)[..., 1] - hem_m) / HEM_SOFT_M + 0.5, 0, 1)
    regions = region_map(body, size)
    hips, *beyond = (regions == body.region_names.index(name) for name in ("hips", *BEYOND_HEM[garment]))
    weight = np.where(np.any(beyond, axis=0), 0, weight)            # the border there is the hem, not the region's
    return np.where(hips, weight * (above if garment == "shirt" else 1 - above), weight).astype(np.float32)


def _estimate_s(inputs: Mapping[str, Path], options: TryonOptions) -> float:
    people: dict[str, Any] = read_json(inputs["train"] / "avatar.json")["people"]
    person = people.get(options.face) or next(iter(people.values()))
    return seconds_expected(options, person["frames"], person["camera"]["height"], person["camera"]["width"])


STAGE = Stage(name="tryon", version=1, doing="Trying on", Options=TryonOptions, run=run, inputs=("train",),
              folder_name="renders", keeps_options=False, deliver=deliver, estimate_s=_estimate_s,
              check=refuse)
