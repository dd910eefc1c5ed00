"""A trained object: renderer, texture, mesh and cameras, read from a train folder; one picture drawn."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pipelines.core.errors import AnrError
from pipelines.core.records import Camera
from pipelines.core.storage import camera_from_json, read_json
from pipelines.geometry.cameras import crop_camera, scale_camera
from pipelines.playback.drawing import network_scale
from pipelines.renderers import build_renderer
from pipelines.renderers.avatar import best_device, draw, network_inputs
from pipelines.rigid.mesh import ObjectMesh, middle_of, read_stored_mesh
from pipelines.rigid.paths import pixels_per_length
from pipelines.rigid.surface import object_box, object_maps

SCHEMA = 1                              # of object.json
NAME = "object"                         # of its texture in textures.safetensors
AGAIN = "Train it again: anr object train --fresh"


@dataclass(frozen=True, eq=False)
class ObjectModel:
    """Everything that drawing an object needs."""

    renderer: torch.nn.Module           # in evaluation mode, on `device`
    texture: torch.Tensor               # (C, S, S)
    mesh: ObjectMesh                    # in the object's frame
    cameras: list[Camera]               # of all views, in their order
    shading: str                        # what the network is given beside the texture (`surface.object_maps`)
    device: torch.device
    description: dict[str, Any]         # all of object.json

    def draw(self, camera: Camera) -> tuple[np.ndarray, np.ndarray, tuple[int, int, int, int]]:
        """rgb (h, w, 3) and alpha (h, w) in 0..1, and the box x0, y0, x1, y1 around the object that they fill.

        The network works at a size that it was trained at, so h and w may differ from the box's.
        """
        box = object_box(self.mesh, camera)
        scale = network_scale(camera, middle_of(self.mesh), self.px_per_length)
        if scale == 1.0:
            maps = object_maps(self.mesh, camera, self.shading, box)
        else:
            near = scale_camera(crop_camera(camera, box), scale)
            maps = object_maps(self.mesh, near, self.shading, (0, 0, near.width, near.height))
        if not maps.inside.any():
            return np.zeros((*maps.inside.shape, 3), np.float32), np.zeros(maps.inside.shape, np.float32), box
        rgb, alpha = draw(self.renderer, *network_inputs(self.texture, maps, self.device))
        return rgb.cpu().numpy(), alpha.cpu().numpy(), box

    @property
    def px_per_length(self) -> tuple[float, float]:
        """Least and most pixels per length at the object's middle that the network was trained at."""
        seen = [pixels_per_length(camera, middle_of(self.mesh)) for camera in self.cameras]
        low, high = self.description["recipe"]["scale"]
        return min(low, 1.0) * min(seen), max(high, 1.0) * max(seen)


def load_object(folder: Path, device: str = "auto") -> ObjectModel:
    """Reads what `anr object train` wrote; AnrError where it is missing, damaged or from a newer anr."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    description = read_json(folder / "object.json")
    if description["schema"] > SCHEMA:
        raise AnrError(f"The object in {folder} was written by a newer version of anr.", hint="Upgrade anr.")
    where = best_device(device)
    renderer = build_renderer(description["renderer"], description["config"])
    try:
        renderer.load_state_dict(load_file(folder / "network.safetensors"))
        texture = load_file(folder / "textures.safetensors")[NAME]
    except FileNotFoundError as error:
        raise AnrError(f"The object in {folder} is incomplete: {error}.", hint=AGAIN) from None
    except (SafetensorError, RuntimeError, ValueError, KeyError) as error:
        raise AnrError(f"The object in {folder} is damaged: {error}.", hint=AGAIN) from None
    renderer = renderer.to(where).to(memory_format=torch.channels_last).eval().requires_grad_(False)
    return ObjectModel(renderer, texture.to(where), read_stored_mesh(folder / "mesh.npz"),
                       [camera_from_json(each) for each in description["cameras"]], description["shading"], where,
                       description)
