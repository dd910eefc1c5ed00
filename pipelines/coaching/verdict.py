"""The coach's rules: what is wrong with a recording, how bad it is, and what to do about it.

Only what makes an avatar impossible stops; what makes it worse is a warning; advice is a note.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pipelines.coaching.evidence import (
    SIDES,
    USABLE_PX,
    Evidence,
    SideSeen,
    Stretch,
    longest_stretch,
    poses_seen,
    sides_seen,
    usable,
)
from pipelines.coaching.looking import POSES

NOTE, WARNING, STOP = "note", "warning", "stop"
GO, GO_WITH_WARNINGS, NO_GO = "go", "go with warnings", "no-go"

FEWEST_USABLE = 24                      # frames: what capture itself asks for; less gives no held-out part
HARDLY_ANYBODY = 0.10                   # share of frames with somebody below which there is nothing to make
SMALL_PX = 240.0                        # standing height: the face is then 30 px high, the least that reads as one
OFTEN_EMPTY = 0.05                      # share of frames with nobody from which it is said
FIT_LOSES = 0.35                        # share of lost frames at which the fit refuses (pipelines/fit.py, MOST_LOST)
SIDE_SHARE = 0.60                       # of a side's surface; a half turn shows 75 % of each side it passes
SELDOM_SHARE = 0.02                     # of the frames: a side seen in fewer teaches little
FACE_SHARE = 0.05                       # of the frames: people look at faces, so it needs more
CUT_SHARE = 0.05                        # of the frames
MOVED_SHARE = 0.05                      # of the looks; one step that is wrong about the camera is not enough
BLURRED = 0.62                          # of `looking.blur_of`: a smear of 1.5 % of the person's height, 2-3 cm
BLURRED_SHARE = 0.15                    # of the frames: keyframes and training can avoid fewer
DARK_LIGHT = 0.06                       # median of the person; MediaPipe fails at 0.07 of the usual brightness
BLACK_LIGHT = 0.02                      # of the whole picture: nothing but noise
BLACK_SHARE = 0.45                      # of the person's pixels without any shade left; black trousers alone have 0.26
BURNT_SHARE = 0.10                      # of the person's pixels that are pure white
POSE_SHARE = 0.02                       # of the frames: a pose in fewer teaches nothing
SLOW_FPS = 10.0                         # below, fast limbs jump between frames
NAMED_PEOPLE = 5                        # of a crowd; more places help nobody
SHORT_FRAMES = 100                      # below, there is little to learn from


@dataclass(frozen=True)
class Finding:
    """One thing the coach has to say."""

    severity: str                       # note, warning or stop
    about: str                          # one word for programs: surface, poses, size, ...
    text: str
    remedy: str


@dataclass(frozen=True)
class Verdict:
    """What the coach says of a recording."""

    findings: tuple[Finding, ...]
    sides: dict[str, SideSeen]
    poses: dict[str, int]               # about how many frames show each
    use: Stretch | None                 # the part to use, where the whole is not it
    frames: int
    looked_at: int
    figures: dict[str, float]

    @property
    def word(self) -> str:
        """go, go with warnings or no-go."""
        worst = {finding.severity for finding in self.findings}
        return NO_GO if STOP in worst else GO_WITH_WARNINGS if WARNING in worst else GO

    def of(self, severity: str) -> list[Finding]:
        return [finding for finding in self.findings if finding.severity == severity]

    def as_json(self) -> dict[str, Any]:
        return {"verdict": self.word, "findings": [vars(finding) for finding in self.findings],
                "sides": {name: {"share": round(seen.share, 3), "frames": seen.frames}
                          for name, seen in self.sides.items()},
                "poses": self.poses, "use": vars(self.use) if self.use else None, "frames": self.frames,
                "looked_at": self.looked_at, "figures": self.figures}


def reach_verdict(evidence: Evidence) -> Verdict:
    """Applies every rule; those about the body only where somebody is seen."""
    rules: Sequence[Callable[[Evidence], list[Finding]]] = (_nobody, _few_usable)
    findings = [finding for rule in rules for finding in rule(evidence)]
    use = None
    if evidence.found:
        use = _part_to_use(evidence)
        rules = (_size, _people, _cut, _camera, _surface, _poses, _sharpness, _exposure, _length)
        findings += [finding for rule in rules for finding in rule(evidence)]
        if use is not None:
            findings.append(Finding(
                NOTE, "stretch",
                f"{100 * _usable_share(evidence):.0f} % of the recording shows one whole person before a camera that "
                f"stands still; the longest such stretch has {use.frames} frames.",
                f"Use it alone: --start {use.start_s:g} --seconds {use.seconds:g}."))
    order = (STOP, WARNING, NOTE)
    return Verdict(tuple(sorted(findings, key=lambda finding: order.index(finding.severity))), sides_seen(evidence),
                   poses_seen(evidence), use, evidence.frames, len(evidence.looks), _figures(evidence))


def _figures(evidence: Evidence) -> dict[str, float]:
    found = evidence.found
    numbers = {
        "found_share": len(found) / max(len(evidence.looks), 1),
        "usable_share": _usable_share(evidence),
        "people": float(evidence.people),
        "person_px": evidence.median([each.tall_px for each in found]),
        "blur": evidence.median([each.blur for each in found]),
        "light": evidence.median([each.light for each in found]),
        "camera_moved_share": float(evidence.camera_moved.mean()),
    }
    return {name: round(number, 3) for name, number in numbers.items() if np.isfinite(number)}


def _usable_share(evidence: Evidence) -> float:
    return float(usable(evidence).mean()) if evidence.looks else 0.0


def _part_to_use(evidence: Evidence) -> Stretch | None:
    stretch = longest_stretch(evidence)
    if stretch is None or stretch.frames < FEWEST_USABLE or _usable_share(evidence) > 1 - OFTEN_EMPTY:
        return None
    return stretch


def _nobody(evidence: Evidence) -> list[Finding]:
    empty = np.array([not each.found for each in evidence.looks])
    count, frames = evidence.frames_like(empty), evidence.frames
    light = float(np.median([each.picture_light for each in evidence.looks]))
    if 1 - empty.mean() < HARDLY_ANYBODY:
        if light < BLACK_LIGHT:
            return [Finding(STOP, "exposure", f"The picture is black (median {100 * light:.1f} % of full brightness).",
                            "Check the lens cap and the exposure, and switch on the lights.")]
        dark = f", and the picture is dark ({100 * light:.0f} % of full brightness)" if light < 2 * DARK_LIGHT else ""
        return [Finding(STOP, "nobody", f"Nobody was found in {_of(count, frames)}{dark}.",
                        "Show the whole person, standing, a quarter of the picture high or more, well lit.")]
    if empty.mean() < OFTEN_EMPTY:
        return []
    refused = f"; from {100 * FIT_LOSES:.0f} % on, the fit refuses" if empty.mean() > FIT_LOSES / 2 else ""
    return [Finding(WARNING, "nobody", f"Nobody was found in {_of(count, frames)} "
                                       f"({_when(evidence, empty)}){refused}.",
                    "Leave those parts out, or stay in view all the time.")]


def _few_usable(evidence: Evidence) -> list[Finding]:
    good = evidence.frames_like([each.found and each.tall_px >= USABLE_PX for each in evidence.looks])
    if not evidence.found or good >= FEWEST_USABLE or len(evidence.found) < HARDLY_ANYBODY * len(evidence.looks):
        return []
    if evidence.median([each.tall_px for each in evidence.found]) < USABLE_PX:
        return []                       # said by _size
    return [Finding(STOP, "nobody", f"A person can be seen in about {good} frames only; {FEWEST_USABLE} are needed.",
                    "Record for eight seconds or longer, in view all the time.")]


def _size(evidence: Evidence) -> list[Finding]:
    tall = evidence.median([each.tall_px for each in evidence.found])
    remedy = "Come closer, or turn the camera upright: the person should fill three quarters of the picture's height."
    if tall < USABLE_PX:
        return [Finding(STOP, "size", f"The person is {tall:.0f} pixels tall; below {USABLE_PX:.0f} nothing can be "
                                      "told of their body.", remedy)]
    if tall < SMALL_PX:
        return [Finding(WARNING, "size", f"The person is {tall:.0f} pixels tall: the face has {tall / 8:.0f} of them.",
                        remedy)]
    return []


def _people(evidence: Evidence) -> list[Finding]:
    if evidence.people < 2:
        return []
    several, searched = evidence.people_frames
    text = f"There are {evidence.people} people in {several} of the {searched} frames in which everybody was looked for"
    places = ", ".join(f"{number}: {100 * at:.0f} %" for number, at in enumerate(evidence.people_at[:NAMED_PEOPLE]))
    places += f" and {len(evidence.people_at) - NAMED_PEOPLE} more" * (len(evidence.people_at) > NAMED_PEOPLE)
    if evidence.track is None:
        return [Finding(WARNING, "people", f"{text} (from the left, in percent of the width: {places}).",
                        "Film one person alone; or say whom to follow, counted from the left in the first frame: "
                        f"--track 0 to --track {evidence.people - 1}.")]
    return [Finding(NOTE, "people", f"{text}; number {evidence.track} is followed (--track).",
                    "Where they touch or pass each other, look at the fit's overlay.")]


def _cut(evidence: Evidence) -> list[Finding]:
    answer = []
    remedies = {"feet": "Step back or tilt the camera down until the floor before the feet is seen.",
                "head": "Step back or tilt the camera up until there is room above the head.",
                "hands": "Step back: raised and stretched arms need room at the sides and above."}
    for part, remedy in remedies.items():
        rows = np.array([part in each.cut for each in evidence.looks])
        if rows.mean() > CUT_SHARE:
            verb = "is" if part == "head" else "are"
            answer.append(Finding(WARNING, part, f"The {part} {verb} cut off by the picture's border in "
                                                 f"{_of(evidence.frames_like(rows), evidence.frames)} "
                                                 f"({_when(evidence, rows)}).", remedy))
    return answer


def _camera(evidence: Evidence) -> list[Finding]:
    remedy = "Put the camera on something solid: the background and the body's place are learnt from a still one."
    moved = evidence.camera_moved
    if moved.mean() > MOVED_SHARE:
        return [Finding(WARNING, "camera", f"The camera moves in {_of(evidence.frames_like(moved), evidence.frames)} "
                                           f"({_when(evidence, moved)}).", remedy)]
    if evidence.camera_drifts:
        return [Finding(WARNING, "camera", "The camera drifts slowly.", remedy)]
    return []


def _surface(evidence: Evidence) -> list[Finding]:
    seen, total = sides_seen(evidence), evidence.frames
    poor = [name for name in SIDES if seen[name].share < SIDE_SHARE or seen[name].frames < SELDOM_SHARE * total]
    answer = []
    if poor:
        answer.append(Finding(WARNING, "surface", _seldom_seen(poor, seen, total),
                              "Turn once slowly on the spot (about eight seconds): what is never seen is made up."))
    if "front" not in poor and seen["face"].frames < FACE_SHARE * total:
        answer.append(Finding(WARNING, "face", f"Your face was seen in about {seen['face'].frames} of {total} frames.",
                              "Look into the camera for two seconds, then a little to each side."))
    return answer


def _seldom_seen(poor: Sequence[str], seen: dict[str, SideSeen], total: int) -> str:
    """`Your back was never seen; your left side was seen in about 3 of 247 frames.`"""
    never = [name for name in poor if seen[name].frames == 0]
    parts = [f"your {name} was seen in about {seen[name].frames} of {total} frames" for name in poor
             if name not in never]
    if never:
        parts.insert(0, f"your {_listed(never)} {'was' if len(never) == 1 else 'were'} seen in none of {total} frames")
    text = "; ".join(parts)
    return f"{text[0].upper()}{text[1:]}."


def _poses(evidence: Evidence) -> list[Finding]:
    missing = [pose for pose, frames in poses_seen(evidence).items() if frames < POSE_SHARE * evidence.frames]
    if not missing:
        return []
    how = dict(zip(POSES, ("hold both arms away from the body", "raise the arms above the head", "bend the elbows",
                           "squat or lift a knee", "stand with the legs apart")))
    serious = POSES[0] in missing or len(missing) > 1
    text = f"Hardly any frame shows: {', '.join(missing)}."
    wish = _listed([how[pose] for pose in missing])
    return [Finding(WARNING if serious else NOTE, "poses", text,
                    f"{wish[0].upper()}{wish[1:]}: what no frame shows bent or stretched comes out wrong when it is.")]


def _sharpness(evidence: Evidence) -> list[Finding]:
    blur = np.array([each.blur if each.found else np.nan for each in evidence.looks])
    blurred = np.nan_to_num(blur) > BLURRED
    if evidence.median(blur.tolist()) > BLURRED:
        return [Finding(WARNING, "blur", f"The person is out of focus or smeared throughout (blur "
                                         f"{evidence.median(blur.tolist()):.2f}, sharp is below {BLURRED}).",
                        "Clean the lens, tap on the person to focus, and give more light.")]
    if blurred.mean() > BLURRED_SHARE:
        often = _of(evidence.frames_like(blurred), evidence.frames)
        return [Finding(WARNING, "blur", f"The person is blurred in {often} ({_when(evidence, blurred)}).",
                        "Move more slowly, and give more light so that the shutter is shorter.")]
    return []


def _exposure(evidence: Evidence) -> list[Finding]:
    found = evidence.found
    light, black, burnt = (evidence.median([getattr(each, name) for each in found])
                           for name in ("light", "black", "burnt"))
    if light < DARK_LIGHT or black > BLACK_SHARE:
        return [Finding(WARNING, "exposure", f"The person is too dark: {100 * black:.0f} % of them is black, the "
                                             f"median is {100 * light:.0f} % of full brightness.",
                        "Give more light from the camera's side; do not stand before a window.")]
    if burnt > BURNT_SHARE:
        return [Finding(WARNING, "exposure", f"{100 * burnt:.0f} % of the person is pure white, without any shade.",
                        "Lower the exposure, or step out of the direct light.")]
    return []


def _length(evidence: Evidence) -> list[Finding]:
    answer = []
    if evidence.fps < SLOW_FPS:
        answer.append(Finding(NOTE, "rate", f"The recording has {evidence.fps:.3g} frames a second.",
                              "Record 24 or more, so that fast limbs can be followed."))
    if evidence.frames < SHORT_FRAMES:
        answer.append(Finding(NOTE, "length", f"The recording has {evidence.frames} frames.",
                              "Ten seconds or more give more to learn from."))
    return answer


def _of(count: int, frames: int) -> str:
    """`about 3 of 247 frames`, `all 30 frames`."""
    return f"all {frames} frames" if count == frames else f"about {count} of {frames} frames"


def _when(evidence: Evidence, rows: np.ndarray) -> str:
    """The times of some looks, in seconds of the source: `3.2-5.1 s, 8.0 s`; the three longest parts at most."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], np.asarray(rows).astype(int), [0]])))
    runs = list(zip(edges[0::2], edges[1::2] - 1))
    shown = sorted(sorted(runs, key=lambda run: run[0] - run[1])[:3])
    times = evidence.times_s + evidence.start_s
    texts = [f"{times[a]:.1f}-{times[b]:.1f} s" if b > a else f"{times[a]:.1f} s" for a, b in shown]
    return ", ".join(texts) + (f" and {len(runs) - 3} more" if len(runs) > 3 else "")


def _listed(words: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
