"""Movements made by rule: the studio's capture session and a natural walk, for any rig with our joint names.

Legs are solved from where the feet are (two bones, exact), so feet neither slide nor sink; arms and trunk are
given by angles. World: y up, floor at y = 0, facing +z.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from pipelines.core.errors import AnrError
from pipelines.core.records import Motion
from pipelines.geometry.rotations import rotation_between, rotation_from_vector

MOTIONS = ("capture", "walk")
DOWN = np.array([0.0, -1.0, 0.0])
CYCLE_S = 1.08  # one walking cycle (two steps) of an adult at 1.3 m/s
STANCE = 0.61  # share of the cycle a foot is on the floor
AHEAD = 0.275  # how far ahead of the pelvis a heel strikes, in cycles


class Rig(Protocol):
    """What a movement needs of a person: `Body` and `Actor` both have it."""

    @property
    def verts(self) -> np.ndarray: ...
    @property
    def rest_joints(self) -> np.ndarray: ...
    @property
    def joint_names(self) -> tuple[str, ...]: ...
    @property
    def parents(self) -> np.ndarray: ...


@dataclass
class Arm:
    """Angles of an arm that hangs straight down at zero, radians."""

    forward: float = 0.0
    out: float = 0.0  # sideways, away from the body
    twist: float = 0.0  # inwards about the upper arm
    elbow: float = 0.15
    fist: float = 0.25  # curl of each finger joint


@dataclass
class Foot:
    """Where a foot is: its ankle and which way it points."""

    ankle: np.ndarray  # (3,) metres
    pitch: float = 0.0  # toes down is positive
    yaw: float = 0.0


@dataclass
class Stance:
    """One moment of a movement."""

    pelvis: np.ndarray  # (3,) wanted place of the pelvis above the floor; lowered where legs end
    yaw: float = 0.0
    roll: float = 0.0  # pelvis: the person's left side up
    lean: float = 0.0  # trunk forward
    twist: float = 0.0  # chest against pelvis, to the person's left
    side: float = 0.0  # trunk to the person's left
    look_yaw: float = 0.0
    look_pitch: float = 0.0  # down is positive
    arms: dict[str, Arm] = field(default_factory=lambda: {"L": Arm(), "R": Arm()})
    feet: dict[str, Foot] = field(default_factory=dict)


def turn_x(a: float) -> np.ndarray:
    return rotation_from_vector(np.array([a, 0.0, 0.0]))


def turn_y(a: float) -> np.ndarray:
    return rotation_from_vector(np.array([0.0, a, 0.0]))


def turn_z(a: float) -> np.ndarray:
    return rotation_from_vector(np.array([0.0, 0.0, a]))


class Puppet:
    """A rig with the measures a movement needs, and the way from a `Stance` to joint rotations."""

    def __init__(self, rig: Rig) -> None:
        self.rest, self.names = np.asarray(rig.rest_joints, float), tuple(rig.joint_names)
        self.parents = np.asarray(rig.parents)
        self.index = {name: j for j, name in enumerate(self.names)}
        self.floor = float(rig.verts[:, 1].min())
        # each limb's bones turned to hang straight down, so that angles mean the same on every rig
        self.straight = {}
        for side in "LR":
            for bone, end in (
                ("upperarm01", "lowerarm01"),
                ("lowerarm01", "wrist"),
                ("upperleg01", "lowerleg01"),
                ("lowerleg01", "foot"),
            ):
                along = self.at(f"{end}.{side}") - self.at(f"{bone}.{side}")
                self.straight[f"{bone}.{side}"] = rotation_between(along / np.linalg.norm(along), DOWN)
        soles = np.asarray(rig.verts, float)
        self.ankle = {side: self.at(f"foot.{side}") - [0, self.floor, 0] for side in "LR"}
        near = soles[soles[:, 1] < self.floor + 0.06]
        left = near[near[:, 0] > 0]
        self.heel_m = float(self.ankle["L"][2] - left[:, 2].min())  # behind the ankle
        # ahead of it; the rig has no toe joints, so a foot rolls over its toes as a whole
        self.ball_m = float(0.92 * (left[:, 2].max() - self.ankle["L"][2]))
        self.thigh = float(np.linalg.norm(self.at("lowerleg01.L") - self.at("upperleg01.L")))
        self.shin = float(np.linalg.norm(self.at("foot.L") - self.at("lowerleg01.L")))
        self.pelvis = self.rest[0] - [0, self.floor, 0]
        self.curl = {side: self._finger_axes(side) for side in "LR"}

    def at(self, name: str) -> np.ndarray:
        return self.rest[self.index[name]]

    def _finger_axes(self, side: str) -> dict[int, np.ndarray]:
        """Which axis closes each finger joint, at rest: across the finger, towards the side it already bends to."""
        axes, bends = {}, np.zeros(3)
        for finger in range(2, 6):
            a, b, c = (self.at(f"finger{finger}-{k}.{side}") for k in (1, 2, 3))
            first, last = b - a, c - b
            bends += last / np.linalg.norm(last) - first / np.linalg.norm(first)
        for finger in range(2, 6):
            a, b, c = (self.at(f"finger{finger}-{k}.{side}") for k in (1, 2, 3))
            for k, along in ((1, b - a), (2, c - b), (3, c - b)):
                axis = np.cross(along, bends)
                axes[self.index[f"finger{finger}-{k}.{side}"]] = axis / np.linalg.norm(axis)
        return axes

    def hips(self, stance: Stance) -> dict[str, np.ndarray]:
        """Hip joints relative to the pelvis, turned with it."""
        turn = turn_y(stance.yaw) @ turn_z(stance.roll)
        return {side: turn @ (self.at(f"upperleg01.{side}") - self.rest[0]) for side in "LR"}

    def reach_height(self, stance: Stance, stretch: float = 0.993) -> float:
        """The highest place of the pelvis at which both feet stay where they are."""
        heights, hips = [], self.hips(stance)
        for side, foot in stance.feet.items():
            gap = foot.ankle - stance.pelvis - hips[side]
            room = (stretch * (self.thigh + self.shin)) ** 2 - gap[0] ** 2 - gap[2] ** 2
            heights.append(foot.ankle[1] - hips[side][1] + np.sqrt(max(room, 0.01)))
        return float(min(heights))

    def pose(self, stance: Stance) -> tuple[np.ndarray, np.ndarray]:
        """Joint rotations (J, 3, 3) relative to parents, and the root's place (3,)."""
        world: dict[str, np.ndarray] = {}
        root = turn_y(stance.yaw) @ turn_z(stance.roll)
        world["root"] = root
        spine = ("spine05", "spine04", "spine03", "spine02", "spine01")
        for k, name in enumerate(spine):
            share = (k + 1) / len(spine)
            # chest level again over a tilted pelvis
            level = turn_z(stance.roll * (1 - share))
            world[name] = (
                turn_y(stance.yaw + stance.twist * share)
                @ level
                @ turn_z(-stance.side * share)
                @ turn_x(stance.lean * share)
            )
        chest = world["spine01"]
        for k, name in enumerate(("neck01", "neck02", "neck03", "head")):
            share = (k + 1) / 4
            upright = turn_y(stance.yaw + stance.twist) @ turn_x(0.35 * stance.lean)
            world[name] = (
                _between(chest, upright, share) @ turn_y(stance.look_yaw * share) @ turn_x(stance.look_pitch * share)
            )
        place = stance.pelvis.astype(float)
        hips = self.hips(stance)
        for side, foot in stance.feet.items():
            self._leg(world, side, place + hips[side], foot)
        for side, arm in stance.arms.items():
            self._arm(world, side, chest, arm)
        rotations = np.tile(np.eye(3), (len(self.names), 1, 1))
        turns = np.empty_like(rotations)
        for j, name in enumerate(self.names):
            above = np.eye(3) if self.parents[j] < 0 else turns[self.parents[j]]
            if name in world:
                rotations[j] = above.T @ world[name]
            side = name[-1]
            if side in stance.arms and j in self.curl[side]:
                finger = int(name[6])
                amount = stance.arms[side].fist * (0.8 + 0.12 * (finger - 2))
                rotations[j] = rotation_from_vector(self.curl[side][j] * amount)
            turns[j] = above @ rotations[j]
        return rotations, place

    def _leg(self, world: dict[str, np.ndarray], side: str, hip: np.ndarray, foot: Foot) -> None:
        """Hip and knee by the law of cosines; the knee points where the foot points."""
        gap = foot.ankle - hip
        length = float(np.clip(np.linalg.norm(gap), 0.3 * (self.thigh + self.shin), 0.9995 * (self.thigh + self.shin)))
        axis = gap / np.linalg.norm(gap)
        ahead = np.array([np.sin(foot.yaw), 0.0, np.cos(foot.yaw)])
        ahead = ahead - axis * (ahead @ axis)
        ahead /= np.linalg.norm(ahead)
        bend = np.arccos(np.clip((self.thigh**2 + length**2 - self.shin**2) / (2 * self.thigh * length), -1, 1))
        knee = hip + self.thigh * (np.cos(bend) * axis + np.sin(bend) * ahead)
        for bone, along in (("upperleg01", knee - hip), ("lowerleg01", foot.ankle - knee)):
            world[f"{bone}.{side}"] = _hanging(along, ahead) @ self.straight[f"{bone}.{side}"]
        world[f"foot.{side}"] = turn_y(foot.yaw) @ turn_x(foot.pitch)

    def _arm(self, world: dict[str, np.ndarray], side: str, chest: np.ndarray, arm: Arm) -> None:
        sign = 1.0 if side == "L" else -1.0
        raised = max(0.0, arm.out - 0.6) + 0.5 * max(0.0, arm.forward - 1.0)
        lift = turn_z(sign * 0.30 * raised)
        world[f"clavicle.{side}"] = chest @ lift
        shoulder = chest @ turn_z(sign * arm.out) @ turn_x(-arm.forward) @ turn_y(-sign * arm.twist)
        elbow = shoulder @ turn_x(-arm.elbow)
        world[f"upperarm01.{side}"] = shoulder @ self.straight[f"upperarm01.{side}"]
        world[f"lowerarm01.{side}"] = elbow @ self.straight[f"lowerarm01.{side}"]


