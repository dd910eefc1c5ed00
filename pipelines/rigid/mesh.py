"""A textured mesh from a file: vertices, faces, and where each face lies in one texture atlas."""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from pipelines.core.errors import AnrError
from pipelines.core.storage import read_npz, write_npz

ENDINGS = (".obj", ".glb", ".gltf")
MOST_TILES = 16                         # materials: each gets its own part of the atlas, which is 256 texels wide
GUTTER = 0.02                           # of a tile, kept free on every side, so that no tile's texels leak into another
WHOLE = 1e-5                            # texture coordinates this close to a whole number are it
UNWRAP = "Unwrap it (in Blender: UV > Smart UV Project) and export it with UVs; pictures on it are not needed."
# The loaders under trimesh raise whatever comes when a file is not what its name says.
BROKEN = (OSError, ValueError, KeyError, IndexError, TypeError, AttributeError, NotImplementedError, struct.error)


@dataclass(frozen=True, eq=False)
class ObjectMesh:
    """A rigid mesh; every corner of every face has its own texture coordinates."""

    verts: np.ndarray                   # (V, 3)
    faces: np.ndarray                   # (T, 3) counter-clockwise seen from outside
    corner_uvs: np.ndarray              # (T, 3, 2) u right, v down, of the face's tile; from 0, beyond 1 it repeats
    face_tile: np.ndarray               # (T,) which tile of the atlas, from 0
    tiles: int

    def moved(self, matrix: np.ndarray) -> ObjectMesh:
        """The mesh after a (4, 4) transform of its vertices."""
        return replace(self, verts=self.verts @ matrix[:3, :3].T + matrix[:3, 3])


def read_mesh(path: Path) -> ObjectMesh:
    """A mesh with texture coordinates from .obj, .glb or .gltf; the parts of a scene become one.

    Coordinates that lie outside 0..1 as a whole (the second copy of a repeating texture) are shifted back by whole
    numbers; a face that reaches over a border keeps reaching, and `atlas_uv` repeats within it.
    AnrError where it cannot be read, has no faces, or a part has no usable texture coordinates.
    """
    import trimesh

    if path.suffix.lower() not in ENDINGS:
        raise AnrError(f"{path} is not a mesh that can be read.", hint=f"Use one of {', '.join(ENDINGS)}.")
    if not path.exists():
        raise AnrError(f"There is no mesh {path}.", hint="Check the path.")
    try:
        loaded = trimesh.load(path, process=False)
        parts = _parts(loaded)
    except BROKEN as error:
        raise AnrError(f"{path} cannot be read as a mesh: {error}.", hint="Export it again.") from error
    if not parts:
        raise AnrError(f"{path} holds no triangles.", hint="Export the object itself, as a mesh.")
    return _joined(path, parts)


