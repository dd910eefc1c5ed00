"""A puppet: the measures a movement needs of a rig, and the way from a stance to joint rotations.

Legs are solved from where the feet are (two bones, exact), so feet neither slide nor sink; arms and trunk are
given by angles, or the arms by where the hands are. World: y up, floor at y = 0, facing +z.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from pipelines.core.records import Motion
from pipelines.geometry.rotations import rotation_between, rotation_from_vector, vector_from_rotation

DOWN = np.array([0.0, -1.0, 0.0])


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
class Hand:
    """Where a wrist is and where its palm looks; the arm follows."""

    place: np.ndarray  # (3,) metres in the axes of `frame`, from its joint (world: from the floor's origin)
    palm: np.ndarray  # (3,) direction in the same axes
    elbow: np.ndarray  # (3,) where the elbow points, in the chest's axes
    frame: str = "chest"  # chest, head or world
    weight: float = 1.0  # 0 = the arm's angles, 1 = here
    bend: float = 0.0  # of the wrist, towards the palm


@dataclass
class Stance:
    """One moment of a movement."""

    pelvis: np.ndarray  # (3,) wanted place of the pelvis above the floor; lowered where legs end
    yaw: float = 0.0
    roll: float = 0.0  # pelvis: the person's left side up
    tip: float = 0.0  # pelvis forward
    lean: float = 0.0  # chest forward
    twist: float = 0.0  # chest against pelvis, to the person's left
    side: float = 0.0  # trunk to the person's left
    look_yaw: float = 0.0
    look_pitch: float = 0.0  # down is positive
    look_roll: float = 0.0  # ear to the person's left shoulder
    arms: dict[str, Arm] = field(default_factory=lambda: {"L": Arm(), "R": Arm()})
    feet: dict[str, Foot] = field(default_factory=dict)
    hands: dict[str, Hand] = field(default_factory=dict)


def turn_x(a: float) -> np.ndarray:
    c, s = math.cos(a), math.sin(a)
    return np.array([[1.0, 0.0, 0.0], [0.0, c, -s], [0.0, s, c]])


def turn_y(a: float) -> np.ndarray:
    c, s = math.cos(a), math.sin(a)
    return np.array([[c, 0.0, s], [0.0, 1.0, 0.0], [-s, 0.0, c]])


def turn_z(a: float) -> np.ndarray:
    c, s = math.cos(a), math.sin(a)
    return np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])


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
        self.stature = float(rig.verts[:, 1].max()) - self.floor
        self.curl = {side: self._finger_axes(side) for side in "LR"}
        # joint, axis and share of the fist of every finger joint
        self.closing = {side: (np.array(list(axes)), np.stack(list(axes.values())),
                               np.array([0.8 + 0.12 * (int(self.names[j][6]) - 2) for j in axes]))
                        for side, axes in self.curl.items()}
        self.palm = {side: self._palm(side) for side in "LR"}
        self.upper_arm = float(np.linalg.norm(self.at("lowerarm01.L") - self.at("upperarm01.L")))
        self.forearm = float(np.linalg.norm(self.at("wrist.L") - self.at("lowerarm01.L")))

    def at(self, name: str) -> np.ndarray:
        return self.rest[self.index[name]]

    def _bends(self, side: str) -> np.ndarray:
        """Where the fingers bend to at rest."""
        bends = np.zeros(3)
        for finger in range(2, 6):
            a, b, c = (self.at(f"finger{finger}-{k}.{side}") for k in (1, 2, 3))
            first, last = b - a, c - b
            bends += last / np.linalg.norm(last) - first / np.linalg.norm(first)
        return bends

    def _palm(self, side: str) -> np.ndarray:
        """Where the palm looks at rest: across the hand, to the side that the fingers bend to."""
        along = self.at(f"finger3-1.{side}") - self.at(f"wrist.{side}")
        across = self.at(f"finger2-1.{side}") - self.at(f"finger5-1.{side}")
        palm = np.cross(along, across)
        return palm * np.sign(palm @ self._bends(side)) / np.linalg.norm(palm)

    def _finger_axes(self, side: str) -> dict[int, np.ndarray]:
        """Which axis closes each finger joint, at rest: across the finger, towards the side it already bends to."""
        axes, bends = {}, self._bends(side)
        for finger in range(2, 6):
            a, b, c = (self.at(f"finger{finger}-{k}.{side}") for k in (1, 2, 3))
            for k, along in ((1, b - a), (2, c - b), (3, c - b)):
                axis = np.cross(along, bends)
                axes[self.index[f"finger{finger}-{k}.{side}"]] = axis / np.linalg.norm(axis)
        return axes

    def hips(self, stance: Stance) -> dict[str, np.ndarray]:
        """Hip joints relative to the pelvis, turned with it."""
        turn = turn_y(stance.yaw) @ turn_z(stance.roll) @ turn_x(stance.tip)
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
        world = self._trunk(stance)
        chest, place = world["spine01"], stance.pelvis.astype(float)
        hips = self.hips(stance)
        for side, foot in stance.feet.items():
            self._leg(world, side, place + hips[side], foot)
        for side, arm in stance.arms.items():
            self._arm(world, side, chest, arm)
            if side in stance.hands and stance.hands[side].weight > 0:
                self._reach(world, side, place, stance.hands[side])
        return self._local(world, stance.arms), place

    def _trunk(self, stance: Stance) -> dict[str, np.ndarray]:
        """World turns of pelvis, spine, neck and head."""
        world = {"root": turn_y(stance.yaw) @ turn_z(stance.roll) @ turn_x(stance.tip)}
        spine = ("spine05", "spine04", "spine03", "spine02", "spine01")
        for k, name in enumerate(spine):
            share = (k + 1) / len(spine)
            # chest level again over a tilted pelvis
            level = turn_z(stance.roll * (1 - share))
            world[name] = (
                turn_y(stance.yaw + stance.twist * share)
                @ level
                @ turn_z(-stance.side * share)
                @ turn_x(stance.tip * (1 - share) + stance.lean * share)
            )
        upright = turn_y(stance.yaw + stance.twist) @ turn_x(0.35 * stance.lean)
        rising = _between(world["spine01"], upright, np.arange(1, 5) / 4)
        for k, name in enumerate(("neck01", "neck02", "neck03", "head")):
            share = (k + 1) / 4
            world[name] = (
                rising[k]
                @ turn_y(stance.look_yaw * share)
                @ turn_z(-stance.look_roll * share)
                @ turn_x(stance.look_pitch * share)
            )
        return world

    def _local(self, world: dict[str, np.ndarray], arms: dict[str, Arm]) -> np.ndarray:
        """Rotations (J, 3, 3) relative to parents; joints without a turn of their own follow, fingers curl."""
        rotations = np.tile(np.eye(3), (len(self.names), 1, 1))
        turns = np.empty_like(rotations)
        for side, arm in arms.items():
            joints, axes, shares = self.closing[side]
            rotations[joints] = rotation_from_vector(axes * (arm.fist * shares)[:, None])
        for j, name in enumerate(self.names):
            above = np.eye(3) if self.parents[j] < 0 else turns[self.parents[j]]
            if name in world:
                rotations[j] = above.T @ world[name]
            turns[j] = above @ rotations[j]
        return rotations

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

    def _reach(self, world: dict[str, np.ndarray], side: str, root: np.ndarray, hand: Hand) -> None:
        """Shoulder and elbow by the law of cosines; the forearm turns until the palm looks where it should."""
        chest = world["spine01"]
        _, shoulder = self._frame_of(world, f"upperarm01.{side}", root)
        if hand.frame == "world":
            axes, origin = np.eye(3), np.zeros(3)
        else:
            axes, origin = self._frame_of(world, {"chest": "spine01", "head": "head"}[hand.frame], root)
        # The way from the arm's angles leads through places, not through turns: those flip at half a turn.
        hanging_elbow = world[f"upperarm01.{side}"] @ (self.at(f"lowerarm01.{side}") - self.at(f"upperarm01.{side}"))
        forearm = self.at(f"wrist.{side}") - self.at(f"lowerarm01.{side}")
        hanging = hanging_elbow + world[f"lowerarm01.{side}"] @ forearm
        gap = hanging + hand.weight * (origin + axes @ hand.place - shoulder - hanging)
        reach = self.upper_arm + self.forearm
        length = float(np.clip(np.linalg.norm(gap), 0.35 * reach, 0.985 * reach))
        axis = gap / np.linalg.norm(gap)
        before = hanging_elbow - hanging * (hanging_elbow @ hanging) / (hanging @ hanging)
        before = before / np.linalg.norm(before)
        out = before + hand.weight * (chest @ hand.elbow / np.linalg.norm(hand.elbow) - before)
        out = out - axis * (axis @ out)
        out /= np.linalg.norm(out)
        cosine = (self.upper_arm**2 + length**2 - self.forearm**2) / (2 * self.upper_arm * length)
        bend = float(np.arccos(np.clip(cosine, -1, 1)))
        upper = np.cos(bend) * axis + np.sin(bend) * out
        fore = (length * axis - self.upper_arm * upper) / self.forearm
        hinge = _hanging(upper, fore)
        world[f"upperarm01.{side}"] = hinge @ self.straight[f"upperarm01.{side}"]
        world[f"lowerarm01.{side}"] = (
            _hanging(fore, np.cross(hinge[:, 0], -fore)) @ self.straight[f"lowerarm01.{side}"]
        )
        self._turn_palm(world, side, axes @ hand.palm, hand)

    def _turn_palm(self, world: dict[str, np.ndarray], side: str, wanted: np.ndarray, hand: Hand) -> None:
        """Half of the turn in the forearm, all of it in the hand, as radius and ulna share it."""
        forearm = world[f"lowerarm01.{side}"]
        bone = self.at(f"wrist.{side}") - self.at(f"lowerarm01.{side}")
        axis = forearm @ (bone / np.linalg.norm(bone))
        palm = forearm @ self.palm[side]
        a, b = palm - axis * (axis @ palm), wanted - axis * (axis @ wanted)
        turn = float(np.arctan2(axis @ np.cross(a, b), a @ b))
        turn = hand.weight * float(np.clip(turn, -1.7, 1.7)) * min(1.0, 4 * float(np.linalg.norm(b)))
        world[f"lowerarm02.{side}"] = rotation_from_vector(axis * turn * 0.5) @ forearm
        turned = rotation_from_vector(axis * turn) @ forearm
        palm = turned @ self.palm[side]
        across = np.cross(axis, palm)
        flexed = rotation_from_vector(across / np.linalg.norm(across) * hand.bend * hand.weight)
        world[f"wrist.{side}"] = flexed @ turned

    def _frame_of(
        self, world: dict[str, np.ndarray], name: str, root: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """World turn and place of a joint, from the turns known so far."""
        j = self.index[name]
        if self.parents[j] < 0:
            return world["root"], root
        above = self.names[self.parents[j]]
        turn, place = self._frame_of(world, above, root)
        place = place + turn @ (self.rest[j] - self.rest[self.parents[j]])
        return world.get(name, turn), place


def _hanging(along: np.ndarray, ahead: np.ndarray) -> np.ndarray:
    """The turn that takes straight down to `along` and keeps ahead ahead."""
    up = -along / np.linalg.norm(along)
    left = np.cross(up, ahead)
    left /= np.linalg.norm(left)
    return np.stack([left, up, np.cross(left, up)], 1)


def _between(a: np.ndarray, b: np.ndarray, share: np.ndarray | float) -> np.ndarray:
    """Turns (..., 3, 3) that are `share` (...) of the way from a to b."""
    return a @ rotation_from_vector(np.asarray(share)[..., None] * vector_from_rotation(a.T @ b))


def ease(t: float) -> float:
    """0..1 with flat ends (smootherstep)."""
    t = min(max(float(t), 0.0), 1.0)
    return t * t * t * (t * (6 * t - 15) + 10)


def window(t: float, start: float, end: float, soft: float = 0.25) -> float:
    """1 between start and end, easing in and out over `soft` of its length."""
    length = (end - start) * soft
    return float(ease((t - start) / length) * ease((end - t) / length))


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
