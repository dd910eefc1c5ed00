"""The coarse body as a mesh file that other programs open."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from pipelines.body.model import Body


def write_mesh(path: Path, body: Body, verts: np.ndarray) -> None:
    """Writes a shaped or posed body with its texture coordinates; the ending (.glb, .obj, .ply) says how.

    verts  (V, 3) metres, y up; a vertex on a seam is written once for each of its texture coordinates
    """
    import trimesh

    if verts.shape != body.verts.shape:
        raise ValueError(f"expected verts {body.verts.shape}, got {verts.shape}")
    corners = np.stack([body.faces.ravel(), body.face_uvs.ravel()], axis=1)
    written, faces = np.unique(corners, axis=0, return_inverse=True)
    uvs = body.uvs[written[:, 1]] * [1, -1] + [0, 1]        # trimesh counts v upwards
    mesh = trimesh.Trimesh(verts[written[:, 0]], faces.reshape(-1, 3), process=False,
                           visual=trimesh.visual.TextureVisuals(uv=uvs))
    path.write_bytes(_encoded(mesh, path.suffix[1:]))


def _encoded(mesh, kind: str) -> bytes:  # type: ignore[no-untyped-def]
    exported = mesh.export(file_type=kind)
    return exported.encode() if isinstance(exported, str) else exported
