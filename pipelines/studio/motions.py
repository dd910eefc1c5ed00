"""The movements that synthetic people make, by name, for any rig with our joint names."""

from __future__ import annotations

from collections.abc import Callable

from pipelines.core.errors import AnrError
from pipelines.core.records import Motion
from pipelines.studio.choreography import Style, style_of
from pipelines.studio.dancing import a_pose_turn, dance
from pipelines.studio.exercises import hands_near_face, range_of_motion, squat_and_reach
from pipelines.studio.puppet import Rig
from pipelines.studio.session import capture_session
from pipelines.studio.walking import on_the_spot, walk, walk_on_the_spot

__all__ = ["MOTIONS", "capture_session", "make_motion", "on_the_spot", "walk"]

MOTIONS: dict[str, Callable[[Rig, float, float, Style], Motion]] = {
    "capture": capture_session,
    "turn": a_pose_turn,
    "range": range_of_motion,
    "walk": walk_on_the_spot,
    "dance": dance,
    "squat": squat_and_reach,
    "face": hands_near_face,
}


def make_motion(name: str, rig: Rig, seconds: float, fps: float, seed: int = 0) -> Motion:
    """A movement by name, exactly `round(seconds * fps)` frames (at least one); it stays before the camera.

    seed  0 = the plain performance; others vary tempo, amplitude and side, each always in the same way
    """
    if name not in MOTIONS:
        raise AnrError(f"There is no studio motion named {name!r}.", hint=f"There are: {', '.join(MOTIONS)}.")
    return MOTIONS[name](rig, seconds, fps, style_of(seed))
