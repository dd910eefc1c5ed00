"""A dance on the beat, and the A-pose turn: both step with their feet, so that nothing slides."""

from __future__ import annotations

import numpy as np

from pipelines.core.records import Motion
from pipelines.studio.choreography import Style, at_ease
from pipelines.studio.puppet import Foot, Puppet, Rig, Stance, ease, played, turn_y

BEAT_S = 60 / 108  # of the music that nobody hears
PART_BEATS = 8
STEP_RAD = np.radians(36)  # how far a foot turns at a time
A_POSE_OUT = 0.62  # radians, arms
TURN_S = 8.0  # of one A-pose turn


def a_pose_turn(rig: Rig, seconds: float, fps: float, style: Style) -> Motion:
    """Whole turns in an A-pose, as many as come nearest to one in eight seconds, in small steps on the spot."""
    puppet = Puppet(rig)
    count = max(1, round(seconds * fps))
    turns = max(1, round(seconds * style.tempo / TURN_S)) * (-1 if style.mirrored else 1)
    stances = []
    for frame in range(count):
        t = frame / max(count - 1, 1)
        spin = 2 * np.pi * turns * (0.8 * t + 0.2 * ease(t))
        stance = at_ease(puppet, frame / fps, style)
        stance.yaw += spin
        stance.look_yaw += 0.06 * np.sign(turns) * min(1.0, 8 * t * (1 - t))
        for side in "LR":
            arm = stance.arms[side]
            arm.out += A_POSE_OUT * style.size - 0.15
            arm.elbow, arm.fist, arm.twist = 0.18, 0.16, 0.05
        _step_round(puppet, stance, spin)
        stances.append(stance)
    return played(puppet, stances, fps)


def _step_round(puppet: Puppet, stance: Stance, spin: float) -> None:
    """Feet that follow a body turned by `spin`: one at a time lifts, turns and stands again."""
    for side, offset in (("L", 0.0), ("R", 0.5)):
        beat = abs(spin) / STEP_RAD + offset
        u = float(np.clip((beat - np.floor(beat) - 0.5) / 0.5, 0, 1))
        yaw = np.sign(spin) * (np.floor(beat) + ease(u) - offset) * STEP_RAD
        if abs(spin) < 1e-9:
            yaw = 0.0
        foot = stance.feet[side]
        place = turn_y(yaw) @ ((foot.ankle - puppet.pelvis) * [1, 0, 1]) + puppet.pelvis * [1, 0, 1]
        lift = float(np.sin(np.pi * u))
        stance.feet[side] = Foot(
            np.array([place[0], foot.ankle[1] + 0.045 * lift, place[2]]), 0.12 * lift, foot.yaw + yaw
        )
        stance.roll += 0.02 * lift * (1 if side == "L" else -1)
        away = turn_y(stance.yaw) @ np.array([-0.022 * lift * (1 if side == "L" else -1), 0.0, 0.0])
        stance.pelvis = stance.pelvis + away


def dance(rig: Rig, seconds: float, fps: float, style: Style) -> Motion:
    """Side steps, hip twists with the arms high, and a turn, eight beats each, over and over."""
    puppet = Puppet(rig)
    stances = []
    for frame in range(max(1, round(seconds * fps))):
        time = frame / fps
        beat = time / BEAT_S * style.tempo
        stances.append(_dance_moment(puppet, beat, time, style))
    return played(puppet, stances, fps)


