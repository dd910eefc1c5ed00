"""Faces and skin: a texture painted in rest space, and eyes coloured by angle (build time)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pipelines.studio.meshwork import value_noise

if TYPE_CHECKING:
    from pipelines.studio.bake import Identity, Raw
    from pipelines.studio.hairdresser import Head

TEXTURE_SIZE = 1024


@dataclass(frozen=True)
class EyeLook:
    iris: tuple[float, float, float]
    brow: tuple[float, float, float]
    brow_width_m: float
    lips: tuple[float, float, float]


EYE_LOOKS = {
    "ada": EyeLook(iris=(0.24, 0.33, 0.22), brow=(0.27, 0.15, 0.09), brow_width_m=0.0050, lips=(0.72, 0.30, 0.32)),
    "ben": EyeLook(iris=(0.22, 0.13, 0.07), brow=(0.09, 0.06, 0.045), brow_width_m=0.0075, lips=(0.66, 0.40, 0.36)),
}


def tint_eyes(verts: np.ndarray, eyes: np.ndarray, look: EyeLook) -> np.ndarray:
    """(V, 3): pupil, iris with a dark rim, white that darkens to the corners, by angle from straight ahead."""
    which = np.linalg.norm(verts[:, None] - eyes[None], axis=2).argmin(1)
    ahead = verts - eyes[which]
    ahead /= np.linalg.norm(ahead, axis=1, keepdims=True)
    angle = np.degrees(np.arccos(np.clip(ahead[:, 2], -1, 1)))
    stops = [0, 9, 11, 19, 23, 26, 60, 180]
    iris = np.array(look.iris)
    colours = np.array(
        [
            (0.01,) * 3,
            (0.01,) * 3,
            iris,
            iris * 1.2,
            iris * 0.35,
            (0.82, 0.79, 0.77),
            (0.62, 0.55, 0.53),
            (0.5, 0.42, 0.40),
        ]
    )
    return np.stack([np.interp(angle, stops, colours[:, k]) for k in range(3)], 1)


def texel_positions(raw: Raw, size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What lies at each texel: rest position (size, size, 3), skin vertex weights of the face corners and hit mask."""
    from pipelines.core.records import Camera
    from pipelines.rasterizers.cpu import interpolate, rasterize

    figure = raw.figure
    flat = np.column_stack([figure.uvs * size, np.full(len(figure.uvs), 1.0)])
    page = Camera(K=np.eye(3), width=size, height=size, weak_depth_m=1.0)
    face_index, bary, _ = rasterize(flat, figure.face_uvs, page)
    return interpolate(face_index, bary, figure.verts, figure.faces), face_index, bary


