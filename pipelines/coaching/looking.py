"""What is measured in one frame that the coach looks at."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from pipelines.coaching.posture import EARS, HIPS, NOSE, SHOULDERS, Glance, glance
from pipelines.coaching.sampling import Sight
from pipelines.core.records import Landmarks

SURE = 0.5                              # MediaPipe's visibility below which a limb's place is a guess
BORDER_SHARE = 0.005                    # of the picture: a landmark nearer to the border than this counts as cut off
AWAY_DEG = 25.0                         # upper arm from the trunk: from here on the armpit is seen
BENT_ELBOW_DEG, BENT_KNEE_DEG = 115.0, 125.0    # inner angle; sleeves and trousers fold visibly
APART_DEG = 18.0                        # between the legs, hip to ankle: the inner sides are seen
BLUR_PX = 400                           # the person's height at which blur is measured; smaller ones are not enlarged
DARK, BRIGHT = 12, 250                  # of 255: below there is noise only, above nothing but white
SMALL_PX = 400                          # longer side of the pictures that the camera's movement is measured in
POSES = ("arms away from the body", "arm raised", "elbow bent", "knee bent", "legs apart")


@dataclass(frozen=True, eq=False)
class Look:
    """One frame, measured."""

    index: int
    picture_light: float                # median of the whole picture, 0..1
    found: bool = False
    view: Glance | None = None          # None where nobody is found
    sure: float = 0.0                   # mean confidence of the trunk
    tall_px: float = 0.0                # standing height in the recording's pixels
    cut: frozenset[str] = frozenset()   # of "head", "hands", "feet": beyond the picture's border
    poses: frozenset[str] = frozenset()     # of POSES
    blur: float = np.nan                # 0 sharp .. 1 blurred, of the person
    light: float = np.nan               # median of the person, 0..1
    burnt: float = 0.0                  # share of the person's pixels that are white
    black: float = 0.0                  # share that is black
    grey: np.ndarray = field(default_factory=lambda: np.zeros((0, 0), np.uint8))    # (h, w), small, for the camera
    person: np.ndarray = field(default_factory=lambda: np.zeros((0, 0), bool))      # (h, w) where the person is in it


def look(sight: Sight) -> Look:
    """Measures one frame."""
    import cv2

    grey = cv2.cvtColor(sight.image, cv2.COLOR_RGB2GRAY)
    light = float(np.median(grey[::4, ::4])) / 255.0
    small = shrunk(grey)
    if sight.found is None:
        return Look(sight.index, light, grey=small, person=np.zeros(small.shape, bool))
    marks, mask = sight.found.landmarks, sight.found.mask > 0.5
    h, w = grey.shape
    view = glance(marks, w, h)
    inside = grey[mask] if mask.any() else np.zeros(1, np.uint8)
    return Look(
        index=sight.index, picture_light=light, found=True, view=view,
        sure=float(marks.confidence[[*SHOULDERS, *HIPS]].mean()), tall_px=view.tall_px / sight.scale,
        cut=cut_parts(marks, view, w, h), poses=poses_in(marks),
        blur=blur_of(grey, mask, view.tall_px), light=float(np.median(inside)) / 255.0,
        burnt=float((inside > BRIGHT).mean()), black=float((inside < DARK).mean()), grey=small,
        person=around(sight.found.mask, small.shape))


def shrunk(grey: np.ndarray) -> np.ndarray:
    import cv2

    scale = SMALL_PX / max(grey.shape)
    return cv2.resize(grey, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) if scale < 1 else grey


def around(mask: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """(h, w) bool: the person and a margin, in a small picture of `shape`."""
    import cv2

    small = cv2.resize(mask, (shape[1], shape[0]), interpolation=cv2.INTER_AREA)
    return cv2.dilate((small > 0.1).astype(np.uint8), np.ones((13, 13), np.uint8)) > 0


def cut_parts(marks: Landmarks, view: Glance, width: int, height: int) -> frozenset[str]:
    """Which of head, hands and feet lie beyond the picture's border, or on it."""
    margin = BORDER_SHARE * max(width, height)

    def beyond(points: np.ndarray) -> bool:
        low, high = points.min(axis=0), points.max(axis=0)
        return bool((low < margin).any() or (high > np.array([width, height]) - margin).any())

    parts = {"head": beyond(np.stack([view.crown_px, *marks.pixels[[NOSE, *EARS]]])),
             "hands": any(beyond(marks.pixels[[wrist, index]]) for wrist, index in ((15, 19), (16, 20))),
             "feet": any(beyond(marks.pixels[[heel, toe]]) for heel, toe in ((29, 31), (30, 32)))}
    return frozenset(part for part, out in parts.items() if out)


