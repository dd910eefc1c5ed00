"""Faces and skin: a texture painted in rest space, and eyes coloured by angle (build time)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pipelines.studio.figure import Figure
from pipelines.studio.identities import Face, Identity
from pipelines.studio.meshwork import normals_of, value_noise

if TYPE_CHECKING:
    from pipelines.studio.dressing import Raw
    from pipelines.studio.hairdresser import Head

TEXTURE_SIZE = 1024


@dataclass(frozen=True, eq=False)
class Page:
    """What lies at each texel of the skin's texture."""

    p: np.ndarray  # (N, 3) place at rest
    normals: np.ndarray  # (N, 3)
    lips: np.ndarray  # (N,) 0..1, as are the rest
    nails: np.ndarray
    ears: np.ndarray
    hands: np.ndarray
    on_head: np.ndarray


def tint_eyes(verts: np.ndarray, eyes: np.ndarray, look: Face) -> np.ndarray:
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
    from pipelines.studio.beards import beard_density
    from pipelines.studio.dressing import uv_values

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
    normals = interpolate(face_index, bary, normals_of(figure.verts, figure.faces), figure.faces)[hit]
    page = Page(p, normals, lips, nails, ears, hands, on_head)
    colour = face_paint(complexion(page, identity, raw), page, identity, raw, head)
    if identity.hair.beard_m or identity.face.stubble:
        share = 0.75 if identity.hair.beard_m else 0.6 * identity.face.stubble
        stubble = beard_density(head, p, lips) * (on_head > 0.2)
        uneven = 1 + 0.25 * value_noise(p * 420, 7)
        colour = blend(colour, np.array(identity.hair.colour) * 1.2, share * uneven * stubble)
    covered = np.clip((head.above_hairline(p) + 0.002) / 0.010, 0, 1) * (on_head > 0.5) * (ears < 0.3)
    cropped = 0.62 + 0.10 * value_noise(p * 500, 9) if identity.hair.style == "shaved" else np.full(len(p), 0.8)
    colour = blend(colour, np.array(identity.hair.colour) * 0.8, cropped * covered)
    picture = np.zeros((size, size, 3))
    picture[hit] = colour
    nearest = distance_transform_edt(~hit, return_distances=False, return_indices=True)
    return picture[tuple(nearest)]


def blend(colour: np.ndarray, other: np.ndarray | tuple[float, ...], share: np.ndarray) -> np.ndarray:
    return colour + (np.asarray(other) - colour) * np.clip(share, 0, 1)[:, None]


def blob(p: np.ndarray, at: np.ndarray, radius: float) -> np.ndarray:
    """(N,) 1 at a place and its mirror image, falling off with `radius`."""
    mirrored = np.stack([np.abs(p[:, 0]), p[:, 1], p[:, 2]], 1)
    return np.exp(-(((mirrored - at) / radius) ** 2).sum(1))


def flushed(tone: np.ndarray) -> np.ndarray:
    """Skin where blood shows through; dark skin hides it."""
    dark = np.clip((0.6 - tone.max()) / 0.3, 0, 1)
    return tone * (np.array([0.98, 0.74, 0.70]) * (1 - dark) + np.array([0.95, 0.80, 0.78]) * dark)


def complexion(page: Page, identity: Identity, raw: Raw) -> np.ndarray:
    """(N, 3) skin before anything is drawn on it: mottled, flushed at knuckles and ears, pale palms, freckles, age."""
    p, tone, face = page.p, np.array(identity.skin), identity.face
    red, eye = flushed(tone), raw.eyes.mean(0)
    colour = np.tile(tone, (len(p), 1))
    mottled = 0.5 * value_noise(p * 25, 1) + 0.3 * value_noise(p * 70, 2) + 0.25 * value_noise(p * 260, 3)
    colour *= 1 + 0.035 * mottled[:, None] * [0.6, 1.1, 1.2]
    colour = blend(colour, red, 0.5 * (page.ears > 0.3))
    colour = blend(colour, red, page.hands * (0.25 + 0.25 * value_noise(p * 60, 4)))
    pale = np.clip(tone + 0.55 * (np.array([0.80, 0.60, 0.50]) - tone), tone, 1)
    palm = page.hands * np.clip(-0.2 - page.normals[:, 1] * 0.7 - page.normals[:, 2] * 0.3, 0, 0.5) * 2
    colour = blend(colour, pale, palm * np.clip((0.75 - tone.max()) / 0.3, 0, 0.8))
    near_face = page.on_head * np.exp(-np.clip(np.abs(p[:, 1] - eye[1] + 0.03) - 0.03, 0, None) / 0.02)
    spots = np.clip((value_noise(p * 520, 10) + 0.35 * value_noise(p * 90, 11) - 0.40) / 0.25, 0, 1)
    colour = blend(colour, tone * [0.80, 0.62, 0.50], face.freckles * spots * (0.12 + 0.5 * near_face))
    brown = np.clip((value_noise(p * 75, 12) - 0.62) / 0.15, 0, 1) * (0.4 * page.hands + 0.25 * near_face)
    return blend(colour, tone * [0.72, 0.56, 0.46], face.age * brown)


