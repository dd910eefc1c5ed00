"""Which joint of a foreign skeleton is which: names of CMU, Mixamo, Rokoko, MotionBuilder, Blender and our own."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipelines.core.errors import AnrError
from pipelines.motion.bvh import BvhFile
from pipelines.motion.topology import limbs_of

SIDES = ("L", "R")
# Names after the side and all separators are taken off, most telling first. "shoulder" is the collar bone in some
# rigs and the shoulder joint in others: it is the joint only where nothing better names it.
PARTS: dict[str, tuple[str, ...]] = {
    "hip": ("upperleg01", "upleg", "upperleg", "thigh", "thighbend", "hip", "femur"),
    "knee": ("lowerleg01", "knee", "lowleg", "lowerleg", "calf", "shin", "leg", "tibia"),
    "ankle": ("ankle", "foot"),
    "toe": ("toebase", "toe", "toes", "ball", "toe0", "foot"),
    "shoulder": ("upperarm01", "arm", "upperarm", "uparm", "uarm", "humerus", "shldrbend", "shldr", "shoulder"),
    "elbow": ("lowerarm01", "forearm", "forearmbend", "elbow", "lowerarm", "lowarm", "farm", "radius"),
    "wrist": ("wrist", "hand"),
    "collar": ("clavicle", "collar", "collarbone", "shoulder"),
}
MIDDLE: dict[str, tuple[str, ...]] = {
    "hips": ("hips", "hip", "pelvis", "root", "base"),
    "head": ("head",),
}
ALL_MAPPED = (*MIDDLE, *(f"{part}.{side}" for side in SIDES for part in PARTS))
NEEDED = ("hip", "knee", "ankle", "shoulder", "elbow", "wrist")


@dataclass(frozen=True, eq=False)
class JointMap:
    """Joints of a BVH file by their part: "hips", "head", and "hip.L", "knee.L", "wrist.R" and so on."""

    joints: dict[str, int]
    spine: tuple[int, ...]              # from above the hips up to the chest, which carries the arms
    neck: tuple[int, ...]               # from above the chest up to below the head
    found_by: str = "names"             # or "the shape of the skeleton"

    def described(self, bvh: BvhFile) -> str:
        """One line for the person: which joint was taken for what."""
        how = "" if self.found_by == "names" else f" (found by {self.found_by})"
        return _described(self.joints, bvh) + how


def match_joints(bvh: BvhFile, mended: Mapping[str, str] | None = None) -> JointMap:
    """Finds the parts by name; AnrError names the parts that are not there.

    mended  {part: name of the joint, or "" for none} from a joint map file, believed over the tables
    """
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
        for part, nearer in (("collar", "shoulder"), ("toe", "ankle")):     # one name may mean either
            if joints.get(f"{part}.{side}") == joints.get(f"{nearer}.{side}"):
                joints.pop(f"{part}.{side}", None)
    joints, found_by = _mended(joints, bvh, mended or {}), "names"
    if _missing(joints):
        by_shape = limbs_of(bvh)
        if by_shape is not None:
            joints, found_by = _mended(by_shape, bvh, mended or {}), "the shape of the skeleton"
    missing = _missing(joints)
    if missing:
        named = ", ".join(bvh.joint_names[:12]) + (", ..." if len(bvh.joint_names) > 12 else "")
        raise AnrError(f"This skeleton has no joint that is known as {', '.join(missing)}; it has: {named}.",
                       hint='Say which joint is which in a file for --joint-map: {"knee.L": "NAME OF THE JOINT", ...}.')
    _check_distinct(joints, bvh)
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
    return JointMap(joints, spine, neck, found_by)


def _missing(joints: Mapping[str, int]) -> list[str]:
    return [f"{part}.{side}" for part in NEEDED for side in SIDES if f"{part}.{side}" not in joints]


def _check_distinct(joints: Mapping[str, int], bvh: BvhFile) -> None:
    """AnrError for a joint that is taken for two parts of the limbs."""
    taken: dict[int, str] = {}
    for part in (f"{part}.{side}" for side in SIDES for part in NEEDED):
        if joints[part] in taken:
            raise AnrError(f"{bvh.joint_names[joints[part]]!r} is taken for {taken[joints[part]]} and for {part}.",
                           hint="Say which joint is which in a file for --joint-map: " + _described(joints, bvh))
        taken[joints[part]] = part


def _described(joints: Mapping[str, int], bvh: BvhFile) -> str:
    return ", ".join(f"{part}={bvh.joint_names[j]}" for part, j in joints.items())


def read_joint_map(path: Path) -> dict[str, str]:
    """{part: name of the joint, or "" for none} of a joint map file; AnrError when it is none."""
    try:
        read = json.loads(Path(path).read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise AnrError(f"There is no joint map {path}.",
                       hint="Rendering a motion writes one: joint_map.json.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise AnrError(f"The joint map {path} cannot be read: {error}.", hint="Name a text file.") from None
    except (json.JSONDecodeError, RecursionError) as error:
        raise AnrError(f"The joint map {Path(path).name} is not JSON: {error}.",
                       hint='It looks like {"hips": "Hips", "knee.L": "LeftLeg"}.') from None
    if not isinstance(read, dict) or not all(isinstance(name, str) for name in read.values()):
        raise AnrError(f"The joint map {Path(path).name} is not a list of parts and joint names.",
                       hint='It looks like {"hips": "Hips", "knee.L": "LeftLeg"}; "" means there is none.')
    unknown = [part for part in read if part not in ALL_MAPPED]
    if unknown:
        raise AnrError(f"The joint map {Path(path).name} speaks of {unknown[0]!r}, which is no part of the body.",
                       hint=f"Parts are {', '.join(ALL_MAPPED)}.")
    return read


def write_joint_map(path: Path, joint_map: JointMap, bvh: BvhFile) -> None:
    """Writes which joint was taken for what, every part in its line, "" where there is none."""
    names = {part: bvh.joint_names[joint_map.joints[part]] if part in joint_map.joints else "" for part in ALL_MAPPED}
    Path(path).write_text(json.dumps(names, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _mended(joints: dict[str, int], bvh: BvhFile, mended: Mapping[str, str]) -> dict[str, int]:
    """`joints` with what a person said about them; AnrError for a joint that is not there."""
    joints = dict(joints)
    for part, name in mended.items():
        if not name:
            joints.pop(part, None)
        elif name in bvh.joint_names:
            joints[part] = bvh.joint_names.index(name)
        else:
            named = ", ".join(bvh.joint_names[:12]) + (", ..." if len(bvh.joint_names) > 12 else "")
            raise AnrError(f"The joint map names {name!r} for {part}, but the motion has no such joint; "
                           f"it has: {named}.", hint="Names count letter for letter.")
    return joints


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
    name = re.sub(r"^(Bip\d+|BIP\d+|bip\d+|Character\d*|def|DEF|ORG|J_Bip|joint)[ _\-.]+", "", name)
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
