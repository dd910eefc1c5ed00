"""The inner loops of the fit, compiled: forward kinematics, Jacobians, normal equations, Levenberg-Marquardt.

Unknowns of a frame, in this order: root translation (3), a turn of the root about itself (3, rotation vector in the
camera's frame, applied from the left), handle angles (Q), and with `with_shape` the betas (S).
A handle moves one joint or shares its turn between several (spine, neck): R_j = exp(share * basis @ angles).
All residuals are metres over an expected error in metres, or angles over an expected error in radians.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit


class Rig(NamedTuple):
    """A skeleton with its handles; everything float64, indices int64."""

    parents: np.ndarray                 # (J,) -1 = root, joint 0
    rest: np.ndarray                    # (J, 3) metres, of the current betas
    rest_dirs: np.ndarray               # (S, J, 3)
    handle: np.ndarray                  # (J,) which handle moves the joint; -1 = none
    share: np.ndarray                   # (J,) of the handle's turn
    first: np.ndarray                   # (N,) a handle's first angle
    width: np.ndarray                   # (N,) how many angles it has, 1..3
    basis: np.ndarray                   # (N, 3, 3) columns: axes of its angles


class Points(NamedTuple):
    """Points that ride on the skeleton: sum_m weight (G_joint offset + p_joint)."""

    joint: np.ndarray                   # (N, M)
    weight: np.ndarray                  # (N, M) rows sum to 1
    offset: np.ndarray                  # (N, M, 3) from the joint at rest, of the current betas
    offset_dirs: np.ndarray             # (S, N, M, 3)


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
    stand_m: np.ndarray                 # (L,) how far a landmark of a standing foot stays from the camera, along z
    stand_weight: np.ndarray            # (L,) 1 / metres; 0 = not standing
    near: np.ndarray                    # (C,) surface point beside each depth reading; -1 = none
    near_normal: np.ndarray             # (C, 3)
    reading: np.ndarray                 # (C, 3) metres
    reading_weight: float               # 1 / metres
    reading_kernel: float               # metres
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


@njit(cache=True, nogil=True, error_model="numpy")
def forward(rig, angles, turn, place):
    """Poses the skeleton.

    angles   (Q,), turn (3, 3) of the root, place (3,) of the root
    returns  local (J, 3, 3), G (J, 3, 3), p (J, 3), axes (J, 3, 3): columns are a joint's turning axes in the camera's
             frame per unit of its handle's angles
    """
    J = rig.parents.shape[0]
    local, G, p, axes = np.zeros((J, 3, 3)), np.zeros((J, 3, 3)), np.zeros((J, 3)), np.zeros((J, 3, 3))
    for j in range(J):
        parent = rig.parents[j]
        if parent < 0:
            for a in range(3):
                p[j, a] = place[a]
                for b in range(3):
                    local[j, a, b] = G[j, a, b] = turn[a, b]
            continue
        for a in range(3):
            p[j, a] = p[parent, a]
            for b in range(3):
                p[j, a] += G[parent, a, b] * (rig.rest[j, b] - rig.rest[parent, b])
        h = rig.handle[j]
        if h < 0:
            for a in range(3):
                local[j, a, a] = 1.0
                for b in range(3):
                    G[j, a, b] = G[parent, a, b]
            continue
        v = np.zeros(3)
        for i in range(rig.width[h]):
            for a in range(3):
                v[a] += rig.share[j] * rig.basis[h, a, i] * angles[rig.first[h] + i]
        turned = exp_rotation(v)
        frame = product(G[parent], turned)
        turning = product(G[parent], product(left_jacobian(v), rig.basis[h]))
        for a in range(3):
            for b in range(3):
                local[j, a, b], G[j, a, b], axes[j, a, b] = turned[a, b], frame[a, b], rig.share[j] * turning[a, b]
    return local, G, p, axes


@njit(cache=True, nogil=True, error_model="numpy")
def place_points(points, G, p):
    """(N, 3) where points that ride on the skeleton are."""
    N, M = points.joint.shape
    out = np.zeros((N, 3))
    for n in range(N):
        for m in range(M):
            w = points.weight[n, m]
            if w == 0.0:
                continue
            k = points.joint[n, m]
            for a in range(3):
                out[n, a] += w * (G[k, a, 0] * points.offset[n, m, 0] + G[k, a, 1] * points.offset[n, m, 1]
                                  + G[k, a, 2] * points.offset[n, m, 2] + p[k, a])
    return out


@njit(cache=True, nogil=True, error_model="numpy")
def skinned_normals(points, rest_normals, G):
    """(N, 3) unit normals carried along by the blended rotations."""
    N, M = points.joint.shape
    out = np.zeros((N, 3))
    for n in range(N):
        for m in range(M):
            w, k = points.weight[n, m], points.joint[n, m]
            for a in range(3):
                for b in range(3):
                    out[n, a] += w * G[k, a, b] * rest_normals[n, b]
        length = np.sqrt(out[n, 0] ** 2 + out[n, 1] ** 2 + out[n, 2] ** 2)
        for a in range(3):
            out[n, a] /= max(length, 1e-12)
    return out


@njit(cache=True, nogil=True, error_model="numpy")
def joint_slides(rig, G):
    """(S, J, 3) how posed joints move per unit of each beta, the root staying where it is."""
    S, J = rig.rest_dirs.shape[0], rig.parents.shape[0]
    out = np.zeros((S, J, 3))
    for s in range(S):
        for j in range(1, J):
            parent = rig.parents[j]
            for a in range(3):
                out[s, j, a] = out[s, parent, a]
                for b in range(3):
                    out[s, j, a] += G[parent, a, b] * (rig.rest_dirs[s, j, b] - rig.rest_dirs[s, parent, b])
    return out


@njit(cache=True, nogil=True, error_model="numpy")
def point_jacobian(rig, points, n, G, p, axes, slides, with_shape, D):
    """Fills D (3, P): how point n moves per unknown. Each axis moves it by axis x (point - joint)."""
    for a in range(3):
        for i in range(D.shape[1]):
            D[a, i] = 0.0
    shape_at = D.shape[1] - rig.rest_dirs.shape[0]
    for a in range(3):
        D[a, a] = 1.0
    for m in range(points.joint.shape[1]):
        w = points.weight[n, m]
        if w == 0.0:
            continue
        k = points.joint[n, m]
        o0, o1, o2 = points.offset[n, m, 0], points.offset[n, m, 1], points.offset[n, m, 2]
        q0 = G[k, 0, 0] * o0 + G[k, 0, 1] * o1 + G[k, 0, 2] * o2 + p[k, 0]
        q1 = G[k, 1, 0] * o0 + G[k, 1, 1] * o1 + G[k, 1, 2] * o2 + p[k, 1]
        q2 = G[k, 2, 0] * o0 + G[k, 2, 1] * o1 + G[k, 2, 2] * o2 + p[k, 2]
        if with_shape:
            for s in range(rig.rest_dirs.shape[0]):
                for a in range(3):
                    d = slides[s, k, a]
                    for b in range(3):
                        d += G[k, a, b] * points.offset_dirs[s, n, m, b]
                    D[a, shape_at + s] += w * d
        j = k
        while j >= 0:
            r0, r1, r2 = q0 - p[j, 0], q1 - p[j, 1], q2 - p[j, 2]
            if rig.parents[j] < 0:
                D[1, 3] -= w * r2
                D[2, 3] += w * r1
                D[0, 4] += w * r2
                D[2, 4] -= w * r0
                D[0, 5] -= w * r1
                D[1, 5] += w * r0
            elif rig.handle[j] >= 0:
                h = rig.handle[j]
                for i in range(rig.width[h]):
                    x, y, z = axes[j, 0, i], axes[j, 1, i], axes[j, 2, i]
                    c = 6 + rig.first[h] + i
                    D[0, c] += w * (y * r2 - z * r1)
                    D[1, c] += w * (z * r0 - x * r2)
                    D[2, c] += w * (x * r1 - y * r0)
            j = rig.parents[j]


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


@njit(cache=True, nogil=True, error_model="numpy")
def normal_equations(rig, marks, surface, goal, angles, turn, place, betas, with_shape, derive):
    """Cost of a frame, and with `derive` its Gauss-Newton matrix and gradient.

    returns  cost, H (P, P) symmetric, g (P,)
    source   robust weights: Geman and McClure 1985, as iteratively reweighted least squares
    """
    Q = angles.shape[0]
    S = rig.rest_dirs.shape[0] if with_shape else 0
    P = 6 + Q + S
    size = P if derive else 0
    H, g = np.zeros((size, size)), np.zeros(size)
    # point_jacobian writes betas at the end of D, so D always has room for them
    full = 6 + Q + rig.rest_dirs.shape[0]
    D, E, row = np.zeros((3, full)), np.zeros((3, full)), np.zeros(P)
    used = np.zeros(P, np.int64)
    _, G, p, axes = forward(rig, angles, turn, place)
    slides = joint_slides(rig, G) if with_shape else np.zeros((0, 0, 0))
    where = place_points(marks, G, p)
    cost = 0.0
    fx, fy, cx, cy = goal.K[0, 0], goal.K[1, 1], goal.K[0, 2], goal.K[1, 2]

    for n in range(where.shape[0]):
        if goal.pixel_weight[n] == 0.0:
            continue
        x, y, z = where[n, 0], where[n, 1], max(where[n, 2], 0.05)
        s = goal.metres_per_px * goal.pixel_weight[n]
        ru, rv = (fx * x / z + cx - goal.pixels[n, 0]) * s, (fy * y / z + cy - goal.pixels[n, 1]) * s
        k2 = goal.pixel_kernel * goal.pixel_kernel
        e2 = ru * ru + rv * rv
        cost += k2 * e2 / (k2 + e2)
        if derive:
            w = (k2 / (k2 + e2)) ** 2
            point_jacobian(rig, marks, n, G, p, axes, slides, with_shape, D)
            for i in range(P):
                row[i] = s * fx * (D[0, i] - x / z * D[2, i]) / z
            add_row(H, g, row, ru, w, used)
            for i in range(P):
                row[i] = s * fy * (D[1, i] - y / z * D[2, i]) / z
            add_row(H, g, row, rv, w, used)

    for n in range(where.shape[0]):
        if goal.stand_weight[n] > 0.0:
            e = where[n, 2] - goal.stand_m[n]
            w2 = goal.stand_weight[n] ** 2
            cost += w2 * e * e
            if derive:
                point_jacobian(rig, marks, n, G, p, axes, slides, with_shape, D)
                add_row(H, g, D[2, :P], e, w2, used)

    for d in range(goal.pair.shape[0]):
        if goal.direction_weight[d] == 0.0:
            continue
        a, b = goal.pair[d, 0], goal.pair[d, 1]
        u, r, length = np.zeros(3), np.zeros(3), 1e-12
        for c in range(3):
            u[c] = where[b, c] - where[a, c]
            length += u[c] * u[c]
        length = np.sqrt(length)
        for c in range(3):
            u[c] /= length
            r[c] = (u[c] - goal.direction[d, c]) * goal.direction_weight[d]
        e2 = r[0] ** 2 + r[1] ** 2 + r[2] ** 2
        cost += 4.0 * e2 / (4.0 + e2)
        if derive:
            w = (4.0 / (4.0 + e2)) ** 2
            point_jacobian(rig, marks, a, G, p, axes, slides, with_shape, D)
            point_jacobian(rig, marks, b, G, p, axes, slides, with_shape, E)
            for c in range(3):
                for i in range(P):
                    along = u[0] * (E[0, i] - D[0, i]) + u[1] * (E[1, i] - D[1, i]) + u[2] * (E[2, i] - D[2, i])
                    row[i] = goal.direction_weight[d] * (E[c, i] - D[c, i] - u[c] * along) / length
                add_row(H, g, row, r[c], w, used)

    if goal.near.shape[0] > 0 or goal.outline.shape[0] > 0:
        skin = place_points(surface, G, p)
        k2 = goal.reading_kernel ** 2
        for c in range(goal.near.shape[0]):
            v = goal.near[c]
            if v < 0:
                continue
            n0, n1, n2 = goal.near_normal[c, 0], goal.near_normal[c, 1], goal.near_normal[c, 2]
            e = (n0 * (skin[v, 0] - goal.reading[c, 0]) + n1 * (skin[v, 1] - goal.reading[c, 1])
                 + n2 * (skin[v, 2] - goal.reading[c, 2]))
            w2 = goal.reading_weight ** 2
            cost += w2 * k2 * e * e / (k2 + e * e)
            if derive:
                w = w2 * (k2 / (k2 + e * e)) ** 2
                point_jacobian(rig, surface, v, G, p, axes, slides, with_shape, D)
                for i in range(P):
                    row[i] = n0 * D[0, i] + n1 * D[1, i] + n2 * D[2, i]
                add_row(H, g, row, e, w, used)
        k2 = goal.outline_kernel ** 2
        for c in range(goal.outline.shape[0]):
            v = goal.outline[c]
            x, y, z = skin[v, 0], skin[v, 1], max(skin[v, 2], 0.05)
            n0, n1 = goal.outline_normal[c, 0] * goal.metres_per_px, goal.outline_normal[c, 1] * goal.metres_per_px
            e = n0 * (fx * x / z + cx - goal.outline_target[c, 0]) + n1 * (fy * y / z + cy - goal.outline_target[c, 1])
            w2 = goal.outline_weight ** 2
            cost += w2 * k2 * e * e / (k2 + e * e)
            if derive:
                w = w2 * (k2 / (k2 + e * e)) ** 2
                point_jacobian(rig, surface, v, G, p, axes, slides, with_shape, D)
                for i in range(P):
                    row[i] = (n0 * fx * (D[0, i] - x / z * D[2, i]) + n1 * fy * (D[1, i] - y / z * D[2, i])) / z
                add_row(H, g, row, e, w, used)

    for i in range(Q):
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
    if derive:
        for i in range(P):
            for k in range(i):
                H[k, i] = H[i, k]
    return cost, H, g


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


@njit(cache=True, nogil=True, error_model="numpy")
def associate(readings, reading_normals, skin, skin_normals, gate):
    """For each depth reading the surface point beside it that faces the camera; -1 = none within `gate` metres.

    A loose gate glues hanging arms to the torso, from where they never come back.
    """
    C, V = readings.shape[0], skin.shape[0]
    near = np.full(C, -1)
    facing = np.zeros(V, np.int64)
    count = 0
    for v in range(V):
        towards = skin[v, 0] * skin_normals[v, 0] + skin[v, 1] * skin_normals[v, 1] + skin[v, 2] * skin_normals[v, 2]
        if towards < 0.0:
            facing[count] = v
            count += 1
    for c in range(C):
        best = gate * gate
        for f in range(count):
            v = facing[f]
            dx = skin[v, 0] - readings[c, 0]
            if dx * dx >= best:
                continue
            dy, dz = skin[v, 1] - readings[c, 1], skin[v, 2] - readings[c, 2]
            d = dx * dx + dy * dy + dz * dz
            if d < best:
                alike = (skin_normals[v, 0] * reading_normals[c, 0] + skin_normals[v, 1] * reading_normals[c, 1]
                         + skin_normals[v, 2] * reading_normals[c, 2])
                if alike > 0.3:
                    best = d
                    near[c] = v
    return near


@njit(cache=True, nogil=True, error_model="numpy")
def associate_outline(points, point_normals, skin, skin_normals, usable, K, gate_px):
    """For each border point of the mask the rim point of the surface beside it that faces the same way; -1 = none."""
    V = skin.shape[0]
    rim, at, out = np.zeros(V, np.int64), np.zeros((V, 2)), np.zeros((V, 2))
    count = 0
    for v in range(V):
        x, y, z = skin[v]
        if not usable[v] or z < 0.1:
            continue
        towards = (x * skin_normals[v, 0] + y * skin_normals[v, 1] + z * skin_normals[v, 2])
        towards /= np.sqrt(x * x + y * y + z * z)
        length = np.sqrt(skin_normals[v, 0] ** 2 + skin_normals[v, 1] ** 2)
        if abs(towards) > 0.4 or length < 0.3:
            continue
        rim[count] = v
        at[count, 0], at[count, 1] = K[0, 0] * x / z + K[0, 2], K[1, 1] * y / z + K[1, 2]
        out[count, 0], out[count, 1] = skin_normals[v, 0] / length, skin_normals[v, 1] / length
        count += 1
    near = np.full(points.shape[0], -1)
    for b in range(points.shape[0]):
        best = gate_px * gate_px
        for r in range(count):
            if out[r, 0] * point_normals[b, 0] + out[r, 1] * point_normals[b, 1] < 0.6:
                continue
            dx, dy = at[r, 0] - points[b, 0], at[r, 1] - points[b, 1]
            d = dx * dx + dy * dy
            if d < best:
                best = d
                near[b] = rim[r]
    return near
