"""Stage 9, `anr tryon`: a person in somebody else's clothes, by mixing the textures of people of one model.

    video.mp4, strip.jpg, motion.npz, frames/    as `anr render` writes them
    regions.png                                  the texture with the names of its regions: paint masks over it
    render.json                                  besides: whose texture each region has
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipelines.core.errors import AnrError, UsageError
from pipelines.core.options import option
from pipelines.core.stage import Job, Outcome, Stage
from pipelines.core.storage import read_json
from pipelines.playback.delivery import deliver
from pipelines.playback.estimate import seconds_expected
from pipelines.playback.request import PlaybackOptions, check, chosen_way
from pipelines.playback.wardrobe import GARMENTS, check_region, mixed_texture, read_mask, shares_of, write_region_guide

REMINDER = ("Show people only in ways they agreed to. The swap changes texture and body shape alone: the cut of a "
            "skirt or a bulky jacket is not simulated.")


@dataclass(frozen=True)
class TryonOptions(PlaybackOptions):
    """Whose what; everything not named is the face's owner's, body shape and hands included."""

    face: str = option("", "Whose face; also whose hair, hands and body shape, unless they are named.")
    shirt: str = option("", "Whose shirt (trunk and arms, down to a hem below the waist).")
    hair: str = option("", "Whose hair.")
    trousers: str = option("", "Whose trousers (from the hem of the shirt down).")
    shoes: str = option("", "Whose shoes.")
    skin: str = option("", "Whose skin on neck and hands.")
    shape: str = option("", "Whose body shape (default: the face's owner's).")
    region: tuple[str, ...] = option((), "A region of the body by name: lower_arm_l=ben; may be given several times.",
                                     repeat=True)
    mask: str = option("", "A mask painted over regions.png of an earlier try-on: a PNG, white = swapped.", file=True)
    mask_from: str = option("", "Whose texture the white of --mask shows.")


def run(job: Job) -> Outcome:
    options: TryonOptions = job.options
    refuse(options)
    from pipelines.playback.play import Role, play
    from pipelines.renderers.avatar import load_avatar

    avatar = load_avatar(job.inputs["train"], options.device)
    person = avatar.person(options.face)
    worn = worn_by(options)
    for name in (*worn.values(), *filter(None, (options.shape,))):
        avatar.person(name)             # AnrError that lists who there is
    job.progress.note(REMINDER)
    texture = avatar.textures[options.face]
    shares = shares_of(worn, options.mask, texture.shape[-1])
    texture = mixed_texture(texture, [(share, avatar.textures[owner]) for share, owner in shares])
    role = Role(avatar, person, avatar.person(options.shape or options.face).betas, texture)
    told = {"person": options.face, "worn": worn, "shape": options.shape or options.face}
    outcome = play(job.folder, role, chosen_way(options) or "orbit", options, job.progress, told)
    write_region_guide(job.folder / "regions.png")
    return Outcome(outcome.figures, {**outcome.outputs, "regions": "regions.png"}, outcome.facts)


def worn_by(options: TryonOptions) -> dict[str, str]:
    """{garment, region or "mask": its owner} of what was asked for, in the order it is put on; UsageError when it is
    not a swap."""
    if not options.face:
        raise UsageError("Nothing was said about whose face it is.",
                         hint="For example: anr tryon --face ada --shirt ben")
    worn = {garment: getattr(options, garment) for garment in GARMENTS if getattr(options, garment)}
    for asked in options.region:
        name, equals, owner = asked.partition("=")
        if not (name and equals and owner):
            raise UsageError(f"--region {asked} does not say whose region it is.", hint="--region lower_arm_l=ben")
        worn[name] = owner
    if bool(options.mask) != bool(options.mask_from):
        raise UsageError("--mask says where, --mask-from whose: one is missing.", hint="Name both, or neither.")
    if options.mask:
        worn["mask"] = options.mask_from
    if not worn and not options.shape:
        flags = ", ".join("--" + name for name in (*GARMENTS, "shape", "region", "mask"))
        raise UsageError("Nothing was named that should be swapped.", hint=f"Name the owner of one of {flags}.")
    return worn


def refuse(options: TryonOptions) -> None:
    """UsageError or AnrError for what cannot be tried on or rendered, before any work."""
    worn = worn_by(options)
    chosen_way(options)
    check(options)
    for name in worn:
        if name not in (*GARMENTS, "mask"):
            check_region(name)
    if options.mask:
        read_mask(Path(options.mask))
    if options.replay and options.shape not in ("", options.face):
        raise AnrError(f"--replay shows {options.face} as captured, in {options.face}'s own shape.",
                       hint="Leave --shape away, or render a --motion or an --orbit.")


def _estimate_s(inputs: Mapping[str, Path], options: TryonOptions) -> float:
    people: dict[str, Any] = read_json(inputs["train"] / "avatar.json")["people"]
    person = people.get(options.face) or next(iter(people.values()))
    return seconds_expected(options, person["frames"], person["camera"]["height"], person["camera"]["width"])


STAGE = Stage(name="tryon", version=4, doing="Trying on", Options=TryonOptions, run=run, inputs=("train",),
              folder_name="renders", keeps_options=False, deliver=deliver, estimate_s=_estimate_s,
              check=refuse)
