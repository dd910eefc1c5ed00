"""`anr train --finetune PERSON`: goes on from a model for one of its people, network and texture, as another model.

The network then serves this person: others whom the model knows are kept, and look worse than in the shared one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pipelines.core.errors import AnrError
from pipelines.core.options import option
from pipelines.core.stage import Job, Outcome, Stage
from pipelines.core.storage import read_json


@dataclass(frozen=True)
class FinetuneOptions:
    avatar: str = option("main", "The model to begin with; it stays as it is.")
    person: str = option("", "For whom.")
    images: int = option(0, "How many images to see; 0 = as many as the minutes allow, or a third of the model's.")
    minutes: float = option(0.0, "Time budget, turned into a number of images after a warm-up.")
    seed: int = option(0, "Start of everything random.")
    weights: str = option("", "Folder with pretrained extractor weights.", recorded_only=True)
    device: str = option("auto", "auto, cpu or cuda.", recorded_only=True)


def check(options: FinetuneOptions) -> None:
    """Refuses what could only fail after the work before it."""
    from pipelines.renderers.avatar import best_device

    best_device(options.device)
    for name in ("images", "minutes", "seed"):
        if not getattr(options, name) >= 0:
            raise AnrError(f"--{name} {getattr(options, name):g} is out of range.", hint="Use at least 0.")


def run(job: Job) -> Outcome:
    from pipelines.renderers.avatar import load_avatar
    from pipelines.training.further import TUNED_SHARE, check_learns_texture, images_of, recipe_of, tuning
    from pipelines.training.learning import Course, learn_further
    from pipelines.training.state import Plan

    options: FinetuneOptions = job.options
    avatar = load_avatar(job.inputs["train"], options.device)
    check_learns_texture(avatar)
    avatar.person(options.person)
    others = sorted(set(avatar.people) - {options.person})
    if others:
        job.progress.note(f"This model will serve {options.person}; {', '.join(others)} look better in "
                          f"{options.avatar!r}, which stays as it is.")
    images = options.images or images_of(avatar, TUNED_SHARE)
    minutes = 0.0 if options.images else options.minutes
    course = Course("tuned", options.person, tuning(recipe_of(avatar)), Plan(0 if minutes else images, minutes),
                    options.seed, options.weights, network_learns=True)
    figures, outputs = learn_further(course, avatar, job.inputs, job.folder, job.progress)
    return Outcome(figures, outputs)


def _estimate_s(inputs: Mapping[str, Path], options: FinetuneOptions) -> float:
    told = read_json(inputs["train"] / "avatar.json")
    return 15.0 + (options.minutes * 60.0 or float(told.get("seconds", 300.0)) / 3)


STAGE = Stage(name="finetune", version=1, doing="Fine-tuning", Options=FinetuneOptions, run=run,
              inputs=("capture", "fit", "raster", "matte", "keyframes"), resumable=True, folder_name="train",
              check=check, estimate_s=_estimate_s)
