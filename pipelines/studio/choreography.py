"""Movements told as a row of poses: each channel runs smoothly through its values, head first, arms a little late."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pipelines.core.records import Motion
from pipelines.studio.puppet import Arm, Foot, Hand, Puppet, Rig, Stance, played

Pose = dict[str, float]
"""What differs from standing at ease. Of the trunk: `yaw`, `roll`, `tip`, `lean`, `twist`, `side`, `look_yaw`,
`look_pitch`, `look_roll`, and `dx dy dz` of the pelvis in metres. Of a side, `L.` or `R.`: the angles `out`,
`forward`, `twist`, `elbow`, `fist` of the arm; `foot_x foot_y foot_z foot_pitch foot_yaw` from where the foot
stands; `hold` 0..1 with `hand_x y z`, `palm_x y z`, `elbow_x y z`, `bend` of a hand (see `puppet.Hand`)."""

AT_EASE = {"out": 0.15, "forward": 0.03, "twist": 0.22, "elbow": 0.24, "fist": 0.30}
ELBOW_OUT = {"elbow_x": 0.55, "elbow_y": -0.80, "elbow_z": -0.25}
TRUNK = ("yaw", "roll", "tip", "lean", "twist", "side", "look_yaw", "look_pitch", "look_roll")
MODEL_M = 1.72  # the stature that lengths in poses are given for
LEAD_S = {"look": -0.07, "arm": 0.05}  # heads start first, arms follow through
FASTEST = 1.6  # how much a movement is hurried to fit into the seconds given; longer ones are cut


@dataclass(frozen=True)
class Style:
    """How one performance differs from another."""

    tempo: float = 1.0
    size: float = 1.0
    phase: float = 0.0  # radians, of breath and sway
    mirrored: bool = False


PLAIN = Style()


def style_of(seed: int) -> Style:
    """Seed 0 is the plain performance; others vary tempo, amplitude, breath and side."""
    if seed == 0:
        return PLAIN
    random = np.random.default_rng(seed)
    return Style(random.uniform(0.88, 1.14), random.uniform(0.88, 1.12), random.uniform(0, 6.28), random.random() < 0.5)


def other_side(pose: Pose) -> Pose:
    """The same pose in a mirror."""
    flip = ("yaw", "roll", "twist", "side", "look_yaw", "look_roll", "dx")
    mirrored = {}
    for key, value in pose.items():
        if key[:2] in ("L.", "R."):
            turned = -value if key[2:] in ("hand_x", "palm_x", "elbow_x", "foot_x", "foot_yaw") else value
            mirrored[("R." if key[0] == "L" else "L.") + key[2:]] = turned
        else:
            mirrored[key] = -value if key in flip else value
    return mirrored


def both(**channels: float) -> Pose:
    """The left side's channels for both sides."""
    left = {f"L.{key}": value for key, value in channels.items()}
    return {**left, **other_side(left)}


def perform(
    rig: Rig, keys: Sequence[tuple[float, Pose]], frame: str, seconds: float, fps: float, style: Style
) -> Motion:
    """The row of poses in `seconds`: repeated where there is time for it, hurried a little or cut where there is not.

    keys   (seconds since the one before, pose); the first and the last should be alike
    frame  of all hands: chest, head or world
    """
    puppet = Puppet(rig)
    poses = [pose if not style.mirrored else other_side(pose) for _, pose in keys]
    times = np.cumsum([gap for gap, _ in keys])
    length = float(times[-1])
    rounds = max(1, round(seconds / length))
    speed = float(np.clip(rounds * length / seconds, 1 / FASTEST, FASTEST)) * style.tempo
    tracks = _tracks(times, poses, style)
    stances = []
    for index in range(max(1, round(seconds * fps))):
        time = index / fps
        now = {name: float(track((time * speed - _lead(name)) % length)) for name, track in tracks.items()}
        stances.append(_stance(puppet, now, frame, time, style))
    return played(puppet, stances, fps)


def _lead(channel: str) -> float:
    if channel.startswith("look"):
        return LEAD_S["look"]
    return LEAD_S["arm"] if channel[2:] in AT_EASE else 0.0


