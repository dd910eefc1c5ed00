"""Joints told by the shape of the skeleton alone: two legs on the hips, two arms and a head on the chest.

Names play no part. Lengths of bones say which limb and which joint of it; the toes, or the way knees bend, say which
side is left.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import combinations, pairwise

import numpy as np

from pipelines.motion.bvh import BvhFile, pose_skeleton
from pipelines.motion.rig import unit

LIMB_REACH = 0.3                        # of the longest way through the skeleton: shorter branches are no limbs
ALIKE = 0.85                            # of one another's length are a pair of limbs
LONGEST_LIMB, MOST_BRANCHES = 20, 8     # joints of one limb, limbs on one joint: all that are looked at
LOOKED_AT = 60                          # frames in which sides are looked for
BONE_SPREAD, TAIL_SPREAD = 0.3, 0.45   # of the logarithms of proportions between people and rigs
LEAD_SPREAD = 0.4
NO_TAIL = 0.6                           # what a wrist or ankle at the very end of a limb counts
AT_HUB = 3.0                            # what a hip or shoulder counts that lies where all its limbs begin
NOT_RIGID = 0.01                        # a bone whose length changes by this share bends somewhere within


@dataclass(frozen=True)
class Proportions:
    """Of a limb: its first bone is `first` of the second, what follows `tail` of it, what leads there `lead`."""

    first: float
    tail: float
    lead: float


LEG, ARM = Proportions(1.0, 0.45, 0.2), Proportions(1.1, 0.65, 0.5)


@dataclass(frozen=True)
class _Pair:
    """Two limbs alike on one joint."""

    hub: int
    branches: tuple[int, int]           # their first joints
    reach: float


def limbs_of(bvh: BvhFile) -> dict[str, int] | None:
    """Parts of a skeleton whose names say nothing, as in a JointMap; None where it is not shaped like a person."""
    rows = np.unique(np.linspace(0, bvh.frame_count - 1, min(LOOKED_AT, bvh.frame_count)).astype(int))
    places, _ = pose_skeleton(replace(bvh, values=bvh.values[rows]))
    tree = _Tree(bvh, places)
    pairs = tree.pairs()
    if len(pairs) < 2:
        return None
    legs, arms = _legs_and_arms(tree, pairs[0], pairs[1])
    joints: dict[str, int] = {"hips": legs.hub}
    leg_parts = [limb for branch in legs.branches if (limb := tree.limb(legs.hub, branch, LEG))]
    arm_parts = [limb for branch in arms.branches if (limb := tree.limb(arms.hub, branch, ARM))]
    if len(leg_parts) < 2 or len(arm_parts) < 2:
        return None
    bends = [joint for limb in (*leg_parts, *arm_parts) for joint in limb.bends]
    if len(set(bends)) < len(bends):    # a pair that lies within another's branch
        return None
    left = _left(places, leg_parts, legs.hub, arms.hub)
    for limbs, names in ((leg_parts, ("", "hip", "knee", "ankle", "toe")),
                         (arm_parts, ("collar", "shoulder", "elbow", "wrist", ""))):
        apart = places[:, limbs[0].bends].sum(axis=1) - places[:, limbs[1].bends].sum(axis=1)
        first_is_left = np.median((apart * left).sum(axis=1)) > 0
        for side, limb in zip("LR" if first_is_left else "RL", limbs):
            parts = (limb.before, *limb.bends, limb.after)
            joints |= {f"{name}.{side}": joint for name, joint in zip(names, parts) if name and joint is not None}
    head = tree.head(arms)
    return joints if head is None else {**joints, "head": head}


@dataclass(frozen=True)
class _Limb:
    """Joints of an arm or a leg."""

    before: int | None                  # a collar
    bends: list[int]                    # shoulder, elbow and wrist, or hip, knee and ankle
    after: int | None                   # the ball of the foot


class _Tree:
    """The skeleton as branches with lengths."""

    def __init__(self, bvh: BvhFile, places: np.ndarray) -> None:
        self.bvh, self.places = bvh, places
        count = len(bvh.joint_names)
        self.children: list[list[int]] = [[] for _ in range(count)]
        for j, parent in enumerate(bvh.parents):
            if parent >= 0:
                self.children[int(parent)].append(j)
        self.tip = np.zeros(count)                      # length of the End Site
        for j, end in bvh.end_sites:
            self.tip[j] = max(self.tip[j], float(np.linalg.norm(end)))
        self.reach = self.tip.copy()                    # from the joint to the farthest end below it
        for j in reversed(range(count)):
            for child in self.children[j]:
                self.reach[j] = max(self.reach[j], self.from_parent(child))

    def from_parent(self, joint: int) -> float:
        """How far a branch reaches from the joint it grows on."""
        return float(np.linalg.norm(self.bvh.offsets[joint])) + float(self.reach[joint])

    def pairs(self) -> list[_Pair]:
        """Pairs of limbs, one per joint, the longest first."""
        least = LIMB_REACH * float(self.reach.max())
        found = []
        for hub, children in enumerate(self.children):
            long = sorted((c for c in children if self.from_parent(c) > least), key=self.from_parent, reverse=True)
            long = long[:MOST_BRANCHES]
            alike = [_Pair(hub, (a, b), self.from_parent(b)) for k, a in enumerate(long) for b in long[k + 1:]
                     if self.from_parent(b) > ALIKE * self.from_parent(a)]
            if alike:
                found.append(min(alike, key=lambda pair: self._difference(*pair.branches)))
        return sorted(found, key=lambda pair: pair.reach, reverse=True)

    def limb(self, hub: int, branch: int, proportions: Proportions) -> _Limb | None:
        """The joints of a branch that fit a person's proportions best; None for one of less than three."""
        chain = self._longest(branch)[:LONGEST_LIMB]
        best: tuple[float, tuple[int, ...]] | None = None
        for at in combinations(range(len(chain)), 3):
            cost = self._misfit(hub, [chain[k] for k in at], proportions)
            if best is None or cost < best[0] - 1e-9:
                best = cost, at
        if best is None or not np.isfinite(best[0]):
            return None
        first, _, last = best[1]
        return _Limb(chain[first - 1] if first > 0 else None, [chain[k] for k in best[1]],
                     chain[last + 1] if last + 1 < len(chain) else None)

    def head(self, arms: _Pair) -> int | None:
        """The last joint with a length on the longest other branch of the chest."""
        others = [child for child in self.children[arms.hub] if child not in arms.branches and self.from_parent(child)]
        if not others:
            return None
        chain = self._longest(max(others, key=self.from_parent))
        long = [joint for joint in chain if self.reach[joint] > 0.02 * self.reach.max()]
        return long[-1] if long else chain[-1]

    def below(self, joint: int, top: int) -> bool:
        """Whether a joint hangs from another, or is it."""
        while joint >= 0 and joint != top:
            joint = int(self.bvh.parents[joint])
        return joint == top

    def _longest(self, joint: int) -> list[int]:
        chain = [joint]
        while self.children[chain[-1]]:
            chain.append(max(self.children[chain[-1]], key=self.from_parent))
        return chain

    def _difference(self, a: int, b: int) -> float:
        """How unlike two branches are, joint by joint."""
        one, other = ([float(np.linalg.norm(self.bvh.offsets[j])) for j in self._longest(branch)] for branch in (a, b))
        shared = min(len(one), len(other))
        return sum(abs(x - y) for x, y in zip(one, other)) + sum(one[shared:]) + sum(other[shared:])

    def _misfit(self, hub: int, joints: list[int], proportions: Proportions) -> float:
        """How badly three joints of a branch fit a limb: its proportions, and whether its two bones are rigid."""
        lead, first, second = (np.linalg.norm(self.places[:, b] - self.places[:, a], axis=1)
                               for a, b in pairwise([hub, *joints]))
        if min(first.min(), second.min()) < 1e-3 * self.reach.max():
            return np.inf
        cost = (np.log(first.mean() / second.mean() / proportions.first) / BONE_SPREAD) ** 2
        cost += ((lead.mean() / first.mean() - proportions.lead) / LEAD_SPREAD) ** 2
        cost += AT_HUB if lead.mean() < 0.02 * first.mean() else 0.0
        cost += sum(min(np.std(bone) / np.mean(bone) / NOT_RIGID, 2.0) ** 2 for bone in (first, second))
        tail = float(self.reach[joints[2]]) / second.mean()
        return float(cost + ((NO_TAIL if tail < 0.05 else np.log(tail / proportions.tail)) / TAIL_SPREAD) ** 2)


