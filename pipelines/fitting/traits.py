"""What is a person's own beside the shape: where landmarks sit on the body, how thick the clothes are."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from pipelines.body.model import load_body
from pipelines.fitting.anatomy import LANDMARKS
from pipelines.fitting.equations import Goal
from pipelines.fitting.posing import Points

# Regions of clothes: the joints that carry them, the thickness to expect and how far it spreads (metres). The camera
# sees nobody's skin there; hands and the head are bare.
CLOTHES = {
    "chest": (("spine01", "spine02", "spine03", "clavicle", "shoulder", "breast"), 0.015, 0.012),
    "hips": (("spine04", "spine05", "root", "pelvis"), 0.015, 0.02),
    "upper arms": (("upperarm",), 0.012, 0.012),
    "forearms": (("lowerarm",), 0.008, 0.010),
    "thighs": (("upperleg",), 0.018, 0.02),
    "shins": (("lowerleg",), 0.018, 0.015),
    "feet": (("foot",), 0.006, 0.006),
}
SHIFT_SPREAD_M = 0.010                  # of a landmark between people, each axis
INDEPENDENT = 5.0                       # frames of a clip that say the same about a landmark count as one


@dataclass(frozen=True, eq=False)
class Traits:
    """One person's, in one set of clothes."""

    shifts_m: np.ndarray                # (33, 3) of the landmarks, beside the table, in their joints' frame at rest
    cloth_m: np.ndarray                 # (R,) thickness by region; R = 0: the body fills its clothes

    def marks(self, marks: Points) -> Points:
        """Landmarks where this person has them."""
        return marks._replace(offset=np.ascontiguousarray(marks.offset + self.shifts_m[:, None]))

    def thickness_m(self) -> np.ndarray:
        """(V,) of the clothes at every vertex."""
        return np.asarray(cloth_shares()[:, :len(self.cloth_m)] @ self.cloth_m)

    def moved(self, step: np.ndarray) -> Traits:
        """The traits after a step (E,) in the order of `sharing`."""
        at = self.shifts_m.size
        return Traits(self.shifts_m + step[:at].reshape(-1, 3), self.cloth_m + step[at:])


def usual_traits(clothes: str) -> Traits:
    """Nobody's in particular; clothes is one of `model.CLOTHES`."""
    thick = np.array([mean for _, mean, _ in CLOTHES.values()]) if clothes == "under" else np.zeros(0)
    return Traits(np.zeros((len(LANDMARKS), 3)), thick)


def traits_prior(traits: Traits, frames: int) -> tuple[float, np.ndarray, np.ndarray]:
    """Cost, diagonal (E,) and gradient (E,) of what is known of traits before `frames` frames are seen."""
    spread = np.array([spread for *_, spread in CLOTHES.values()])[:len(traits.cloth_m)]
    off = np.concatenate([traits.shifts_m.ravel(), traits.cloth_m - usual_cloth()[:len(traits.cloth_m)]])
    stiff = frames / INDEPENDENT / np.concatenate([np.full(traits.shifts_m.size, SHIFT_SPREAD_M), spread]) ** 2
    return float((stiff * off ** 2).sum()), stiff, stiff * off


def usual_cloth() -> np.ndarray:
    return np.array([mean for _, mean, _ in CLOTHES.values()])


@lru_cache(maxsize=1)
def cloth_shares() -> np.ndarray:
    """(V, R) how far each vertex belongs to each region of `CLOTHES`; rows of bare skin are zero."""
    body = load_body()
    shares = np.zeros((len(body.verts), len(CLOTHES)))
    for r, (joints, *_) in enumerate(CLOTHES.values()):
        carried = np.array([name.startswith(joints) for name in body.joint_names])
        shares[:, r] = (body.skin_weights * carried[body.skin_indices]).sum(axis=1)
    return shares


def with_thickness(goal: Goal, change: np.ndarray, cloud_normals: np.ndarray) -> Goal:
    """The goal with its readings and borders farther in, where clothes are thicker than it was made for.

    change         (R,) metres
    cloud_normals  (C, 3) of the readings
    """
    by = cloth_shares()[:, :len(change)] @ change
    if len(goal.near):
        goal = goal._replace(reading=goal.reading - cloud_normals * by[np.maximum(goal.near, 0)][:, None])
    if len(goal.outline):
        ends = goal.outline_target - goal.outline_normal * by[goal.outline][:, None] / goal.metres_per_px
        goal = goal._replace(outline_target=ends)
    return goal