def atlas_uv(mesh: ObjectMesh, face_index: np.ndarray, uv: np.ndarray) -> np.ndarray:
    """Texture coordinates of pixels in the one atlas.

    face_index  (...) which face each pixel sees, -1 = none
    uv          (..., 2) `corner_uvs` interpolated there
    returns     (..., 2) float32 in 0..1; 0 where there is no face
    """
    seen = face_index >= 0
    repeats = repeating(mesh)[face_index][..., None] & seen[..., None]
    within = np.where(repeats, uv - np.floor(uv), np.clip(uv, 0.0, 1.0))
    if mesh.tiles > 1:
        side = math.ceil(math.sqrt(mesh.tiles))
        tile = mesh.face_tile[face_index]
        corner = np.stack([tile % side, tile // side], axis=-1)
        within = (corner + GUTTER + within * (1.0 - 2.0 * GUTTER)) / side
    return np.where(seen[..., None], within, 0.0).astype(np.float32)


def repeating(mesh: ObjectMesh) -> np.ndarray:
    """(T,) bool: which faces show a texture more than once."""
    return (mesh.corner_uvs > 1.0 + WHOLE).any(axis=(1, 2))


def shared_texture(mesh: ObjectMesh, size: int = 256) -> float:
    """Which share of the texels in use more than one place of the surface lies on (repeated or mirrored textures)."""
    from pipelines.core.records import Camera
    from pipelines.rasterizers.cpu import rasterize

    used, shared = 0, 0
    camera = Camera(np.diag([size, size, 1.0]), size, size, weak_depth_m=1.0)
    for tile in range(mesh.tiles):
        corners = mesh.corner_uvs[mesh.face_tile == tile]
        # each face in a depth of its own
        lies = np.repeat(1.0 + np.arange(len(corners)) / len(corners), 3)[:, None]
        faces = np.arange(3 * len(corners)).reshape(-1, 3)
        first, last = (rasterize(np.concatenate([corners.reshape(-1, 2), depth], axis=1), faces, camera)[0]
                       for depth in (lies, 3.0 - lies))
        used += int((first >= 0).sum())
        shared += int((first != last).sum())
    return shared / max(1, used)


def middle_of(mesh: ObjectMesh) -> np.ndarray:
    """(3,) the middle of its bounding box."""
    middle: np.ndarray = (mesh.verts.min(axis=0) + mesh.verts.max(axis=0)) / 2.0
    return middle


def write_mesh(path: Path, mesh: ObjectMesh) -> None:
    write_npz(path, verts=mesh.verts, faces=mesh.faces, corner_uvs=mesh.corner_uvs, face_tile=mesh.face_tile)


def read_stored_mesh(path: Path) -> ObjectMesh:
    stored = read_npz(path, ("verts", "faces", "corner_uvs", "face_tile"))
    return ObjectMesh(stored["verts"], stored["faces"], stored["corner_uvs"], stored["face_tile"],
                      int(stored["face_tile"].max()) + 1)


def _parts(loaded: Any) -> list[Any]:
    """The meshes of what was loaded, each where the scene puts it."""
    if hasattr(loaded, "faces"):
        return [loaded] if len(loaded.faces) else []
    found = []
    for node in loaded.graph.nodes_geometry:
        matrix, name = loaded.graph[node]
        part = loaded.geometry[name]
        if len(getattr(part, "faces", ())):
            found.append(part.copy().apply_transform(matrix))
    return found


def _joined(path: Path, parts: list[Any]) -> ObjectMesh:
    """One mesh of all parts; those of one material share a tile of the atlas."""
    verts: list[np.ndarray] = []
    faces: list[np.ndarray] = []
    uvs: list[np.ndarray] = []
    tile_of: list[np.ndarray] = []
    tiles: dict[Any, int] = {}
    start = 0
    for number, part in enumerate(parts, start=1):
        own = np.asarray(part.faces)
        uvs.append(_corner_uvs(path, part, number, len(parts))[own])
        verts.append(np.asarray(part.vertices, np.float64))
        faces.append(own + start)
        tile = tiles.setdefault(hash(part.visual.material), len(tiles))
        tile_of.append(np.full(len(own), tile, np.int32))
        start += len(part.vertices)
    if len(tiles) > MOST_TILES:
        raise AnrError(f"{path} has {len(tiles)} materials; the texture has room for {MOST_TILES}.",
                       hint="Bake them into one texture, and export again.")
    if not np.isfinite(np.concatenate(verts)).all():
        raise AnrError(f"{path} has vertices that are no numbers.", hint="Export it again.")
    corners = np.concatenate(uvs)
    shifted = corners - np.floor(corners.min(axis=1, keepdims=True) + WHOLE)
    return ObjectMesh(np.concatenate(verts), np.concatenate(faces).astype(np.int32), shifted,
                      np.concatenate(tile_of), len(tiles))


def _corner_uvs(path: Path, part: Any, number: int, count: int) -> np.ndarray:
    """(V, 2) u right, v down; AnrError where the part has none that a texture could be read by."""
    uv = getattr(part.visual, "uv", None)
    name = f"{path}" + (f" (part {number} of {count})" if count > 1 else "")
    if uv is None or len(uv) != len(part.vertices):
        raise AnrError(f"{name} has no texture coordinates (UV).", hint=UNWRAP)
    uv = np.asarray(uv, np.float64)
    if not np.isfinite(uv).all() or np.linalg.matrix_rank(uv - uv[0], tol=1e-6) < 2:
        raise AnrError(f"{name} has texture coordinates (UV) that cover no area.", hint=UNWRAP)
    return uv * [1, -1] + [0, 1]                     # trimesh counts v upwards