def _hanging(along: np.ndarray, ahead: np.ndarray) -> np.ndarray:
    """The turn that takes straight down to `along` and keeps ahead ahead."""
    up = -along / np.linalg.norm(along)
    left = np.cross(up, ahead)
    left /= np.linalg.norm(left)
    return np.stack([left, up, np.cross(left, up)], 1)


def _between(a: np.ndarray, b: np.ndarray, share: float) -> np.ndarray:
    """A turn `share` of the way from a to b."""
    from pipelines.geometry.rotations import vector_from_rotation

    return a @ rotation_from_vector(share * vector_from_rotation(a.T @ b))


def ease(t: float) -> float:
    """0..1 with flat ends (smootherstep)."""
    t = min(max(float(t), 0.0), 1.0)
    return t * t * t * (t * (6 * t - 15) + 10)


def window(t: float, start: float, end: float, soft: float = 0.25) -> float:
    """1 between start and end, easing in and out over `soft` of its length."""
    length = (end - start) * soft
    return float(ease((t - start) / length) * ease((end - t) / length))


def make_motion(name: str, rig: Rig, seconds: float, fps: float) -> Motion:
    """A movement by name, exactly `round(seconds * fps)` frames (at least one)."""
    if name not in MOTIONS:
        raise AnrError(f"There is no studio motion named {name!r}.", hint=f"There are: {', '.join(MOTIONS)}.")
    return {"capture": capture_session, "walk": walk}[name](rig, seconds, fps)


