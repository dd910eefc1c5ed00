"""Contact sheets of motions on our body, to look at: eight frames in a row, the file's own skeleton beneath.

    python tests/benchmarks/motion_sheet.py OUT [FILE.bvh ...] [--view-deg 30] [--size 260] [--body-only]

Left limbs are red, right ones blue; the grid on the floor has cells of 25 cm. OUT is a folder, a PNG per file, or a
picture (.jpg, .png) with a row of bodies per file. Without files: all of ../shared/data/bvh.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import cv2
import numpy as np

from pipelines.body.model import Body, load_body, pose_body
from pipelines.core.records import BodyPose, Camera
from pipelines.geometry.cameras import project
from pipelines.media.images import write_image
from pipelines.media.sheets import spread, tile
from pipelines.motion.bvh import BvhFile, read_bvh
from pipelines.motion.retarget import Retargeted, retarget_fully
from pipelines.rasterizers.cpu import surface_maps

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"
MIDDLE, LEFT, RIGHT = (200, 200, 200), (240, 120, 110), (110, 150, 240)
FRAMES, AWAY_M, EYE_M = 8, 2.9, 1.0


def rows_of(result: Retargeted, bvh: BvhFile, body: Body, view: float, size: int) -> tuple[np.ndarray, np.ndarray]:
    """The row of bodies and the row of the file's skeletons."""
    bodies, skeletons = [], []
    for k in spread(len(result.motion.joint_rotations), FRAMES):
        root = result.motion.root_translation[k]
        camera = camera_at(root, view, size)
        verts, _ = pose_body(body, np.zeros(0), BodyPose(result.motion.joint_rotations[k], root))
        bodies.append(drawn_body(verts, body, floor_seen(camera, root), camera))
        skeletons.append(drawn_skeleton(result.source_joints[k], bvh, result.joint_map.joints,
                                        floor_seen(camera, root), camera))
    return tile(bodies, FRAMES, gap=0), tile(skeletons, FRAMES, gap=0)


def camera_at(root: np.ndarray, view: float, size: int) -> Camera:
    """A level camera before the person; view in radians from the front to the person's left."""
    forward = -np.array([np.sin(view), 0.0, np.cos(view)])
    axes = np.stack([[np.cos(view), 0.0, -np.sin(view)], [0.0, -1.0, 0.0], forward])
    world_to_camera = np.eye(4)
    world_to_camera[:3, :3] = axes
    world_to_camera[:3, 3] = -axes @ (root * [1, 0, 1] + [0, EYE_M, 0] - AWAY_M * forward)
    width = int(0.8 * size)
    K = np.array([[1.25 * size, 0, width / 2], [0, 1.25 * size, size / 2], [0, 0, 1.0]])
    return Camera(K=K, width=width, height=size, world_to_camera=world_to_camera)


def floor_seen(camera: Camera, root: np.ndarray) -> np.ndarray:
    picture = np.full((camera.height, camera.width, 3), 255, np.uint8)
    corner = np.round(root[[0, 2]] * 4) / 4
    for step in np.arange(-1.5, 1.51, 0.25):
        for line in (((step, -1.5), (step, 1.5)), ((-1.5, step), (1.5, step))):
            ends = np.array([[x + corner[0], 0.0, z + corner[1]] for x, z in line])
            draw_line(picture, project(ends, camera), (205, 222, 205), 1)
    return picture


def drawn_body(verts: np.ndarray, body: Body, picture: np.ndarray, camera: Camera) -> np.ndarray:
    maps = surface_maps(body.faces, body.uvs, body.face_uvs, verts, camera, (0, 0, camera.width, camera.height))
    heaviest = body.skin_indices[np.arange(len(verts)), body.skin_weights.argmax(axis=1)][body.faces[:, 0]]
    colours = np.array([{"L": LEFT, "R": RIGHT}.get(body.joint_names[j][-1], MIDDLE) for j in heaviest], float)
    shade = 0.45 + 0.55 * np.clip(-maps.normal[..., 2], 0, 1)
    picture[maps.inside] = (colours[maps.face_index[maps.inside]] * shade[maps.inside, None]).astype(np.uint8)
    return picture


def drawn_skeleton(joints: np.ndarray, bvh: BvhFile, known: dict[str, int], picture: np.ndarray,
                   camera: Camera) -> np.ndarray:
    """The bones; those that hang from a left or right hip or shoulder in that side's colour."""
    side = dict.fromkeys(range(len(joints)), (70, 70, 70))
    for part, joint in known.items():
        if part[:-2] in ("hip", "collar", "shoulder"):
            side[joint] = LEFT if part.endswith("L") else RIGHT
    pixels = project(joints, camera)
    for joint, parent in enumerate(bvh.parents):
        if parent >= 0:
            if side[joint] == (70, 70, 70):
                side[joint] = side[int(parent)]
            draw_line(picture, pixels[[joint, parent]], side[joint], 2)
    return picture


def draw_line(picture: np.ndarray, ends: np.ndarray, colour: tuple[int, int, int], width: int) -> None:
    if np.isfinite(ends).all():
        a, b = (tuple(round(float(v)) for v in end) for end in ends)
        cv2.line(picture, a, b, colour, width, cv2.LINE_AA)


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("files", nargs="*", type=Path)
    parser.add_argument("--view-deg", type=float, default=30.0)
    parser.add_argument("--size", type=int, default=260, help="height of each frame in pixels")
    parser.add_argument("--body-only", action="store_true", help="leave the skeletons out")
    typed = parser.parse_args(arguments)
    body = load_body()
    all_rows: list[np.ndarray] = []
    for path in typed.files or sorted(SHARED.glob("bvh/*.bvh")):
        bvh = read_bvh(path)
        result = retarget_fully(bvh, body, np.zeros(0))
        bodies, skeletons = rows_of(result, bvh, body, np.radians(typed.view_deg), typed.size)
        rows = [bodies] if typed.body_only else [bodies, skeletons]
        all_rows += rows
        if not typed.out.suffix:
            typed.out.mkdir(exist_ok=True)
            write_image(typed.out / f"{path.stem}.png", tile(rows, 1, gap=0))
            print(typed.out / f"{path.stem}.png")
    if typed.out.suffix:
        write_image(typed.out, tile(all_rows, 1, gap=0))


if __name__ == "__main__":
    main(sys.argv[1:])
