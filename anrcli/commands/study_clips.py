"""Where a study's clips come from when models of the workspace are compared: renders of the same motions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from anrcli.commands.stages import bring
from pipelines.chain import Request, people_of_model
from pipelines.core.errors import AnrError, UsageError
from pipelines.core.stage import Progress
from pipelines.core.storage import read_json, read_npz
from pipelines.core.workspace import Version, Workspace, newest_version
from pipelines.study import StudyOptions
from pipelines.studying.clips import Take, film_of, takes_in

CAPTURE, TRANSPARENT = "capture", "transparent"
SLACK_S = 0.02                          # a window may end so much later than its video


@dataclass(frozen=True)
class Filming:
    """What is rendered."""

    avatars: tuple[str, ...]
    people: tuple[str, ...]             # () = everybody whom all models know
    motions: tuple[str, ...]            # () = the captured one
    background: str
    seconds: float
    most: int                           # stimuli

    @classmethod
    def of(cls, typed: Mapping[str, Any], options: StudyOptions) -> Filming:
        return cls(tuple(dict.fromkeys(typed["avatar"])), tuple(typed.get("person", ())),
                   tuple(typed.get("motion", ())), typed.get("background", CAPTURE), options.seconds, options.stimuli)


@dataclass(frozen=True, eq=False)
class Replayed:
    """The recording that a replay shows."""

    person: str
    frames: np.ndarray                  # (F,) capture frames
    plate: Path                         # the captured background without the person
    background: str                     # before what the replay is


@dataclass(frozen=True)
class Films:
    """What was rendered: method -> stimulus -> clip, and of a replay the recording of each stimulus."""

    takes: dict[str, dict[str, Take]]
    replayed: dict[str, Replayed]


def filmed(workspace: Workspace, filming: Filming, progress: Progress) -> Films:
    """Renders all stimuli of all models; what is there already is not rendered again."""
    if filming.background == TRANSPARENT:
        raise UsageError("A clip of a study cannot be transparent.", hint="Choose a colour, a picture or `capture`.")
    models = {avatar: _model(workspace, avatar) for avatar in filming.avatars}
    known = [set(people_of_model(model)) for model in models.values()]
    people = filming.people or tuple(sorted(set.intersection(*known)))
    for person in people:
        for avatar, of in zip(models, known):
            if person not in of:
                raise AnrError(f"The model {avatar!r} does not know {person!r}; it knows {', '.join(sorted(of))}.",
                               hint="Compare models of the same people: --person NAME.")
    if not people:
        raise AnrError(f"The models {', '.join(models)} have no person in common.",
                       hint="Train them on the same people.")
    takes: dict[str, dict[str, Take]] = {avatar: {} for avatar in models}
    films = Films(takes, {})
    for person in people:
        if filming.motions:
            _perform(workspace, person, filming, films, progress)
        else:
            windows = _held_out_windows(workspace, person, models, filming)
            _replay(workspace, person, windows, filming, films, progress)
    return films


def true_clips(source: str, films: Films | None, workspace: Workspace, aside: Path) -> dict[str, Take]:
    """The true clips: videos of a folder, or with `capture` the frames that were replayed, written as videos.

    The person is cut out by the matte and stands before the same background as the avatar: else a shadow on the floor
    would tell who is real, which no avatar could throw.
    """
    if source != CAPTURE or Path(source).is_dir():
        return takes_in(Path(source))
    if films is None or not films.replayed:
        raise UsageError("`capture` has true clips only for --avatar with --replay.",
                         hint="Name a folder of videos instead.")
    found = {}
    for stimulus, replayed in films.replayed.items():
        found[stimulus] = Take(aside / f"{stimulus}.mp4")
        _write_true(found[stimulus].path, replayed, workspace)
    return found


def _write_true(target: Path, replayed: Replayed, workspace: Workspace) -> None:
    """The recorded frames with the person's own edge colours, composited as a render is."""
    from pipelines.matting.foreground import person_colours
    from pipelines.media.images import read_alpha, read_image
    from pipelines.media.recording import Recording
    from pipelines.media.video import VideoWriter
    from pipelines.playback.backdrop import backdrop
    from pipelines.playback.drawing import composed

    recording = Recording(_newest(workspace, replayed.person, "capture").folder)
    matte = _newest(workspace, replayed.person, "matte").folder
    width, height = recording.camera.width, recording.camera.height
    behind = backdrop(replayed.background, width, height, replayed.plate, None)
    pictures = behind.pictures((recording.times_s[replayed.frames] - recording.times_s[replayed.frames[0]]).tolist())
    with VideoWriter(target, width, height, recording.fps) as writer:
        for index, background in zip(replayed.frames.tolist(), pictures):
            alpha = read_alpha(matte / "alpha" / f"{index:05d}.png")
            colours = person_colours(recording.image(index), alpha, read_image(matte / "edge" / f"{index:05d}.png"))
            person = (colours.astype(np.float32) / 255.0, alpha)
            writer.add(composed(background, behind, person, (0, 0, width, height), (height, width)))


