"""Early stop: frames cut from the training frames, never held-out ones, tell whether training still gains."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from pipelines.renderers.avatar import draw
from pipelines.renderers.past import needed_by
from pipelines.renderers.texture import sample_texture
from pipelines.training.dataset import CroppedFrame, to_batch
from pipelines.training.state import State, final_texture
from pipelines.training.step import Lesson

SHARE = 0.1                             # of a person's training frames are set aside
LOOK_EVERY = 250                        # images between looks
LOOKED_AT = 4                           # validation frames of each person
GAIN = 0.005                            # less than this share better is no gain


def set_aside(keyframes: Sequence[int], others: Sequence[int]) -> tuple[list[int], list[int], list[int]]:
    """Keyframes, other frames and validation frames: a contiguous stretch of a tenth of the training frames.

    The latest stretch with the fewest keyframes, so that no appearance is lost; its neighbours are close to it in
    time, as the validation frames only decide when to stop. Fewer than ten training frames: none is set aside.
    """
    frames = sorted({*keyframes, *others})
    count = int(SHARE * len(frames))
    if count == 0 or len(set(keyframes)) == 0:
        return list(keyframes), list(others), []
    is_key = np.isin(frames, list(keyframes))
    lost = np.convolve(is_key, np.ones(count, int), "valid")
    start = int(len(lost) - 1 - np.argmin(lost[::-1]))
    if lost[start] == is_key.sum():
        return list(keyframes), list(others), []
    cut = set(frames[start:start + count])
    return [k for k in keyframes if k not in cut], [k for k in others if k not in cut], sorted(cut)


def look(lesson: Lesson, state: State) -> None:
    """Now and then measures the error, and ends the plan after `patience` looks without a gain."""
    batch, search = lesson.recipe.batch, state.search
    if search is None or not any(pupil.validation for pupil in lesson.pupils.values()):
        return
    if state.images // LOOK_EVERY == (state.images - batch) // LOOK_EVERY:
        return
    error = validation_error(lesson, state)
    if error < search.best * (1.0 - GAIN):
        search.best, search.misses = error, 0
        return
    search.misses += 1
    if search.misses >= lesson.recipe.patience:
        state.plan.images, state.plan.stopped = state.images, True
        lesson.progress.note(f"Stopped after {state.images} images: {search.misses} looks at validation frames "
                             f"brought no gain (error {error:.4f}, best {search.best:.4f}).")


def validation_error(lesson: Lesson, state: State) -> float:
    """Mean absolute difference (0..1) of blended picture and frame by the averaged network, mean over people."""
    errors = []
    for person, pupil in lesson.pupils.items():
        picked = np.linspace(0, len(pupil.validation) - 1, min(LOOKED_AT, len(pupil.validation))).round().astype(int)
        own = [_error(pupil.frames[pupil.validation[k]], state, person, lesson) for k in picked]
        if own:
            errors.append(float(np.mean(own)))
    return float(np.mean(errors))


def _error(frame: CroppedFrame, state: State, person: str, lesson: Lesson) -> float:
    rgb, alpha = rendered(frame, state, person, lesson)
    share = alpha[..., None]
    return float(np.abs(share * rgb + (1.0 - share) * frame.background / 255.0 - frame.image / 255.0).mean())


def rendered(frame: CroppedFrame, state: State, person: str, lesson: Lesson) -> tuple[np.ndarray, np.ndarray]:
    """The averaged network's rgb (h, w, 3) and alpha (h, w), 0..1, of a captured frame, on its own: without a past."""
    batch = to_batch([frame], 1.0)
    grid, normal, inside, joints = (x.to(lesson.device) for x in (batch.grid, batch.normal, batch.inside, batch.joints))
    with torch.no_grad():
        texture = final_texture(state, person, lesson.recipe)
        inputs = sample_texture(texture, grid, inside), normal, inside
        rgb, alpha = draw(state.average, *inputs, needed_by(state.average, inputs, texture, joints))
    return rgb.cpu().numpy(), alpha.cpu().numpy()
