"""Pose refinement: small corrections of each training frame's fitted body, learned with the network.

A frame's maps are read where its corrected body would be seen, so the loss has a derivative by the correction (the
paper's future work). Held-out frames get none: what is learned is a sharper network and texture, not a
better fit. The mean correction over a person's frames is kept at zero, else texture and corrections could drift
together and rendering, which knows no corrections, would show the drift.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from pipelines.body.model import Body, load_body
from pipelines.body.surface import chart_map, face_map
from pipelines.core.storage import read_fit, read_json
from pipelines.media.recording import Recording
from pipelines.renderers.places import captured_joints
from pipelines.renderers.texture import TEXTURE_SIZE
from pipelines.training.dataset import Batch
from pipelines.training.recipe import Recipe
from pipelines.training.refinement_body import COUNT, FittedBody, leverage
from pipelines.training.refinement_warp import pixel_displacement, texel_displacement, warped

if TYPE_CHECKING:
    from pipelines.training.step import Pupil

MEMORY = 0.99                           # of the mean squared gradient, per step on a person
LEAST_SHARE = 0.5                       # of the strongest number's gradient: what hardly shows hardly moves
ROUNDS = 3                              # of bounding and taking the mean off, which disturb each other


@dataclass(eq=False)
class Corrections:
    """What was learned of one person's frames."""

    body: FittedBody
    frames: np.ndarray                  # (F,) capture frames, rising
    values: torch.Tensor                # (F, COUNT) in the units of `leverage`, about pixels
    power: torch.Tensor                 # (COUNT,) running mean of the squared gradient
    steps: int = 0

    def row(self, frame: int) -> int | None:
        """The row of a capture frame; None for one that has no correction: training sees it as another's past alone."""
        row = int(np.searchsorted(self.frames, frame))
        return row if row < len(self.frames) and self.frames[row] == frame else None

    def of(self, index: torch.Tensor) -> torch.Tensor:
        """(B, COUNT) a copy of the corrections of capture frames (B,)."""
        rows = [self.row(int(frame)) for frame in index]
        return torch.stack([torch.zeros(COUNT) if row is None else self.values[row] for row in rows])


class Refinement:
    """The corrections of everybody, and how maps are read by them."""

    def __init__(self, people: Mapping[str, FittedBody], frames: Mapping[str, Sequence[int]], recipe: Recipe,
                 device: torch.device) -> None:
        """frames: of each person, those that training sees."""
        self.recipe = recipe
        self.people = {
            name: Corrections(body, np.asarray(sorted(frames[name])), torch.zeros(len(frames[name]), COUNT),
                              torch.zeros(COUNT)) for name, body in people.items()}
        body = load_body()
        corners, bary = texel_corners(body, TEXTURE_SIZE)
        self.corners, self.bary = torch.from_numpy(corners).to(device), torch.from_numpy(bary).to(device)
        self.charts = torch.from_numpy(chart_map(body, TEXTURE_SIZE)).to(device)

    def moved(self, person: str, batch: Batch) -> tuple[Batch, torch.Tensor]:
        """The windows with their maps read by the corrections, and these (B, COUNT), which then get a gradient."""
        own = self.people[person]
        offsets = own.of(batch.index).to(batch.grid.device).requires_grad_()
        texels = torch.stack([self._texel_px(own.body, offset, int(frame), joints)
                              for offset, frame, joints in zip(offsets, batch.index, batch.joints)])
        shift = pixel_displacement(texels, batch.grid, batch.inside, reach=int(self.recipe.refine_bound) + 2)
        grid, normal, inside = warped(batch.grid, batch.normal, batch.inside, shift, self.charts)
        return batch._replace(grid=grid, normal=normal, inside=inside), offsets

    def _texel_px(self, body: FittedBody, offset: torch.Tensor, frame: int, joints: torch.Tensor) -> torch.Tensor:
        """(S, S, 2) window pixels that texels move by; where it has the joints (J, 3) tells its scale and turn."""
        captured = captured_joints(body.fit, body.camera, body.projection)(frame)[:, :2]
        placed = joints[:, :2].cpu().numpy()
        linear = np.linalg.lstsq(captured - captured.mean(0), placed - placed.mean(0), rcond=None)[0].T
        vertex_px = torch.from_numpy(linear @ leverage(body, frame)).to(offset) @ offset
        return texel_displacement(vertex_px, self.corners, self.bary)

    def learn(self, person: str, index: torch.Tensor, gradient: torch.Tensor, factor: float) -> None:
        """One step of each frame (B,) seen, and a lesser one of the frames around it, against the gradient (B, COUNT).

        Like Adam's, but without momentum, as a frame is seen seldom, and with one mean squared gradient for all frames.
        factor   of the rate: the schedule of the training
        """
        own, recipe = self.people[person], self.recipe
        gradient = gradient.detach().cpu().float()
        own.steps += 1
        own.power.lerp_(gradient.square().mean(0), 1.0 - MEMORY)
        size = (own.power / (1.0 - MEMORY ** own.steps)).sqrt()
        size = size.clamp(min=max(LEAST_SHARE * float(size.max()), 1e-12))
        rate = recipe.refine_rate * factor
        for frame, slope in zip(index.tolist(), gradient):
            row = own.row(frame)
            if row is None:
                continue
            near = torch.from_numpy(nearness(own.frames - own.frames[row], recipe.refine_frames))[:, None]
            pull = slope / size + recipe.refine_prior * own.values[row]
            own.values -= rate * near * pull
        self._hold(own)

    def warmth(self, images: int) -> float:
        """How large steps are after so many images, while their texture is new: 0..1."""
        return min(1.0, (images - self.recipe.refine_from + 1) / max(1, self.recipe.refine_warm_up))

    def _hold(self, own: Corrections) -> None:
        """No frame beyond the bound, and nothing in the mean of all frames."""
        for _ in range(ROUNDS):
            own.values.clamp_(-self.recipe.refine_bound, self.recipe.refine_bound)
            own.values -= own.values.mean(0)

    def stored(self) -> dict[str, Any]:
        """What a checkpoint keeps."""
        return {name: {"values": own.values, "power": own.power, "steps": own.steps}
                for name, own in self.people.items()}

    def restore(self, stored: Mapping[str, Any]) -> None:
        """Takes over what `stored` gave; KeyError or RuntimeError where it is of other people or frames."""
        for name, own in self.people.items():
            own.values.copy_(stored[name]["values"])
            own.power.copy_(stored[name]["power"])
            own.steps = int(stored[name]["steps"])


