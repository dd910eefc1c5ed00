"""Stage 9, `anr tryon`: a person in somebody else's clothes, by mixing the textures of people of one model.

    video.mp4, strip.jpg, motion.npz, frames/    as `anr render` writes them
    render.json                                  besides: whose texture each region has
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.core.errors import UsageError
from pipelines.core.options import option
from pipelines.core.stage import Job, Outcome, Stage
from pipelines.core.storage import read_json
from pipelines.playback.request import PlaybackOptions, check, chosen_way, deliver, seconds_expected

if TYPE_CHECKING:
    import torch

    from pipelines.renderers.avatar import Avatar

GARMENTS: dict[str, tuple[str, ...]] = {    # which of the body's regions go with a garment
    "shirt": ("torso", "upper_arm_l", "upper_arm_r", "lower_arm_l", "lower_arm_r"),
    "hair": ("scalp",),
    "trousers": ("hips", "upper_leg_l", "upper_leg_r", "lower_leg_l", "lower_leg_r"),
    "shoes": ("foot_l", "foot_r"),
}
SOFT_TEXELS = 2.0                       # width of the border between two people's textures
REMINDER = ("Show people only in ways they agreed to. The swap changes texture and body shape alone: the cut of a "
            "skirt or a bulky jacket is not simulated.")


@dataclass(frozen=True)
class TryonOptions(PlaybackOptions):
    """Whose what; everything not named is the face's owner's, body shape and hands included."""

    face: str = option("", "Whose face, hands and body shape.")
    shirt: str = option("", "Whose shirt (trunk and arms).")
    hair: str = option("", "Whose hair.")
    trousers: str = option("", "Whose trousers (hips and legs).")
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

    from pipelines.body.model import load_body
    from pipelines.body.surface import region_texels

    mixed = avatar.textures[face].clone()
    for garment, owner in worn.items():
        weight = region_texels(load_body(), GARMENTS[garment], mixed.shape[-1], SOFT_TEXELS)
        share = torch.from_numpy(weight).to(mixed)[None]
        mixed = mixed + share * (avatar.textures[owner] - mixed)
    return mixed


def _estimate_s(inputs: Mapping[str, Path], options: TryonOptions) -> float:
    people: dict[str, Any] = read_json(inputs["train"] / "avatar.json")["people"]
    person = people.get(options.face) or next(iter(people.values()))
    return seconds_expected(options, person["frames"], person["camera"]["height"], person["camera"]["width"])


STAGE = Stage(name="tryon", version=1, doing="Trying on", Options=TryonOptions, run=run, inputs=("train",),
              folder_name="renders", keeps_options=False, deliver=deliver, estimate_s=_estimate_s,
              check=refuse)
