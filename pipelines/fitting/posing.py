"""The skeleton with its handles, compiled: forward kinematics, points that ride on it, and how they move.

A handle moves one joint or shares its turn between several (spine, neck): R_j = exp(share * basis @ angles).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from pipelines.fitting.turns import exp_rotation, left_jacobian, product


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
