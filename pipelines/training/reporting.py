"""How a training is watched: its losses, and pictures of frames that it never sees."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from pipelines.core.split import split_frames
from pipelines.media.images import write_image
from pipelines.media.sheets import fit_height, tile
from pipelines.training.state import State, final_texture
from pipelines.training.step import Lesson
from pipelines.training.validation import rendered

FIRST_PICTURE_S = 20.0
PICTURE_EVERY_S = 60.0
PICTURED_FRAMES = 3                     # held-out frames of each person in a progress picture


class Reporter:
    """metrics.jsonl, TensorBoard where it is installed, and a picture of held-out frames now and then."""

    def __init__(self, folder: Path, lesson: Lesson, described: Mapping[str, dict[str, Any]], images: int) -> None:
        self.folder, self.lesson = folder, lesson
        self.pictured = {name: _pictured(described[name]["frames"]) for name in lesson.pupils}
        self.next_picture_s = FIRST_PICTURE_S
        self.metrics = folder / "metrics.jsonl"
        kept = [line for line in self.metrics.read_text().splitlines() if json.loads(line)["images"] <= images] \
            if self.metrics.exists() else []
        self.metrics.write_text("".join(f"{line}\n" for line in kept))
        self.board = _tensorboard(folder / "tensorboard")

    def __call__(self, state: State, terms: dict[str, float]) -> None:
        row = {"images": state.images, "seconds": round(state.seconds, 1), **{k: round(v, 6) for k, v in terms.items()}}
        with self.metrics.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(row) + "\n")
        if self.board:
            for name, value in terms.items():
                self.board.add_scalar(f"loss/{name}", value, state.images)
        done = state.plan.images and state.images >= state.plan.images
        if state.seconds >= self.next_picture_s or done:
            self.next_picture_s = state.seconds + PICTURE_EVERY_S
            self._picture(state)
        if done and self.board:
            self.board.close()

    def _picture(self, state: State) -> None:
        shown = []
        for person, frames in self.pictured.items():
            for index in frames:
                shown += _truth_and_rendering(self.lesson, state, self.lesson.pupils[person].frames[index], person)
        sheet = tile(shown, columns=2 * max(1, min(PICTURED_FRAMES, len(shown) // 2)))
        write_image(self.folder / "progress" / f"{state.images:07d}.jpg", sheet)
        if self.board:
            self.board.add_image("held out", sheet, state.images, dataformats="HWC")
            for person in state.texture_optimisers:
                texture = final_texture(state, person, self.lesson.recipe)[:3].detach().cpu()
                self.board.add_image(f"texture/{person}", (texture.clamp(-1, 1) + 1) / 2, state.images)


def _pictured(frame_count: int) -> list[int]:
    held_out = split_frames(frame_count).held_out
    picked = np.unique(np.linspace(0, len(held_out) - 1, min(PICTURED_FRAMES, len(held_out))).round().astype(int))
    return [int(held_out[k]) for k in picked]


def _truth_and_rendering(lesson: Lesson, state: State, frame: Any, person: str) -> list[np.ndarray]:
    """The captured frame and the average network's picture over the clean plate, at most 360 pixels tall."""
    rgb, alpha = rendered(frame, state, person, lesson)
    share = alpha[..., None]
    picture = np.round(share * rgb * 255.0 + (1.0 - share) * frame.background).astype(np.uint8)
    return [fit_height(x, min(len(picture), 360)) for x in (frame.image, picture)]


def _tensorboard(folder: Path) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:                         # a GPU machine may have torch alone; metrics.jsonl has the same numbers
        return None
    return SummaryWriter(str(folder))


def last_picture(folder: Path) -> str:
    pictures = sorted((folder / "progress").glob("*.jpg"))
    return f"progress/{pictures[-1].name}" if pictures else "avatar.json"