def _legs_and_arms(tree: _Tree, a: _Pair, b: _Pair) -> tuple[_Pair, _Pair]:
    """Arms grow on what grows on the hips; where neither does, legs are longer."""
    if tree.below(b.hub, a.hub) != tree.below(a.hub, b.hub):
        return (a, b) if tree.below(b.hub, a.hub) else (b, a)
    return (a, b) if a.reach >= b.reach else (b, a)


def _left(places: np.ndarray, legs: list[_Limb], hips: int, chest: int) -> np.ndarray:
    """(F, 3) towards the person's left in each frame: up times ahead, where toes point or else where knees bend."""
    hip, knee, ankle = (places[:, [leg.bends[k] for leg in legs]] for k in range(3))   # (F, 2, 3)
    up = unit(places[:, chest] - places[:, hips])
    if chest == hips or not np.linalg.norm(places[:, chest] - places[:, hips], axis=1).min() > 0:
        up = unit((hip - ankle).mean(axis=1))
    ahead = (knee - (hip + ankle) / 2).sum(axis=1)
    balls = [leg.after for leg in legs if leg.after is not None]
    if len(balls) == len(legs):
        toes = (places[:, balls] - ankle).sum(axis=1)
        toes = toes - up * (toes * up).sum(axis=1, keepdims=True)
        length = np.linalg.norm(hip - ankle, axis=2).mean()
        ahead = toes if np.median(np.linalg.norm(toes, axis=1)) > 0.1 * length else ahead
    return unit(np.cross(up, ahead))
