"""The training loop, told once. All chance comes from (seed, images seen): a resumed run equals an unbroken one."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from itertools import count

from pipelines.training.recipe import Recipe
from pipelines.training.state import State, save_checkpoint
from pipelines.training.step import Lesson, draw_step, take_step
from pipelines.training.validation import look

CHECKPOINT_S = 30.0                     # between checkpoints, at least ...
CHECKPOINT_SHARE = 20.0                 # ... and so many times as long as one takes
MEASURED_IMAGES = 24                    # a time budget is turned into images after at least so many ...
MEASURED_S = 8.0                        # ... and so long; the first ones are slow and do not count
SLOW_START_IMAGES = 6
RECHECK_EVERY = 0.1                     # of the planned images: the plan is corrected if the pace was misjudged ...
RECHECK_IMAGES = 8                      # (after at least so many images)
RECHECK_BEYOND = 0.1                    # ... by more than this share
LAST_RECHECK = 0.8                      # of the time
KEPT_BACK = 0.05                        # of the time budget, for progress pictures, checkpoints and writing the result


def train(lesson: Lesson, state: State) -> State:
    """Trains until the planned number of images, and keeps a last checkpoint, which is the caller's to remove.

    state  a fresh one or one read from a checkpoint
    """
    clock = _Clock(state)
    with ThreadPoolExecutor(1) as reader:       # the next windows are cut while this step computes
        coming = reader.submit(draw_step, lesson, state.renderer, state.images)
        while state.plan.images == 0 or state.images < state.plan.images:
            planned = state.plan.images
            for _ in lesson.progress.track(*_remaining(state, lesson.recipe)):
                person, teaches_texture, batch = coming.result()
                coming = reader.submit(draw_step, lesson, state.renderer, state.images + lesson.recipe.batch)
                terms = take_step(lesson, state, person, teaches_texture, batch)
                state.images += lesson.recipe.batch
                look(lesson, state)
                clock.tick(lesson, state, terms)
                if state.plan.images != planned:
                    break
        coming.cancel()
    clock.flush(lesson, state)
    save_checkpoint(lesson.checkpoint, state)
    return state


def planned_images(images: int, seconds: float, minutes: float, seconds_per_image: float, batch: int) -> int:
    """How many images fit a time budget when `images` took `seconds` so far."""
    more = max(0.0, minutes * 60.0 * (1.0 - KEPT_BACK) - seconds) / seconds_per_image
    return images + max(1, int(more / batch)) * batch


class _Clock:
    """Time budget, checkpoints and reports: all that looks at the wall clock."""

    def __init__(self, state: State) -> None:
        self.before, self.started = state.seconds, time.monotonic()
        self.saved = self.reported = self.last = self.started
        self.saving = 0.0                       # seconds the last checkpoint took
        self.steps: list[float] = []            # seconds of each step of this session
        self.terms: list[dict[str, float]] = []

    def tick(self, lesson: Lesson, state: State, terms: dict[str, float]) -> None:
        now = time.monotonic()
        self.steps.append(now - self.last)
        self.terms.append(terms)
        state.seconds = self.before + now - self.started
        self._plan(lesson, state)
        if now - self.reported > 10.0:
            self.flush(lesson, state)
            self.reported = time.monotonic()
        if now - self.saved > max(CHECKPOINT_S, CHECKPOINT_SHARE * self.saving):
            save_checkpoint(lesson.checkpoint, state)
            self.saved = time.monotonic()
            self.saving = self.saved - now
        self.last = time.monotonic()

    def flush(self, lesson: Lesson, state: State) -> None:
        if self.terms:
            names = dict.fromkeys(name for terms in self.terms for name in terms)      # no face, no term of it
            lesson.report(state, {name: statistics.fmean(t[name] for t in self.terms if name in t) for name in names})
            self.terms = []

    def _plan(self, lesson: Lesson, state: State) -> None:
        """Turns the minutes into images once the pace is known, and corrects the number where it was misjudged."""
        plan, batch = state.plan, lesson.recipe.batch
        if plan.minutes <= 0 or plan.stopped:
            return
        if plan.images == 0:
            counted = self.steps[SLOW_START_IMAGES // batch + 1:]
            if len(counted) * batch < MEASURED_IMAGES or state.seconds - self.before < MEASURED_S:
                return
            pace = statistics.median(counted) / batch
        else:
            since = state.images - plan.checked
            due = since >= max(RECHECK_IMAGES, RECHECK_EVERY * plan.images) or state.images >= plan.images
            usable = self.steps[SLOW_START_IMAGES // batch + 1:][-max(1, since // batch):]
            if not due or not usable or state.seconds > LAST_RECHECK * plan.minutes * 60.0:
                return
            pace = statistics.fmean(usable) / batch
        plan.checked = state.images
        better = planned_images(state.images, state.seconds, plan.minutes, pace, batch)
        if plan.images == 0 or abs(better / plan.images - 1) > RECHECK_BEYOND:
            plan.images, plan.seconds_per_image = better, pace
            lesson.progress.note(f"{pace:.2f} s per image: {plan.images} images fit {plan.minutes:g} minutes.")


def _remaining(state: State, recipe: Recipe) -> tuple[Iterable[int], str, int | None]:
    """What the progress bar walks over: the images still to see, or an open end while the pace is measured."""
    if state.plan.images == 0:
        return count(state.images, recipe.batch), "Measuring the speed", None
    steps = range(state.images, state.plan.images, recipe.batch)
    return steps, "Training", len(steps)
