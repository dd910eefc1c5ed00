"""Stage 8, `anr render`: a video of an avatar doing what it is told.

    video.mp4      (video.webm when transparent)
    strip.jpg      eight frames side by side
    motion.npz     joint_names, joints_px (F, 74, 2) where the driven body's joints lie, time_s (F,), frame_index (F,)
    render.json    what made it: person, motion, joint map, camera
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
from pipelines.playback.request import PlaybackOptions, check, chosen_way, deliver, seconds_expected

DEFAULT_PERSON = "me"
WAYS = "Choose one of --motion FILE.bvh, --orbit or --replay."


@dataclass(frozen=True)
class RenderOptions(PlaybackOptions):
    """Who is seen, and what they do."""

    person: str = option("", "Who: one of the people of the model (default: me, or the only one).")


def run(job: Job) -> Outcome:
    options: RenderOptions = job.options
    way = checked_way(options)
    from pipelines.playback.play import play
    from pipelines.renderers.avatar import load_avatar

    avatar = load_avatar(job.inputs["train"], options.device)
    name = options.person or default_person(list(avatar.people))
    person = avatar.person(name)
    return play(job.folder, avatar, person, avatar.textures[name], way, options, job.progress, {"person": name})


def checked_way(options: RenderOptions) -> str:
    """"motion", "orbit" or "replay"; refuses options that cannot be rendered."""
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


STAGE = Stage(name="render", version=1, doing="Rendering", Options=RenderOptions, run=run, inputs=("train",),
              folder_name="renders", keeps_options=False, deliver=deliver, estimate_s=_estimate_s,
              check=_refuse)