def played(puppet: Puppet, stances: list[Stance], fps: float) -> Motion:
    """Lowers the pelvis smoothly to where the legs reach, and poses each moment."""
    from scipy.ndimage import gaussian_filter1d, minimum_filter1d

    wanted = np.array([s.pelvis[1] for s in stances])
    limit = np.array([puppet.reach_height(s) for s in stances])
    slack = max(1, round(0.10 * fps))
    lack = minimum_filter1d(np.minimum(limit - wanted, 0.0), 2 * slack + 1, mode="nearest")
    height = np.minimum(wanted + gaussian_filter1d(lack, slack / 2, mode="nearest"), limit)
    rotations, places = [], []
    for stance, y in zip(stances, height):
        stance.pelvis = np.array([stance.pelvis[0], y, stance.pelvis[2]])
        turns, place = puppet.pose(stance)
        rotations.append(turns)
        places.append(place)
    return Motion(np.stack(rotations), np.stack(places), fps)


def walk(body: Rig, seconds: float, fps: float) -> Motion:
    """A natural walk along +z that starts at z = 0 in full stride; a foot on the floor stays where it is."""
    puppet = Puppet(body)
    leg = puppet.thigh + puppet.shin
    stride = 1.45 * leg  # two steps
    speed = stride / CYCLE_S
    stances = []
    for frame in range(max(1, round(seconds * fps))):
        time = frame / fps
        phase = time / CYCLE_S
        s = stepping(puppet, phase, stride, lambda p: (p + AHEAD) * stride, np.cos(2 * np.pi * (phase - 0.03)))
        s.pelvis = s.pelvis + np.array([0, 0, speed * time + 0.012 * np.sin(4 * np.pi * phase)])
        stances.append(s)
    return played(puppet, stances, fps)


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


def capture_session(rig: Rig, seconds: float, fps: float) -> Motion:
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
        stances.append(session_moment(puppet, t, time, seconds))
    return played(puppet, stances, fps)


def session_moment(puppet: Puppet, t: float, time: float, seconds: float) -> Stance:
    turning, up, march = (0.0, 0.40), (0.39, 0.54), (0.53, 0.68)
    curls, squat, look = (0.66, 0.80), (0.78, 0.91), (0.90, 1.03)
    u = np.clip(t / turning[1], 0, 1)
    spin = 2 * np.pi * float(0.7 * u + 0.3 * ease(u)) if u < 1 else 2 * np.pi
    w_up, w_march, w_curl = (window(t, *span) for span in (up, march, curls))
    w_squat = float(np.sin(np.pi * np.clip((t - squat[0]) / (squat[1] - squat[0]), 0, 1)) ** 2)
    w_look = float(ease((t - look[0]) / 0.03))
    yaw_now = spin + 0.22 * np.sin(2 * np.pi * (t - turning[1]) / 0.58) * float(ease((t - turning[1]) / 0.06))
    stance = Stance(puppet.pelvis - [0, 0.006, 0])
    breath = np.sin(2 * np.pi * time / 3.4)
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
    stance.pelvis = stance.pelvis + np.array([0.018 * w_march * np.sin(step), -0.30 * w_squat, -0.10 * w_squat])
    stance.pelvis = np.array([0, stance.pelvis[1], 0]) + turn_y(stance.yaw) @ np.array(
        [stance.pelvis[0], 0, stance.pelvis[2]]
    )
    rise = float(np.sin(np.pi * np.clip((t - up[0]) / (up[1] - up[0]), 0, 1)) ** 2)
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
