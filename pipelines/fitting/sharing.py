"""How residuals of one frame change with what all frames of a clip share beside the shape, compiled.

Shared unknowns, in this order: the shift of every landmark from where the table has it (3 each, in its joint's frame at
rest), then the thickness of the clothes in every region.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from pipelines.fitting.equations import Posed
from pipelines.fitting.posing import forward, joint_slides, place_points, point_jacobian


@njit(cache=True, nogil=True, error_model="numpy")
def shared_equations(rig, marks, surface, goal, angles, turn, place, regions):
    """What the shared unknowns E add to the normal equations of a frame with shape.

    regions  (V, R) shares of the surface's points in the regions of clothes
    returns  cross (P + S, E), own (E, E), pull (E,)
    """
    S, Q = rig.rest_dirs.shape[0], angles.shape[0]
    P, L, R = 6 + Q + S, marks.joint.shape[0], regions.shape[1]
    cross, own, pull = np.zeros((P, 3 * L + R)), np.zeros((3 * L + R, 3 * L + R)), np.zeros(3 * L + R)
    _, G, p, axes = forward(rig, angles, turn, place)
    posed = Posed(G, p, axes, joint_slides(rig, G))
    add_shifts(rig, marks, goal, posed, place_points(marks, G, p), cross, own, pull)
    if R > 0 and (goal.near.shape[0] > 0 or goal.outline.shape[0] > 0):
        add_thickness(rig, surface, goal, posed, place_points(surface, G, p), regions, cross, own, pull)
    return cross, own, pull


@njit(cache=True, nogil=True, error_model="numpy")
def add_shifts(rig, marks, goal, posed, where, cross, own, pull):
    """Pixels of the landmarks, as `equations.add_landmarks` weighs them."""
    D, row, extra, turned = np.zeros((3, cross.shape[0])), np.zeros(cross.shape[0]), np.zeros(3), np.zeros((3, 3))
    k2 = goal.pixel_kernel * goal.pixel_kernel
    for n in range(where.shape[0]):
        if goal.pixel_weight[n] == 0.0:
            continue
        z = max(where[n, 2], 0.05)
        s = goal.metres_per_px * goal.pixel_weight[n]
        off = np.zeros(2)
        for axis in range(2):
            off[axis] = (goal.K[axis, axis] * where[n, axis] / z + goal.K[axis, 2] - goal.pixels[n, axis]) * s
        w = (k2 / (k2 + off[0] ** 2 + off[1] ** 2)) ** 2
        point_jacobian(rig, marks, n, posed.G, posed.p, posed.axes, posed.slides, True, D)
        turned[:] = 0.0
        for m in range(marks.joint.shape[1]):
            for a in range(3):
                for b in range(3):
                    turned[a, b] += marks.weight[n, m] * posed.G[marks.joint[n, m], a, b]
        for axis in range(2):
            scale, slope = s * goal.K[axis, axis] / z, where[n, axis] / z
            for i in range(row.shape[0]):
                row[i] = scale * (D[axis, i] - slope * D[2, i])
            for b in range(3):
                extra[b] = scale * (turned[axis, b] - slope * turned[2, b])
            for b in range(3):
                pull[3 * n + b] += w * off[axis] * extra[b]
                for c in range(3):
                    own[3 * n + b, 3 * n + c] += w * extra[b] * extra[c]
                for i in range(row.shape[0]):
                    cross[i, 3 * n + b] += w * row[i] * extra[b]


@njit(cache=True, nogil=True, error_model="numpy")
def add_thickness(rig, surface, goal, posed, skin, regions, cross, own, pull):
    """Depth readings and borders of the mask, as `equations.add_depth` and `add_outline` weigh them."""
    D, row = np.zeros((3, cross.shape[0])), np.zeros(cross.shape[0])
    fx, fy, cx, cy = goal.K[0, 0], goal.K[1, 1], goal.K[0, 2], goal.K[1, 2]
    first = own.shape[0] - regions.shape[1]
    k2, w2 = goal.reading_kernel ** 2, goal.reading_weight ** 2
    for c in range(goal.near.shape[0]):
        v = goal.near[c]
        if v < 0:
            continue
        n = goal.near_normal[c]
        e = 0.0
        for a in range(3):
            e += n[a] * (skin[v, a] - goal.reading[c, a])
        point_jacobian(rig, surface, v, posed.G, posed.p, posed.axes, posed.slides, True, D)
        for i in range(row.shape[0]):
            row[i] = n[0] * D[0, i] + n[1] * D[1, i] + n[2] * D[2, i]
        w = (goal.outside if e < 0.0 else 1.0) * w2 * (k2 / (k2 + e * e)) ** 2
        add_regions(regions[v], first, row, e, w, cross, own, pull)
    k2, w2 = goal.outline_kernel ** 2, goal.outline_weight ** 2
    for c in range(goal.outline.shape[0]):
        v = goal.outline[c]
        x, y, z = skin[v, 0], skin[v, 1], max(skin[v, 2], 0.05)
        n0, n1 = goal.outline_normal[c, 0] * goal.metres_per_px, goal.outline_normal[c, 1] * goal.metres_per_px
        e = n0 * (fx * x / z + cx - goal.outline_target[c, 0]) + n1 * (fy * y / z + cy - goal.outline_target[c, 1])
        point_jacobian(rig, surface, v, posed.G, posed.p, posed.axes, posed.slides, True, D)
        for i in range(row.shape[0]):
            row[i] = (n0 * fx * (D[0, i] - x / z * D[2, i]) + n1 * fy * (D[1, i] - y / z * D[2, i])) / z
        w = (goal.outside if e < 0.0 else 1.0) * w2 * (k2 / (k2 + e * e)) ** 2
        add_regions(regions[v], first, row, e, w, cross, own, pull)


@njit(cache=True, nogil=True, error_model="numpy")
def add_regions(shares, first, row, residual, weight, cross, own, pull):
    """One residual that grows with the thickness of the clothes in the regions of its point."""
    for r in range(shares.shape[0]):
        if shares[r] == 0.0:
            continue
        pull[first + r] += weight * residual * shares[r]
        for q in range(shares.shape[0]):
            own[first + r, first + q] += weight * shares[r] * shares[q]
        for i in range(row.shape[0]):
            cross[i, first + r] += weight * row[i] * shares[r]
