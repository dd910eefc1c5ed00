"""Rotations as 3x3 matrices and as vectors (axis times angle in radians), and paths between them."""

from __future__ import annotations

import numpy as np

_SMALL = 1e-8


def rotation_from_vector(v: np.ndarray) -> np.ndarray:
    """Rotation matrices of rotation vectors, exact down to a zero angle.

    v        (..., 3) axis times angle, radians
    returns  (..., 3, 3)
    source   Rodrigues' formula
    """
    v = np.asarray(v, np.float64)
    if v.shape[-1:] != (3,):
        raise ValueError(f"rotation vectors must be (..., 3), got {v.shape}")
    angle = np.linalg.norm(v, axis=-1)[..., None, None]
    cross = cross_matrix(v)
    near = angle < 1e-4             # the quotients lose their digits there; two terms of the series do not
    safe = np.where(near, 1.0, angle)
    first = np.where(near, 1 - angle**2 / 6, np.sin(safe) / safe)
    second = np.where(near, 0.5 - angle**2 / 24, (1 - np.cos(safe)) / safe**2)
    return np.eye(3) + first * cross + second * (cross @ cross)


def vector_from_rotation(rotation: np.ndarray) -> np.ndarray:
    """Rotation vectors (..., 3) of rotation matrices (..., 3, 3), angles in 0..pi.

    source  by way of quaternions with the largest component as divisor (Shepperd, 1978), so half turns are exact
    """
    q = quaternion_from_rotation(rotation)
    sine = np.linalg.norm(q[..., 1:], axis=-1, keepdims=True)
    cosine = q[..., :1]
    factor = np.where(sine < _SMALL, 2.0, 2 * np.arctan2(sine, cosine) / np.maximum(sine, _SMALL))
    return factor * q[..., 1:]


