"""Our skeleton at rest, and rotations counted from the world or from the parent."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipelines.body.model import Body, rest_body

SIDES = ("L", "R")
UP = np.array([0.0, 1.0, 0.0])


@dataclass(frozen=True, eq=False)
class Rig:
    """A body's joints at rest."""

    names: tuple[str, ...]
    parents: np.ndarray                 # (J,) -1 for the root
    rest: np.ndarray                    # (J, 3) metres

    @classmethod
    def of(cls, body: Body, betas: np.ndarray) -> Rig:
        return cls(body.joint_names, body.parents, rest_body(body, betas)[1])

    def index(self, name: str) -> int:
        return self.names.index(name)

    def between(self, start: str, end: str) -> np.ndarray:
        """(3,) from one joint to another."""
        return self.rest[self.index(end)] - self.rest[self.index(start)]

    def direction(self, start: str, end: str) -> np.ndarray:
        return unit(self.between(start, end))

    def leg_length(self) -> float:
        """Thigh and shin together, mean of both sides."""
        lengths = [np.linalg.norm(self.between(f"upperleg01.{s}", f"lowerleg01.{s}"))
                   + np.linalg.norm(self.between(f"lowerleg01.{s}", f"foot.{s}")) for s in SIDES]
        return float(np.mean(lengths))


def relative(rotations: np.ndarray, parents: np.ndarray) -> np.ndarray:
    """Global rotations (F, J, 3, 3) to ones relative to the parent."""
    local = rotations.copy()
    for j, parent in enumerate(parents):
        if parent >= 0:
            local[:, j] = np.swapaxes(rotations[:, parent], -1, -2) @ rotations[:, j]
    return local


def unit(vectors: np.ndarray) -> np.ndarray:
    """Vectors (..., 3) of length one; a zero stays zero."""
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12)


def dot(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """(..., 1) products of vectors (..., 3)."""
    return (a * b).sum(axis=-1, keepdims=True)


def runs(flags: np.ndarray) -> list[tuple[int, int]]:
    """Half-open stretches of True in (F,) bool."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]]).astype(int)))
    return [(int(a), int(b)) for a, b in zip(edges[::2], edges[1::2])]
