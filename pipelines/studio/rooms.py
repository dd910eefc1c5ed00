"""The studio's rooms: boxes with paint on them, lit once, for a camera that does not move."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from pipelines.core.errors import AnrError
from pipelines.core.records import Camera
from pipelines.studio.actors import to_linear
from pipelines.studio.lights import Light, find_light

EYE = np.array([0.0, 1.16, 3.15])  # the camera, which looks at AIM
AIM = np.array([0.0, 0.985, 0.0])
FOV_DEG = 42.0  # of the shorter side
GRAIN = 1.3  # standard deviation of the film's noise, grey levels
SMOOTH = 3  # pixels, of how open places are
WALLS, FURNITURE = False, True  # what casts shadows of the key light

Box = tuple[tuple[float, float, float], tuple[float, float, float], str, tuple[float, float, float], bool]


@dataclass(frozen=True, eq=False)
class Room:
    """What does not move, seen by the camera."""

    name: str
    light: Light
    camera: Camera  # world (y up) to picture
    colour: np.ndarray  # (H, W, 3) float32 linear, without any shadow of the person
    depth_m: np.ndarray  # (H, W) float32; 0 = the sky
    points: np.ndarray  # (H, W, 3) float32 world
    cells: np.ndarray  # (H, W, 2) float32 column and row in the key light's map
    taken: np.ndarray  # (H, W) float32: the key light's share of a place's light
    grain: np.ndarray  # (H, W) float32 grey levels

    def plate(self) -> np.ndarray:
        """(H, W, 3) uint8: the empty room."""
        return to_srgb_table()[np.clip(self.colour * 4095, 0, 4095).astype(int)].astype(np.uint8)


@lru_cache(maxsize=1)
def to_srgb_table() -> np.ndarray:
    """(4096,) float32 grey levels of linear light 0..1."""
    x = np.arange(4096) / 4095.0
    return (255 * np.where(x <= 0.0031308, 12.92 * x, 1.055 * x ** (1 / 2.4) - 0.055) + 0.5).astype(np.float32)


def studio_camera(width: int, height: int | None = None) -> Camera:
    """The fixed camera for pictures of `width` by `height` pixels (None = square): the shorter side is filled."""
    height = width if height is None else height
    ahead = (AIM - EYE) / np.linalg.norm(AIM - EYE)
    right = np.cross(ahead, [0.0, 1.0, 0.0])
    right /= np.linalg.norm(right)
    turn = np.stack([right, np.cross(ahead, right), ahead])
    placed = np.eye(4)
    placed[:3, :3], placed[:3, 3] = turn, -turn @ EYE
    focal = min(width, height) / 2 / np.tan(np.radians(FOV_DEG) / 2)
    K = np.array([[focal, 0, width / 2], [0, focal, height / 2], [0, 0, 1.0]])
    return Camera(K=K, width=width, height=height, world_to_camera=placed)


@lru_cache(maxsize=3)
def build_room(width: int, height: int | None = None, name: str = "plaster", light: str = "daylight") -> Room:
    """A room of `ROOMS` in a light of `LIGHTS`, as the studio's camera sees it; AnrError for names there are not."""
    from pipelines.studio.raycast import openness, picture_of_boxes, smooth_alike

    camera, lamp = studio_camera(width, height), find_light(light)
    boxes, kinds, colours, casters = boxes_of(name)
    shape = (camera.height, camera.width)
    soft, key, points = (np.zeros((*shape, 3), np.float32) for _ in range(3))
    depth, opened, smooth, reached, lit = (np.zeros(shape, np.float32) for _ in range(5))
    seen = np.full(shape, -1, np.int32)
    rays = np.stack([lamp.towards, lamp.key, lamp.sky, lamp.ground, [lamp.beam_m, lamp.size, 0]])
    turn, eye = _placed(camera)
    picture_of_boxes(boxes, kinds, colours, casters, turn, eye, camera.K, rays, soft, key, reached, depth, points, seen)
    openness(boxes, points, seen, opened)
    smooth_alike(opened, seen, SMOOTH, smooth)
    smooth_alike(reached, seen, SMOOTH if lamp.size > 0.05 else 0, lit)
    sky = _sky_box(kinds)
    smooth[np.isin(seen // 3, np.flatnonzero(_glows(kinds)))] = 1.0
    depth[(seen < 0) | (seen // 3 == sky)] = 0.0
    key *= lit[..., None]
    colour = soft * smooth[..., None] + key
    if sky < 0:  # a closed room
        colour *= np.clip(1 + (points - AIM) @ lamp.slope, 0.6, 1.25)[..., None]
    taken = key.sum(-1) / np.maximum(colour.sum(-1), 1e-6)
    rows = lamp.rows()
    cells = points @ rows[:2, :3].T.astype(np.float32) + rows[:2, 3].astype(np.float32)
    grain = GRAIN * np.random.default_rng(5).standard_normal(shape)
    return Room(name, lamp, camera, np.clip(colour, 0, 1).astype(np.float32), depth, points,
                cells.astype(np.float32), taken.astype(np.float32), grain.astype(np.float32))


def depth_of_room(name: str, camera: Camera) -> np.ndarray:
    """(H, W) float32 metres: the empty room from any camera (world_to_camera of the studio's world); 0 = sky."""
    from pipelines.studio.raycast import room_depth

    boxes, kinds, _, _ = boxes_of(name)
    turn, eye = _placed(camera)
    out = np.empty((camera.height, camera.width), np.float32)
    room_depth(boxes, _sky_box(kinds), turn, eye, np.asarray(camera.K, float), out)
    return out


def _placed(camera: Camera) -> tuple[np.ndarray, np.ndarray]:
    """The camera's axes (rows, in the world) and its centre."""
    turn = np.ascontiguousarray(camera.world_to_camera[:3, :3])
    return turn, -turn.T @ camera.world_to_camera[:3, 3]


def _glows(kinds: np.ndarray) -> np.ndarray:
    from pipelines.studio.paint import GLOWING

    return np.isin(kinds, GLOWING)


def _sky_box(kinds: np.ndarray) -> int:
    from pipelines.studio.paint import SKY

    found = np.flatnonzero(kinds == SKY)
    return int(found[0]) if len(found) else -2


@lru_cache(maxsize=4)
def boxes_of(name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
    """Boxes (N, 6), their paint (N,), linear colours (N, 3), and from which box on they cast shadows."""
    from pipelines.studio import paint

    if name not in ROOMS:
        raise AnrError(f"There is no studio room named {name!r}.", hint=f"There are: {', '.join(ROOMS)}.")
    listed = sorted(ROOMS[name], key=lambda box: box[4])
    corners = np.array([[*low, *high] for low, high, *_ in listed], float)
    kinds = np.array([getattr(paint, kind) for _, _, kind, _, _ in listed], np.int64)
    colours = to_linear(np.array([colour for *_, colour, _ in listed], float))
    return corners, kinds, colours, sum(1 for box in listed if not box[4])


OAK, WALNUT, WHITE = (0.60, 0.475, 0.36), (0.34, 0.24, 0.17), (0.86, 0.855, 0.84)

_PLASTER_ROOM: tuple[Box, ...] = (
    ((-9, -1, -9), (9, 0, 9), "BOARDS", OAK, WALLS),
    ((-9, 0, -2), (9, 9, -1.15), "PLASTER", (0.735, 0.765, 0.765), WALLS),
    ((-9, 0, -1.15), (9, 0.11, -1.138), "PLAIN", WHITE, WALLS),
)

_LIVING_ROOM: tuple[Box, ...] = (
    ((-9, -1, -9), (9, 0, 9), "BOARDS", (0.56, 0.43, 0.31), WALLS),
    ((-9, 0, -3), (9, 9, -1.95), "PLASTER", (0.80, 0.765, 0.70), WALLS),
    ((3.2, 0, -9), (9, 9, 9), "PLASTER", (0.70, 0.72, 0.70), WALLS),
    ((-9, 0, -9), (-3.2, 9, 9), "PLASTER", (0.80, 0.765, 0.70), WALLS),
    ((-9, 2.72, -9), (9, 4, 1.2), "PLAIN", (0.90, 0.89, 0.87), WALLS),
    ((-9, 0, -1.95), (9, 0.12, -1.932), "PLAIN", WHITE, WALLS),
    ((-1.25, 0, -0.95), (1.25, 0.001, 0.80), "RUG", (0.50, 0.20, 0.17), WALLS),
    # window: glass, frame, bars, sill, curtain
    ((-1.78, 0.98, -1.95), (-0.72, 2.32, -1.945), "WINDOW", WHITE, WALLS),
    ((-1.84, 0.92, -1.95), (-1.76, 2.38, -1.90), "PLAIN", WHITE, FURNITURE),
    ((-0.74, 0.92, -1.95), (-0.66, 2.38, -1.90), "PLAIN", WHITE, FURNITURE),
    ((-1.84, 2.30, -1.95), (-0.66, 2.38, -1.90), "PLAIN", WHITE, FURNITURE),
    ((-1.275, 0.98, -1.95), (-1.225, 2.32, -1.915), "PLAIN", WHITE, FURNITURE),
    ((-1.90, 0.90, -1.95), (-0.60, 0.95, -1.78), "PLAIN", WHITE, FURNITURE),
    # sideboard with books, a vase
    ((-2.05, 0.10, -1.93), (-0.62, 0.66, -1.55), "PLAIN", WALNUT, FURNITURE),
    ((-2.08, 0.66, -1.94), (-0.59, 0.69, -1.53), "PLAIN", (0.38, 0.27, 0.19), FURNITURE),
    ((-1.90, 0.13, -1.56), (-1.34, 0.63, -1.545), "PLAIN", (0.39, 0.28, 0.20), FURNITURE),
    ((-1.31, 0.13, -1.56), (-0.75, 0.63, -1.545), "PLAIN", (0.39, 0.28, 0.20), FURNITURE),
    ((-1.78, 0.69, -1.86), (-1.36, 0.91, -1.68), "BOOKS", WHITE, FURNITURE),
    ((-0.92, 0.69, -1.80), (-0.78, 0.89, -1.66), "PLAIN", (0.25, 0.42, 0.45), FURNITURE),
    # sofa
    ((0.62, 0.10, -1.90), (2.75, 0.40, -1.00), "WEAVE", (0.34, 0.42, 0.46), FURNITURE),
    ((0.62, 0.40, -1.92), (2.75, 0.86, -1.62), "WEAVE", (0.34, 0.42, 0.46), FURNITURE),
    ((0.56, 0.10, -1.92), (0.76, 0.62, -0.98), "WEAVE", (0.32, 0.40, 0.44), FURNITURE),
    ((0.78, 0.40, -1.64), (1.72, 0.52, -0.98), "WEAVE", (0.37, 0.45, 0.49), FURNITURE),
    ((1.75, 0.40, -1.64), (2.70, 0.52, -0.98), "WEAVE", (0.37, 0.45, 0.49), FURNITURE),
    ((0.84, 0.50, -1.66), (1.26, 0.88, -1.52), "WEAVE", (0.80, 0.55, 0.25), FURNITURE),
    ((1.95, 0.50, -1.66), (2.35, 0.86, -1.52), "WEAVE", (0.78, 0.74, 0.66), FURNITURE),
    # pictures, floor lamp
    ((0.82, 1.28, -1.95), (1.50, 1.86, -1.925), "PAINTING", (0.30, 0.42, 0.24), FURNITURE),
    ((1.62, 1.42, -1.95), (2.02, 1.92, -1.925), "PAINTING", (0.45, 0.28, 0.16), FURNITURE),
    ((0.30, 0.02, -1.64), (0.325, 1.52, -1.615), "METAL", (0.25, 0.24, 0.23), FURNITURE),
    ((0.19, 0.0, -1.75), (0.435, 0.02, -1.505), "METAL", (0.25, 0.24, 0.23), FURNITURE),
    ((0.16, 1.46, -1.78), (0.465, 1.76, -1.475), "PLAIN", (0.93, 0.88, 0.76), FURNITURE),
)

_COURT: tuple[Box, ...] = (
    ((-60, -1, -29), (60, 0, 12), "COURT", (0.20, 0.40, 0.50), WALLS),
    ((-90, -1, -31), (90, 40, -30), "SKY", WHITE, WALLS),
    ((-40, 0, -7.2), (40, 1.95, -6.6), "HEDGE", (0.30, 0.42, 0.22), FURNITURE),
    ((-40, 0, -6.2), (40, 0.42, -6.0), "CONCRETE", (0.62, 0.61, 0.58), FURNITURE),
    *(((x, 0.4, -6.13), (x + 0.06, 2.9, -6.07), "METAL", (0.30, 0.36, 0.33), FURNITURE)
      for x in (-7.5, -5.4, -3.3, -1.2, 0.9, 3.0, 5.1, 7.2)),
    *(((-9, y, -6.11), (9, y + 0.035, -6.08), "METAL", (0.30, 0.36, 0.33), FURNITURE) for y in (0.75, 1.5, 2.2, 2.86)),
    # a backboard on its post, a bench
    ((1.62, 0, -5.55), (1.76, 3.3, -5.41), "METAL", (0.35, 0.36, 0.38), FURNITURE),
    ((1.05, 2.62, -5.40), (2.33, 3.46, -5.36), "PLAIN", (0.90, 0.90, 0.88), FURNITURE),
    ((1.42, 2.70, -5.36), (1.96, 3.08, -5.352), "PLAIN", (0.72, 0.20, 0.14), FURNITURE),
    ((1.46, 2.74, -5.352), (1.92, 3.04, -5.345), "PLAIN", (0.90, 0.90, 0.88), FURNITURE),
    ((-2.6, 0.40, -5.3), (-0.9, 0.46, -4.95), "PLAIN", (0.55, 0.40, 0.27), FURNITURE),
    ((-2.45, 0.0, -5.2), (-2.33, 0.40, -5.05), "CONCRETE", (0.60, 0.60, 0.58), FURNITURE),
    ((-1.17, 0.0, -5.2), (-1.05, 0.40, -5.05), "CONCRETE", (0.60, 0.60, 0.58), FURNITURE),
)

ROOMS: dict[str, tuple[Box, ...]] = {"plaster": _PLASTER_ROOM, "living": _LIVING_ROOM, "court": _COURT}
