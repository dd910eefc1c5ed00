"""Levenberg-Marquardt on one frame, compiled."""

from __future__ import annotations

import numpy as np
from numba import njit

from pipelines.fitting.equations import normal_equations
from pipelines.fitting.turns import exp_rotation, product


@njit(cache=True, nogil=True, error_model="numpy")
def solve_positive(A, b):
    """x of A x = b for a symmetric positive definite A (Cholesky, in place: A and b are used up)."""
    n = b.shape[0]
    for j in range(n):
        d = A[j, j]
        for k in range(j):
            d -= A[j, k] * A[j, k]
        d = np.sqrt(max(d, 1e-12))
        A[j, j] = d
        for i in range(j + 1, n):
            e = A[i, j]
            for k in range(j):
                e -= A[i, k] * A[j, k]
            A[i, j] = e / d
    for i in range(n):
        for k in range(i):
            b[i] -= A[i, k] * b[k]
        b[i] /= A[i, i]
    for i in range(n - 1, -1, -1):
        for k in range(i + 1, n):
            b[i] -= A[k, i] * b[k]
        b[i] /= A[i, i]
    return b


@njit(cache=True, nogil=True, error_model="numpy")
def solve_frame(rig, marks, surface, goal, angles, turn, place, frozen, iterations):
    """Levenberg-Marquardt on one frame.

    frozen   (P,) bool: unknowns that keep their value
    returns  angles, turn, place, cost
    source   Nocedal and Wright, Numerical Optimization, 2nd ed., section 10.3
    """
    betas = np.zeros(0)
    damping, cost = 1e-3, np.inf
    P = 6 + angles.shape[0]
    H, g = np.zeros((P, P)), np.zeros(P)
    angles_try, turn_try, place_try = angles, turn, place
    for _ in range(iterations + 1):
        # One call only: the compiler copies this function into every place that calls it.
        cost_try, H_try, g_try = normal_equations(rig, marks, surface, goal, angles_try, turn_try, place_try, betas,
                                                  False, True)
        if cost_try < cost:
            gain = (cost - cost_try) / max(cost_try, 1e-12)
            angles, turn, place, cost, H, g = angles_try, turn_try, place_try, cost_try, H_try, g_try
            damping = max(damping * 0.3, 1e-7)
            if gain < 1e-5:
                break
        else:
            damping *= 6.0
            if damping > 1e6:
                break
        A, step = np.zeros((P, P)), np.zeros(P)
        for i in range(P):
            for k in range(P):
                A[i, k] = 0.0 if frozen[i] or frozen[k] else H[i, k]
            A[i, i] = 1.0 if frozen[i] else (1.0 + damping) * H[i, i] + 1e-9
            step[i] = 0.0 if frozen[i] else -g[i]
        solve_positive(A, step)
        largest = 0.6
        for i in range(3, P):
            largest = max(largest, abs(step[i]))
        angles_try, place_try, v = np.zeros(P - 6), np.zeros(3), np.zeros(3)
        for i in range(P - 6):
            angles_try[i] = angles[i] + step[6 + i] * 0.6 / largest
        for i in range(3):
            place_try[i], v[i] = place[i] + step[i] * 0.6 / largest, step[3 + i] * 0.6 / largest
        turn_try = product(exp_rotation(v), turn)
    return angles, turn, place, cost
