"""Rotations for the compiled loops: exponential, logarithm, product.

The files `turns`, `posing`, `equations`, `sharing`, `descent` and `matching` hold all that numba compiles for the fit.
numba copies a function into its callers and keeps the result by the caller's file alone: after a change in one of
them delete `__pycache__/*.nbi`.
"""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True, nogil=True, error_model="numpy")
def exp_rotation(v):
    """(3, 3) rotation of a rotation vector (Rodrigues)."""
    angle = np.sqrt(v[0] * v[0] + v[1] * v[1] + v[2] * v[2])
    if angle < 1e-8:
        a, b = 1.0, 0.5
    else:
        a, b = np.sin(angle) / angle, (1.0 - np.cos(angle)) / (angle * angle)
    x, y, z = v
    return np.array([[1 - b * (y * y + z * z), b * x * y - a * z, b * x * z + a * y],
                     [b * x * y + a * z, 1 - b * (x * x + z * z), b * y * z - a * x],
                     [b * x * z - a * y, b * y * z + a * x, 1 - b * (x * x + y * y)]])


@njit(cache=True, nogil=True, error_model="numpy")
def left_jacobian(v):
    """(3, 3): exp(v + dv) = exp(J dv) exp(v) to first order."""
    angle = np.sqrt(v[0] * v[0] + v[1] * v[1] + v[2] * v[2])
    if angle < 1e-5:
        a, b = 0.5, 1.0 / 6.0
    else:
        a = (1.0 - np.cos(angle)) / (angle * angle)
        b = (angle - np.sin(angle)) / (angle * angle * angle)
    x, y, z = v
    return np.array([[1 - b * (y * y + z * z), b * x * y - a * z, b * x * z + a * y],
                     [b * x * y + a * z, 1 - b * (x * x + z * z), b * y * z - a * x],
                     [b * x * z - a * y, b * y * z + a * x, 1 - b * (x * x + y * y)]])


@njit(cache=True, nogil=True, error_model="numpy")
def log_rotation(R):
    """(3,) rotation vector; stable for small turns, and finite near half a turn."""
    w = np.array([R[2, 1] - R[1, 2], R[0, 2] - R[2, 0], R[1, 0] - R[0, 1]])
    s = 0.5 * np.sqrt(w[0] * w[0] + w[1] * w[1] + w[2] * w[2])
    c = 0.5 * (R[0, 0] + R[1, 1] + R[2, 2] - 1.0)
    angle = np.arctan2(s, c)
    scale = 0.5 if s < 1e-7 else 0.5 * angle / s
    return np.array([w[0] * scale, w[1] * scale, w[2] * scale])


@njit(cache=True, nogil=True, error_model="numpy")
def product(A, B):
    """(3, 3) A B; numba's own @ calls BLAS and takes seconds to compile."""
    out = np.zeros((3, 3))
    for i in range(3):
        for k in range(3):
            for j in range(3):
                out[i, j] += A[i, k] * B[k, j]
    return out