def begin_refinement(inputs: Mapping[str, Path], pupils: Mapping[str, Pupil], recipe: Recipe,
                     device: torch.device) -> Refinement | None:
    """Corrections of everybody's training frames, all zero; None where the recipe wants none.

    inputs  {"ada/capture": folder}, of everybody what training reads
    """
    if not recipe.refine:
        return None
    people = {name: FittedBody(read_fit(inputs[f"{name}/fit"] / "fit.npz"),
                               Recording(inputs[f"{name}/capture"]).camera,
                               read_json(inputs[f"{name}/raster"] / "raster.json")["projection"]) for name in pupils}
    return Refinement(people, {name: pupil.all for name, pupil in pupils.items()}, recipe, device)


def nearness(apart: np.ndarray, frames: float) -> np.ndarray:
    """float32 1 for the same frame, falling like a Gauss curve with `frames` as its width; 0 frames: nobody else."""
    if frames <= 0:
        return (apart == 0).astype(np.float32)
    return np.exp(-0.5 * (apart / frames) ** 2).astype(np.float32)


def texel_corners(body: Body, size: int) -> tuple[np.ndarray, np.ndarray]:
    """(size, size, 3) int64 vertices around each texel and their float32 shares: 0 far from charts.

    In the gutters, where the nearest face stands for what lies there, shares stay within 0..1.
    """
    drawn = face_map(body, size)
    face = np.maximum(drawn, 0)
    rows, columns = np.mgrid[:size, :size] + 0.5
    a, b, c = np.moveaxis(body.uvs[body.face_uvs[face]].astype(np.float64) * size, 2, 0)
    u, v, w = b - a, c - a, np.stack([columns, rows], -1) - a
    area = u[..., 0] * v[..., 1] - u[..., 1] * v[..., 0]
    second = (w[..., 0] * v[..., 1] - w[..., 1] * v[..., 0]) / area
    third = (u[..., 0] * w[..., 1] - u[..., 1] * w[..., 0]) / area
    bary = np.clip(np.stack([1 - second - third, second, third], -1), 0, 1)
    bary = bary / bary.sum(-1, keepdims=True) * (drawn >= 0)[..., None]
    return body.faces[face].astype(np.int64), bary.astype(np.float32)
