"""The proxy texture: a person's captured colours, unwrapped over the atlas into a picture that one can paint on."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import cv2
import numpy as np

from pipelines.body.model import Body
from pipelines.body.surface import face_map, region_map
from pipelines.core.records import Camera, SurfaceMaps
from pipelines.geometry.cameras import project, to_camera

PROXY_SIZE = 1024
FRONTAL = 4                             # power of the cosine by which a view counts: blur comes from slanting ones
LEAST_COSINE = 0.2                      # surfaces seen flatter than this tell no colour
SAME_SURFACE_M = 0.02                   # a texel this near to what the pixel shows is what it shows
SURE = 0.9                              # of the matte: below it the background shines through
ALIKE = 24.0                            # of 255: samples whose brightness is farther from the median are left out
SPREADS = (3.0, 9.0, 27.0, 81.0)        # texels over which neighbours of their region fill what nobody saw
OUTSIDE_GREY = 24


@dataclass(frozen=True, eq=False)
class Sight:
    """One captured frame with the body that was fitted to it."""

    image: np.ndarray                   # (H, W, 3) uint8 sRGB
    alpha: np.ndarray                   # (H, W) 0..1
    maps: SurfaceMaps
    verts: np.ndarray                   # (V, 3) metres, the camera's world
    camera: Camera                      # the one the maps were drawn with


@dataclass(frozen=True, eq=False)
class Texels:
    """Where on the body the texels of an atlas lie."""

    rows: np.ndarray                    # (N,)
    columns: np.ndarray                 # (N,)
    corners: np.ndarray                 # (N, 3) vertices of the face
    bary: np.ndarray                    # (N, 3) float32; beyond 0..1 in the gutters, where the face's plane goes on


def proxy_texture(body: Body, sights: Iterable[Sight], size: int = PROXY_SIZE) -> tuple[np.ndarray, np.ndarray]:
    """What the frames show on each texel, averaged without outliers; unseen texels filled from their region.

    returns  (size, size, 3) uint8 sRGB, grey outside the charts and their gutters; (size, size) bool, what was seen
    """
    texels = texels_of(body, size)
    looks = [_look(sight, texels) for sight in sights]
    colours, seen_texels = _settled(np.stack([c for c, _ in looks]), np.stack([w for _, w in looks]))
    picture, seen = np.zeros((size, size, 3), np.float32), np.zeros((size, size), bool)
    picture[texels.rows, texels.columns], seen[texels.rows, texels.columns] = colours, seen_texels
    regions = region_map(body, size)
    on_body = np.zeros((size, size), bool)
    on_body[texels.rows, texels.columns] = True
    filled = _filled(picture, seen, np.where(on_body, regions, 255))
    return np.where(on_body[..., None], np.rint(filled), OUTSIDE_GREY).astype(np.uint8), seen


def texels_of(body: Body, size: int) -> Texels:
    """The texels of the charts and of the gutters around them."""
    texel_face = face_map(body, size)
    rows, columns = np.nonzero(texel_face >= 0)
    faces = texel_face[rows, columns]
    a, b, c = (body.uvs[body.face_uvs[faces, corner]] * size for corner in range(3))
    u, v, w = b - a, c - a, np.stack([columns + 0.5, rows + 0.5], axis=1) - a
    area = u[:, 0] * v[:, 1] - u[:, 1] * v[:, 0]
    second = (w[:, 0] * v[:, 1] - w[:, 1] * v[:, 0]) / area
    third = (u[:, 0] * w[:, 1] - u[:, 1] * w[:, 0]) / area
    bary = np.stack([1 - second - third, second, third], axis=1).astype(np.float32)
    return Texels(rows, columns, body.faces[faces], bary)


def _look(sight: Sight, texels: Texels) -> tuple[np.ndarray, np.ndarray]:
    """Colours (N, 3) uint8 that a frame shows of the texels, and how much each counts (N,) float32; 0 = not seen."""
    places = np.einsum("nk,nkc->nc", texels.bary, sight.verts.astype(np.float32)[texels.corners])
    pixels = project(places, sight.camera)
    x0, y0, x1, y1 = sight.maps.box
    height, width = sight.image.shape[:2]
    column, row = (np.floor(np.nan_to_num(pixels[:, k], nan=-1e6)).astype(int) for k in (0, 1))
    within = (column >= max(x0, 0)) & (column < min(x1, width)) & (row >= max(y0, 0)) & (row < min(y1, height))
    column, row = np.where(within, column, max(x0, 0)), np.where(within, row, max(y0, 0))
    in_box = row - y0, column - x0
    near = np.abs(sight.maps.depth_m[in_box] - to_camera(places, sight.camera)[:, 2]) < SAME_SURFACE_M
    rays = to_camera(places, sight.camera)
    rays /= np.linalg.norm(rays, axis=1, keepdims=True)
    cosine = -(sight.maps.normal[in_box] * rays).sum(1)
    shown = within & near & sight.maps.inside[in_box] & (cosine > LEAST_COSINE) & (sight.alpha[row, column] >= SURE)
    weight = np.where(shown, np.clip(cosine, 0, 1) ** FRONTAL, 0).astype(np.float32)
    at = (np.nan_to_num(pixels) - 0.5).astype(np.float32)
    colours = np.zeros((len(places), 3), np.uint8)
    picked = np.flatnonzero(weight > 0)
    for start in range(0, len(picked), 30_000):             # cv2.remap takes pictures of at most 32767 pixels a side
        part = picked[start:start + 30_000]
        colours[part] = cv2.remap(sight.image, at[part, 0][None], at[part, 1][None], cv2.INTER_LINEAR,
                                  borderMode=cv2.BORDER_REPLICATE)[0]
    return colours, weight


def _settled(colours: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """One colour per texel: the weighted mean of those about as bright as the weighted median.

    colours (K, N, 3) uint8, weights (K, N); returns (N, 3) float32 and (N,) bool, whether anybody saw it
    """
    brightness = colours.astype(np.float32).mean(axis=2)
    order = np.argsort(brightness, axis=0)
    passed = np.cumsum(np.take_along_axis(weights, order, 0), axis=0)
    middle = (passed >= 0.5 * passed[-1]).argmax(axis=0)
    median = np.take_along_axis(brightness, np.take_along_axis(order, middle[None], 0), 0)
    kept = weights * (np.abs(brightness - median) <= ALIKE)
    total = kept.sum(axis=0)
    mean = np.einsum("kn,knc->nc", kept, colours.astype(np.float32)) / np.maximum(total, 1e-9)[:, None]
    return mean, total > 0


def _filled(picture: np.ndarray, seen: np.ndarray, regions: np.ndarray) -> np.ndarray:
    """Unseen texels get the colours of their region's nearest seen ones, else its mean, else the person's."""
    if not seen.any():
        raise ValueError("no frame shows any texel")
    filled = picture.copy()
    filled[~seen] = picture[seen].mean(axis=0)
    for region in np.unique(regions[regions < 255]):
        here = regions == region
        own, missing = here & seen, here & ~seen
        if not own.any() or not missing.any():
            continue
        filled[missing] = picture[own].mean(axis=0)
        known = np.dstack([np.where(own[..., None], picture, 0), own]).astype(np.float32)
        small = cv2.resize(known, None, fx=0.25, fy=0.25, interpolation=cv2.INTER_AREA)
        for sigma in reversed(SPREADS):         # a quarter of the size: what nobody saw need not be sharp
            spread = cv2.resize(cv2.GaussianBlur(small, (0, 0), sigma / 4), seen.shape[::-1])
            near = missing & (spread[..., 3] > 0.02)
            filled[near] = spread[near][:, :3] / spread[near][:, 3:]
    return filled
