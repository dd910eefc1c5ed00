"""What mask, background, depth and fitted body say together about every pixel.

Each says how much likelier (in logarithms of the odds) a pixel is the person than not; what they say is added up.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipelines.matting.body import NO_REGION, distance_to_body, main_part, nearest_of, within_reach
from pipelines.matting.ground import Ground, as_bright_as

MASK_AT_MOST = 0.98                     # how sure the mask may be of itself
GROUND_AGAINST, GROUND_FOR = 5.0, 4.0   # log odds of a pixel that is, and is not, like the background
SAME_AS_GROUND = (14.0, 6.0)            # levels of 255, from no evidence to full evidence of being the background
UNLIKE_GROUND = (18.0, 40.0)            # ... of being the person
SPREAD_COUNTS = 2.0                     # a ground that changes is worth less
ZONE_OUT_M, ZONE_IN_M = 0.06, 0.25      # how far outside and inside of the mask's outline the background may mend it
NEAR_BODY_M = 0.04                      # where it may add to the person
FREE_OF_BODY_M = 0.15                   # pixels this far tell the exposure
RULED_OUT = 0.03                        # below it the mask is not overruled, except where the body is:
ON_BODY_FOR = 2.0                       # log odds more there
CLOTHES_M, CLOTHES_DEPTH_M = 0.20, 0.30  # and where depth is that of the body so near: a skirt between the legs
SHADOW = (0.3, 1.02, 16.0)              # a shadow is darker ground: least and most factor, levels off the hue
BEHIND_M, BEHIND_AGAINST = 0.25, 4.0    # depth this far behind the body is not the person
AROUND_M = 0.25                         # ... behind the farthest piece of it within this distance in the picture


@dataclass(frozen=True, eq=False)
class View:
    """One frame around the person."""

    image: np.ndarray                   # (h, w, 3) uint8 sRGB
    mask: np.ndarray                    # (h, w) float32 0..1, the first guess
    regions: np.ndarray                 # (h, w) uint8 of the body, NO_REGION elsewhere
    core: np.ndarray                    # (h, w) bool
    px_per_m: float
    ground: Ground | None = None        # None = not known
    depth_m: np.ndarray | None = None   # (h, w), 0 = no reading
    body_depth_m: np.ndarray | None = None  # (h, w) of the fitted body, 0 elsewhere; None = not to be trusted


def opinion_of(view: View) -> np.ndarray:
    """(h, w) float32 0..1: how likely each pixel is the person, by all sources."""
    odds = np.log(np.clip(view.mask, 1 - MASK_AT_MOST, MASK_AT_MOST))
    odds -= np.log(1 - np.clip(view.mask, 1 - MASK_AT_MOST, MASK_AT_MOST))
    if view.ground is not None:
        odds += ground_odds(view)
    if view.depth_m is not None and view.body_depth_m is not None:
        odds -= BEHIND_AGAINST * ramp(behind_body(view.depth_m, view.body_depth_m, view.px_per_m), 0.5, 1.0)
    return (1 / (1 + np.exp(-odds))).astype(np.float32)


def ground_odds(view: View) -> np.ndarray:
    """(h, w) what the picture says that shows, or no longer shows, the still background; 0 far from the outline.

    Pixels may become the person on the body, and near it unless the mask rules it out; a shadow never does.
    """
    import cv2

    ground = view.ground
    assert ground is not None
    inside = (view.mask > 0.5).astype(np.uint8)
    if not inside.any():
        return np.zeros(view.mask.shape, np.float32)
    distance_m, _ = distance_to_body(view.regions, view.px_per_m)
    on_body = (view.regions != NO_REGION) | as_deep_as_body(view, distance_m)
    zone = ((cv2.distanceTransform(1 - inside, cv2.DIST_L2, 3) <= ZONE_OUT_M * view.px_per_m) | on_body) \
        & (cv2.distanceTransform(inside, cv2.DIST_L2, 3) <= ZONE_IN_M * view.px_per_m) & ground.known
    seen = view.image.astype(np.float32)
    behind = as_bright_as(ground, view.image, (view.mask < RULED_OUT) & (distance_m > FREE_OF_BODY_M))
    away = cv2.blur(np.abs(seen - behind).max(axis=2), (3, 3))
    spread = SPREAD_COUNTS * ground.spread.astype(np.float32)
    may_add = (on_body | ((distance_m <= NEAR_BODY_M) & (view.mask > RULED_OUT))) & ~is_shadow(seen, behind)
    against = GROUND_AGAINST * ramp(away + spread, *SAME_AS_GROUND)
    return zone * ((GROUND_FOR + ON_BODY_FOR * on_body) * ramp(away - 1.5 * spread, *UNLIKE_GROUND) * may_add - against)


def as_deep_as_body(view: View, distance_m: np.ndarray) -> np.ndarray:
    """(h, w) bool: near the body and as far from the camera as its nearest piece; nowhere without depth."""
    if view.depth_m is None or view.body_depth_m is None or not view.body_depth_m.any():
        return np.zeros(view.mask.shape, bool)
    _, row, column = nearest_of(view.body_depth_m > 0)
    away_m = np.abs(view.depth_m - view.body_depth_m[row, column])
    return (view.depth_m > 0) & (away_m < CLOTHES_DEPTH_M) & (distance_m <= CLOTHES_M)


def is_shadow(seen: np.ndarray, behind: np.ndarray) -> np.ndarray:
    """(h, w) bool: darker ground of the same hue; both (h, w, 3) levels."""
    darkest, brightest, off_hue = SHADOW
    shade = (seen * behind).sum(axis=2) / np.maximum((behind * behind).sum(axis=2), 1)
    off = np.abs(seen - shade[..., None] * behind).max(axis=2)
    return (shade > darkest) & (shade < brightest) & (off < off_hue)


def behind_body(depth_m: np.ndarray, body_depth_m: np.ndarray, px_per_m: float) -> np.ndarray:
    """(h, w) 0..1: share of the 3x3 pixels around whose depth is farther than all of the body that is near."""
    import cv2

    # not the nearest piece of it: a skirt may lie far behind a hand that hangs before it
    farthest = cv2.dilate(body_depth_m, np.ones((2 * round(AROUND_M * px_per_m) + 1,) * 2, np.uint8))
    behind = (depth_m > farthest + BEHIND_M) & (farthest > 0)
    return cv2.blur(behind.astype(np.float32), (3, 3))


def possible_part(opinion: np.ndarray, regions: np.ndarray, px_per_m: float, reach_m: np.ndarray) -> np.ndarray:
    """(h, w) bool: within the reach of this person's clothes and connected to the body; everywhere without a body."""
    body = regions != NO_REGION
    possible = within_reach(regions, px_per_m, reach_m)
    return main_part(opinion, possible, body) if body.any() else possible


def ramp(values: np.ndarray, start: float, end: float) -> np.ndarray:
    """0 at `start`, 1 at `end` (which may be the lower one), smooth between."""
    x = np.clip((values - start) / (end - start), 0, 1)
    return (x * x * (3 - 2 * x)).astype(np.float32)
