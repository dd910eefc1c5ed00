"""The studio: an actor in a room before a camera, as a picture, a matte and a depth image."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from pipelines.core.records import BodyPose, Camera, Frame
from pipelines.geometry.cameras import scale_camera, to_camera
from pipelines.studio.actors import Actor, pose_actor
from pipelines.studio.lights import MAP_CELLS, Light
from pipelines.studio.rooms import EYE, Room, build_room, depth_of_room, studio_camera, to_srgb_table

__all__ = ["build_room", "depth_from", "picture", "studio_camera"]

BLUR_STEP = 2  # the map is made this much coarser before shadows on the room are blurred


class Drawn(NamedTuple):
    """The person, drawn twice as fine as the picture: the window that starts at fine pixel x0, y0."""

    face_index: np.ndarray  # (h, w) int32, -1 = nobody
    nearness: np.ndarray  # (h, w) float32, 1/z
    seen: np.ndarray  # (V, 3) float32 column, row, nearness of the fine picture
    x0: int
    y0: int


def picture(
    actor: Actor, pose: BodyPose, room: Room, grain: int, time_s: float, index: int
) -> tuple[Frame, np.ndarray]:
    """One frame, and the joints (J, 3) in the camera's frame. The pose is in the world: y up, soles on y = 0.

    grain  which of the film's noises; index and time_s go into the frame as they are
    """
    from pipelines.studio.film import develop

    verts, normals, joints = pose_actor(actor, pose)
    linear, alpha, depth_m = exposed(actor, verts, normals, joints, room)
    height, width = alpha.shape
    image = np.empty((height, width, 3), np.uint8)
    develop(linear, to_srgb_table(), room.grain, -(grain * 97) % height, -(grain * 61) % width, image)
    return Frame(index, time_s, image, depth_m, alpha), to_camera(joints, room.camera)


def exposed(
    actor: Actor, verts: np.ndarray, normals: np.ndarray, joints: np.ndarray, room: Room
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Linear light (H, W, 3), alpha (H, W) and depth (H, W) of a posed person in a room, without any sensor."""
    from pipelines.studio.film import composite, shadow_on_room

    drawn = draw(actor, verts, room.camera)
    map_nearness = draw_from_light(actor, verts, room.light)
    colour = shaded(actor, verts, normals, drawn, room.light, map_nearness)
    shape = room.depth_m.shape
    shadow, alpha, depth_m = (np.empty(shape, np.float32) for _ in range(3))
    linear = np.empty((*shape, 3), np.float32)
    hidden = blurred(map_nearness, room.light.spread)
    shadow_on_room(room.cells, room.points, room.taken, hidden, BLUR_STEP, feet_of(actor, joints), shadow)
    composite(colour, drawn.face_index, drawn.nearness, drawn.x0, drawn.y0, room.colour, room.depth_m, shadow,
              linear, alpha, depth_m)
    return linear, alpha, depth_m


def draw(actor: Actor, verts: np.ndarray, camera: Camera) -> Drawn:
    """Which triangle each sample sees, only where the person is."""
    from pipelines.studio.drawing import bounds, draw_nearest

    fine = scale_camera(camera, 2)
    seen = _seen(verts, fine)
    low_x, low_y, high_x, high_y = bounds(seen)
    x0, x1 = _even_span(low_x, high_x, fine.width)
    y0, y1 = _even_span(low_y, high_y, fine.height)
    face_index = np.empty((y1 - y0, x1 - x0), np.int32)
    nearness = np.empty(face_index.shape, np.float32)
    draw_nearest(seen, actor.faces, x0, y0, face_index, nearness)
    return Drawn(face_index, nearness, seen, x0, y0)


