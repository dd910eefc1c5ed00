"""What we ask people to do in front of a camera, in one go: a turn, arms, steps, elbows, a squat, a look round."""

from __future__ import annotations

import numpy as np

from pipelines.core.records import Motion
from pipelines.studio.choreography import PLAIN, Style
from pipelines.studio.puppet import Arm, Foot, Puppet, Rig, Stance, ease, played, turn_y, window


def capture_session(rig: Rig, seconds: float, fps: float, style: Style = PLAIN) -> Motion:
    """What we ask people to do in front of a camera, fitted into `seconds`.

    A whole turn in an A-pose (0 to 40 %), then facing the camera: arms up (to 54 %), walking on the spot (to 68 %),
    elbows (to 80 %), a squat (to 91 %), looking round with loose arms (to the end).
    """
    puppet = Puppet(rig)
    count = max(1, round(seconds * fps))
    stances = []
    for frame in range(count):
        t = frame / max(count - 1, 1)
        time = frame / fps
        stances.append(session_moment(puppet, t, time, seconds, style))
    return played(puppet, stances, fps)


def session_moment(puppet: Puppet, t: float, time: float, seconds: float, style: Style) -> Stance:
    turning, up, march = (0.0, 0.40), (0.39, 0.54), (0.53, 0.68)
    curls, squat, look = (0.66, 0.80), (0.78, 0.91), (0.90, 1.03)
    u = np.clip(t / turning[1], 0, 1)
    spin = 2 * np.pi * float(0.7 * u + 0.3 * ease(u)) if u < 1 else 2 * np.pi
    spin *= -1 if style.mirrored else 1
    w_up, w_march, w_curl = (window(t, *span) for span in (up, march, curls))
    w_squat = float(np.sin(np.pi * np.clip((t - squat[0]) / (squat[1] - squat[0]), 0, 1)) ** 2)
    w_look = float(ease((t - look[0]) / 0.03))
    yaw_now = spin + 0.22 * np.sin(2 * np.pi * (t - turning[1]) / 0.58) * float(ease((t - turning[1]) / 0.06))
    stance = Stance(puppet.pelvis - [0, 0.006, 0])
    breath = np.sin(2 * np.pi * time / 3.4 + style.phase)
    stance.yaw = yaw_now
    stance.lean = 0.02 + 0.006 * breath + 0.42 * w_squat
    stance.side = 0.012 * np.sin(2 * np.pi * time / 2.7)
    cycles = max(1.0, round(2 * 0.95 * (march[1] - march[0]) * seconds) / 2)  # about one a second
    step = 2 * np.pi * cycles * (t - march[0]) / (march[1] - march[0])
    look_wave = np.sin(2 * np.pi * (t - look[0]) / 0.13)
    stance.look_yaw = 0.75 * w_look * look_wave + 0.05 * np.sin(2 * np.pi * time / 4.1)
    stance.look_pitch = 0.10 * w_look * np.sin(4 * np.pi * (t - look[0]) / 0.13) - 0.12 * w_squat
    stance.twist = (
        0.20 * w_look * look_wave
        + 0.10 * w_march * np.sin(step)
        + 0.12 * w_curl * np.sin(2 * np.pi * (t - curls[0]) / 0.12)
    )
    sunk = style.size * w_squat
    stance.pelvis = stance.pelvis + np.array([0.018 * w_march * np.sin(step), -0.30 * sunk, -0.10 * sunk])
    stance.pelvis = np.array([0, stance.pelvis[1], 0]) + turn_y(stance.yaw) @ np.array(
        [stance.pelvis[0], 0, stance.pelvis[2]]
    )
    rise = min(style.size, 1.05) * float(np.sin(np.pi * np.clip((t - up[0]) / (up[1] - up[0]), 0, 1)) ** 2)
    for side, sign in (("L", 1.0), ("R", -1.0)):
        beat = np.sin(step) * (-sign)
        bend = 0.5 - 0.5 * np.cos(
            2 * np.pi * ((t - curls[0]) / (curls[1] - curls[0]) * 1.5 + (0.0 if side == "L" else 0.5))
        )
        arm = Arm(out=0.62 - 0.42 * w_look, elbow=0.22 + 0.1 * w_look, forward=0.04, twist=0.15 * w_look, fist=0.22)
        arm.out += (2.35 - arm.out) * rise * w_up**0.3 if w_up > 0 else 0.0
        arm.elbow += 0.25 * rise
        arm.out += (0.16 - arm.out) * w_march
        arm.forward += 0.55 * beat * w_march
        arm.elbow += (0.75 + 0.3 * beat) * w_march
        arm.out += (0.40 - arm.out) * w_curl
        arm.elbow += (0.2 + 1.75 * bend - arm.elbow) * w_curl
        arm.forward += 0.45 * w_curl * bend
        arm.fist += 0.5 * w_curl
        arm.forward += (1.35 - arm.forward) * w_squat
        arm.out += (0.18 - arm.out) * w_squat
        stance.arms[side] = arm
        lift = w_march * max(0.0, np.sin(step) * sign) ** 1.3
        shuffle = 0.020 * max(0.0, np.sin(spin * 3 + (0 if side == "L" else np.pi))) ** 2 * (u < 1)
        ankle = puppet.ankle[side] * [1.05, 1, 1]
        place = turn_y(spin) @ ((ankle - puppet.pelvis) * [1, 0, 1] + [0, 0, 0.06 * lift])
        ankle = np.array([place[0], ankle[1] + 0.17 * lift + shuffle, place[2]])
        stance.feet[side] = Foot(ankle, 0.42 * lift, spin + 0.12 * sign)
    return stance