def _tracks(times: np.ndarray, poses: Sequence[Pose], style: Style) -> dict:
    """A monotone cubic through each channel's values; a hand that holds nothing already waits where it will."""
    from scipy.interpolate import PchipInterpolator

    # as if the row went on before and after: no jerk where it begins again
    times = np.array([times[-2] - times[-1], *times, times[-1] + times[1]])
    poses = [poses[-2], *poses, poses[1]]
    tracks = {}
    for name in sorted({name for pose in poses for name in pose}):
        place = name[2:6] in ("hand", "palm", "elbo") and name[2:] != "elbow"
        if place:
            values = _carried([pose.get(name) for pose in poses])
        else:
            rest = AT_EASE.get(name[2:], 0.0)
            grown = 1.0 if "foot" in name or "hold" in name or name in ("dx", "dz") else style.size
            values = [rest + grown * (pose.get(name, rest) - rest) for pose in poses]
        tracks[name] = PchipInterpolator(times, values)
    return tracks


def _carried(values: list[float | None]) -> list[float]:
    """Gaps filled from the next value, at the end from the last."""
    filled, coming = [], next(value for value in reversed(values) if value is not None)
    for value in reversed(values):
        coming = coming if value is None else value
        filled.append(coming)
    return filled[::-1]


def at_ease(puppet: Puppet, time: float, style: Style) -> Stance:
    """Standing with loose arms, breathing and swaying a little; nobody stands quite still."""
    wave = 2 * np.pi * time
    sway = np.array([0.006 * np.sin(wave / 3.7 + style.phase) + 0.003 * np.sin(wave / 1.9), 0.0,
                     0.005 * np.sin(wave / 4.3 + 1 + style.phase)])
    stance = Stance(puppet.pelvis - [0, 0.006, 0] + sway)
    breath = np.sin(wave / 3.4 + style.phase)
    stance.lean = 0.02 + 0.007 * breath
    stance.side = 0.010 * np.sin(wave / 5.1 + style.phase)
    stance.look_yaw = 0.03 * np.sin(wave / 4.1 + style.phase)
    stance.look_pitch = 0.015 * np.sin(wave / 2.9)
    for side, sign in (("L", 1.0), ("R", -1.0)):
        stance.arms[side] = Arm(**AT_EASE)
        stance.arms[side].out += 0.012 * breath
        stance.feet[side] = Foot(puppet.ankle[side] * [0.86, 1, 1], 0.0, 0.13 * sign)
    return stance


def _stance(puppet: Puppet, now: Pose, frame: str, time: float, style: Style) -> Stance:
    """The moment that channels describe, on top of standing at ease."""
    stance = at_ease(puppet, time, style)
    metres = puppet.stature / MODEL_M
    for name in TRUNK:
        setattr(stance, name, getattr(stance, name) + now.get(name, 0.0))
    stance.pelvis = stance.pelvis + metres * np.array([now.get("dx", 0.0), now.get("dy", 0.0), now.get("dz", 0.0)])
    for side, sign in (("L", 1.0), ("R", -1.0)):
        def of(name: str, default: float = 0.0, side: str = side) -> float:
            return now.get(f"{side}.{name}", default)

        arm, foot = stance.arms[side], stance.feet[side]
        for name, rest in AT_EASE.items():
            setattr(arm, name, getattr(arm, name) + of(name, rest) - rest)
        foot.ankle = foot.ankle + metres * np.array([of("foot_x"), of("foot_y"), of("foot_z")])
        foot.pitch, foot.yaw = of("foot_pitch"), foot.yaw + of("foot_yaw")
        if foot.pitch > 0:  # the heel rises over the ball
            foot.ankle = foot.ankle + _over_the_ball(puppet, side, foot)
        if of("hold") > 1e-3:
            elbow = np.array([of("elbow_x", sign * ELBOW_OUT["elbow_x"]), of("elbow_y", ELBOW_OUT["elbow_y"]),
                              of("elbow_z", ELBOW_OUT["elbow_z"])])
            stance.hands[side] = Hand(
                metres * np.array([of("hand_x"), of("hand_y"), of("hand_z")]),
                np.array([of("palm_x"), of("palm_y"), of("palm_z", -1e-6)]), elbow, frame, of("hold"), of("bend"))
    return stance


def _over_the_ball(puppet: Puppet, side: str, foot: Foot) -> np.ndarray:
    """(3,) how the ankle moves when a flat foot rolls up over its ball."""
    height, ball = float(puppet.ankle[side][1]), puppet.ball_m
    up = height * np.cos(foot.pitch) + ball * np.sin(foot.pitch) - height
    ahead = ball - ball * np.cos(foot.pitch) + height * np.sin(foot.pitch)
    return np.array([ahead * np.sin(foot.yaw), up, ahead * np.cos(foot.yaw)])
