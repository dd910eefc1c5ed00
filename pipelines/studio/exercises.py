"""Three routines as rows of poses: the range of motion of all joints, squats with reaches, hands near the face."""

from __future__ import annotations

from pipelines.core.records import Motion
from pipelines.studio.choreography import Pose, Style, both, other_side, perform
from pipelines.studio.puppet import Rig


def range_of_motion(rig: Rig, seconds: float, fps: float, style: Style) -> Motion:
    """Head, shoulders, elbows, wrists, fingers, trunk, hips, knees, ankles, one after the other; 15 s at ease."""
    nod, ear = {"look_yaw": 1.0}, {"look_roll": 0.45, "look_yaw": 0.1}
    ahead = both(forward=1.55, out=0.12, elbow=0.12, fist=0.05)
    wide = both(out=1.52, elbow=0.10, fist=0.05)
    overhead = both(out=2.45, elbow=0.45, forward=0.1, fist=0.05, twist=0.0)
    curl = both(out=0.35, elbow=2.25, forward=0.25, fist=1.25)
    behind = both(out=0.30, forward=-0.65, elbow=0.15)
    bend: Pose = {"side": 0.42, "dx": -0.03, "look_roll": 0.15, "L.out": 0.05, "R.out": 2.5, "R.elbow": 0.5}
    turn: Pose = {"twist": 0.65, "look_yaw": 0.35, **both(out=0.55, forward=0.55, elbow=1.5)}
    bow: Pose = {"tip": 0.65, "lean": 1.20, "dz": -0.12, "look_pitch": -0.1, **both(forward=1.15, out=0.08, elbow=0.1)}
    balance: Pose = both(out=0.75, elbow=0.45)
    knee_up: Pose = {**balance, "dx": -0.085, "roll": 0.05, "side": -0.03, "L.foot_y": 0.40, "L.foot_z": 0.16,
                     "L.foot_pitch": 0.25, "L.foot_x": -0.03}
    leg_out: Pose = {**balance, "dx": -0.095, "roll": 0.10, "side": 0.10, "L.foot_y": 0.16, "L.foot_x": 0.42,
                     "L.foot_yaw": 0.1}
    heel_up: Pose = {**balance, "dx": -0.085, "lean": 0.10, "L.foot_y": 0.33, "L.foot_z": -0.40, "L.foot_pitch": 0.9,
                     "L.foot_x": -0.03}
    toes: Pose = {"dy": 0.085, "dz": 0.06, "L.foot_pitch": 0.50, "R.foot_pitch": 0.50, **both(out=0.5)}
    ease: Pose = {}
    keys = [(0.0, ease), (0.6, nod), (0.8, other_side(nod)), (0.6, {"look_pitch": 0.55}), (0.6, {"look_pitch": -0.40}),
            (0.5, ear), (0.6, other_side(ear)), (0.7, ahead), (0.8, overhead), (0.8, wide), (0.7, behind),
            (0.7, curl), (0.5, both(out=0.6, elbow=1.3, fist=0.0, forward=0.3)), (0.5, curl), (0.8, bend),
            (0.9, other_side(bend)), (0.8, turn), (0.9, other_side(turn)), (1.0, bow), (1.0, ease), (0.8, knee_up),
            (0.7, leg_out), (0.7, heel_up), (0.7, ease), (0.7, other_side(knee_up)), (0.7, other_side(leg_out)),
            (0.7, other_side(heel_up)), (0.8, toes), (0.7, ease)]
    return perform(rig, keys, "chest", seconds, fps, style)


