"""Stage 8, `anr render`: a video of an avatar doing what it is told.

    video.mp4      (video.webm or video.mov when transparent, or asked for)
    video.gif      when asked for
    strip.jpg      some frames side by side (strip.png with transparency)
    motion.npz     joint_names, joints_px (F, 74, 2) where the driven body's joints lie, time_s (F,), frame_index (F,)
    render.json    what made it: person, motion, camera
    joint_map.json which joint of a BVH file was taken for what
    frames/        PNG frames, when asked for
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pipelines.core.errors import AnrError, UsageError
from pipelines.core.options import option
from pipelines.core.stage import Job, Outcome, Stage
from pipelines.core.storage import read_json
from pipelines.playback.delivery import deliver
from pipelines.playback.estimate import seconds_expected
from pipelines.playback.request import PlaybackOptions, check, chosen_way

DEFAULT_PERSON = "me"
WAYS = "Choose one of --motion FILE.bvh, --orbit, --replay or --camera FILE.json."


@dataclass(frozen=True)
class RenderOptions(PlaybackOptions):
    """Who is seen, and what they do."""

    person: str = option("", "Who: one of the people of the model (default: me, or the only one).")


def run(job: Job) -> Outcome:
    options: RenderOptions = job.options
    way = checked_way(options)
    from pipelines.playback.play import Role, play
    from pipelines.renderers.avatar import load_avatar

    avatar = load_avatar(job.inputs["train"], options.device)
    name = options.person or default_person(list(avatar.people))
    person = avatar.person(name)
    role = Role(avatar, person, person.betas, avatar.textures[name])
    return play(job.folder, role, way, options, job.progress, {"person": name})


def checked_way(options: RenderOptions) -> str:
    """"motion", "orbit", "replay" or "stand"; refuses options that cannot be rendered."""
    way = chosen_way(options)
    if not way:
        raise UsageError("Nothing was said about what the avatar should do.", hint=WAYS)
    check(options)
    return way


def default_person(people: list[str]) -> str:
    """`me`, or the only one there is."""
    if len(people) == 1:
        return people[0]
    if DEFAULT_PERSON in people:
        return DEFAULT_PERSON
    raise AnrError("This avatar knows several people.", hint=f"Say who with --person: {', '.join(people)}.")


def _refuse(options: RenderOptions) -> None:
    checked_way(options)


def _estimate_s(inputs: Mapping[str, Path], options: RenderOptions) -> float:
    people = read_json(inputs["train"] / "avatar.json")["people"]
    person = people.get(options.person) or next(iter(people.values()))
    return seconds_expected(options, person["frames"], person["camera"]["height"], person["camera"]["width"])


STAGE = Stage(name="render", version=4, doing="Rendering", Options=RenderOptions, run=run, inputs=("train",),
              folder_name="renders", keeps_options=False, deliver=deliver, estimate_s=_estimate_s,
              check=_refuse)
