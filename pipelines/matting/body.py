"""Where fit and landmarks put the body in a picture, and how far from it this person's clothes reach."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from pipelines.core.records import SurfaceMaps

NO_REGION = 255

# How far cloth, hair or shoes may be from the body even if the clip shows less, in metres, and what no clip extends.
REACH_M = {"face": 0.06, "scalp": 0.08, "neck": 0.08, "torso": 0.08, "upper_arm": 0.06, "lower_arm": 0.05,
           "hand": 0.05, "hips": 0.08, "upper_leg": 0.06, "lower_leg": 0.05, "foot": 0.05}
LARGEST_REACH_M = 0.5
REACH_SPARE = 1.6                       # a frame may show this much more than the typical one
OK_EVERYWHERE_M = 0.03                  # fit error that is no evidence of cloth

# MediaPipe landmarks joined to limbs: (from, to, region, thickness in metres)
LIMBS = ((11, 13, "upper_arm_l", 0.08), (13, 15, "lower_arm_l", 0.06), (15, 19, "hand_l", 0.06),
         (12, 14, "upper_arm_r", 0.08), (14, 16, "lower_arm_r", 0.06), (16, 20, "hand_r", 0.06),
         (23, 25, "upper_leg_l", 0.13), (25, 27, "lower_leg_l", 0.08), (27, 31, "foot_l", 0.05),
         (29, 31, "foot_l", 0.06), (30, 32, "foot_r", 0.06), (28, 32, "foot_r", 0.05), (26, 28, "lower_leg_r", 0.08),
         (24, 26, "upper_leg_r", 0.13), (11, 12, "torso", 0.10), (11, 23, "torso", 0.10), (12, 24, "torso", 0.10),
         (23, 24, "hips", 0.14), (7, 8, "face", 0.16))
SURE_LANDMARK = 0.4                     # confidence from which a landmark draws its limb


@dataclass(frozen=True, eq=False)
class Place:
    """Where the body is in one picture."""

    regions: np.ndarray                 # (H, W) uint8; NO_REGION where there is none
    core: np.ndarray                    # (H, W) bool: deeper within the fitted body than the fit may be wrong


def place_of(landmarks: np.ndarray, maps: SurfaceMaps, shape: tuple[int, int], px_per_m: float,
             core_m: float | None) -> Place:
    """
    landmarks  (33, 3) pixels and confidence
    maps       the fitted body
    core_m     how deep within it the core begins; None where the fit is not to be trusted, and there is no core
    """
    import cv2

    regions = np.full(shape, NO_REGION, np.uint8)
    index = {name: k for k, name in enumerate(region_names())}
    for start, end, name, thickness_m in LIMBS:
        if min(landmarks[start, 2], landmarks[end, 2]) < SURE_LANDMARK:
            continue
        ends = np.round(np.clip(landmarks[[start, end], :2], -4000, 8000)).astype(int).tolist()
        cv2.line(regions, ends[0], ends[1], (index[name],), max(1, round(thickness_m * px_per_m)))
    core = np.zeros(shape, bool)
    x0, y0, x1, y1 = maps.box
    regions[y0:y1, x0:x1][maps.inside] = face_region()[maps.face_index[maps.inside]]
    if core_m is not None:
        depth = cv2.distanceTransform(maps.inside.astype(np.uint8), cv2.DIST_L2, 3)
        core[y0:y1, x0:x1] = depth > core_m * px_per_m
    return Place(regions, core)


def distance_to_body(regions: np.ndarray, px_per_m: float) -> tuple[np.ndarray, np.ndarray]:
    """Distance (H, W) in metres to the nearest body pixel and that pixel's region (H, W)."""
    outside = regions == NO_REGION
    if outside.all():
        return np.zeros(regions.shape, np.float32), np.zeros(regions.shape, np.uint8)
    distance, row, column = nearest_of(~outside)
    return distance / px_per_m, regions[row, column]


def nearest_of(inside: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """For every pixel the nearest set one: its distance in pixels, row and column, each (H, W); some must be set."""
    import cv2

    distance, label = cv2.distanceTransformWithLabels((~inside).astype(np.uint8), cv2.DIST_L2, 5,
                                                      labelType=cv2.DIST_LABEL_PIXEL)
    where = np.zeros(label.max() + 1, np.int64)
    where[label[inside]] = np.flatnonzero(inside)
    row, column = np.divmod(where[label], inside.shape[1])
    return distance, row, column


def within_reach(regions: np.ndarray, px_per_m: float, reach_m: np.ndarray) -> np.ndarray:
    """(H, W) bool: no farther from some region than that one's reach (regions,); everywhere where there is no body."""
    import cv2

    if (regions == NO_REGION).all():
        return np.ones(regions.shape, bool)
    reach_px = np.round(np.append(reach_m, np.zeros(256 - len(reach_m))) * px_per_m)[regions]
    reach_px[regions == NO_REGION] = -1
    within = regions != NO_REGION
    for reach in np.unique(reach_px[within]):
        within |= cv2.distanceTransform((reach_px != reach).astype(np.uint8), cv2.DIST_L2, 5) <= reach
    return within


def reach_shown(mask: np.ndarray, regions: np.ndarray, px_per_m: float) -> np.ndarray:
    """(regions,) metres: how far from the body the mask (H, W) reaches in this frame, by region; 0 where not."""
    distance_m, region = distance_to_body(regions, px_per_m)
    beyond = (mask > 0.5) & (distance_m > 0)
    return np.array([np.percentile(distance_m[beyond & (region == r)], 98) if (beyond & (region == r)).any() else 0.0
                     for r in range(len(region_names()))])


def reach_of_clip(shown: Iterable[np.ndarray]) -> np.ndarray:
    """(regions,) metres: how far from the body this person's mask reaches in the typical frame, and some more.

    A skirt is there in every frame, a ball at the feet is not: so the median over frames counts.
    """
    names = region_names()
    least = np.array([REACH_M[name.removesuffix("_l").removesuffix("_r")] for name in names])
    seen = list(shown)
    typical = np.median(seen, axis=0) if seen else np.zeros(len(names))
    for left, right in [(k, names.index(name[:-1] + "r")) for k, name in enumerate(names) if name.endswith("_l")]:
        typical[[left, right]] = max(typical[left], typical[right])
    return np.clip(np.maximum(REACH_SPARE * typical + OK_EVERYWHERE_M, least), 0, LARGEST_REACH_M)


def main_part(mask: np.ndarray, possible: np.ndarray, body: np.ndarray) -> np.ndarray:
    """`possible` without the pieces of the mask in it that touch the body nowhere; all (H, W)."""
    import cv2

    count, piece = cv2.connectedComponents(((mask > 0.3) & possible).astype(np.uint8))
    touching = np.zeros(count, bool)
    touching[np.unique(piece[body])] = True
    touching[0] = True
    return possible & touching[piece]


@lru_cache(maxsize=1)
def region_names() -> tuple[str, ...]:
    from pipelines.body.model import load_body

    return tuple(load_body().region_names)


@lru_cache(maxsize=1)
def face_region() -> np.ndarray:
    from pipelines.body.model import load_body

    return load_body().face_region