def squat_and_reach(rig: Rig, seconds: float, fps: float, style: Style) -> Motion:
    """Squats with arms ahead, a hand to the floor beside each foot, a stretch to the ceiling on the toes; 9 s."""
    stand: Pose = {"L.foot_x": 0.05, "R.foot_x": -0.05}
    squat: Pose = {**stand, "dy": -0.36, "dz": -0.17, "tip": 0.50, "lean": 0.62, "look_pitch": -0.22,
                   **both(forward=2.05, out=0.22, elbow=0.2, fist=0.1), "L.foot_yaw": 0.12, "R.foot_yaw": -0.12}
    touch: Pose = {**stand, "dy": -0.42, "dz": -0.14, "tip": 0.75, "lean": 1.05, "twist": 0.25, "side": 0.12,
                   "look_pitch": 0.05, "look_yaw": 0.25, "L.foot_yaw": 0.12, "R.foot_yaw": -0.12,
                   "R.hold": 1.0, "R.hand_x": 0.12, "R.hand_y": 0.20, "R.hand_z": 0.33,
                   "R.palm_x": 0.2, "R.palm_y": -0.6, "R.palm_z": -0.8, "R.fist": 0.12,
                   "R.elbow_x": -0.8, "R.elbow_y": 0.2, "R.elbow_z": 0.3, "L.forward": -0.2, "L.out": 0.55,
                   "L.elbow": 0.7}
    high: Pose = {**stand, "dy": 0.075, "dz": 0.055, "lean": -0.10, "side": -0.12, "look_pitch": -0.50,
                  "L.foot_pitch": 0.45, "R.foot_pitch": 0.45, "L.out": 2.40, "L.elbow": 0.45, "L.fist": 0.0,
                  "L.forward": 0.3, "R.out": 0.4, "R.elbow": 0.45}
    high_both: Pose = {**high, "side": 0.0, **both(out=2.35, elbow=0.45, fist=0.0, forward=0.3)}
    across: Pose = {**stand, "twist": 0.55, "lean": 0.22, "dx": 0.07, "roll": -0.03, "look_yaw": 0.25,
                    "R.forward": 1.35, "R.out": -0.25, "R.elbow": 0.15, "R.fist": 0.05, "L.out": 0.35, "L.elbow": 0.5}
    keys = [(0.0, stand), (0.9, squat), (0.9, stand), (0.9, touch), (0.9, high), (0.7, stand), (0.8, across),
            (0.9, other_side(across)), (0.9, other_side(touch)), (1.0, high_both), (0.9, stand)]
    return perform(rig, keys, "world", seconds, fps, style)


def hands_near_face(rig: Rig, seconds: float, fps: float, style: Style) -> Motion:
    """Chin, hair, glasses, telephone, both cheeks, with turns of the head between; 10 s."""
    phone: Pose = {"look_roll": -0.16, "look_yaw": 0.25, "R.hold": 1.0, "R.hand_x": -0.135, "R.hand_y": -0.085,
                   "R.hand_z": 0.045, "R.palm_x": 1.0, "R.palm_y": 0.1, "R.palm_z": 0.0, "R.fist": 0.45,
                   "R.elbow_x": -0.75, "R.elbow_y": -0.65, "R.elbow_z": 0.35, "R.out": 0.6}
    chin: Pose = {"look_pitch": 0.10, "look_yaw": -0.08, "L.hold": 1.0, "L.hand_x": 0.055, "L.hand_y": -0.20,
                  "L.hand_z": 0.135, "L.palm_x": -0.3, "L.palm_y": 0.35, "L.palm_z": -0.9, "L.fist": 0.75,
                  "L.elbow_x": 0.25, "L.elbow_y": -0.95, "L.elbow_z": 0.2}
    hair: Pose = {"look_roll": 0.12, "look_pitch": 0.10, "L.hold": 1.0, "L.hand_x": 0.165, "L.hand_y": 0.07,
                  "L.hand_z": 0.045, "L.palm_x": -0.75, "L.palm_y": -0.5, "L.palm_z": -0.1, "L.fist": 0.30,
                  "L.elbow_x": 0.9, "L.elbow_y": 0.1, "L.elbow_z": 0.35, "L.out": 1.3, "L.bend": 0.35}
    comb: Pose = {**hair, "L.hand_x": 0.12, "L.hand_y": 0.14, "L.hand_z": -0.03, "look_yaw": -0.2}
    glasses: Pose = {"look_pitch": 0.08, "R.hold": 1.0, "R.hand_x": -0.095, "R.hand_y": -0.10, "R.hand_z": 0.155,
                     "R.palm_x": 0.45, "R.palm_y": 0.0, "R.palm_z": -0.9, "R.fist": 0.35, "R.elbow_x": -0.5,
                     "R.elbow_y": -0.8, "R.elbow_z": 0.4}
    cheeks: Pose = {"look_pitch": -0.05, **both(hold=1.0, hand_x=0.105, hand_y=-0.155, hand_z=0.07, palm_x=-0.85,
                                                palm_y=0.1, palm_z=-0.35, fist=0.18, elbow_x=0.5, elbow_y=-0.8,
                                                elbow_z=0.45)}
    open_up: Pose = {"look_pitch": -0.08, "lean": -0.03, **both(out=0.95, forward=0.55, elbow=1.35, fist=0.08)}
    look: Pose = {"look_yaw": 0.85, "twist": 0.12}
    keys = [(0.0, {}), (0.6, look), (0.8, other_side(look)), (0.9, chin), (0.5, {**chin, "look_yaw": 0.3}),
            (0.8, {}), (0.9, hair), (0.5, comb), (0.8, {"look_yaw": 0.3}), (0.9, phone),
            (0.7, {**phone, "look_yaw": -0.15}), (0.7, glasses), (0.4, glasses), (0.8, {}), (0.9, cheeks),
            (0.5, {**cheeks, "look_yaw": 0.35}), (0.6, {**cheeks, "look_yaw": -0.3}), (0.7, open_up), (0.8, {})]
    return perform(rig, keys, "head", seconds, fps, style)
