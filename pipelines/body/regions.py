"""Which part of the body each face of the coarse mesh belongs to: bone weights first, then planes.

Bone weights tell limbs apart but know nothing of hairlines, collars and waistbands; those borders are planes and
lines measured from the joints of the mean body. Used at bake time only.
"""

from __future__ import annotations

import numpy as np

from pipelines.body.skeleton import JOINT_NAMES, joint_index
from pipelines.body.surface import REGION_NAMES

_LIMBS = {
    "head": ("head", "neck"),
    "torso": ("root", "pelvis", "spine", "clavicle", "shoulder01"),
    "arm_l": ("upperarm", "lowerarm", "wrist", "metacarpal", "finger"),
    "leg_l": ("upperleg", "lowerleg", "foot"),
}


def face_regions(verts: np.ndarray, faces: np.ndarray, skin: np.ndarray, joints: np.ndarray) -> np.ndarray:
    """(T,) uint8 index into `REGION_NAMES`.

    verts (V, 3) and joints (74, 3) of the mean body, metres, y up, facing +z; skin (V, 74)
    """
    corners = verts[faces]
    middle = corners.mean(1)
    normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normal /= np.linalg.norm(normal, axis=1, keepdims=True)
    weight = skin[faces].mean(1)

    def joint(name: str) -> np.ndarray:
        return joints[joint_index(name)]

    def share(words: tuple[str, ...], side: str = "") -> np.ndarray:
        chosen = [j for j, name in enumerate(JOINT_NAMES) if name.startswith(words) and name.endswith(side)]
        return weight[:, chosen].sum(1)

    x, y, z = np.abs(middle[:, 0]), middle[:, 1], middle[:, 2]
    region = np.full(len(faces), REGION_NAMES.index("torso"))

    # trousers: below a waistband a hand's breadth above the hip joints; each leg starts at the fold of the groin
    waist = 0.4 * joint("spine04")[1] + 0.6 * joint("spine03")[1]
    arm = np.maximum(share(_LIMBS["arm_l"], ".L"), share(_LIMBS["arm_l"], ".R"))
    trunk = arm < 0.5
    region[trunk & (y < waist)] = REGION_NAMES.index("hips")
    crotch = _crotch_height(verts, joints)
    leg_top = crotch + 0.012 + 0.5 * x
    head_low, head_slope = joint("neck03")[1] - 0.012, -0.25

    for side, sign in (("L", 1), ("R", -1)):
        def named(part: str, side: str = side) -> int:
            return REGION_NAMES.index(f"{part}_{side.lower()}")

        here = sign * middle[:, 0] > 0
        leg = trunk & here & (y < leg_top)
        region[leg] = named("upper_leg")
        region[leg & (y < joint(f"lowerleg01.{side}")[1])] = named("lower_leg")
        region[leg & (y < joint(f"foot.{side}")[1] + 0.02)] = named("foot")

        limb = (arm >= 0.5) & here
        elbow, wrist = joint(f"lowerarm01.{side}"), joint(f"wrist.{side}")
        upper = elbow - joint(f"upperarm01.{side}")
        lower = wrist - joint(f"lowerarm02.{side}")
        bend = _unit(_unit(upper) + _unit(lower))
        region[limb] = named("upper_arm")
        region[limb & ((middle - elbow) @ bend > 0)] = named("lower_arm")
        region[limb & ((middle - wrist) @ _unit(lower) > -0.005)] = named("hand")

    # the collar runs lower in front and rises towards the shoulders
    collar = joint("neck01")[1] - 0.012 - 0.35 * (z - joint("neck01")[2]) + 0.7 * np.maximum(x - 0.05, 0)
    region[trunk & (y > collar)] = REGION_NAMES.index("neck")
    # the head starts at the nape and follows the jaw down to the chin; the jaw's underside is neck
    jaw = head_low + head_slope * (z - joint("neck03")[2])
    head = (y > jaw) & ~((normal[:, 1] < -0.5) & (y < head_low + 0.03) & (z < joint("head")[2] + 0.075))
    region[head] = REGION_NAMES.index("scalp")
    crown = verts[:, 1].max()
    hairline = crown - 0.052 - 8.0 * x**2
    front = joint("head")[2] + 0.018
    region[head & (z > front) & (y < hairline)] = REGION_NAMES.index("face")
    return smoothed_regions(region, faces).astype(np.uint8)


def smoothed_regions(region: np.ndarray, faces: np.ndarray, rounds: int = 8) -> np.ndarray:
    """Regions without teeth: a face whose neighbours mostly belong to another region joins it."""
    neighbours = face_neighbours(faces)
    for _ in range(rounds):
        around = region[neighbours]
        twice = np.where(around[:, 0] == around[:, 1], around[:, 0],
                         np.where(around[:, 1] == around[:, 2], around[:, 1],
                                  np.where(around[:, 0] == around[:, 2], around[:, 0], region)))
        if (twice == region).all():
            break
        region = twice
    return region


def face_neighbours(faces: np.ndarray) -> np.ndarray:
    """(T, 3) the face across the edge (k, k+1) of each face of a closed mesh."""
    edges = np.stack([faces, np.roll(faces, -1, axis=1)], axis=2).reshape(-1, 2)
    count = faces.max() + 1
    forward = edges[:, 0].astype(np.int64) * count + edges[:, 1]
    backward = edges[:, 1].astype(np.int64) * count + edges[:, 0]
    order = np.argsort(forward)
    return (order[np.searchsorted(forward[order], backward)] // 3).reshape(-1, 3)


def _crotch_height(verts: np.ndarray, joints: np.ndarray) -> float:
    """The lowest point of the trunk on the middle line."""
    middle = (np.abs(verts[:, 0]) < 1e-6) & (verts[:, 1] < joints[0, 1])
    return float(verts[middle, 1].min())


def _unit(v: np.ndarray) -> np.ndarray:
    return v / np.linalg.norm(v)
