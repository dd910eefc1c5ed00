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

CAPTURE = "capture"
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


@dataclass(frozen=True)
class Films:
    """What was rendered: method -> stimulus -> clip, and for a replay whose frames each stimulus is."""

    takes: dict[str, dict[str, Take]]
    replayed: dict[str, tuple[Path, np.ndarray]]    # stimulus -> capture folder, frames (F,)


def filmed(workspace: Workspace, filming: Filming, progress: Progress) -> Films:
    """Renders all stimuli of all models; what is there already is not rendered again."""
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


def true_clips(source: str, films: Films | None, aside: Path) -> dict[str, Take]:
    """The true clips: videos of a folder, or with `capture` the frames that were replayed, written as videos."""
    if source != CAPTURE or Path(source).is_dir():
        return takes_in(Path(source))
    if films is None or not films.replayed:
        raise UsageError("`capture` has true clips only for --avatar with --replay.",
                         hint="Name a folder of videos instead.")
    from pipelines.media.recording import Recording
    from pipelines.media.video import VideoWriter

    found = {}
    for stimulus, (folder, frames) in films.replayed.items():
        recording = Recording(folder)
        target = aside / f"{stimulus}.mp4"
        with VideoWriter(target, recording.camera.width, recording.camera.height, recording.fps) as writer:
            for index in frames:
                writer.add(recording.image(int(index)))
        found[stimulus] = Take(target)
    return found


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
    folder = newest_version(workspace.person_place(person, "capture"))
    for window in windows:
        name = f"{person}-{window.start:05d}"
        for avatar in filming.avatars:
            options = {"replay": True, "person": person, "background": filming.background,
                       "frames": f"{window.start}:{window.stop}"}
            outputs = _rendered(workspace, avatar, options, progress).outputs
            films.takes[avatar][name] = Take(outputs["video"])
            if folder is not None:
                frames = read_npz(outputs["motion"], ("frame_index",))["frame_index"]
                films.replayed[name] = (folder.folder, frames)


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
    capture = newest_version(workspace.person_place(person, "capture"))
    if capture is None:
        raise AnrError(f"There is no recording of {person!r} in the workspace {workspace.root}.",
                       hint="Compare models by --motion FILE.bvh instead.")
    fps = float(read_json(capture.folder / "capture.json")["fps"])
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
