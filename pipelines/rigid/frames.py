"""What training sees of an object: its pictures cut to the mesh, in the form that people's frames have."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pipelines.core.split import MARGIN, split_frames
from pipelines.rigid.mesh import ObjectMesh
from pipelines.rigid.posed import PosedPicture
from pipelines.rigid.surface import object_maps
from pipelines.training.dataset import CroppedFrame, Memory, PersonFrames

GREY = 128                              # behind the object, in training and in every figure
VIEWS_PER_MARGIN = 20                   # a frame of margin for so many views, up to the five of a recording
LEAST_VIEWS = 8


class ObjectFrames(PersonFrames):
    """Random access to the cropped views of one object; `_kept` and `_memory` are those of people's frames."""

    def __init__(self, mesh: ObjectMesh, views: Sequence[PosedPicture], shading: str, memory: Memory) -> None:
        self.mesh, self.views, self.shading = mesh, views, shading
        self._kept: dict[int, CroppedFrame] = {}
        self._memory = memory

    def _read(self, index: int) -> CroppedFrame:
        maps = object_maps(self.mesh, self.views[index].camera, self.shading)
        x0, y0, x1, y1 = maps.box
        stored = read_view(self.views[index].path)[y0:y1, x0:x1]
        alpha = np.ascontiguousarray(stored[..., 3])
        share = stored[..., 3:] / np.float32(255.0)
        wanted = np.round(share * stored[..., :3] + (1.0 - share) * GREY).astype(np.uint8)
        return CroppedFrame(image=wanted, alpha=alpha, background=np.full_like(wanted, GREY),
                            uv=np.round(maps.uv * 65535).astype(np.uint16),
                            normal=np.round(maps.normal * 127).astype(np.int8), inside=maps.inside.astype(np.uint8),
                            joints=np.zeros((0, 3), np.float32), index=index, corner=(x0, y0))


def read_view(path: Path) -> np.ndarray:
    """(H, W, 4) uint8, straight alpha."""
    from PIL import Image

    with Image.open(path) as stored:
        return np.array(stored.convert("RGBA"))


def split_views(count: int) -> tuple[list[int], list[int]]:
    """(training views, held-out views): the held-out frames of a recording of so many frames, with less margin.

    Neighbours of a video are a thirtieth of a second apart, views of an object degrees: a margin of five of them would
    leave few to learn from. From a hundred views on it is the recordings'.
    """
    held_out = split_frames(count).held_out
    margin = min(MARGIN, count // VIEWS_PER_MARGIN)
    away = np.abs(np.arange(count)[:, None] - held_out[None]).min(axis=1)
    return np.flatnonzero(away > margin).tolist(), held_out.tolist()