def poses_in(marks: Landmarks) -> frozenset[str]:
    """Which of POSES one frame shows; limbs whose place is a guess show none."""
    world, sure = marks.world_m, marks.confidence > SURE
    up = world[list(SHOULDERS)].mean(axis=0) - world[list(HIPS)].mean(axis=0)
    shown = set()
    arms = [(11, 13, 15), (12, 14, 16)]
    legs = [(23, 25, 27), (24, 26, 28)]
    if all(sure[[s, e]].all() and angle_deg(world[e] - world[s], -up) > AWAY_DEG for s, e, _ in arms):
        shown.add(POSES[0])
    if any(sure[[s, w]].all() and (world[w] - world[s]) @ up > 0 for s, _, w in arms):
        shown.add(POSES[1])
    if any(sure[[s, e, w]].all() and angle_deg(world[s] - world[e], world[w] - world[e]) < BENT_ELBOW_DEG
           for s, e, w in arms):
        shown.add(POSES[2])
    if any(sure[[h, k, a]].all() and angle_deg(world[h] - world[k], world[a] - world[k]) < BENT_KNEE_DEG
           for h, k, a in legs):
        shown.add(POSES[3])
    if sure[[23, 24, 27, 28]].all() and angle_deg(world[27] - world[23], world[28] - world[24]) > APART_DEG:
        shown.add(POSES[4])
    return frozenset(shown)


def angle_deg(a: np.ndarray, b: np.ndarray) -> float:
    """Between two directions (3,), 0..180; 0 where one has no length."""
    lengths = np.linalg.norm(a) * np.linalg.norm(b)
    return float(np.degrees(np.arccos(np.clip(a @ b / lengths, -1, 1)))) if lengths > 0 else 0.0


def blur_of(grey: np.ndarray, mask: np.ndarray, tall_px: float) -> float:
    """How blurred a person is: 0 sharp .. 1 blurred; NaN where too little of them is seen.

    Blurring a sharp picture once more takes most of its differences between neighbours away, blurring a blurred one
    hardly any; the share that is left says which it was, whatever is on the clothes. Taken along rows and columns, the
    worse one counts (motion blurs one way only).
    source  Crete et al., The blur effect: perception and estimation with a new no-reference perceptual blur metric,
            SPIE 6492 (2007), with the differences summed over the person instead of the picture
    """
    import cv2

    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if len(rows) < 16 or len(columns) < 8:
        return float("nan")
    part = np.s_[rows[0]:rows[-1] + 1, columns[0]:columns[-1] + 1]
    crop: np.ndarray = grey[part].astype(np.float32)
    inside: np.ndarray = mask[part].astype(np.float32)
    if tall_px > BLUR_PX:
        size = (max(round(crop.shape[1] * BLUR_PX / tall_px), 8), max(round(crop.shape[0] * BLUR_PX / tall_px), 8))
        crop, inside = (np.asarray(cv2.resize(each, size, interpolation=cv2.INTER_AREA)) for each in (crop, inside))
    solid = inside > 0.9
    worst = 0.0
    for axis in (0, 1):
        again = cv2.blur(crop, (1, 9) if axis == 0 else (9, 1))
        sharp, dull = (np.abs(np.diff(each, axis=axis)) for each in (crop, again))
        here = solid[1:] & solid[:-1] if axis == 0 else solid[:, 1:] & solid[:, :-1]
        lost = np.maximum(sharp - dull, 0)[here].sum()
        total = sharp[here].sum()
        if total < 1e-3:
            return float("nan")
        worst = max(worst, 1.0 - float(lost / total))
    return worst
