"""Lens distortion: where a lens bends a ray to, the way back, and pictures as a pinhole camera would have taken them.

The model is Brown and Conrady's in its rational form, coefficients in OpenCV's order k1 k2 p1 p2 k3 k4 k5 k6:
0 (no distortion), 4, 5 or 8 numbers. Points are normalised: (X/Z, Y/Z), before K.

source  OpenCV, "Camera Calibration and 3D Reconstruction", detailed description; Azure Kinect writes the same numbers
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from pipelines.core.records import Camera

MODEL_SIZES = (0, 4, 5, 8)
STEPS = 40                              # Newton's; five do on a camera, the rest is for points near the fold
CLOSE = 1e-10                           # normalised units: a millionth of a pixel on any camera here
WIDEST_ZOOM = 1.25                      # a picture that would need more is left with black borders


def distort(points: np.ndarray, distortion: np.ndarray) -> np.ndarray:
    """Where the lens bends undistorted rays to.

    points      (..., 2) normalised
    distortion  see the module; ValueError for another number of coefficients
    returns     (..., 2) normalised. Far outside the lens's field the polynomial is meaningless: see `undistort`
    """
    points = np.asarray(points, float)
    _check_points(points)
    k1, k2, p1, p2, k3, k4, k5, k6 = rational(distortion)
    x, y = points[..., 0], points[..., 1]
    r2 = x * x + y * y
    radial = (1 + r2 * (k1 + r2 * (k2 + r2 * k3))) / (1 + r2 * (k4 + r2 * (k5 + r2 * k6)))
    return np.stack([x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x * x),
                     y * radial + p1 * (r2 + 2 * y * y) + 2 * p2 * x * y], axis=-1)


def undistort(points: np.ndarray, distortion: np.ndarray) -> np.ndarray:
    """The rays that `distort` takes to these points, to machine precision (Newton's method with the exact Jacobian).

    points   (..., 2) normalised, distorted
    returns  (..., 2); NaN where no ray on the near side of the lens's fold is bent to that point (a polynomial lens
             folds over somewhere outside its field, and a point beyond has no meaning)
    """
    points = np.asarray(points, float)
    _check_points(points)
    coefficients = rational(distortion)
    if not np.any(coefficients):
        return points.copy()
    wanted = points.reshape(-1, 2)
    found = wanted.copy()
    miss = distort(found, coefficients) - wanted
    for _ in range(STEPS):
        active = np.flatnonzero(np.abs(miss).max(axis=1) > CLOSE * 1e-3)
        if not len(active):
            break
        step = _solve(_jacobian(found[active], coefficients), miss[active])
        before = np.linalg.norm(miss[active], axis=1)
        share = np.ones(len(active))
        for _ in range(6):                               # halve what makes it worse
            tried = found[active] - share[:, None] * step
            after = distort(tried, coefficients) - wanted[active]
            worse = ~(np.linalg.norm(after, axis=1) <= before)
            if not worse.any():
                break
            share[worse] *= 0.5
        found[active], miss[active] = tried, after
    off = ~(np.abs(miss).max(axis=1) <= CLOSE) | folded(found, coefficients)
    found[off] = np.nan
    return found.reshape(points.shape)


def folded(points: np.ndarray, distortion: np.ndarray) -> np.ndarray:
    """(...) bool: which undistorted rays (..., 2) lie at or beyond the radius where the radial part stops growing."""
    points = np.asarray(points, float)
    return np.sum(points * points, axis=-1) >= fold_radius(rational(distortion)) ** 2


def fold_radius(coefficients: np.ndarray) -> float:
    """The smallest radius at which r * radial(r) no longer grows; infinite where it always does."""
    k1, k2, _, _, k3, k4, k5, k6 = coefficients
    above = np.polynomial.Polynomial([0, 1, 0, k1, 0, k2, 0, k3])
    below = np.polynomial.Polynomial([1, 0, k4, 0, k5, 0, k6])
    turning = above.deriv() * below - above * below.deriv()
    roots = np.concatenate([turning.roots(), below.roots()])
    radii = roots.real[(np.abs(roots.imag) < 1e-9) & (roots.real > 0)]
    return float(radii.min()) if len(radii) else float("inf")


def _jacobian(points: np.ndarray, coefficients: np.ndarray) -> np.ndarray:
    """(N, 2, 2): how `distort` moves with the point."""
    k1, k2, p1, p2, k3, k4, k5, k6 = coefficients
    x, y = points[:, 0], points[:, 1]
    r2 = x * x + y * y
    above, below = 1 + r2 * (k1 + r2 * (k2 + r2 * k3)), 1 + r2 * (k4 + r2 * (k5 + r2 * k6))
    radial = above / below
    slope = ((k1 + r2 * (2 * k2 + r2 * 3 * k3)) - radial * (k4 + r2 * (2 * k5 + r2 * 3 * k6))) / below
    mixed = 2 * x * y * slope + 2 * p1 * x + 2 * p2 * y
    return np.stack([
        np.stack([radial + 2 * x * x * slope + 2 * p1 * y + 6 * p2 * x, mixed], axis=-1),
        np.stack([mixed, radial + 2 * y * y * slope + 6 * p1 * y + 2 * p2 * x], axis=-1),
    ], axis=-2)


def _solve(jacobian: np.ndarray, miss: np.ndarray) -> np.ndarray:
    (a, b), (c, d) = np.moveaxis(jacobian, 0, -1)
    determinant = a * d - b * c
    determinant = np.where(np.abs(determinant) > 1e-12, determinant, 1e-12)
    return np.stack([d * miss[:, 0] - b * miss[:, 1], a * miss[:, 1] - c * miss[:, 0]], axis=-1) / determinant[:, None]


def rational(distortion: np.ndarray) -> np.ndarray:
    """All eight coefficients (8,), the ones not given being 0; ValueError for another number than 0, 4, 5 or 8."""
    given = np.asarray(distortion, float).ravel()
    if len(given) not in MODEL_SIZES:
        raise ValueError(f"expected {', '.join(map(str, MODEL_SIZES))} distortion coefficients, got {len(given)}")
    return np.concatenate([given, np.zeros(8 - len(given))])


def _check_points(points: np.ndarray) -> None:
    if points.shape[-1:] != (2,):
        raise ValueError(f"expected points (..., 2), got {points.shape}")


def pixel_rays(camera: Camera) -> np.ndarray:
    """(H, W, 2) normalised, undistorted: the ray through every pixel's centre; NaN where the lens has none. Read-only:
    a camera asked for again answers at once."""
    lens = rational(camera.distortion)
    return _rays(camera.width, camera.height, camera.K.astype(float).tobytes(), lens.tobytes())


@lru_cache(maxsize=4)
def _rays(width: int, height: int, K: bytes, lens: bytes) -> np.ndarray:
    v, u = np.mgrid[0:height, 0:width] + 0.5
    bent = _normalised(np.stack([u, v], axis=-1), np.frombuffer(K).reshape(3, 3))
    rays = undistort(bent, np.frombuffer(lens))
    rays.setflags(write=False)
    return rays


def _normalised(pixels: np.ndarray, K: np.ndarray) -> np.ndarray:
    y = (pixels[..., 1] - K[1, 2]) / K[1, 1]
    return np.stack([(pixels[..., 0] - K[0, 2] - K[0, 1] * y) / K[0, 0], y], axis=-1)


@dataclass(frozen=True, eq=False)
class Straightener:
    """Takes a distorted camera's pictures to a pinhole camera; the map is computed once."""

    camera: Camera                      # the pinhole camera: same size and place, no distortion
    fixed_map: tuple[np.ndarray, np.ndarray] | None      # OpenCV's, (H, W, 2) int16 and (H, W) uint16; None = no change

    def picture(self, image: np.ndarray) -> np.ndarray:
        """(H, W, C) uint8 straightened, bilinear; black where the lens saw nothing. No copy without distortion."""
        import cv2

        if image.shape[:2] != (self.camera.height, self.camera.width):
            raise ValueError(f"expected ({self.camera.height}, {self.camera.width}, C), got {image.shape}")
        if self.fixed_map is None:
            return image
        return cv2.remap(image, *self.fixed_map, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)