def _even_span(low: float, high: float, size: int) -> tuple[int, int]:
    """Whole pixels round low..high within 0..size, from an even one to an even one, two at least."""
    start = int(np.clip(low - 1, 0, size - 2)) // 2 * 2
    return start, max(start + 2, int(np.clip(high + 3, 0, size)) // 2 * 2)


def _seen(verts: np.ndarray, camera: Camera) -> np.ndarray:
    """(V, 3) float32 column, row, nearness."""
    from pipelines.studio.drawing import project_points

    seen, K = np.empty((len(verts), 3), np.float32), camera.K
    project_points(verts, np.ascontiguousarray(camera.world_to_camera, float), K[0, 0], K[1, 1], K[0, 2], K[1, 2], seen)
    return seen


def draw_from_light(actor: Actor, verts: np.ndarray, light: Light) -> np.ndarray:
    """(h, w) float32: how near to the key light what it sees of the person is; 0 = nothing."""
    from pipelines.studio.drawing import draw_depth_only, project_parallel

    seen, nearness = np.empty((len(verts), 3), np.float32), np.empty((MAP_CELLS, MAP_CELLS), np.float32)
    project_parallel(verts, light.rows(), seen)
    draw_depth_only(seen, actor.faces, nearness)
    return nearness


def blurred(map_nearness: np.ndarray, spread: float) -> np.ndarray:
    """(h, w) 0..1, in cells `BLUR_STEP` times as large: how much of the light the person keeps away."""
    import cv2

    size = MAP_CELLS // BLUR_STEP
    hidden = cv2.resize((map_nearness > 0).astype(np.float32), (size, size), interpolation=cv2.INTER_AREA)
    return cv2.GaussianBlur(hidden, (0, 0), spread / BLUR_STEP)


def shaded(actor: Actor, verts: np.ndarray, normals: np.ndarray, drawn: Drawn, light: Light,
           map_nearness: np.ndarray) -> np.ndarray:
    """(h, w, 3) float32 linear colour of the drawn samples; anything where there is nobody."""
    from pipelines.studio.shading import Lit, Surface, packed, shade

    rows = np.empty((len(verts), 18), np.float32)
    packed(drawn.seen, normals, verts, _still(actor), rows)
    surface = Surface(actor.faces, actor.material, rows, actor.uvs, actor.face_uvs, actor.texture, actor.print_front,
                      actor.print_back, actor.cut, actor.leg, actor.colours)
    lit = Lit(EYE, light.towards, light.key, light.sky, light.ground, light.rows(), map_nearness, light.softness)
    colour = np.empty((*drawn.face_index.shape, 3), np.float32)
    shade(drawn.face_index, drawn.nearness, drawn.x0, drawn.y0, surface, lit, colour)
    return colour


@lru_cache(maxsize=4)
def _still(actor: Actor) -> np.ndarray:
    """(V, 12) float32: what the shader needs of a vertex and no pose changes, see `shading.packed`."""
    from pipelines.studio.materials import LEATHER
    from pipelines.studio.shading import roughness

    cloth, bumps = np.zeros(len(actor.verts), bool), np.zeros_like(actor.verts)
    cloth[actor.faces[actor.material > LEATHER]] = True
    roughness(actor.verts, cloth, bumps)
    spare = np.zeros(len(bumps), np.float32)
    return np.column_stack([bumps, actor.verts, actor.normals[:, 2], actor.occlusion, actor.tint, spare])


def rows_of(verts: np.ndarray, camera: Camera) -> np.ndarray:
    """(V,) picture rows where points lie."""
    return _seen(verts, camera)[:, 1]


def depth_of(actor: Actor, verts: np.ndarray, room: Room) -> np.ndarray:
    """(H, W) float32 metres: posed vertices in a room, one look through the middle of each pixel."""
    from pipelines.studio.drawing import draw_nearest

    shape = room.depth_m.shape
    face_index, nearness = np.empty(shape, np.int32), np.empty(shape, np.float32)
    draw_nearest(_seen(verts, room.camera), actor.faces, 0, 0, face_index, nearness)
    return np.where(face_index >= 0, 1 / np.maximum(nearness, 1e-6), room.depth_m)


def depth_from(actor: Actor, pose: BodyPose, room_name: str, camera: Camera) -> np.ndarray:
    """(H, W) float32 metres along the axis of any camera in the studio's world: the person in a room, exactly.

    camera  its world_to_camera takes the studio's world (y up); no lens distortion
    """
    from pipelines.studio.drawing import draw_nearest

    verts, _, _ = pose_actor(actor, pose)
    shape = (camera.height, camera.width)
    face_index, nearness = np.empty(shape, np.int32), np.empty(shape, np.float32)
    draw_nearest(_seen(verts, camera), actor.faces, 0, 0, face_index, nearness)
    room_m = depth_of_room(room_name, camera)
    return np.where(face_index >= 0, 1 / np.maximum(nearness, 1e-6), room_m)


def feet_of(actor: Actor, joints: np.ndarray) -> np.ndarray:
    """(4, 3) middles of heels and balls, with their heights above the floor: where contact shadows lie."""
    spots = []
    for side in "LR":
        j = actor.joint_names.index(f"foot.{side}")
        lift = max(0.0, joints[j, 1] - actor.rest_joints[j, 1] - actor.sole_m)
        knee = joints[actor.joint_names.index(f"lowerleg01.{side}")]
        ahead = (knee - joints[actor.joint_names.index("root")]) * [1, 0, 1]
        size = np.linalg.norm(ahead)
        ahead = ahead / size if size > 0.05 else np.array([0, 0, 1.0])
        spots += [joints[j] * [1, 0, 1] + [0, lift, 0], joints[j] * [1, 0, 1] + ahead * 0.09 + [0, lift, 0]]
    return np.array(spots)


def seen_pose(
    pose_rotations: np.ndarray, root_translation: np.ndarray, camera: Camera
) -> tuple[np.ndarray, np.ndarray]:
    """A motion in the world as the camera sees it: rotations (F, J, 3, 3) and root places (F, 3) in its frame."""
    turned = pose_rotations.copy()
    turned[:, 0] = camera.world_to_camera[:3, :3] @ pose_rotations[:, 0]
    return turned, to_camera(root_translation, camera)


def at_origin(camera: Camera) -> Camera:
    """The same camera as its own world, which is how recordings know it."""
    return replace(camera, world_to_camera=np.eye(4))
