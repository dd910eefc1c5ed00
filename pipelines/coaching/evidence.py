"""What the looks of a whole recording come to: sides and poses seen, stretches that can be used."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from pipelines.body.model import load_body
from pipelines.coaching.looking import POSES, Look
from pipelines.coaching.posture import face_areas, face_normals
from pipelines.coaching.stillness import Step, drifts, moved_rows

SIDES = ("front", "back", "left side", "right side")
SEEN_COSINE = 0.35                      # 70 degrees from frontal: at more, a texel has less than a third of its pixels
SEEN_LOOKS = 2                          # one look may be wrong about which way somebody faces
SHOWS_SHARE = 0.5                       # of a side's surface: a frame with so much of it shows the side
USABLE_PX = 80.0                        # standing height below which landmarks are guesses (see verdict.py)
USABLE_SURE = 0.5                       # mean confidence of the trunk


@dataclass(frozen=True, eq=False)
class Evidence:
    """A recording, as the looks at it show it."""

    looks: tuple[Look, ...]
    times_s: np.ndarray                 # (N,) of the looks, from the first frame
    frames: int                         # of the whole recording
    fps: float
    camera_moved: np.ndarray            # (N,) bool
    camera_drifts: bool
    people: int                         # most who were found in one frame
    people_frames: tuple[int, int]      # in how many of how many frames there were several
    people_at: tuple[float, ...]        # where they were, left to right, 0..1 of the width
    track: int | None
    start_s: float                      # of the recording within its source

    @property
    def found(self) -> tuple[Look, ...]:
        return tuple(each for each in self.looks if each.found)

    def frames_like(self, rows: np.ndarray | Sequence[bool]) -> int:
        """About how many frames of the recording are like these looks."""
        return round(self.frames * float(np.mean(rows))) if len(self.looks) else 0

    def median(self, values: Sequence[float]) -> float:
        known = [value for value in values if np.isfinite(value)]
        return float(np.median(known)) if known else float("nan")


@dataclass(frozen=True)
class SideSeen:
    """How well one side of the body, or one part of it, was seen."""

    share: float                        # of its surface, in two looks or more
    frames: int                         # about how many frames show half of it or more


@dataclass(frozen=True)
class Stretch:
    """A part of the source, as --start and --seconds take it."""

    start_s: float
    seconds: float
    frames: int


def gather(looks: Sequence[Look], steps: Sequence[Step], **known: object) -> Evidence:
    """Evidence from the looks and the camera's steps; `known` are its other fields."""
    return Evidence(looks=tuple(looks), camera_moved=moved_rows(steps, len(looks)), camera_drifts=drifts(steps),
                    **known)  # type: ignore[arg-type]


def surface_seen(evidence: Evidence) -> tuple[np.ndarray, np.ndarray]:
    """For each face of the coarse body: the share of looks that see it (T,), and the second-best cosine (T,)."""
    views = [each.view.frontal for each in evidence.found if each.view is not None]
    if not views:
        nothing = np.zeros(len(load_body().faces), np.float32)
        return nothing, nothing
    frontal = np.stack(views)
    best = np.partition(frontal, -2, axis=0)[-2] if len(frontal) > 1 else frontal[0]
    return (frontal > SEEN_COSINE).sum(axis=0) / len(evidence.looks), best


def sides_seen(evidence: Evidence) -> dict[str, SideSeen]:
    """Front, back, left and right of the body, and the face."""
    area = face_areas()
    views = [each.view.frontal > SEEN_COSINE for each in evidence.found if each.view is not None]
    seen = np.stack(views) if views else np.zeros((1, len(area)), bool)
    often = seen.sum(axis=0) >= SEEN_LOOKS
    answer = {}
    for name, chosen in side_faces().items():
        weight = area[chosen] / area[chosen].sum()
        shows = seen[:, chosen] @ weight >= SHOWS_SHARE
        frames = round(evidence.frames * shows.sum() / max(len(evidence.looks), 1))
        answer[name] = SideSeen(float(often[chosen] @ weight), frames)
    return answer


@lru_cache(maxsize=1)
def side_faces() -> dict[str, np.ndarray]:
    """(T,) bool for each side and the face: faces that point there at rest, on the limbs only those turned outwards."""
    body, normal = load_body(), face_normals()
    region = np.array([body.region_names[r] for r in body.face_region])
    of_left, of_right = (np.char.endswith(region, end) for end in ("_l", "_r"))
    no_hand = ~np.char.startswith(region, "hand")
    return {"front": (normal[:, 2] > 0.5) & no_hand, "back": (normal[:, 2] < -0.5) & no_hand,
            "left side": (normal[:, 0] > 0.5) & ~of_right & no_hand,
            "right side": (normal[:, 0] < -0.5) & ~of_left & no_hand, "face": region == "face"}


def poses_seen(evidence: Evidence) -> dict[str, int]:
    """About how many frames show each of POSES."""
    return {pose: evidence.frames_like([pose in each.poses for each in evidence.looks]) for pose in POSES}


def usable(evidence: Evidence) -> np.ndarray:
    """(N,) bool: looks with one whole person in them who can be trusted, before a camera that stands still."""
    fine = [each.found and each.sure >= USABLE_SURE and each.tall_px >= USABLE_PX and not each.cut
            for each in evidence.looks]
    return np.array(fine, bool) & ~evidence.camera_moved


def longest_stretch(evidence: Evidence) -> Stretch | None:
    """The longest run of usable looks, single bad ones in it forgiven; None where there is none of two looks."""
    good = usable(evidence)
    bridged = good.copy()
    bridged[1:-1] |= good[:-2] & good[2:]
    edges = np.flatnonzero(np.diff(np.concatenate([[0], bridged.astype(int), [0]])))
    runs = [(first, last - 1) for first, last in zip(edges[0::2], edges[1::2])]
    times = evidence.times_s
    first, last = max(runs, key=lambda run: times[run[1]] - times[run[0]], default=(0, 0))
    if last <= first:
        return None
    start = np.ceil(10 * times[first]) / 10
    seconds = np.floor(10 * (times[last] - start)) / 10
    if first == 0:
        start = 0.0
    return Stretch(round(evidence.start_s + float(start), 2), float(seconds), int(seconds * evidence.fps))
