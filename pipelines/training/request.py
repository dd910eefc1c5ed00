"""What may be asked of learning somebody further: the options that `anr enroll` and `train --finetune` share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from pipelines.core.errors import AnrError
from pipelines.core.options import option
from pipelines.core.storage import read_json

READING_S = 15.0                        # of frames and model, before the first image
MOST_REHEARSED = 0.9                    # of the images; the others are the person's own
TRAINED_S = 300.0                       # of a model that does not tell how long its training took


class Budget(Protocol):
    """The part of every training's options that says how long it takes, and what chance begins with."""

    @property
    def images(self) -> int: ...

    @property
    def minutes(self) -> float: ...

    @property
    def seed(self) -> int: ...

    @property
    def weights(self) -> str: ...

    @property
    def device(self) -> str: ...


@dataclass(frozen=True)
class LearningOptions:
    """Which model goes on, for whom, for how long."""

    avatar: str = option("main", "The model to begin with; it stays as it is.")
    person: str = option("", "For whom.")
    images: int = option(0, "How many images to see; 0 = as many as the minutes allow, or a share of the model's.")
    minutes: float = option(0.0, "Time budget, turned into a number of images after a warm-up.")
    rehearse: float = option(0.0, "Share of images in which a network that learns draws everybody else as before.")
    seed: int = option(0, "Start of everything random.")
    weights: str = option("", "Folder with pretrained extractor weights.", recorded_only=True)
    device: str = option("auto", "auto, cpu or cuda.", recorded_only=True)


def check_budget(options: Budget) -> None:
    """AnrError for a number below 0, or a device or a folder of weights that is not here."""
    from pipelines.metrics.weights import search_folders
    from pipelines.renderers.avatar import best_device

    best_device(options.device)
    search_folders(options.weights)
    for name in ("images", "minutes", "seed"):
        if not getattr(options, name) >= 0:
            raise AnrError(f"--{name} {getattr(options, name):g} is out of range.", hint="Use at least 0.")


def budget_of(options: Budget, images: int, minutes: float = 0.0) -> tuple[int, float]:
    """Images and minutes, one of which is 0: what was asked for (images go first), else the minutes or images given.

    images, minutes  where nothing was asked for; minutes 0 = the images are counted
    """
    minutes = 0.0 if options.images else options.minutes or minutes
    return (0 if minutes else options.images or images), minutes


def check_learning(options: LearningOptions) -> None:
    """Refuses what could only fail after the work before it."""
    check_budget(options)
    if not 0 <= options.rehearse <= MOST_REHEARSED:
        raise AnrError(f"--rehearse {options.rehearse:g} is not a share from 0 to {MOST_REHEARSED:g}.",
                       hint="0.3 keeps everybody about as they are.")


def learning_seconds(inputs: Mapping[str, Path], options: LearningOptions, share: float) -> float:
    """About how long it takes: the minutes asked for, or so much of the model's own training as its images are.

    inputs  {"train": the model's folder}
    share   of the images that the model saw, where no number is asked for
    """
    if options.minutes and not options.images:
        return READING_S + 60.0 * options.minutes
    told = read_json(inputs["train"] / "avatar.json")
    trained_s, trained = float(told.get("seconds", TRAINED_S)), float(told.get("images", 0))
    return READING_S + trained_s * (options.images / trained if options.images and trained else share)