def _newest(workspace: Workspace, person: str, stage: str) -> Version:
    version = newest_version(workspace.person_place(person, stage))
    if version is None:
        raise AnrError(f"There is no {stage} of {person!r} in the workspace {workspace.root}.",
                       hint="Compare models by --motion FILE.bvh, or bring the person's recording.")
    return version


def _model(workspace: Workspace, avatar: str) -> Version:
    model = newest_version(workspace.avatar_place(avatar, "train"))
    if model is None:
        raise AnrError(f"There is no avatar {avatar!r} in the workspace {workspace.root} yet.",
                       hint=f"Train it first: anr train --avatar {avatar}")
    return model


def _perform(workspace: Workspace, person: str, filming: Filming, films: Films, progress: Progress) -> None:
    """Each motion rendered once per model, and cut into stimuli."""
    for motion in filming.motions:
        for avatar in filming.avatars:
            options = {"motion": motion, "person": person, "background": filming.background}
            video = _rendered(workspace, avatar, options, progress).outputs["video"]
            count = int((film_of(video).seconds + SLACK_S) / filming.seconds)
            if not count:
                raise AnrError(f"{Path(motion).name} is shorter than {filming.seconds:g} s.",
                               hint="Choose a longer motion, or fewer --seconds.")
            for k in range(count):
                name = f"{person}-{Path(motion).stem}-{k:02d}"
                films.takes[avatar][name] = Take(video, k * filming.seconds)


def _replay(workspace: Workspace, person: str, windows: Sequence[range], filming: Filming, films: Films,
            progress: Progress) -> None:
    plate = _model(workspace, filming.avatars[0]).folder / "backgrounds" / f"{person}.png"
    for window in windows:
        name = f"{person}-{window.start:05d}"
        for avatar in filming.avatars:
            options = {"replay": True, "person": person, "background": filming.background,
                       "frames": f"{window.start}:{window.stop}"}
            outputs = _rendered(workspace, avatar, options, progress).outputs
            films.takes[avatar][name] = Take(outputs["video"])
            frames = read_npz(outputs["motion"], ("frame_index",))["frame_index"]
            films.replayed[name] = Replayed(person, frames, plate, filming.background)


def _rendered(workspace: Workspace, avatar: str, options: dict[str, Any], progress: Progress) -> Version:
    """Brings a render up to date; AnrError where no video could be written."""
    version = bring(workspace, "render", Request(avatar=avatar, typed={"render": options}), progress)[-1].version
    if "video" not in version.outputs:
        raise AnrError(f"The render {version.folder} has no video: ffmpeg is not here.",
                       hint="pip install imageio-ffmpeg ffmpeg-python, delete that folder and run again.")
    return version


def _held_out_windows(workspace: Workspace, person: str, models: Mapping[str, Version],
                      filming: Filming) -> list[range]:
    """Stretches of the recording that no model has learned from, each as long as a stimulus."""
    fps = float(read_json(_newest(workspace, person, "capture").folder / "capture.json")["fps"])
    held = set.intersection(*(set(read_json(model.folder / "split.json")["held_out"][person])
                              for model in models.values()))
    windows = windows_of(sorted(held), max(1, round(filming.seconds * fps)))
    if not windows:
        longest = max((len(run) for run in _runs(sorted(held))), default=0) / fps
        raise AnrError(f"No stretch of {person}'s recording that the models have not seen lasts {filming.seconds:g} s; "
                       f"the longest lasts {longest:.2f} s.",
                       hint=f"Show less (--seconds {max(0.2, int(10 * longest) / 10):g}), or --motion FILE.bvh.")
    return windows


def windows_of(frames: Sequence[int], length: int) -> list[range]:
    """Neighbouring stretches of `length` frames within ascending frame numbers, none overlapping."""
    return [range(start, start + length) for run in _runs(frames)
            for start in range(run[0], run[-1] + 2 - length, length)]


def _runs(frames: Sequence[int]) -> list[list[int]]:
    """Ascending numbers in stretches without a gap."""
    runs: list[list[int]] = []
    for frame in frames:
        if runs and frame == runs[-1][-1] + 1:
            runs[-1].append(frame)
        else:
            runs.append([frame])
    return runs