def rotation_between(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The smallest rotation that turns direction a into direction b.

    a, b     (..., 3) of any length but zero (ValueError)
    returns  (..., 3, 3); for opposite directions a half turn about some axis across them
    """
    a, b = np.broadcast_arrays(np.asarray(a, np.float64), np.asarray(b, np.float64))
    length_a, length_b = np.linalg.norm(a, axis=-1, keepdims=True), np.linalg.norm(b, axis=-1, keepdims=True)
    if a.shape[-1:] != (3,) or (length_a == 0).any() or (length_b == 0).any():
        raise ValueError(f"directions must be (..., 3) and not zero, got shape {a.shape}")
    a, b = a / length_a, b / length_b
    # The half-way vector makes a quaternion that stays exact for tiny angles; it vanishes for opposite directions.
    quaternion = np.concatenate([1 + (a * b).sum(-1, keepdims=True), np.cross(a, b)], axis=-1)
    across = np.cross(a, np.eye(3)[np.abs(a).argmin(-1)])
    turned = np.concatenate([np.zeros_like(across[..., :1]), across], axis=-1)
    opposite = np.linalg.norm(quaternion, axis=-1, keepdims=True) < 1e-7
    return rotation_from_quaternion(np.where(opposite, turned, quaternion))


def slerp(start: np.ndarray, end: np.ndarray, share: np.ndarray | float) -> np.ndarray:
    """Rotations (..., 3, 3) on the shortest way from `start` (share 0) to `end` (share 1); share broadcasts."""
    start, end = np.asarray(start, np.float64), np.asarray(end, np.float64)
    way = vector_from_rotation(np.swapaxes(start, -1, -2) @ end)
    return start @ rotation_from_vector(way * np.asarray(share, np.float64)[..., None])


def smooth_rotations(rotations: np.ndarray, sigma_frames: float) -> np.ndarray:
    """A Gaussian mean over time: each frame's rotations averaged with those of its neighbours.

    rotations     (F, ..., 3, 3)
    sigma_frames  width in frames; 0 leaves everything as it is
    returns       (F, ..., 3, 3); the ends repeat, so nothing is pulled in from outside
    source        the mean as the rotation nearest to the weighted sum of matrices (Moakher, 2002)
    """
    rotations = np.asarray(rotations, np.float64)
    if rotations.ndim < 3 or rotations.shape[-2:] != (3, 3):
        raise ValueError(f"rotations must be (F, ..., 3, 3), got {rotations.shape}")
    if sigma_frames <= 0 or len(rotations) < 2:
        return rotations.copy()
    reach = int(np.ceil(4 * sigma_frames))
    weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma_frames) ** 2)
    total = np.zeros_like(rotations)
    for offset, weight in zip(range(-reach, reach + 1), weights / weights.sum()):
        total += weight * rotations[np.clip(np.arange(len(rotations)) + offset, 0, len(rotations) - 1)]
    return nearest_rotation(total)


def nearest_rotation(matrix: np.ndarray) -> np.ndarray:
    """The rotations (..., 3, 3) nearest to any matrices (..., 3, 3), in the sense of least squares.

    source  Procrustes by singular values, with the sign that keeps the determinant at +1 (Umeyama, 1991)
    """
    u, _, vt = np.linalg.svd(matrix)
    sign = np.ones(u.shape[:-1])
    sign[..., 2] = np.sign(np.linalg.det(u @ vt))
    return (u * sign[..., None, :]) @ vt


def cross_matrix(v: np.ndarray) -> np.ndarray:
    """(..., 3, 3) matrices whose product with w is the cross product of v (..., 3) and w."""
    x, y, z = np.moveaxis(np.asarray(v, np.float64), -1, 0)
    zero = np.zeros_like(x)
    return np.stack([zero, -z, y, z, zero, -x, -y, x, zero], axis=-1).reshape(*x.shape, 3, 3)


def quaternion_from_rotation(rotation: np.ndarray) -> np.ndarray:
    """Unit quaternions (..., 4), real part first and not negative, of rotations (..., 3, 3)."""
    r = np.asarray(rotation, np.float64)
    if r.shape[-2:] != (3, 3):
        raise ValueError(f"rotations must be (..., 3, 3), got {r.shape}")
    xx, yy, zz = r[..., 0, 0], r[..., 1, 1], r[..., 2, 2]
    squares = np.stack([1 + xx + yy + zz, 1 + xx - yy - zz, 1 - xx + yy - zz, 1 - xx - yy + zz], axis=-1)
    wx, wy, wz = r[..., 2, 1] - r[..., 1, 2], r[..., 0, 2] - r[..., 2, 0], r[..., 1, 0] - r[..., 0, 1]
    xy, xz, yz = r[..., 0, 1] + r[..., 1, 0], r[..., 0, 2] + r[..., 2, 0], r[..., 1, 2] + r[..., 2, 1]
    rows = np.stack([
        np.stack([squares[..., 0], wx, wy, wz], axis=-1),
        np.stack([wx, squares[..., 1], xy, xz], axis=-1),
        np.stack([wy, xy, squares[..., 2], yz], axis=-1),
        np.stack([wz, xz, yz, squares[..., 3]], axis=-1),
    ], axis=-2)
    best = squares.argmax(-1)[..., None, None]
    q = np.take_along_axis(rows, best, axis=-2)[..., 0, :]
    q = q / np.linalg.norm(q, axis=-1, keepdims=True)
    return np.where(q[..., :1] < 0, -q, q)


def rotation_from_quaternion(q: np.ndarray) -> np.ndarray:
    """Rotations (..., 3, 3) of quaternions (..., 4), real part first, of any length but zero."""
    q = np.asarray(q, np.float64)
    q = q / np.linalg.norm(q, axis=-1, keepdims=True)
    w, x, y, z = np.moveaxis(q, -1, 0)
    return np.stack([
        1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y),
        2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x),
        2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y),
    ], axis=-1).reshape(*w.shape, 3, 3)
