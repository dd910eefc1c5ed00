"""Pictures of a person that nobody asked for: captured poses and a walk around them, to see all of the surface."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from pipelines.body.model import load_body
from pipelines.core.records import SurfaceMaps
from pipelines.core.storage import read_npz
from pipelines.playback.drawing import Actor, drawn_body, trained_px_per_m
from pipelines.playback.shots import orbit, read_captured, replay, sitting_of
from pipelines.renderers.avatar import Avatar
from pipelines.renderers.engines import engine_for

TURNS = 12                              # directions from which the standing person is seen
CAPTURED = 36                           # captured frames, evenly spread
FEW_TURNS, FEW_CAPTURED = 4, 14         # of them, where not all of the surface must be seen from everywhere


def surfaces_around(avatar: Avatar, name: str, captured: int = CAPTURED, turns: int = TURNS) -> Iterator[SurfaceMaps]:
    """Surface maps of trusted captured frames, as they were filmed, then of the standing person from all sides."""
    body, person = load_body(), avatar.person(name)
    motion, frame_index, times_s = read_captured(person.motion)
    sitting = sitting_of(person.camera, person.height_px, motion, body, person.betas)
    texture = avatar.textures[name]
    engine = engine_for("torch", avatar.renderer, avatar.device, texture.shape[0])
    actor = Actor(avatar, body, person.betas, texture, person.projection, engine,
                  trained_px_per_m(avatar, sitting, body, person.betas))
    trusted = np.flatnonzero(read_npz(person.motion, ("ok",))["ok"])
    rows = trusted[np.unique(np.linspace(0, len(trusted) - 1, min(captured, len(trusted))).round().astype(int))]
    filmed = replay(motion, frame_index, times_s, person.camera, "")
    for row in rows:
        yield drawn_body(filmed, int(row), actor).maps
    turning = orbit(body, person.betas, sitting, 0, turns / 4.0)
    for k in range(len(turning)):
        yield drawn_body(turning, k, actor).maps


def some_surfaces(avatar: Avatar, name: str) -> Iterator[SurfaceMaps]:
    """A few of the same: enough to see what the person looks like."""
    return surfaces_around(avatar, name, FEW_CAPTURED, FEW_TURNS)