def face_paint(colour: np.ndarray, page: Page, identity: Identity, raw: Raw, head: Head) -> np.ndarray:
    """Blush, shaded sockets, nostrils, lips, nails, lines and brows drawn on the complexion."""
    figure, p, face, lips = raw.figure, page.p, identity.face, page.lips
    tone, eye, left = np.array(identity.skin), raw.eyes.mean(0), raw.eyes[0]
    red = flushed(tone)
    nose = figure.verts[on_face(figure, raw)][:, 2].max()
    colour = blend(colour, red, face.blush * blob(p, np.array([0.042, left[1] - 0.042, left[2] + 0.01]), 0.022))
    colour = blend(colour, red, 0.9 * face.blush * blob(p, np.array([0.0, left[1] - 0.042, nose]), 0.016))
    socket = blob(p, left + np.array([0, -0.004, 0.012]), 0.019)
    colour = blend(colour, tone * [0.74, 0.62, 0.60], 0.55 * socket)
    ball = np.linalg.norm(np.stack([np.abs(p[:, 0]), p[:, 1], p[:, 2]], 1) - left, axis=1)
    lid = np.exp(-(((ball - np.percentile(ball, 0.02) - 0.0012) / 0.0016) ** 2)) * (p[:, 2] > left[2])
    colour = blend(colour, np.array(face.brow) * 0.5, np.where(p[:, 1] > left[1] - 0.001, 0.75, 0.35) * lid)
    nostril = blob(p, np.array([0.007, left[1] - 0.052, nose - 0.012]), 0.0055)
    colour = blend(colour, tone * [0.6, 0.45, 0.42], 0.6 * nostril)
    colour = blend(colour, face.lips, 0.9 * lips * (0.9 + 0.2 * value_noise(p * [900, 100, 300], 5)))
    mouth = figure.verts[head.lips > 0.5].mean(0)
    gap = np.exp(-(((p[:, 1] - mouth[1]) / 0.0016) ** 2))
    colour = blend(colour, np.array(face.lips) * 0.4, 0.7 * lips * gap)
    colour = blend(colour, 0.5 * tone + 0.5 * np.array([0.88, 0.70, 0.66]), 0.6 * page.nails)
    colour = blend(colour, tone * [0.70, 0.58, 0.55], 0.5 * face.age * lines_of_age(p, left, mouth))
    # brows: an arch over each eye
    across = (np.abs(p[:, 0]) - abs(left[0])) / 0.026
    bow = across - 0.35
    arch = left[1] + 0.0232 - np.where(bow < 0, 0.0013, 0.0075) * bow**2
    thick = face.brow_width_m * np.interp(across, [-0.8, -0.4, 0.5, 1.1], [0.75, 1.0, 0.85, 0.3])
    ragged = 0.5 * value_noise(p * [500, 260, 200], 6)
    edge = np.clip((thick / 2 - np.abs(p[:, 1] - arch)) / 0.0014 + 0.5 + ragged, 0, 1)
    edge *= (across > -0.72 + 0.08 * value_noise(p * 400, 8)) & (across < 1.12) & (p[:, 2] > eye[2] - 0.01)
    return blend(colour, face.brow, 0.74 * edge)


def lines_of_age(p: np.ndarray, left: np.ndarray, mouth: np.ndarray) -> np.ndarray:
    """(N,) lines across the brow, from the nose to the corners of the mouth, and beside the eyes."""
    x, y = np.abs(p[:, 0]), p[:, 1]
    bend = 0.0025 * value_noise(p * [60, 20, 60], 13)
    brow_line = np.exp(-((((y - left[1] + bend) % 0.0095) - 0.0047) / 0.0011) ** 2)
    brow_line *= np.clip((y - left[1] - 0.036) / 0.006, 0, 1) * np.clip((left[1] + 0.066 - y) / 0.006, 0, 1)
    brow_line *= np.clip((0.036 - x) / 0.015, 0, 1) * (p[:, 2] > left[2] - 0.02)
    t = (left[1] - 0.048 - y) / max(left[1] - 0.048 - mouth[1], 1e-6)  # 0 beside the nose, 1 at the mouth
    fold = np.exp(-(((x - 0.019 - 0.012 * t) / 0.0022) ** 2)) * np.clip(t + 0.1, 0, 1) * (t < 1.15)
    rays = np.arctan2(y - left[1] + 0.004, x - left[0])
    crow = np.exp(-(((rays % 0.28) - 0.14) / 0.05) ** 2) * (np.abs(rays) < 0.6)
    apart = np.hypot(x - left[0], y - left[1])
    crow *= np.clip((apart - 0.021) / 0.003, 0, 1) * np.clip((0.033 - apart) / 0.006, 0, 1)
    return np.maximum(np.maximum(0.7 * brow_line, fold), 0.8 * crow)


def on_face(figure: Figure, raw: Raw) -> np.ndarray:
    """(V,) bool: near the middle of the face, where the nose is."""
    eye = raw.eyes.mean(0)
    verts = figure.verts
    return (np.abs(verts[:, 0]) < 0.03) & (np.abs(verts[:, 1] - eye[1] + 0.04) < 0.03) & (verts[:, 2] > eye[2] - 0.02)
