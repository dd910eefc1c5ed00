"""A tiny made-up person for tests of training and evaluation, with the inputs of both stages."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from pipelines import train
from pipelines.body.model import Body, load_body, pose_body, rest_body
from pipelines.core.mapcache import write_maps
from pipelines.core.records import BodyFit, BodyPose, Frame
from pipelines.core.stage import Job, Outcome, Progress
from pipelines.core.storage import write_fit, write_json
from pipelines.geometry.cameras import camera_from_fov
from pipelines.media.images import write_alpha, write_image
from pipelines.media.recording import RecordingWriter
from pipelines.rasterizers.cpu import surface_maps
from pipelines.training import loop
from pipelines.training import state as states
from pipelines.training import step as steps
from pipelines.training.gathering import gather
from pipelines.training.recipe import PRESETS

FRAMES, SIZE = 26, 64
TINY = dataclasses.replace(PRESETS["draft"], minutes=0.0, unshuffle=2, widths=(8, 12), latent_channels=5,
                           window=(48, 32), batch=2, images=12, warm_up=2, critic_width=4,
                           split=True, turned_share=0.0, texture_start="random")


def make_person(root: Path, size: tuple[int, int] = (SIZE, SIZE), fps: float = 15.0) -> dict[str, Path]:
    """The inputs of one person: the body itself, coloured by height, turning before a striped wall.

    size  width and height
    """
    width, height = size
    folders = {name: root / name for name in train.STAGE.inputs}
    for folder in folders.values():
        folder.mkdir(parents=True)
    (folders["raster"] / "maps").mkdir()
    write_json(folders["raster"] / "raster.json", {"projection": "perspective", "rasterizer": "cpu"})
    for name in ("alpha", "edge"):
        (folders["matte"] / name).mkdir()
    body, camera = load_body(), camera_from_fov(width, height, 40.0)
    writer = RecordingWriter(folders["capture"], camera)
    wall = np.repeat((np.arange(width) * 3).astype(np.uint8)[None, :, None], height, 0).repeat(3, 2)
    poses = [turned(body, 2 * np.pi * k / FRAMES) for k in range(FRAMES)]
    for index, pose in enumerate(poses):
        verts, _ = pose_body(body, np.zeros(body.shape_dirs.shape[0]), pose)
        maps = surface_maps(body.faces, body.uvs, body.face_uvs, verts, camera)
        image = wall.copy()
        rows = np.nonzero(maps.inside)[0]
        image[maps.inside] = np.stack([220 - 2 * rows, 40 + 2 * rows, np.full(len(rows), 60)], -1)
        write_maps(folders["raster"] / "maps" / f"{index:05d}.maps", maps)
        write_alpha(folders["matte"] / "alpha" / f"{index:05d}.png", maps.inside.astype(np.float32))
        write_image(folders["matte"] / "edge" / f"{index:05d}.png", np.zeros_like(image))    # no pixel is half covered
        writer.add(Frame(index, index / fps, image))
    writer.close(fps=fps, height_m=None, intrinsics_from="test", intrinsics_known=True, track=None)
    joints = len(body.joint_names)
    write_fit(folders["fit"] / "fit.npz", BodyFit(
        np.zeros(body.shape_dirs.shape[0]), np.array(body.joint_names), np.arange(FRAMES),
        np.stack([pose.joint_rotations for pose in poses]), np.stack([pose.root_translation for pose in poses]),
        np.zeros((FRAMES, joints, 3)), np.zeros(FRAMES), np.full(FRAMES, np.nan), np.ones(FRAMES, bool)))
    write_json(folders["keyframes"] / "keyframes.json", {"frames": [0, 5], "coverage": [0.5, 0.9]})
    return folders


def turned(body: Body, angle: float) -> BodyPose:
    rotations = np.tile(np.eye(3), (len(body.joint_names), 1, 1))
    c, s = math.cos(angle), math.sin(angle)
    rotations[0] = np.diag([1.0, -1.0, -1.0]) @ np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]])
    verts, joints = rest_body(body, np.zeros(body.shape_dirs.shape[0]))
    middle = (verts[:, 1].min() + verts[:, 1].max()) / 2
    return BodyPose(rotations, np.array([0.0, -(joints[0, 1] - middle), 3.0]))


class Remembering(Progress):
    """Keeps what was said."""

    def __init__(self) -> None:
        self.warnings: list[str] = []
        self.notes: list[str] = []

    def warn(self, text: str) -> None:
        self.warnings.append(text)

    def note(self, text: str) -> None:
        self.notes.append(text)


@contextmanager
def interrupted_after(count: int) -> Iterator[None]:
    """Ctrl-C comes when so many steps of a training are taken, and is let out of it."""
    take_step, taken = loop.take_step, 0

    def step(*arguments: Any) -> dict[str, float]:
        nonlocal taken
        if taken == count:
            raise KeyboardInterrupt
        taken += 1
        return take_step(*arguments)

    with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(loop, "take_step", step)
        yield


def trained(folder: Path, people: dict[str, dict[str, Path]], progress: Progress | None = None,
            **options: object) -> Outcome:
    folder.mkdir(parents=True, exist_ok=True)
    inputs = {f"{name}/{stage}": path for name, folders in people.items() for stage, path in folders.items()}
    return train.run(Job(folder, train.TrainOptions(**options), inputs, progress or Progress()))   # type: ignore[arg-type]


def lesson_and_state(person: dict[str, Path], folder: Path, renderer: str = "anr",
                     **changes: object) -> tuple[steps.Lesson, states.State]:
    folder.mkdir(exist_ok=True)
    recipe = dataclasses.replace(TINY, **changes)    # type: ignore[arg-type]
    pupils, _ = gather({f"ada/{k}": v for k, v in person.items()}, ["ada"], folder, Progress(), recipe.patience > 0)
    state = states.begin(renderer, ["ada"], recipe, 0, states.Plan(100, 0.0), torch.device("cpu"))
    return steps.Lesson(pupils, recipe, 0, torch.device("cpu"), None, Progress(), folder / "checkpoint.pt"), state
