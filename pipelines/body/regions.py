"""Which part of the body each face of the coarse mesh belongs to: bone weights first, then planes.

Bone weights tell limbs apart but know nothing of hairlines, collars and waistbands; those borders are planes and
lines measured from the joints of the mean body. Used at bake time only.
"""

from __future__ import annotations

import numpy as np

from pipelines.body.skeleton import JOINT_NAMES, joint_index
from pipelines.body.surface import REGION_NAMES, face_neighbours

_ARM = ("upperarm", "lowerarm", "wrist", "metacarpal", "finger")


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

    def border(signed_m: np.ndarray, stray_m: float = 0.015) -> np.ndarray:
        return shortest_border(verts, faces, signed_m, stray_m)

    def name(part: str, side: str = "") -> int:
        return REGION_NAMES.index(f"{part}_{side.lower()}" if side else part)

    x, y, z = np.abs(middle[:, 0]), middle[:, 1], middle[:, 2]
    region = np.full(len(faces), name("torso"))
    arms = {side: border(0.1 * (share(_ARM, side) - 0.5)) for side in "LR"}
    trunk = ~(arms["L"] | arms["R"])

    # trousers: below a waistband a hand's breadth above the hip joints; each leg starts at the fold of the groin
    waist = 0.7 * joint("spine04")[1] + 0.3 * joint("spine03")[1]
    region[trunk & border(np.where(trunk, waist - y, -0.1))] = name("hips")
    leg_top = _crotch_height(verts, joints) + 0.012 + 0.5 * x
    for side, sign in (("L", 1), ("R", -1)):
        here = sign * middle[:, 0] > 0
        region[trunk & here & border(np.where(trunk, leg_top - y, -0.1))] = name("upper_leg", side)
        for part, height in (("lower_leg", joint(f"lowerleg01.{side}")[1]), ("foot", joint(f"foot.{side}")[1] + 0.02)):
            region[trunk & here & border(np.where(trunk & here, height - y, -0.1))] = name(part, side)

        elbow, wrist = joint(f"lowerarm01.{side}"), joint(f"wrist.{side}")
        lower = _unit(wrist - joint(f"lowerarm02.{side}"))
        bend = _unit(_unit(elbow - joint(f"upperarm01.{side}")) + lower)
        region[arms[side]] = name("upper_arm", side)
        for part, beyond in (("lower_arm", (middle - elbow) @ bend), ("hand", (middle - wrist) @ lower + 0.005)):
            region[arms[side] & border(np.where(arms[side], beyond, -0.1), 0.008)] = name(part, side)

    # the collar runs lower in front and rises towards the shoulders
    collar = joint("neck01")[1] - 0.012 - 0.35 * (z - joint("neck01")[2]) + 0.7 * np.maximum(x - 0.05, 0)
    region[border(np.where(trunk, y - collar, -0.1))] = name("neck")
    # the head starts at the nape and follows the jaw down to the chin; the jaw's underside is neck
    jaw = joint("neck03")[1] - 0.012 - 0.25 * (z - joint("neck03")[2]) + 0.05 * np.clip(-normal[:, 1] - 0.5, 0, 1)
    head = border(np.where(trunk, y - jaw, -0.1), 0.008)
    region[head] = name("scalp")
    hairline = verts[:, 1].max() - 0.052 - 8.0 * x**2
    front = joint("head")[2] + 0.018        # just before the ears
    region[head & border(np.where(trunk, np.minimum(z - front, hairline - y), -0.1), 0.008)] = name("face")
    return region.astype(np.uint8)


def shortest_border(verts: np.ndarray, faces: np.ndarray, signed_m: np.ndarray, stray_m: float) -> np.ndarray:
    """(T,) bool: faces on the positive side, with a short border along mesh edges instead of a saw.

    signed_m  (T,) about how far each face's middle lies on the positive side of the wanted border, metres
    stray_m   how far the border may stray from there to become shorter
    source    a minimum cut of the face graph: Boykov and Jolly, Interactive Graph Cuts, ICCV 2001
    """
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import breadth_first_order, maximum_flow

    count = len(faces)
    corners = verts[faces]
    area = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1) / 2
    length = np.linalg.norm(np.roll(corners, -1, axis=1) - corners, axis=2)
    unit = 1e-9                             # m^3 per unit of flow; the solver counts in integers
    pull = np.rint(area * np.abs(signed_m) / unit).astype(np.int32)
    smooth = np.rint(length * stray_m**2 / unit).astype(np.int32)
    source, sink = count, count + 1
    here = np.arange(count)
    positive = signed_m > 0
    starts = np.concatenate([np.repeat(here, 3), np.full(positive.sum(), source), here[~positive]])
    ends = np.concatenate([face_neighbours(faces).ravel(), here[positive], np.full((~positive).sum(), sink)])
    capacity = np.concatenate([smooth.ravel(), pull[positive], pull[~positive]])
    graph = coo_matrix((capacity, (starts, ends)), (count + 2, count + 2)).tocsr()
    left = graph - maximum_flow(graph, source, sink).flow
    left.data = np.maximum(left.data, 0)
    left.eliminate_zeros()
    inside = np.zeros(count + 2, dtype=bool)
    inside[breadth_first_order(left, source, return_predecessors=False)] = True
    return inside[:count]


def _crotch_height(verts: np.ndarray, joints: np.ndarray) -> float:
    """The lowest point of the trunk on the middle line."""
    middle = (np.abs(verts[:, 0]) < 1e-6) & (verts[:, 1] < joints[0, 1])
    return float(verts[middle, 1].min())


def _unit(v: np.ndarray) -> np.ndarray:
    return v / np.linalg.norm(v)
