"""Rehearsal: pictures of everybody a model knows, drawn by the model itself, so that its network forgets nobody while
it learns somebody new.

source   Robins, Catastrophic forgetting, rehearsal and pseudorehearsal, Connection Science 7, 1995; for networks of
         this kind: Li and Hoiem, Learning without forgetting, ECCV 2016
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from pipelines.body.model import load_body
from pipelines.core.errors import AnrError
from pipelines.core.records import SurfaceMaps
from pipelines.renderers import needs_of
from pipelines.renderers.avatar import Avatar, render_person
from pipelines.training.dataset import CroppedFrame
from pipelines.training.step import Pupil

BEHIND = 128                            # grey; any background does, as the mask is rehearsed too


def rehearsed(avatar: Avatar, surfaces: Mapping[str, Iterable[SurfaceMaps]], share: float) -> dict[str, Pupil]:
    """One pupil for each person: what the model draws of their surfaces now.

    share    0..1 of all steps that rehearse, everybody together; one pupil of weight 1 has the others
    returns  pupils whose weights say how often they are drawn; {} where nothing is rehearsed
    """
    if not 0 <= share < 1:
        raise ValueError(f"a share of rehearsal is from 0 to below 1, not {share}")
    if share == 0 or not surfaces:
        return {}
    if needs_of(avatar.renderer):
        raise AnrError(f"The renderer {avatar.description['renderer']!r} cannot rehearse: it needs more than maps.",
                       hint="Leave it out: --rehearse 0")
    weight = share / (1 - share) / len(surfaces)
    pupils = {}
    for person, seen in surfaces.items():
        frames = [drawn_frame(avatar, person, maps, k) for k, maps in enumerate(seen)]
        pupils[person] = Pupil(frames, range(len(frames)), (), weight=weight)
    return pupils


def drawn_frame(avatar: Avatar, person: str, maps: SurfaceMaps, index: int) -> CroppedFrame:
    """What the model draws of a posed body, in the form of a captured frame, before grey."""
    rgb, alpha = render_person(avatar, avatar.textures[person], maps)
    body = load_body()
    inside = maps.inside.astype(np.uint8)
    inside[maps.inside] += (body.face_region == body.region_names.index("face"))[maps.face_index[maps.inside]]
    cover = alpha[..., None]
    image = np.rint(cover * 255.0 * rgb + (1 - cover) * BEHIND).astype(np.uint8)
    return CroppedFrame(image, np.rint(255 * alpha).astype(np.uint8), np.full_like(image, BEHIND),
                        np.rint(np.nan_to_num(maps.uv) * 65535).astype(np.uint16),
                        np.rint(np.nan_to_num(maps.normal) * 127).astype(np.int8), inside,
                        np.zeros((len(body.joint_names), 3), np.float32), index, (maps.box[0], maps.box[1]))
