"""Beards: where they grow, and their hair (build time)."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from pipelines.studio.hairdresser import Head, scatter, strand_layer
from pipelines.studio.identities import Hair
from pipelines.studio.meshwork import Layer, normals_of


def beard_density(head: Head, points: np.ndarray, lips: np.ndarray) -> np.ndarray:
    """(P,) 0..1 where a full, short beard and a moustache grow."""
    eye = head.eyes.mean(0)
    mouth = head.figure.verts[head.lips > 0.5].mean(0)
    x, y, z = np.abs(points[:, 0]), points[:, 1], points[:, 2]
    forward = (z - (head.centre[2] + 0.005)) / 0.02
    cheek = mouth[1] + 0.004 + 0.55 * np.clip(x - 0.030, 0, None) + 0.3 * np.clip(x - 0.055, 0, None)
    lower = np.clip((cheek - y) / 0.008, 0, 1) * np.clip((y - (mouth[1] - 0.072)) / 0.012, 0, 1)
    crest = mouth[1] + 0.0175 - 0.012 * np.clip(x / 0.034, 0, 1.2) ** 2
    moustache = (
        np.clip((0.036 - x) / 0.010, 0, 1)
        * np.clip((crest - y) / 0.004, 0, 1)
        * np.clip((y - mouth[1] + 0.006) / 0.004, 0, 1)
    )
    side = (
        np.clip((x - 0.056) / 0.008, 0, 1)
        * np.clip((eye[1] + 0.012 - y) / 0.02, 0, 1)
        * np.clip((y - mouth[1] + 0.02) / 0.02, 0, 1)
    )
    side = side * np.clip(1 - (z - head.centre[2] - 0.036 + 0.25 * (y - mouth[1])) / 0.014, 0, 1) * 0.8
    spread = np.maximum(np.maximum(lower, moustache), side)
    return spread * np.clip(forward, 0, 1) * np.clip(1 - 1.6 * lips, 0, 1)


def beard(head: Head, hair: Hair, count: int = 2100, steps: int = 3) -> Layer:
    """A full beard of beard_m length, a tenth redder than the hair."""
    figure, random = head.figure, np.random.default_rng(27)
    on_head = figure.share("neck03") > 0.5
    density = beard_density(head, figure.verts, head.lips) * on_head * (head.ear < 0.3)
    thick = density[figure.faces].min(1)
    row, bary = scatter(figure.faces, figure.verts, np.where(thick > 0.2, thick, 0.0), count, 28)
    normals = normals_of(figure.verts, figure.faces)
    root = np.einsum("pk,pkc->pc", bary, figure.verts[figure.faces[row]])
    out = np.einsum("pk,pkc->pc", bary, normals[figure.faces[row]])
    heading = out * 0.45 + np.array([0, -0.9, 0.1]) + random.normal(size=(count, 3)) * 0.16
    heading /= np.linalg.norm(heading, axis=1, keepdims=True)
    length = hair.beard_m * random.uniform(0.6, 1.2, (count, 1))
    grow = np.linspace(0, 1, steps)
    paths = root[:, None] + heading[:, None] * (length[:, None] * grow[None, :, None])
    width = np.interp(grow, [0, 0.5, 1], [0.0026, 0.0024, 0.0007])[None] * np.ones((count, 1))
    own = np.repeat(np.einsum("pk,pkj->pj", bary, figure.weights[figure.faces[row]]), steps, axis=0)
    tone = replace(hair, colour=tuple(np.array(hair.colour) * [1.12, 1.04, 1.0]))
    return strand_layer(paths, np.repeat(out[:, None], steps, 1), width, tone, own, 29, 0.14)
