"""The residuals of one frame and their normal equations, compiled.

Unknowns of a frame, in this order: root translation (3), a turn of the root about itself (3, rotation vector in the
camera's frame, applied from the left), handle angles (Q), and with `with_shape` the betas (S).
All residuals are metres over an expected error in metres, or angles over an expected error in radians.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from pipelines.fitting.posing import forward, joint_slides, place_points, point_jacobian
from pipelines.fitting.turns import log_rotation, product


class Goal(NamedTuple):
    """What one frame asks for."""

    K: np.ndarray                       # (3, 3)
    pixels: np.ndarray                  # (L, 2)
    pixel_weight: np.ndarray            # (L,) 1 / expected error in metres at `metres_per_px`
    metres_per_px: float
    pixel_kernel: float                 # Geman-McClure scale, in expected errors
    pair: np.ndarray                    # (D, 2) landmarks whose direction is compared
    direction: np.ndarray               # (D, 3) unit
    direction_weight: np.ndarray        # (D,) 1 / radians
    direction_kernel: float             # Geman-McClure scale, in expected errors
    stand_m: np.ndarray                 # (L,) how far a landmark of a standing foot stays from the camera, along z
    stand_weight: np.ndarray            # (L,) 1 / metres; 0 = not standing
    near: np.ndarray                    # (C,) surface point beside each depth reading; -1 = none
    near_normal: np.ndarray             # (C, 3)
    reading: np.ndarray                 # (C, 3) metres
    reading_weight: float               # 1 / metres
    reading_kernel: float               # metres
    outside: float                      # share of the weight of readings and borders outside the body: cloth
    prior: np.ndarray                   # (Q,)
    prior_weight: np.ndarray            # (Q,)
    lowest: np.ndarray                  # (Q,)
    highest: np.ndarray                 # (Q,)
    limit_weight: float
    before: np.ndarray                  # (Q,) angles to stay close to (the frame before, or the smoothed track)
    before_weight: np.ndarray           # (Q,)
    before_turn: np.ndarray             # (3, 3)
    before_place: np.ndarray            # (3,)
    before_root_weight: np.ndarray      # (6,) place, turn
    outline: np.ndarray                 # (B,) surface points on the body's outline
    outline_target: np.ndarray          # (B, 2) pixels: where the mask ends
    outline_normal: np.ndarray          # (B, 2) unit
    outline_weight: float               # 1 / metres
    outline_kernel: float               # metres
    sole: np.ndarray                    # (B,) surface points that stand on the floor, or are below it
    sole_weight: np.ndarray             # (B,) 1 / metres
    sole_kernel: float                  # metres
    floor: np.ndarray                   # (4,) unit normal and offset: normal @ x + offset = height above the floor


class Posed(NamedTuple):
    """A posed skeleton, as the residuals need it."""

    G: np.ndarray                       # (J, 3, 3)
    p: np.ndarray                       # (J, 3)
    axes: np.ndarray                    # (J, 3, 3)
    slides: np.ndarray                  # (S, J, 3); empty without shape


class Sums(NamedTuple):
    """Where residuals are added up, and scratch for one of them."""

    H: np.ndarray                       # (P, P) lower half; P = 0: costs only
    g: np.ndarray                       # (P,)
    D: np.ndarray                       # (3, 6 + Q + S) point_jacobian writes betas at its end, so it has room for them
    E: np.ndarray                       # the same
    row: np.ndarray                     # (6 + Q (+ S),)
    used: np.ndarray                    # the same length, int64


@njit(cache=True, nogil=True, error_model="numpy")
def normal_equations(rig, marks, surface, goal, angles, turn, place, betas, with_shape, derive):
    """Cost of a frame, and with `derive` its Gauss-Newton matrix and gradient.

    returns  cost, H (P, P) symmetric, g (P,)
    source   robust weights: Geman and McClure 1985, as iteratively reweighted least squares
    """
    S = rig.rest_dirs.shape[0]
    P = 6 + angles.shape[0] + (S if with_shape else 0)
    size, full = P if derive else 0, 6 + angles.shape[0] + S
    sums = Sums(np.zeros((size, size)), np.zeros(size), np.zeros((3, full)), np.zeros((3, full)), np.zeros(P),
                np.zeros(P, np.int64))
    _, G, p, axes = forward(rig, angles, turn, place)
    slides = joint_slides(rig, G) if with_shape else np.zeros((0, 0, 0))
    posed = Posed(G, p, axes, slides)
    where = place_points(marks, G, p)
    cost = add_landmarks(rig, marks, goal, posed, where, sums, with_shape, derive)
    cost += add_standing(rig, marks, goal, posed, where, sums, with_shape, derive)
    cost += add_directions(rig, marks, goal, posed, where, sums, with_shape, derive)
    if goal.near.shape[0] > 0 or goal.outline.shape[0] > 0 or goal.sole.shape[0] > 0:
        skin = place_points(surface, G, p)
        cost += add_depth(rig, surface, goal, posed, skin, sums, with_shape, derive)
        cost += add_outline(rig, surface, goal, posed, skin, sums, with_shape, derive)
        cost += add_floor(rig, surface, goal, posed, skin, sums, with_shape, derive)
    cost += add_priors(goal, angles, turn, place, sums, derive)
    for i in range(size):
        for k in range(i):
            sums.H[k, i] = sums.H[i, k]
    return cost, sums.H, sums.g


@njit(cache=True, nogil=True, error_model="numpy")
def add_landmarks(rig, marks, goal, posed, where, sums, with_shape, derive):
    """Pixels of the landmarks, robust in both coordinates together."""
    fx, fy, cx, cy = goal.K[0, 0], goal.K[1, 1], goal.K[0, 2], goal.K[1, 2]
    D, row = sums.D, sums.row
    cost, k2 = 0.0, goal.pixel_kernel * goal.pixel_kernel
    for n in range(where.shape[0]):
        if goal.pixel_weight[n] == 0.0:
            continue
        x, y, z = where[n, 0], where[n, 1], max(where[n, 2], 0.05)
        s = goal.metres_per_px * goal.pixel_weight[n]
        ru, rv = (fx * x / z + cx - goal.pixels[n, 0]) * s, (fy * y / z + cy - goal.pixels[n, 1]) * s
        e2 = ru * ru + rv * rv
        cost += k2 * e2 / (k2 + e2)
        if derive:
            w = (k2 / (k2 + e2)) ** 2
            point_jacobian(rig, marks, n, posed.G, posed.p, posed.axes, posed.slides, with_shape, D)
            for i in range(row.shape[0]):
                row[i] = s * fx * (D[0, i] - x / z * D[2, i]) / z
            add_row(sums.H, sums.g, row, ru, w, sums.used)
            for i in range(row.shape[0]):
                row[i] = s * fy * (D[1, i] - y / z * D[2, i]) / z
            add_row(sums.H, sums.g, row, rv, w, sums.used)
    return cost


@njit(cache=True, nogil=True, error_model="numpy")
def add_standing(rig, marks, goal, posed, where, sums, with_shape, derive):
    """Depths of landmarks of feet that stand still."""
    cost = 0.0
    for n in range(where.shape[0]):
        if goal.stand_weight[n] > 0.0:
            e = where[n, 2] - goal.stand_m[n]
            w2 = goal.stand_weight[n] ** 2
            cost += w2 * e * e
            if derive:
                point_jacobian(rig, marks, n, posed.G, posed.p, posed.axes, posed.slides, with_shape, sums.D)
                add_row(sums.H, sums.g, sums.D[2, :sums.row.shape[0]], e, w2, sums.used)
    return cost


@njit(cache=True, nogil=True, error_model="numpy")
def add_directions(rig, marks, goal, posed, where, sums, with_shape, derive):
    """Directions from landmark to landmark."""
    D, E, row, cost = sums.D, sums.E, sums.row, 0.0
    u, r, k2 = np.zeros(3), np.zeros(3), goal.direction_kernel * goal.direction_kernel
    for d in range(goal.pair.shape[0]):
        if goal.direction_weight[d] == 0.0:
            continue
        a, b = goal.pair[d, 0], goal.pair[d, 1]
        length = 1e-12
        for c in range(3):
            u[c] = where[b, c] - where[a, c]
            length += u[c] * u[c]
        length = np.sqrt(length)
        for c in range(3):
            u[c] /= length
            r[c] = (u[c] - goal.direction[d, c]) * goal.direction_weight[d]
        e2 = r[0] ** 2 + r[1] ** 2 + r[2] ** 2
        cost += k2 * e2 / (k2 + e2)
        if derive:
            w = (k2 / (k2 + e2)) ** 2
            point_jacobian(rig, marks, a, posed.G, posed.p, posed.axes, posed.slides, with_shape, D)
            point_jacobian(rig, marks, b, posed.G, posed.p, posed.axes, posed.slides, with_shape, E)
            for c in range(3):
                for i in range(row.shape[0]):
                    along = u[0] * (E[0, i] - D[0, i]) + u[1] * (E[1, i] - D[1, i]) + u[2] * (E[2, i] - D[2, i])
                    row[i] = goal.direction_weight[d] * (E[c, i] - D[c, i] - u[c] * along) / length
                add_row(sums.H, sums.g, row, r[c], w, sums.used)
    return cost


@njit(cache=True, nogil=True, error_model="numpy")
def add_depth(rig, surface, goal, posed, skin, sums, with_shape, derive):
    """Depth readings, point to plane."""
    D, row = sums.D, sums.row
    cost, k2, w2 = 0.0, goal.reading_kernel ** 2, goal.reading_weight ** 2
    for c in range(goal.near.shape[0]):
        v = goal.near[c]
        if v < 0:
            continue
        n0, n1, n2 = goal.near_normal[c, 0], goal.near_normal[c, 1], goal.near_normal[c, 2]
        e = (n0 * (skin[v, 0] - goal.reading[c, 0]) + n1 * (skin[v, 1] - goal.reading[c, 1])
             + n2 * (skin[v, 2] - goal.reading[c, 2]))
        side = goal.outside if e < 0.0 else 1.0
        cost += side * w2 * k2 * e * e / (k2 + e * e)
        if derive:
            w = side * w2 * (k2 / (k2 + e * e)) ** 2
            point_jacobian(rig, surface, v, posed.G, posed.p, posed.axes, posed.slides, with_shape, D)
            for i in range(row.shape[0]):
                row[i] = n0 * D[0, i] + n1 * D[1, i] + n2 * D[2, i]
            add_row(sums.H, sums.g, row, e, w, sums.used)
    return cost


@njit(cache=True, nogil=True, error_model="numpy")
def add_outline(rig, surface, goal, posed, skin, sums, with_shape, derive):
    """Points on the body's rim against the mask's border, across the border."""
    fx, fy, cx, cy = goal.K[0, 0], goal.K[1, 1], goal.K[0, 2], goal.K[1, 2]
    D, row = sums.D, sums.row
    cost, k2, w2 = 0.0, goal.outline_kernel ** 2, goal.outline_weight ** 2
    for c in range(goal.outline.shape[0]):
        v = goal.outline[c]
        x, y, z = skin[v, 0], skin[v, 1], max(skin[v, 2], 0.05)
        n0, n1 = goal.outline_normal[c, 0] * goal.metres_per_px, goal.outline_normal[c, 1] * goal.metres_per_px
        e = n0 * (fx * x / z + cx - goal.outline_target[c, 0]) + n1 * (fy * y / z + cy - goal.outline_target[c, 1])
        side = goal.outside if e < 0.0 else 1.0
        cost += side * w2 * k2 * e * e / (k2 + e * e)
        if derive:
            w = side * w2 * (k2 / (k2 + e * e)) ** 2
            point_jacobian(rig, surface, v, posed.G, posed.p, posed.axes, posed.slides, with_shape, D)
            for i in range(row.shape[0]):
                row[i] = (n0 * fx * (D[0, i] - x / z * D[2, i]) + n1 * fy * (D[1, i] - y / z * D[2, i])) / z
            add_row(sums.H, sums.g, row, e, w, sums.used)
    return cost


@njit(cache=True, nogil=True, error_model="numpy")
def add_floor(rig, surface, goal, posed, skin, sums, with_shape, derive):
    """Soles that stand on the floor."""
    D, row = sums.D, sums.row
    cost, k2 = 0.0, goal.sole_kernel ** 2
    n0, n1, n2 = goal.floor[0], goal.floor[1], goal.floor[2]
    for c in range(goal.sole.shape[0]):
        v = goal.sole[c]
        e = n0 * skin[v, 0] + n1 * skin[v, 1] + n2 * skin[v, 2] + goal.floor[3]
        w2 = goal.sole_weight[c] ** 2
        cost += w2 * k2 * e * e / (k2 + e * e)
        if derive:
            w = w2 * (k2 / (k2 + e * e)) ** 2
            point_jacobian(rig, surface, v, posed.G, posed.p, posed.axes, posed.slides, with_shape, D)
            for i in range(row.shape[0]):
                row[i] = n0 * D[0, i] + n1 * D[1, i] + n2 * D[2, i]
            add_row(sums.H, sums.g, row, e, w, sums.used)
    return cost


@njit(cache=True, nogil=True, error_model="numpy")
def add_priors(goal, angles, turn, place, sums, derive):
    """Joint angles near what is natural and within their limits; all unknowns near the pose to stay close to."""
    H, g, cost = sums.H, sums.g, 0.0
    for i in range(angles.shape[0]):
        e = (angles[i] - goal.prior[i]) * goal.prior_weight[i]
        f = (angles[i] - goal.before[i]) * goal.before_weight[i]
        over = max(angles[i] - goal.highest[i], 0.0) + min(angles[i] - goal.lowest[i], 0.0)
        over *= goal.limit_weight
        cost += e * e + f * f + over * over
        if derive:
            g[6 + i] += e * goal.prior_weight[i] + f * goal.before_weight[i] + over * goal.limit_weight
            H[6 + i, 6 + i] += goal.prior_weight[i] ** 2 + goal.before_weight[i] ** 2
            if over != 0.0:
                H[6 + i, 6 + i] += goal.limit_weight ** 2
    turned = log_rotation(product(turn, goal.before_turn.T))
    for a in range(3):
        e = (place[a] - goal.before_place[a]) * goal.before_root_weight[a]
        f = turned[a] * goal.before_root_weight[3 + a]
        cost += e * e + f * f
        if derive:
            g[a] += e * goal.before_root_weight[a]
            g[3 + a] += f * goal.before_root_weight[3 + a]
            H[a, a] += goal.before_root_weight[a] ** 2
            H[3 + a, 3 + a] += goal.before_root_weight[3 + a] ** 2
    return cost


@njit(cache=True, nogil=True, error_model="numpy")
def add_row(H, g, row, residual, weight, used):
    """Adds weight * (row, residual) to the normal equations H x = -g; `used` is scratch for the nonzero columns."""
    count = 0
    for i in range(row.shape[0]):
        if row[i] != 0.0:
            used[count] = i
            count += 1
    for a in range(count):
        i = used[a]
        wi = weight * row[i]
        g[i] += wi * residual
        for b in range(a + 1):
            H[i, used[b]] += wi * row[used[b]]
