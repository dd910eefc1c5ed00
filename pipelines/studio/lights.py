"""The studio's lights: where the key light is, how hard it is, and what comes from everywhere else."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from pipelines.core.errors import AnrError

MAP_CELLS, MAP_WIDTH_M = 640, 2.9  # of the key light's depth map, round the person
MAP_CENTRE = np.array([0.0, 0.95, 0.0])


@dataclass(frozen=True, eq=False)
class Light:
    """One key light, far away, and the sky; colours are linear."""

    name: str
    towards: np.ndarray  # (3,) unit, from the person to the key light
    key: np.ndarray  # (3,) colour
    sky: np.ndarray  # (3,) from above
    ground: np.ndarray  # (3,) from below
    size: float  # radians across half of it: how soft shadows of the furniture are
    softness: float  # cells of the map over which shadows on the person fade
    spread: float  # cells over which the person's shadow on the room fades
    beam_m: float  # the key light falls off this far from the person
    slope: np.ndarray  # (3,) per metre: how much brighter a closed room is towards its window

    def rows(self) -> np.ndarray:
        """(3, 4) from world points to column, row and depth (metres) of the key light's map."""
        right = np.cross(-self.towards, [0.0, 1.0, 0.0])
        right /= np.linalg.norm(right)
        turn = np.stack([right, np.cross(-self.towards, right), -self.towards])
        rows = np.concatenate([turn, (np.array([0, 0, 4.0]) - turn @ MAP_CENTRE)[:, None]], axis=1)
        rows[:2] *= MAP_CELLS / MAP_WIDTH_M
        rows[:2, 3] += MAP_CELLS / 2
        return rows


def _light(name: str, towards: tuple[float, float, float], **rest: object) -> Light:
    unit = np.array(towards) / np.linalg.norm(towards)
    arrays = {key: np.array(value) if isinstance(value, tuple) else value for key, value in rest.items()}
    return Light(name, unit, **arrays)  # type: ignore[arg-type]


LIGHTS = {
    light.name: light
    for light in (
        # a tall window on the left, and bright walls
        _light("daylight", (-0.48, 0.78, 0.62), key=(1.00, 0.94, 0.86), sky=(0.50, 0.53, 0.58),
               ground=(0.30, 0.26, 0.22), size=0.10, softness=1.3, spread=6.0, beam_m=30.0, slope=(-0.10, 0.08, 0.04)),
        # one bare lamp high on the right: dark shadows with sharp edges
        _light("lamp", (0.72, 0.62, 0.52), key=(1.62, 1.45, 1.20), sky=(0.17, 0.18, 0.21),
               ground=(0.14, 0.12, 0.10), size=0.012, softness=0.7, spread=1.6, beam_m=3.4, slope=(0.0, 0.0, 0.0)),
    )
}


@lru_cache(maxsize=8)
def find_light(name: str) -> Light:
    """A light by name; AnrError for one there is not."""
    if name not in LIGHTS:
        raise AnrError(f"There is no studio light named {name!r}.", hint=f"There are: {', '.join(LIGHTS)}.")
    return LIGHTS[name]
