"""Mesh and cameras brought into one frame: y up, the object standing on y = 0 about the origin, its diagonal 1."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from pipelines.core.errors import AnrError
from pipelines.core.records import Camera
from pipelines.geometry.rotations import rotation_between
from pipelines.rigid.mesh import ObjectMesh
from pipelines.rigid.surface import object_maps

UPS = {"x": (1, 0, 0), "y": (0, 1, 0), "z": (0, 0, 1), "-x": (-1, 0, 0), "-y": (0, -1, 0), "-z": (0, 0, -1)}
AUTO = "auto"
SAME, GLTF = "same", "gltf"
MESH_AXES = (SAME, GLTF)
Y_UP_TO_Z_UP = np.array([[1.0, 0, 0, 0], [0, 0, -1, 0], [0, 1, 0, 0], [0, 0, 0, 1]])   # Blender's export, undone
NEARLY_AXIS_DEG = 35.0                  # cameras whose mean up is this close to an axis mean the axis
LEAST_OVERLAP = 0.5                     # intersection over union of mesh and masks, mean over the views looked at
MUCH_BETTER = 0.1                       # more overlap than this with other axes: those are meant
LOOKED_AT = 12                          # views


@dataclass(frozen=True, eq=False)
class Standing:
    """How the world of the pictures became the object's frame."""

    matrix: np.ndarray                  # (4, 4) world to object: a rotation, a shift and a scale
    up: str                             # the world's axis that is up, or its three numbers


def axes_of(mesh: ObjectMesh, axes: str) -> ObjectMesh:
    """The mesh in the cameras' world: as it is, or a y-up file turned as Blender's z-up world has it."""
    return mesh if axes == SAME else mesh.moved(Y_UP_TO_Z_UP)


def standing_of(mesh: ObjectMesh, cameras: Sequence[Camera], up: str) -> Standing:
    """What puts an object on its feet.

    up  "auto" (the mean up of the cameras, or the axis next to it), or one of `UPS`
    """
    direction, told = (np.array(UPS[up], float), up) if up != AUTO else _up_of(cameras)
    turn = rotation_between(direction, np.array([0.0, 1.0, 0.0]))
    turned = mesh.verts @ turn.T
    low, high = turned.min(axis=0), turned.max(axis=0)
    scale = 1.0 / float(np.linalg.norm(high - low))
    foot = np.array([(low[0] + high[0]) / 2, low[1], (low[2] + high[2]) / 2])
    matrix = np.eye(4)
    matrix[:3, :3] = scale * turn
    matrix[:3, 3] = -scale * foot
    return Standing(matrix, told)


def moved_camera(camera: Camera, standing: Standing) -> Camera:
    """The same view of a world that was moved: distances along its axis are scaled as well."""
    scale = np.linalg.norm(standing.matrix[:3, 0])
    world_to_camera = camera.world_to_camera @ np.linalg.inv(standing.matrix)
    world_to_camera[:3] = scale * world_to_camera[:3]
    return replace(camera, world_to_camera=world_to_camera)


def overlap(mesh: ObjectMesh, camera: Camera, alpha: np.ndarray) -> float:
    """Intersection over union of the mesh's outline and a mask (H, W); 0 where neither is there."""
    covered = np.zeros(alpha.shape, bool)
    maps = object_maps(mesh, camera)
    x0, y0, x1, y1 = maps.box
    covered[y0:y1, x0:x1] = maps.inside
    both, either = (covered & (alpha > 0.5)).sum(), (covered | (alpha > 0.5)).sum()
    return float(both / either) if either else 0.0


def check_overlap(found: dict[str, float], axes: str) -> None:
    """AnrError where mesh and masks do not lie upon each other, naming what would help.

    found  {axes: mean overlap} for every choice of axes
    """
    better = max(found, key=lambda each: found[each])
    told = f"The mesh covers the object poorly: it overlaps the masks by {found[axes]:.0%}."
    if found[better] > max(LEAST_OVERLAP, found[axes] + MUCH_BETTER):
        raise AnrError(told, hint=f"With --mesh-axes {better} they overlap by {found[better]:.0%}.")
    if found[axes] < LEAST_OVERLAP:
        raise AnrError(told, hint="Mesh and cameras must be in one frame and unit: export both from one program, and "
                                  "apply the object's transform first.")


def _up_of(cameras: Sequence[Camera]) -> tuple[np.ndarray, str]:
    ups = -np.stack([camera.world_to_camera[1, :3] for camera in cameras])
    mean = ups.mean(axis=0)
    length = np.linalg.norm(mean)
    if length < 0.1:
        raise AnrError("Which way is up cannot be told from the cameras: they are held all ways round.",
                       hint=f"Say it: --up {', '.join(UPS)}.")
    mean /= length
    name = max(UPS, key=lambda each: float(mean @ UPS[each]))
    if float(mean @ UPS[name]) >= np.cos(np.radians(NEARLY_AXIS_DEG)):
        return np.array(UPS[name], float), name
    return mean, " ".join(f"{part:.3f}" for part in mean)