def paint_skin(raw: Raw, head: Head, identity: Identity) -> np.ndarray:
    """(1024, 1024, 3) sRGB skin with lips, brows, blush, shaded sockets, nails, stubble and scalp under the hair."""
    from scipy.ndimage import distance_transform_edt

    from pipelines.rasterizers.cpu import interpolate
    from pipelines.studio.bake import EYE_LOOKS as looks
    from pipelines.studio.bake import uv_values
    from pipelines.studio.hairdresser import beard_density

    figure, size = raw.figure, TEXTURE_SIZE
    where, face_index, bary = texel_positions(raw, size)
    hit = face_index >= 0
    fields = np.stack(
        [
            head.lips,
            uv_values(raw, "mpfb_fingernails.jpg"),
            head.ear,
            figure.share("wrist.L", "wrist.R"),
            figure.share("head"),
        ],
        1,
    )
    lips, nails, ears, hands, on_head = interpolate(face_index, bary, fields, figure.faces)[hit].T
    p = where[hit].astype(float)
    look = looks["ben" if identity.bearded else "ada"]
    tone = np.array(identity.skin)
    eye = raw.eyes.mean(0)

    def blend(colour: np.ndarray, other: np.ndarray | tuple[float, ...], share: np.ndarray) -> np.ndarray:
        return colour + (np.asarray(other) - colour) * np.clip(share, 0, 1)[:, None]

    def blob(at: np.ndarray, radius: float) -> np.ndarray:
        mirrored = np.stack([np.abs(p[:, 0]), p[:, 1], p[:, 2]], 1)
        return np.exp(-(((mirrored - at) / radius) ** 2).sum(1))

    colour = np.tile(tone, (len(p), 1))
    mottled = 0.5 * value_noise(p * 25, 1) + 0.3 * value_noise(p * 70, 2) + 0.25 * value_noise(p * 260, 3)
    colour *= 1 + 0.035 * mottled[:, None] * [0.6, 1.1, 1.2]
    red = tone * [0.98, 0.74, 0.70]
    left = raw.eyes[0]
    colour = blend(colour, red, 0.55 * blob(np.array([0.042, left[1] - 0.042, left[2] + 0.01]), 0.022))
    nose = figure.verts[on_face(figure, raw)][:, 2].max()
    colour = blend(colour, red, 0.45 * blob(np.array([0.0, left[1] - 0.042, nose]), 0.016))
    colour = blend(colour, red, 0.5 * (ears > 0.3))
    knuckles = hands * (0.25 + 0.25 * value_noise(p * 60, 4))
    colour = blend(colour, red, knuckles)
    socket = blob(left + np.array([0, -0.004, 0.012]), 0.019)
    colour = blend(colour, tone * [0.74, 0.62, 0.60], 0.55 * socket)
    colour = blend(
        colour, tone * [0.6, 0.45, 0.42], 0.6 * blob(np.array([0.007, left[1] - 0.052, nose - 0.012]), 0.0055)
    )
    colour = blend(colour, look.lips, 0.9 * lips * (0.9 + 0.2 * value_noise(p * [900, 100, 300], 5)))
    mouth = figure.verts[head.lips > 0.5].mean(0)
    colour = blend(colour, (0.25, 0.08, 0.08), 0.7 * lips * np.exp(-(((p[:, 1] - mouth[1]) / 0.0016) ** 2)))
    colour = blend(colour, (0.88, 0.70, 0.66), 0.6 * nails)
    # brows: an arch over each eye
    across = (np.abs(p[:, 0]) - abs(left[0])) / 0.026
    bow = across - 0.35
    arch = left[1] + 0.0232 - np.where(bow < 0, 0.0013, 0.0075) * bow**2
    thick = look.brow_width_m * np.interp(across, [-0.8, -0.4, 0.5, 1.1], [0.75, 1.0, 0.85, 0.3])
    edge = np.clip(
        (thick / 2 - np.abs(p[:, 1] - arch)) / 0.0014 + 0.5 + 0.5 * value_noise(p * [500, 260, 200], 6), 0, 1
    )
    edge *= (across > -0.72 + 0.08 * value_noise(p * 400, 8)) & (across < 1.12) & (p[:, 2] > eye[2] - 0.01)
    colour = blend(colour, look.brow, 0.74 * edge)
    if identity.bearded:
        stubble = beard_density(head, p, lips) * (on_head > 0.2)
        colour = blend(colour, np.array(identity.hair) * 1.2, (0.72 + 0.2 * value_noise(p * 300, 7)) * stubble)
    covered = np.clip((head.above_hairline(p) + 0.002) / 0.008, 0, 1) * (on_head > 0.5) * (ears < 0.3)
    colour = blend(colour, np.array(identity.hair) * 0.8, 0.8 * covered)
    page = np.zeros((size, size, 3))
    page[hit] = colour
    nearest = distance_transform_edt(~hit, return_distances=False, return_indices=True)
    return page[tuple(nearest)]


def on_face(figure, raw: Raw) -> np.ndarray:
    """(V,) bool: near the middle of the face, where the nose is."""
    eye = raw.eyes.mean(0)
    verts = figure.verts
    return (np.abs(verts[:, 0]) < 0.03) & (np.abs(verts[:, 1] - eye[1] + 0.04) < 0.03) & (verts[:, 2] > eye[2] - 0.02)
