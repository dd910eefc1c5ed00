"""Which joint of a foreign skeleton is which: names of CMU, Mixamo, Rokoko, MotionBuilder, Blender and our own."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from pipelines.core.errors import AnrError
from pipelines.motion.bvh import BvhFile

SIDES = ("L", "R")
# Names after the side and all separators are taken off, most telling first. "shoulder" is the collar bone in some
# rigs and the shoulder joint in others: it is the joint only where nothing better names it.
PARTS: dict[str, tuple[str, ...]] = {
    "hip": ("upperleg01", "upleg", "upperleg", "thigh", "hip", "femur"),
    "knee": ("lowerleg01", "knee", "lowleg", "lowerleg", "calf", "shin", "leg", "tibia"),
    "ankle": ("foot", "ankle"),
    "toe": ("toebase", "toe", "toes", "ball", "toe0"),
    "shoulder": ("upperarm01", "arm", "upperarm", "uparm", "humerus", "shoulder"),
    "elbow": ("lowerarm01", "forearm", "elbow", "lowerarm", "lowarm", "radius"),
    "wrist": ("wrist", "hand"),
    "collar": ("clavicle", "collar", "collarbone", "shoulder"),
}
MIDDLE: dict[str, tuple[str, ...]] = {
    "hips": ("hips", "hip", "pelvis", "root", "base"),
    "head": ("head",),
}
NEEDED = ("hip", "knee", "ankle", "shoulder", "elbow", "wrist")


@dataclass(frozen=True, eq=False)
class JointMap:
    """Joints of a BVH file by their part: "hips", "head", and "hip.L", "knee.L", "wrist.R" and so on."""

    joints: dict[str, int]
    spine: tuple[int, ...]              # from above the hips up to the chest, which carries the arms
    neck: tuple[int, ...]               # from above the chest up to below the head

    def described(self, bvh: BvhFile) -> str:
        """One line for the person: which joint was taken for what."""
        pairs = [f"{part}={bvh.joint_names[j]}" for part, j in self.joints.items()]
        return ", ".join(pairs)


def match_joints(bvh: BvhFile) -> JointMap:
    """Finds the parts by name; AnrError names the parts that are not there."""
    plain = [_plain(name) for name in bvh.joint_names]
    joints: dict[str, int] = {}
    for part, names in MIDDLE.items():
        found = _first(plain, "", names)
        if found is not None:
            joints[part] = found
    for side in SIDES:
        for part, names in PARTS.items():
            found = _first(plain, side, names)
            if found is not None:
                joints[f"{part}.{side}"] = found
        if joints.get(f"collar.{side}") == joints.get(f"shoulder.{side}"):
            joints.pop(f"collar.{side}", None)
    missing = [f"{part}.{side}" for part in NEEDED for side in SIDES if f"{part}.{side}" not in joints]
    if missing:
        named = ", ".join(bvh.joint_names[:12]) + (", ..." if len(bvh.joint_names) > 12 else "")
        raise AnrError(f"This skeleton has no joint that is known as {', '.join(missing)}; it has: {named}.",
                       hint="Rename its joints as in CMU or Mixamo files, for example LeftUpLeg, LeftLeg, LeftFoot, "
                            "LeftArm, LeftForeArm, LeftHand.")
    joints.setdefault("hips", _common_ancestor(bvh, joints["hip.L"], joints["hip.R"]))
    chest = _common_ancestor(bvh, joints["shoulder.L"], joints["shoulder.R"])
    spine = tuple(_path(bvh, joints["hips"], chest)) or (joints["hips"],)
    neck: tuple[int, ...] = ()
    if "head" in joints:
        from_chest = _path(bvh, chest, joints["head"])
        if from_chest:
            neck = tuple(from_chest[:-1])
        else:                                            # a head that does not hang from the chest is none we can use
            del joints["head"]
    return JointMap(joints, spine, neck)


def descendants(bvh: BvhFile, joint: int) -> list[int]:
    """All joints below one, in file order."""
    below = {joint}
    for j, parent in enumerate(bvh.parents):
        if int(parent) in below:
            below.add(j)
    return sorted(below - {joint})


def _plain(name: str) -> tuple[str, str]:
    """(side, bare name): "mixamorig:LeftUpLeg" -> ("L", "upleg"), "upperleg01.R" -> ("R", "upperleg01")."""
    name = re.split(r"[:|]", name)[-1]
    name = re.sub(r"^(Bip\d+|BIP\d+|bip\d+|Character\d*|def|DEF|ORG)[ _\-.]+", "", name)
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name)          # LeftUpLeg -> Left Up Leg
    spaced = re.sub(r"^([LR])(?=[A-Z][a-z])", r"\1 ", spaced)       # LHip -> L Hip
    words = [word.lower() for word in re.split(r"[ _\-.]+", spaced) if word]
    side = ""
    for at in (0, -1):
        if len(words) > 1 and words[at] in ("l", "left", "r", "right"):
            side = words.pop(at)[0].upper()
            break
    else:
        whole = re.fullmatch(r"(left|right|l|r)([a-z]+\d*)", "".join(words))
        if whole and whole.group(2) in _ALL_PARTS:
            return whole.group(1)[0].upper(), whole.group(2)
    return side, "".join(words)


_ALL_PARTS = frozenset(name for names in PARTS.values() for name in names)


def _first(plain: list[tuple[str, str]], side: str, names: tuple[str, ...]) -> int | None:
    for name in names:
        if (side, name) in plain:
            return plain.index((side, name))
    return None


def _ancestors(bvh: BvhFile, joint: int) -> list[int]:
    """The joint itself and all above it, upwards."""
    chain = [joint]
    while bvh.parents[chain[-1]] >= 0:
        chain.append(int(bvh.parents[chain[-1]]))
    return chain


def _common_ancestor(bvh: BvhFile, a: int, b: int) -> int:
    above = _ancestors(bvh, a)
    return next(joint for joint in _ancestors(bvh, b) if joint in above)


def _path(bvh: BvhFile, top: int, bottom: int) -> list[int]:
    """Joints from below `top` down to `bottom`; empty when bottom does not hang from top or is it."""
    chain = _ancestors(bvh, bottom)
    return list(reversed(chain[:chain.index(top)])) if top in chain else []


def bone_tip(bvh: BvhFile, joint: int) -> np.ndarray | None:
    """Where a joint's bone ends, in its own frame: its first child or End Site that is not at the joint itself."""
    reach = float(np.abs(bvh.offsets).max()) * 1e-3
    own = [bvh.offsets[j] for j, parent in enumerate(bvh.parents) if parent == joint]
    own += [np.array(tip) for owner, tip in bvh.end_sites if owner == joint]
    return next((offset for offset in own if np.linalg.norm(offset) > reach), None)
