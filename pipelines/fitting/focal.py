"""The focal length that a clip's landmarks agree with, where they tell one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from pipelines.core.records import Camera
from pipelines.fitting.model import Sight

FACTORS = (0.6, 0.77, 1.0, 1.3, 1.69)   # of the focal length that is assumed
CLEARLY = 0.06                          # the best must beat both ends by this share of the cost

Cost = Callable[[Camera, Mapping[int, Sight]], float]


def with_focal(camera: Camera, factor: float) -> Camera:
    """The camera with another focal length."""
    K = camera.K.copy()
    K[0, 0] *= factor
    K[1, 1] *= factor
    return replace(camera, K=K)


def told_focal(camera: Camera, sights: Mapping[int, Sight], cost: Cost) -> float | None:
    """The factor on the focal length with the least cost; None where the clip does not tell.

    A person who keeps the distance looks alike through all lenses: only who comes nearer and leaves, or stands close,
    tells the focal length.
    cost  of fitting one body to some frames with a camera
    """
    costs = np.array([cost(with_focal(camera, factor), sights) for factor in FACTORS])
    best = int(costs.argmin())
    if best in (0, len(FACTORS) - 1) or min(costs[0], costs[-1]) < (1.0 + CLEARLY) * costs[best]:
        return None
    x = np.log(FACTORS[best - 1:best + 2])
    a, b, _ = np.polyfit(x, costs[best - 1:best + 2], 2)
    return float(np.exp(np.clip(-b / (2 * a), x[0], x[-1])))
