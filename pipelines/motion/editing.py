"""Motions cut, repeated, mirrored, slowed: pure functions from a motion to a motion."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipelines.body.skeleton import JOINT_NAMES, mirrored_joints
from pipelines.core.errors import AnrError
from pipelines.core.records import Motion
from pipelines.geometry.rotations import rotation_from_vector, vector_from_rotation
from pipelines.motion.curves import curved_places, curved_rotations, velocities

SEAM_S = 0.4                            # how far from either end the loop may turn back, to meet itself in like poses
SEAM_SHARE = 0.15                       # and never more than this share of the motion
RETURNS_M, RETURNS_DEG = 0.3, 60.0      # a motion that ends this near to its start loops on the spot
EASY_SPEED = 2.0                        # rad/s: how fast joints turn back at the seam when the motion would allow more
MIRROR = np.diag([-1.0, 1.0, 1.0])      # the body's left is +x


def trimmed(motion: Motion, start_s: float, end_s: float | None = None) -> Motion:
    """The frames with start_s <= time < end_s; None = to the end. AnrError when none is left."""
    count = len(motion.joint_rotations)
    end = np.inf if end_s is None else end_s
    times = np.arange(count) / motion.fps
    kept = (times >= start_s - 1e-9) & (times < end - 1e-9)
    if not kept.any():
        asked = f"{start_s:g} s to {'its end' if end_s is None else f'{end_s:g} s'}"
        raise AnrError(f"From {asked} the motion holds no frame; it lasts {count / motion.fps:.2f} s.",
                       hint=f"Choose within 0:{count / motion.fps:.2f}.")
    return Motion(motion.joint_rotations[kept], motion.root_translation[kept], motion.fps)


def at_speed(motion: Motion, factor: float) -> Motion:
    """The motion `factor` times as fast at the same frame rate; on smooth curves through its frames.

    The first frame stays; AnrError for a factor that is not positive and finite.
    """
    if not 0.01 <= factor <= 100:
        raise AnrError(f"A speed of {factor:g} cannot be played.", hint="Use 0.5 for half as fast, 2 for twice.")
    count = len(motion.joint_rotations)
    if factor == 1.0 or count < 2:
        return motion
    at = np.arange(int(np.floor((count - 1) / factor + 1e-9)) + 1) * factor
    before = np.clip(np.floor(at + 1e-9).astype(int), 0, count - 2)
    share = np.clip(at - before, 0.0, 1.0)
    turning, moving = velocities(motion.joint_rotations, motion.root_translation)
    rotations = curved_rotations(motion.joint_rotations[before], motion.joint_rotations[before + 1],
                                 turning[before], turning[before + 1], share[:, None])
    root = curved_places(motion.root_translation[before], motion.root_translation[before + 1],
                         moving[before], moving[before + 1], share)
    return Motion(rotations, root, motion.fps)


def mirrored(motion: Motion) -> Motion:
    """Left becomes right, reflected in the plane x = 0; twice gives the motion back.

    ValueError when the motion is not of our skeleton.
    """
    if motion.joint_rotations.shape[1] != len(JOINT_NAMES):
        raise ValueError(f"a motion of {len(JOINT_NAMES)} joints is needed, got {motion.joint_rotations.shape}")
    rotations = MIRROR @ motion.joint_rotations[:, mirrored_joints()] @ MIRROR
    return Motion(rotations, motion.root_translation * [-1.0, 1.0, 1.0], motion.fps)


def looped(motion: Motion, times: int) -> Motion:
    """The motion `times` times over, without a jump.

    It turns back between two like poses near its ends, and a curve with the velocities of both sides leads from one
    to the other in as much time as it takes for nothing to move faster there than somewhere in the motion. A motion
    that travels goes on from where it ended, in the direction it had; one that ends about where it began returns.
    AnrError when `times` is not positive or there is nothing to repeat.
    """
    if times < 1:
        raise AnrError(f"A motion cannot be played {times} times.", hint="Use 2 or more to repeat it.")
    if times == 1:
        return motion
    if len(motion.joint_rotations) < 2:
        raise AnrError("A motion of one frame cannot be looped.", hint="Leave the loop away: it is a still picture.")
    first, last = _seam(motion)
    bridge, onwards = _bridge(motion, first, last)
    parts, placing = [_part(motion, 0, last + 1)], _Placing(np.eye(3), np.zeros(3))
    for k in range(1, times):
        parts.append(placing.of(bridge))
        placing = placing.after(onwards)
        parts.append(placing.of(_part(motion, first, last + 1 if k < times - 1 else len(motion.joint_rotations))))
    return Motion(np.concatenate([part.joint_rotations for part in parts]),
                  np.concatenate([part.root_translation for part in parts]), motion.fps)


@dataclass(frozen=True, eq=False)
class _Placing:
    """A turn about the vertical and a step on the floor."""

    turn: np.ndarray                    # (3, 3)
    step: np.ndarray                    # (3,)

    def of(self, motion: Motion) -> Motion:
        rotations = motion.joint_rotations.copy()
        rotations[:, 0] = self.turn @ rotations[:, 0]
        return Motion(rotations, motion.root_translation @ self.turn.T + self.step, motion.fps)

    def after(self, other: _Placing) -> _Placing:
        """This placing of what `other` has placed."""
        return _Placing(self.turn @ other.turn, self.turn @ other.step + self.step)


def _part(motion: Motion, start: int, stop: int) -> Motion:
    return Motion(motion.joint_rotations[start:stop], motion.root_translation[start:stop], motion.fps)


def _seam(motion: Motion) -> tuple[int, int]:
    """(first, last) frames near the ends whose poses and velocities are most alike, little cut away on equal terms."""
    count = len(motion.joint_rotations)
    reach = min(round(SEAM_S * motion.fps), int(SEAM_SHARE * count))
    turning, moving = velocities(motion.joint_rotations, motion.root_translation)
    upright = motion.joint_rotations.copy()
    upright[:, 0] = np.swapaxes(_headings(upright[:, 0]), -1, -2) @ upright[:, 0]
    ease = 0.1 * motion.fps                             # a difference in velocity counts for a tenth of a second
    looks = np.concatenate([upright.reshape(count, -1) / np.sqrt(2), ease * turning.reshape(count, -1),
                            3 * motion.root_translation[:, 1:2], 3 * ease * moving[:, 1:2]], axis=1)
    firsts, lasts = np.arange(reach + 1), np.arange(count - 1 - reach, count)
    costs = np.linalg.norm(looks[firsts, None] - looks[None, lasts], axis=-1)
    costs = costs + 0.5 * (firsts[:, None] + (count - 1 - lasts)[None]) / motion.fps
    row, column = np.unravel_index(int(costs.argmin()), costs.shape)
    return int(firsts[row]), int(lasts[column])


def _bridge(motion: Motion, first: int, last: int) -> tuple[Motion, _Placing]:
    """The frames between `last` and the next `first`, and where the next round stands seen from this one."""
    turning, moving = velocities(motion.joint_rotations, motion.root_translation)
    ends = motion.joint_rotations[[first, last]], motion.root_translation[[first, last]]
    turn = _headings(ends[0][1, 0]) @ _headings(ends[0][0, 0]).T
    angle_deg = np.degrees(np.linalg.norm(vector_from_rotation(turn)))
    travels = np.linalg.norm((ends[1][1] - ends[1][0])[[0, 2]]) > RETURNS_M or angle_deg > RETURNS_DEG
    turn = turn if travels else np.eye(3)
    start = _Placing(turn, np.zeros(3)).of(_part(motion, first, first + 1))
    limits = _most_per_frame(motion)
    gap = 0
    while True:
        span = gap + 1
        step = np.zeros(3)
        if travels:
            between = (moving[last] + turn @ moving[first]) / 2
            step = (ends[1][1] + span * between - start.root_translation[0]) * [1, 0, 1]
        share = np.arange(span + 1) / span
        rotations = curved_rotations(ends[0][1], start.joint_rotations[0], span * turning[last], span * turning[first],
                                     share[:, None])
        places = curved_places(ends[1][1], start.root_translation[0] + step, span * moving[last],
                               span * (turn @ moving[first]), share)
        if gap > 4 * (len(motion.joint_rotations) + motion.fps) or _within(rotations, places, limits):
            return Motion(rotations[1:-1], places[1:-1], motion.fps), _Placing(turn, step)
        gap += 1 + gap // 8


def _headings(rotations: np.ndarray) -> np.ndarray:
    """(..., 3, 3) turns about y that face as the given rotations do; for one that lies, as its head or feet do."""
    ahead = rotations[..., :, 2] * [1, 0, 1]
    lying = np.linalg.norm(ahead, axis=-1, keepdims=True) < 0.5
    ahead = np.where(lying, np.sign(-rotations[..., 1:2, 2]) * rotations[..., :, 1] * [1, 0, 1], ahead)
    angle = np.arctan2(ahead[..., 0], ahead[..., 2])
    return rotation_from_vector(angle[..., None] * np.array([0.0, 1.0, 0.0]))


def _most_per_frame(motion: Motion) -> tuple[np.ndarray, float]:
    """How far each joint (J,) may turn and the root move in one frame of a seam.

    No more than anything does in the motion, and each joint no more than itself at its fastest, or at ease.
    """
    turns, moves = _steps(motion.joint_rotations, motion.root_translation)
    own = turns.max(axis=0)
    return np.minimum(own.max(), np.maximum(own, EASY_SPEED / motion.fps)), float(moves.max())


def _within(rotations: np.ndarray, places: np.ndarray, limits: tuple[np.ndarray, float]) -> bool:
    turns, moves = _steps(rotations, places)
    return bool((turns <= limits[0] + 1e-6).all() and (moves <= limits[1] + 1e-6).all())


def _steps(rotations: np.ndarray, places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How far joints turn (F - 1, J) and the root moves (F - 1,) from frame to frame."""
    turns = vector_from_rotation(np.swapaxes(rotations[:-1], -1, -2) @ rotations[1:])
    return np.linalg.norm(turns, axis=-1), np.linalg.norm(np.diff(places, axis=0), axis=-1)