def _dance_moment(puppet: Puppet, beat: float, time: float, style: Style) -> Stance:
    part = int(beat // PART_BEATS) % 3
    into = ease((beat % PART_BEATS) / 0.8) if beat >= PART_BEATS else 1.0  # arms come over from the part before
    stance = at_ease(puppet, time, style)
    bounce = 0.5 - 0.5 * np.cos(2 * np.pi * beat)  # down between the beats
    stance.pelvis[1] -= (0.030 + 0.022 * bounce) * style.size
    stance.look_pitch += 0.07 * np.cos(2 * np.pi * beat)
    stance.lean += 0.05 + 0.03 * np.cos(2 * np.pi * beat - 0.6)
    arms = [dict(zip("LR", arms_of(beat, style))) for arms_of in (_swinging, _high, _spread)]
    before = arms[part - 1]
    for side in "LR":
        arm = stance.arms[side]
        for name, value in arms[part][side].items():
            setattr(arm, name, into * value + (1 - into) * before[side][name])
    sign, now = -1.0 if style.mirrored else 1.0, beat % PART_BEATS
    # a part's own sway fades in and out, so that one part leads into the next
    grown = style.size * ease(now / 0.6) * ease((PART_BEATS - now) / 0.6)
    (_side_steps, _twists, _turn_once)[part](puppet, stance, now, sign, grown)
    return stance


def _side_steps(puppet: Puppet, stance: Stance, beat: float, sign: float, grown: float) -> None:
    """Step out, close, step back, close: two beats each way."""
    width = 0.17 * puppet.stature / 1.72
    for side, foot_sign in (("L", 1.0), ("R", -1.0)):
        leads = foot_sign == sign
        place, lift = _between_places(beat, leads, sign * width)
        foot = stance.feet[side]
        foot.ankle = foot.ankle + np.array([place, 0.05 * lift, 0.0])
        foot.pitch = 0.30 * lift
    middle = np.mean([foot.ankle[0] for foot in stance.feet.values()])
    slow, quick = np.pi * beat / 2, np.pi * beat
    stance.pelvis[0] += middle + 0.03 * grown * sign * np.sin(slow)
    stance.roll += 0.07 * grown * np.sin(quick)
    stance.twist += 0.22 * grown * sign * np.sin(slow + 0.4)
    stance.yaw += 0.12 * grown * sign * np.sin(slow)
    stance.side += 0.06 * grown * np.sin(quick)
    stance.look_yaw += 0.25 * grown * sign * np.sin(slow + 0.6)


def _between_places(beat: float, leads: bool, width: float) -> tuple[float, float]:
    """Where along x a foot is and how far it is lifted; steps take the first 70 % of their beat."""
    moves = ((0, 0.0, width), (3, width, 0.0)) if leads else ((1, 0.0, width), (2, width, 0.0))
    place = 0.0
    for at, start, end in moves:
        if beat % 4 >= at:
            u = min((beat % 4 - at) / 0.7, 1.0)
            place = start + (end - start) * ease(u)
            if u < 1:
                return place, float(np.sin(np.pi * u))
    return place, 0.0


def _twists(puppet: Puppet, stance: Stance, beat: float, sign: float, grown: float) -> None:
    """Both feet stay; hips and chest go against each other, knees follow."""
    wave = np.sin(np.pi * beat) * sign * grown
    stance.yaw += 0.30 * wave
    stance.twist -= 0.52 * wave
    stance.roll += 0.08 * grown * np.sin(np.pi * beat + 0.8)
    stance.pelvis[0] += 0.045 * grown * np.sin(np.pi * beat + 0.5) * sign
    stance.pelvis[1] -= 0.035 * grown
    stance.side += 0.10 * grown * np.sin(np.pi * beat / 2)
    stance.look_yaw -= 0.10 * wave


def _turn_once(puppet: Puppet, stance: Stance, beat: float, sign: float, grown: float) -> None:
    """Round once in six beats, then two beats of rocking."""
    spin = 2 * np.pi * sign * (0.5 * ease(beat / 6) + 0.5 * float(np.clip(beat / 6, 0, 1)))
    stance.yaw += spin
    stance.look_yaw += 0.35 * sign * np.sin(np.pi * np.clip(beat / 6, 0, 1))
    _step_round(puppet, stance, spin)
    rock = grown * np.sin(np.pi * beat)
    stance.roll += 0.05 * rock
    stance.side += 0.08 * rock
    stance.twist += 0.15 * grown * np.sin(np.pi * beat / 2)


def _swinging(beat: float, style: Style) -> list[dict[str, float]]:
    wave = np.sin(np.pi * beat / 2 + 0.2)
    return [dict(out=0.32 + 0.12 * abs(wave), forward=0.30 + 0.75 * style.size * wave * s, twist=0.5,
                 elbow=1.35 + 0.35 * np.sin(np.pi * beat), fist=0.85) for s in (1.0, -1.0)]


def _high(beat: float, style: Style) -> list[dict[str, float]]:
    pump = np.cos(2 * np.pi * beat)
    return [dict(out=2.05 + 0.30 * style.size * np.sin(np.pi * beat + 1.5 * s), forward=0.25, twist=-0.4,
                 elbow=0.95 + 0.35 * pump, fist=0.35) for s in (1.0, -1.0)]


def _spread(beat: float, style: Style) -> list[dict[str, float]]:
    return [dict(out=1.15 + 0.22 * style.size * np.sin(np.pi * beat / 2 + 1.2 * s), forward=0.30, twist=0.1,
                 elbow=0.55 + 0.25 * np.sin(np.pi * beat / 2 - 0.8 * s), fist=0.12) for s in (1.0, -1.0)]
