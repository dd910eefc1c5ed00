"""One frame of a person: surface maps, network, and the picture composed from its answer.

A network only knows people of the size in pixels that it was trained at: half as large they become ghosts, twice as
large their hair breaks up. So it works at that size, and its answer is scaled to the picture.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from pipelines.body.model import Body, body_height_m, pose_body
from pipelines.core.records import Camera, SurfaceMaps
from pipelines.geometry.cameras import box_around, camera_for_maps, crop_camera, project, scale_camera, to_camera
from pipelines.playback.backdrop import Backdrop
from pipelines.playback.framing import Sitting
from pipelines.playback.shots import Shot
from pipelines.rasterizers.cpu import surface_maps
from pipelines.renderers import needs_of
from pipelines.renderers.avatar import Avatar, network_inputs
from pipelines.renderers.past import Recall, needed_by
from pipelines.renderers.picture import Box, cut_out, over_captured, over_other
from pipelines.renderers.places import picture_joints, places_of

if TYPE_CHECKING:
    from pipelines.renderers.engines import Engine

MARGIN = 0.07                           # of the body's height in the picture, around it, for hair and clothes
TRAINED_SCALE = (0.9, 1.1)              # of the captured size, where the avatar does not tell
A_LITTLE_BELOW = 0.85                   # of the smallest trained size: the picture is hardly less sharp, and faster
NEAR_ENOUGH = 0.02                      # scales this close to 1 are 1


@dataclass(frozen=True, eq=False)
class Actor:
    """Who is filmed: a body shape with a texture, and what runs the network."""

    avatar: Avatar
    body: Body
    betas: np.ndarray                   # (S,)
    texture: torch.Tensor               # (C, 256, 256)
    projection: str                     # how the maps were drawn that the network learnt from
    engine: Engine
    px_per_m: tuple[float, float]       # the scales, from least to most, at which the network works


@dataclass(frozen=True, eq=False)
class Drawn:
    """One frame's body: what the network is given, and where its joints lie."""

    maps: SurfaceMaps                   # of the box, perhaps at another scale
    box: Box                            # in picture pixels
    inputs: tuple[torch.Tensor, torch.Tensor, torch.Tensor] | None     # None: the body is out of the picture
    joints_px: np.ndarray               # (J, 2)
    joints: np.ndarray                  # (J + 4, 3) `picture_joints` in pixels of the maps


def trained_px_per_m(avatar: Avatar, sitting: Sitting, body: Body, betas: np.ndarray) -> tuple[float, float]:
    """Least and most pixels per metre at which a network may draw a person whom it was trained on.

    betas  the captured person's
    """
    low, high = avatar.description.get("recipe", {}).get("scale", TRAINED_SCALE)
    captured = sitting.height_px / body_height_m(body, betas)
    return A_LITTLE_BELOW * min(low, 1.0) * captured, max(high, 1.0) * captured


def drawn_body(shot: Shot, k: int, actor: Actor) -> Drawn:
    """The body of frame k, drawn where it lies in the picture at a scale that the network knows."""
    body, camera = actor.body, shot.cameras[k]
    verts, joints = pose_body(body, actor.betas, shot.pose(k))
    camera = camera_for_maps(camera, verts, actor.projection)
    box = box_around(verts, camera, MARGIN)
    scale = 1.0 if shot.as_captured else network_scale(camera, joints[0], actor.px_per_m)
    window = crop_camera(camera, box)
    if scale == 1.0:
        maps = surface_maps(body.faces, body.uvs, body.face_uvs, verts, camera, box)
    else:
        window = scale_camera(window, scale)
        maps = surface_maps(body.faces, body.uvs, body.face_uvs, verts, window)
    inputs = network_inputs(actor.texture, maps, actor.avatar.device) if maps.inside.any() else None
    return Drawn(maps, box, inputs, project(joints, camera), picture_joints(places_of(verts, joints), window))


def network_scale(camera: Camera, place: np.ndarray, px_per_m: tuple[float, float]) -> float:
    """How many times larger than in the picture the network should draw somebody who stands at `place` (3,)."""
    depth_m = max(float(to_camera(place, camera)[2]), 0.1)
    in_picture = float(camera.K[1, 1]) / depth_m
    scale = float(np.clip(in_picture, *px_per_m)) / in_picture
    return 1.0 if abs(scale - 1.0) < NEAR_ENOUGH else scale


def person_of(drawn: Drawn, actor: Actor, recall: Recall | None = None) -> tuple[np.ndarray, np.ndarray]:
    """rgb (h, w, 3) and alpha (h, w), float32 0..1, of the maps.

    recall  the frame before, for a renderer that looks back; None = this frame stands alone
    """
    if drawn.inputs is None:
        if recall:
            recall.forget()
        shape = drawn.maps.inside.shape
        return np.zeros((*shape, 3), np.float32), np.zeros(shape, np.float32)
    needs = needs_of(actor.avatar.renderer)
    if not needs:
        return actor.engine(*drawn.inputs)
    looks_back = recall if "past" in needs else None
    joints = torch.from_numpy(drawn.joints).to(drawn.inputs[0])[None]
    past = looks_back.seen_from(drawn.inputs, drawn.box) if looks_back else None
    picture = actor.engine(*drawn.inputs, needed_by(actor.avatar.renderer, drawn.inputs, actor.texture, joints, past))
    if looks_back:
        looks_back.keep(drawn.inputs, picture, drawn.box)
    return picture


def composed(background: np.ndarray | None, backdrop: Backdrop, person: tuple[np.ndarray, np.ndarray], box: Box,
             size: tuple[int, int]) -> np.ndarray:
    """(H, W, 3), or (H, W, 4) when transparent, uint8; size is (H, W), the person of the box at any scale."""
    rgb, alpha = scaled(*person, (box[3] - box[1], box[2] - box[0]))
    if background is None:
        return cut_out(*size, rgb, alpha, box)
    compose = over_captured if backdrop.captured else over_other
    return compose(background, rgb, alpha, box)


def scaled(rgb: np.ndarray, alpha: np.ndarray, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """A person's colours (h, w, 3) and alpha (h, w) at another size (height, width); colours count by their alpha."""
    import cv2

    if alpha.shape == size:
        return rgb, alpha
    way = cv2.INTER_AREA if size[0] < alpha.shape[0] else cv2.INTER_CUBIC
    together = np.dstack([rgb * (alpha + 1e-3)[..., None], alpha])
    together = cv2.resize(together, (size[1], size[0]), interpolation=way)
    weight = np.maximum(together[..., 3], 0.0) + 1e-3
    return np.clip(together[..., :3] / weight[..., None], 0.0, 1.0), np.clip(together[..., 3], 0.0, 1.0)
