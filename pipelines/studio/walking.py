"""A natural walk by rule: feet roll from heel to ball and stay where they are while they carry."""

from __future__ import annotations

import numpy as np

from pipelines.core.records import Motion
from pipelines.studio.choreography import PLAIN, Style
from pipelines.studio.puppet import Arm, Foot, Puppet, Rig, Stance, ease, played, turn_x

CYCLE_S = 1.08  # one walking cycle (two steps) of an adult at 1.3 m/s
STANCE = 0.61  # share of the cycle a foot is on the floor
AHEAD = 0.275  # how far ahead of the pelvis a heel strikes, in cycles


def walk(body: Rig, seconds: float, fps: float, style: Style = PLAIN) -> Motion:
    """A natural walk along +z that starts at z = 0 in full stride; a foot on the floor stays where it is."""
    puppet = Puppet(body)
    leg = puppet.thigh + puppet.shin
    stride = 1.45 * leg * style.size**0.5  # two steps
    cycle_s = CYCLE_S / style.tempo
    stances = []
    for frame in range(max(1, round(seconds * fps))):
        time = frame / fps
        phase = time / cycle_s + (0.5 if style.mirrored else 0.0)
        s = stepping(puppet, phase, stride, lambda p: (p + AHEAD) * stride, np.cos(2 * np.pi * (phase - 0.03)))
        s.pelvis = s.pelvis + np.array([0, 0, phase * stride + 0.012 * np.sin(4 * np.pi * phase)])
        stances.append(s)
    return played(puppet, stances, fps)


def walk_on_the_spot(body: Rig, seconds: float, fps: float, style: Style = PLAIN) -> Motion:
    """The walk as on a treadmill, or the person would leave the picture."""
    return on_the_spot(walk(body, seconds, fps, style))


def on_the_spot(moves: Motion) -> Motion:
    """The same movement without its steady progress along z."""
    z = moves.root_translation[:, 2]
    place = moves.root_translation.copy()
    if len(z) > 1:
        place[:, 2] = z - np.polyval(np.polyfit(np.arange(len(z)), z, 1), np.arange(len(z)))
    return Motion(moves.joint_rotations, place, moves.fps)


def stepping(puppet: Puppet, phase: float, stride: float, planted, swing: float) -> Stance:
    """A moment of a walk; the left heel strikes at whole `phase`, the right one half a cycle later.

    planted  where along z a foot that strikes at a phase stands: a function of that phase
    swing    -1..1: how far the right arm is ahead
    """
    wave = 2 * np.pi * phase
    sway = 0.022 * np.sin(wave - 0.4)
    stance = Stance(np.array([sway, puppet.pelvis[1] - 0.012 - 0.014 * np.cos(2 * wave - 0.5), 0.0]))
    stance.yaw = -0.075 * np.cos(wave)
    stance.roll = 0.045 * np.sin(wave - 0.2)
    stance.twist = 0.19 * np.cos(wave)
    stance.lean = 0.045
    stance.look_yaw, stance.look_pitch = 0.03 * np.sin(wave / 3), 0.03
    for side, offset in (("L", 0.0), ("R", 0.5)):
        stance.feet[side] = foot_in_walk(puppet, side, phase - offset, stride, lambda p, o=offset: planted(p + o))
        ahead = swing if side == "R" else -swing
        stance.arms[side] = Arm(forward=0.06 + 0.40 * ahead, out=0.13, twist=0.25, elbow=0.32 + 0.20 * ahead, fist=0.35)
    return stance


def foot_in_walk(puppet: Puppet, side: str, phase: float, stride: float, planted) -> Foot:
    """Heel strike, flat foot, heel off, swing: pivots on heel and ball, never through the floor."""
    struck = np.floor(phase)
    t = phase - struck
    toes_up, toes_down = -0.30, 0.75
    lane = 0.60 * puppet.ankle[side][0]
    here, after = planted(struck), planted(struck + 1)

    def at(pivot: str, pitch: float, z: float) -> np.ndarray:
        """The ankle when the foot has turned by `pitch` about its heel or ball, planted flat at ankle position z."""
        reach = -puppet.heel_m if pivot == "heel" else puppet.ball_m
        arm = turn_x(pitch) @ np.array([0.0, puppet.ankle[side][1], -reach])
        return np.array([lane, arm[1], z + reach + arm[2]])

    if t < 0.10:
        pitch = toes_up * (1 - ease(t / 0.10))
        return Foot(at("heel", pitch, here), pitch, 0.08 * np.sign(lane))
    if t < STANCE:
        pitch = toes_down * ease((t - 0.33) / (STANCE - 0.33)) ** 1.0 if t > 0.33 else 0.0
        return Foot(at("ball", pitch, here), pitch, 0.08 * np.sign(lane))
    u = (t - STANCE) / (1 - STANCE)
    start, end = at("ball", toes_down, here), at("heel", toes_up, after)
    ankle = start + (end - start) * (u * u * (3 - 2 * u))
    ankle[1] += 0.055 * np.sin(np.pi * u) ** 1.3
    rolled = np.interp(u, [0, 0.25, 0.55, 0.85, 1], [toes_down, 0.60, 0.10, toes_up * 0.9, toes_up])
    smooth = toes_down + (toes_up - toes_down) * ease(u * 1.15)
    return Foot(ankle, float(0.5 * rolled + 0.5 * smooth), 0.08 * np.sign(lane))