def straightener(camera: Camera) -> Straightener:
    """What undistorts the pictures of a camera.

    The pinhole camera keeps size, place and K. Only where that would leave black borders (pincushion distortion) both
    focal lengths grow by the smallest factor, at most `WIDEST_ZOOM`, that fills the picture.
    """
    import cv2

    if not np.any(camera.distortion):
        return Straightener(replace(camera, distortion=np.zeros(0)), None)
    pinhole = straight_camera(camera)
    source = (_seen_by(pinhole, camera) - 0.5).astype(np.float32)        # OpenCV counts from pixel centres
    source[~np.isfinite(source).all(axis=-1)] = -10.0
    coarse, fine = cv2.convertMaps(source[..., 0], source[..., 1], cv2.CV_16SC2)
    return Straightener(pinhole, (np.asarray(coarse), np.asarray(fine)))


def straight_camera(camera: Camera) -> Camera:
    """The pinhole camera of `straightener`, without its map."""
    low, high = 1.0, WIDEST_ZOOM
    if not _zoomed_fits(camera, high) or _zoomed_fits(camera, low):
        return _zoomed(camera, low)
    while high - low > 1e-4:
        middle = (low + high) / 2
        low, high = (low, middle) if _zoomed_fits(camera, middle) else (middle, high)
    return _zoomed(camera, high)


