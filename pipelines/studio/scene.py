"""The studio: a room with a wooden floor, a camera, a lamp and the sky; pictures of an actor in it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from pipelines.core.records import BodyPose, Camera, Frame
from pipelines.geometry.cameras import scale_camera, to_camera, unproject
from pipelines.studio.actors import Actor, pose_actor, to_linear

WALL_Z = -1.15  # metres behind the person
EYE = np.array([0.0, 1.16, 3.15])  # the camera, which looks at AIM
AIM = np.array([0.0, 0.985, 0.0])
FOV_DEG = 42.0
KEY = np.array([-0.48, 0.78, 0.62]) / np.linalg.norm([-0.48, 0.78, 0.62])  # towards the lamp
KEY_COLOUR = np.array([1.02, 0.96, 0.88]) * 0.98
SKY = np.array([0.50, 0.53, 0.58])
GROUND = np.array([0.30, 0.26, 0.22])
LIGHT_SIZE, LIGHT_WIDTH_M = 640, 2.9  # of the lamp's depth map
SHADOW_BLUR = 6.0  # cells of that map
GRAIN = 1.3  # standard deviation of the sensor's noise, grey levels


@dataclass(frozen=True, eq=False)
class Room:
    """What does not move, seen by the camera."""

    camera: Camera  # world (y up) to picture
    colour: np.ndarray  # (H, W, 3) float32 linear, without any shadow of the person
    depth_m: np.ndarray  # (H, W) float32
    points: np.ndarray  # (H, W, 3) float32 world
    light_points: np.ndarray  # (H, W, 3) float32 column, row, depth in the lamp's map
    grain: np.ndarray  # (H, W) float32 grey levels

    def plate(self) -> np.ndarray:
        """(H, W, 3) uint8: the empty room."""
        return to_srgb_table()[np.clip(self.colour * 4095, 0, 4095).astype(int)].astype(np.uint8)


@lru_cache(maxsize=1)
def to_srgb_table() -> np.ndarray:
    """(4096,) float32 grey levels of linear light 0..1."""
    x = np.arange(4096) / 4095.0
    return (255 * np.where(x <= 0.0031308, 12.92 * x, 1.055 * x ** (1 / 2.4) - 0.055) + 0.5).astype(np.float32)


def studio_camera(size: int) -> Camera:
    """The fixed camera for square pictures of `size` pixels."""
    ahead = (AIM - EYE) / np.linalg.norm(AIM - EYE)
    right = np.cross(ahead, [0.0, 1.0, 0.0])
    right /= np.linalg.norm(right)
    turn = np.stack([right, np.cross(ahead, right), ahead])
    placed = np.eye(4)
    placed[:3, :3], placed[:3, 3] = turn, -turn @ EYE
    focal = size / 2 / np.tan(np.radians(FOV_DEG) / 2)
    K = np.array([[focal, 0, size / 2], [0, focal, size / 2], [0, 0, 1.0]])
    return Camera(K=K, width=size, height=size, world_to_camera=placed)


@lru_cache(maxsize=1)
def lamp() -> tuple[Camera, np.ndarray]:
    """The lamp as a camera without perspective, and the (3, 4) matrix from world points to its column, row, depth."""
    right = np.cross(-KEY, [0.0, 1.0, 0.0])
    right /= np.linalg.norm(right)
    turn = np.stack([right, np.cross(-KEY, right), -KEY])
    centre = np.array([0.0, 0.95, 0.0])
    placed = np.eye(4)
    placed[:3, :3], placed[:3, 3] = turn, np.array([0, 0, 4.0]) - turn @ centre
    scale = LIGHT_SIZE / LIGHT_WIDTH_M
    K = np.array([[scale, 0, LIGHT_SIZE / 2], [0, scale, LIGHT_SIZE / 2], [0, 0, 1.0]])
    camera = Camera(K=K, width=LIGHT_SIZE, height=LIGHT_SIZE, world_to_camera=placed, weak_depth_m=1.0)
    rows = placed[:3].copy()
    rows[:2] *= scale
    rows[:2, 3] += LIGHT_SIZE / 2
    return camera, rows


@lru_cache(maxsize=2)
def build_room(size: int) -> Room:
    """Floor boards, a plastered wall with a skirting board, soft light from a window on the left."""
    camera = studio_camera(size)
    v, u = np.mgrid[0:size, 0:size] + 0.5
    far = unproject(np.stack([u, v], -1), np.ones((size, size)), camera)
    rays = far - EYE
    with np.errstate(divide="ignore"):
        to_floor = np.where(rays[..., 1] < 0, -EYE[1] / rays[..., 1], np.inf)
        to_wall = (WALL_Z - EYE[2]) / rays[..., 2]
    depth = np.minimum(to_floor, to_wall)
    points = EYE + rays * depth[..., None]
    on_floor = to_floor < to_wall
    colour = np.where(on_floor[..., None], floor_colour(points), wall_colour(points))
    _, rows = lamp()
    light_points = points @ rows[:, :3].T + rows[:, 3]
    random = np.random.default_rng(5)
    grain = GRAIN * random.standard_normal((size, size))
    return Room(
        camera,
        np.clip(colour, 0, 1).astype(np.float32),
        depth.astype(np.float32),
        points.astype(np.float32),
        light_points.astype(np.float32),
        grain.astype(np.float32),
    )


def wall_colour(points: np.ndarray) -> np.ndarray:
    """(H, W, 3) linear: warm grey plaster, a skirting board, brighter towards the window."""
    from pipelines.studio.meshwork import value_noise

    flat = points.reshape(-1, 3)
    plaster = (
        1 + 0.025 * value_noise(flat * 14, 71) + 0.02 * value_noise(flat * 60, 72) + 0.03 * value_noise(flat * 2.2, 73)
    )
    light = 1.0 - 0.10 * (flat[:, 0] + 0.3) - 0.10 * np.clip(1.2 - flat[:, 1], -1, 1)
    colour = to_linear(np.array([0.72, 0.735, 0.72])) * (plaster * light)[:, None]
    skirting = (flat[:, 1] < 0.11)[:, None]
    white = (
        to_linear(np.array([0.86, 0.855, 0.84])) * (light * (1 - 0.35 * (np.abs(flat[:, 1] - 0.108) < 0.006)))[:, None]
    )
    return np.where(skirting, white, colour).reshape(points.shape)


def floor_colour(points: np.ndarray) -> np.ndarray:
    """(H, W, 3) linear: oak boards along x, 14 cm wide, with grain, joints and a tone of their own."""
    from pipelines.studio.meshwork import value_noise

    flat = points.reshape(-1, 3)
    board = np.floor(flat[:, 2] / 0.14)
    shift = 0.73 * board
    piece = np.floor((flat[:, 0] + shift) / 1.1)
    tone = 1 + 0.13 * value_noise(np.stack([board * 7.3, piece * 5.1, board * 0.0], 1) + 0.5, 81)
    grain = (
        1
        + 0.07 * value_noise(flat * [9, 1, 110] + board[:, None] * 3.7, 82)
        + 0.05 * value_noise(flat * [3, 1, 30], 83)
    )
    within = flat[:, 2] / 0.14 - board
    joint = 1 - 0.35 * (np.minimum(within, 1 - within) < 0.022)
    light = 1.0 - 0.10 * (flat[:, 0] + 0.3) + 0.05 * flat[:, 2]
    return (to_linear(np.array([0.60, 0.475, 0.36])) * (tone * grain * joint * light)[:, None]).reshape(points.shape)


def picture(actor: Actor, pose: BodyPose, room: Room, index: int, time_s: float) -> tuple[Frame, np.ndarray]:
    """One frame, and the joints (J, 3) in the camera's frame. The pose is in the world: y up, soles on y = 0."""
    import cv2

    from pipelines.rasterizers.cpu import rasterize
    from pipelines.studio.kernels import develop, shade, shadow_on_room

    verts, normals, joints = pose_actor(actor, pose)
    camera = room.camera
    fine = scale_camera(camera, 2)
    seen = to_camera(verts, fine)
    columns = seen[:, 0] / seen[:, 2] * fine.K[0, 0] + fine.K[0, 2]
    rows = seen[:, 1] / seen[:, 2] * fine.K[1, 1] + fine.K[1, 2]
    box = (
        max(0, int(columns.min()) - 1),
        max(0, int(rows.min()) - 1),
        min(fine.width, int(columns.max()) + 2),
        min(fine.height, int(rows.max()) + 2),
    )
    face_index, bary, depth = rasterize(verts, actor.faces, fine, box)
    lamp_camera, light_rows = lamp()
    _, _, lamp_depth = rasterize(verts, actor.faces, lamp_camera)
    colour = shade(
        face_index,
        bary,
        actor.faces,
        actor.material,
        actor.verts,
        actor.normals,
        verts,
        normals,
        actor.tint,
        actor.occlusion,
        actor.uvs,
        actor.face_uvs,
        actor.texture,
        actor.print_front,
        actor.print_back,
        actor.cut,
        actor.leg,
        actor.colours,
        EYE,
        KEY,
        KEY_COLOUR,
        SKY,
        GROUND,
        light_rows,
        lamp_depth,
    )
    height, width = room.depth_m.shape
    shadow = np.empty((height, width), np.float32)
    hidden = cv2.GaussianBlur((lamp_depth > 0).astype(np.float32), (0, 0), SHADOW_BLUR)
    shadow_on_room(room.light_points, room.points, hidden, feet_of(actor, joints), shadow)
    image = np.empty((height, width, 3), np.uint8)
    alpha, depth_m = np.empty((height, width), np.float32), np.empty((height, width), np.float32)
    grain = np.roll(room.grain, ((index * 97) % height, (index * 61) % width), (0, 1))
    develop(
        colour,
        face_index,
        depth,
        room.colour,
        room.depth_m,
        shadow,
        np.array(box),
        to_srgb_table(),
        grain,
        image,
        alpha,
        depth_m,
    )
    return Frame(index, time_s, image, depth_m, np.minimum(alpha, 1.0)), to_camera(joints, camera)


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
