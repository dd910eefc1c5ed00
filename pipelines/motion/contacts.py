"""When a heel or the toes stand on the floor: near it and slow, with hysteresis."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipelines.motion.rig import runs
from pipelines.motion.soles import HEEL, POINTS, TOES

LANDS_M, LEAVES_M = 0.025, 0.035        # height above the floor below which a point lands, above which it leaves
LANDS_SPEED, LEAVES_SPEED = 0.35, 0.45  # m/s, likewise
SLIDES_M = 0.10                         # one that moved this far since it landed does not stand, it slides
ROLLS_M = 0.025                         # nor does a heel or a toe that moved this far from where the foot stood flat
PAUSE_S = 0.12                          # before and after it slid, in which it is let go
SHORTEST_S = 0.08
SMOOTHING_S = 0.02                      # of places, before speeds are taken


@dataclass(frozen=True)
class Contact:
    """One point of one foot standing."""

    side: str
    point: str                          # "heel" or "toes"
    start: int                          # frames, half-open
    stop: int
    skate_mm: float                     # farthest apart that the point lies on the floor in any two of its frames


def standing(places: np.ndarray, fps: float) -> np.ndarray:
    """(F, 2) bool: frames in which heel and toes stand; places (F, 2, 3) metres, floor at y = 0.

    Our toes are stiff, so that they lie elsewhere than an actor's when the heel is high: rolling on and off counts
    only as long as the point stays near to where it was on the flat foot.
    """
    stands = np.stack([touching(places[:, point], fps) for point in (HEEL, TOES)], axis=1)
    flat = stands.all(axis=1)
    for start, stop in runs(flat):
        for point in (HEEL, TOES):
            near = [np.linalg.norm((places[:, point] - places[at, point])[:, [0, 2]], axis=1) < ROLLS_M
                    for at in (start, stop - 1)]
            _cut(stands[:, point], near[0], range(start - 1, -1, -1))
            _cut(stands[:, point], near[1], range(stop, len(stands)))
    return stands


def _cut(stands: np.ndarray, near: np.ndarray, order: range) -> None:
    """Ends a contact, followed in `order` from its flat part, where it is no longer near."""
    ended = False
    for k in order:
        if not stands[k]:
            return
        ended = ended or not near[k]
        stands[k] = not ended


def touching(places: np.ndarray, fps: float) -> np.ndarray:
    """(F,) bool: frames in which a point of the sole stands.

    places  (F, 3) metres, floor at y = 0
    """
    count = len(places)
    if count < 2:
        return places[:, 1] < LANDS_M
    speed = np.linalg.norm(np.gradient(_smoothed(places, SMOOTHING_S * fps), axis=0), axis=1) * fps
    stands = np.zeros(count, bool)
    landed, pause = -1, round(PAUSE_S * fps)
    slid = -pause
    for k in range(count):
        if landed >= 0:
            if np.linalg.norm(places[k, [0, 2]] - places[landed, [0, 2]]) > SLIDES_M:
                slid = k
                stands[max(landed, k - pause):k] = False
            if places[k, 1] > LEAVES_M or speed[k] > LEAVES_SPEED or slid == k:
                landed = -1
        elif places[k, 1] < LANDS_M and speed[k] < LANDS_SPEED and k >= slid + pause:
            landed = k
        stands[k] = landed >= 0
    for start, stop in runs(stands):
        if stop - start < SHORTEST_S * fps and stop - start < count:
            stands[start:stop] = False
    return stands


def contacts_of(stands: np.ndarray, places: np.ndarray, side: str) -> tuple[Contact, ...]:
    """Every contact of one foot with how far it skated.

    stands  (F, 2) bool; places (F, 2, 3) of heel and toes
    """
    return tuple(Contact(side, name, start, stop, 1e3 * _spread(places[start:stop, point][:, [0, 2]]))
                 for point, name in enumerate(POINTS) for start, stop in runs(stands[:, point]))


def _spread(points: np.ndarray) -> float:
    """The largest distance between any two of points (N, 2)."""
    around = np.linspace(0, np.pi, 64, endpoint=False)  # widths in 64 directions: within 0.03 % of the diameter
    return float(np.ptp(points @ np.stack([np.cos(around), np.sin(around)]), axis=0).max())


def _smoothed(track: np.ndarray, sigma: float) -> np.ndarray:
    """(F, C) Gaussian smoothing over time, the ends held."""
    reach = max(1, round(3 * sigma))
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / max(sigma, 1e-6)) ** 2)
    padded = np.pad(track, ((reach, reach), (0, 0)), mode="edge")
    return np.stack([np.convolve(column, kernel / kernel.sum(), mode="valid") for column in padded.T], axis=1)