def _zoomed(camera: Camera, zoom: float) -> Camera:
    K = camera.K.copy()
    K[:2, :2] *= zoom
    return replace(camera, K=K, distortion=np.zeros(0))


def _zoomed_fits(camera: Camera, zoom: float) -> bool:
    """Whether every pixel on the border of the zoomed pinhole picture shows something the lens saw."""
    width, height = camera.width, camera.height
    across, down = np.arange(width) + 0.5, np.arange(height) + 0.5
    border = np.concatenate([np.stack(np.broadcast_arrays(across, 0.5), -1),
                             np.stack(np.broadcast_arrays(across, height - 0.5), -1),
                             np.stack(np.broadcast_arrays(0.5, down), -1),
                             np.stack(np.broadcast_arrays(width - 0.5, down), -1)])
    seen = _bent(_normalised(border, _zoomed(camera, zoom).K), camera)
    return bool(np.all((seen >= 0.5) & (seen <= [width - 0.5, height - 0.5])))      # NaN is outside


def _seen_by(pinhole: Camera, camera: Camera) -> np.ndarray:
    """(H, W, 2) pixels of `camera` that show what each pixel of `pinhole` shows; NaN beyond the lens's fold."""
    v, u = np.mgrid[0:pinhole.height, 0:pinhole.width] + 0.5
    return _bent(_normalised(np.stack([u, v], axis=-1), pinhole.K), camera)


def _bent(rays: np.ndarray, camera: Camera) -> np.ndarray:
    """Undistorted rays (..., 2) to pixels (..., 2) of a camera with distortion; NaN beyond the lens's fold."""
    bent = distort(rays, camera.distortion)
    bent[folded(rays, camera.distortion)] = np.nan
    return bent @ camera.K[:2, :2].T + camera.K[:2, 2]


def undistort_image(image: np.ndarray, camera: Camera) -> tuple[np.ndarray, Camera]:
    """One picture (H, W, C) uint8 straightened, and its pinhole camera; for many pictures keep a `straightener`."""
    straight = straightener(camera)
    return straight.picture(image), straight.camera
