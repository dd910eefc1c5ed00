"""`anr train --finetune PERSON`: goes on from a model for one of its people, network and texture, as another model.

The network then serves this person: others whom the model knows are kept, and look worse than in the shared one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pipelines.core.options import option
from pipelines.core.stage import Job, Outcome, Stage
from pipelines.training.request import LearningOptions, budget_of, check_learning, learning_seconds

SHARE = 1 / 3                           # of the images that the model saw, where nothing is said


@dataclass(frozen=True)
class FinetuneOptions(LearningOptions):
    """Which model goes on for whom, and how long."""

    images: int = option(0, "How many images to see; 0 = as many as the minutes allow, or a third of the model's.")


def run(job: Job) -> Outcome:
    from pipelines.playback.around import some_surfaces
    from pipelines.renderers.avatar import load_avatar
    from pipelines.training.further import check_learns_texture, images_of, recipe_of, tuning
    from pipelines.training.learning import Course, learn_further
    from pipelines.training.rehearsal import rehearsed
    from pipelines.training.state import Plan

    options: FinetuneOptions = job.options
    avatar = load_avatar(job.inputs["train"], options.device)
    check_learns_texture(avatar)
    avatar.person(options.person)
    others = sorted(set(avatar.people) - {options.person})
    if others and not options.rehearse:
        job.progress.note(f"This model will serve {options.person}; {', '.join(others)} look better in "
                          f"{options.avatar!r}, which stays as it is; --rehearse 0.3 keeps them.")
    kept = rehearsed(avatar, {name: some_surfaces(avatar, name) for name in others}, options.rehearse)
    plan = Plan(*budget_of(options, images_of(avatar, SHARE)))
    course = Course("tuned", options.person, tuning(recipe_of(avatar)), plan,
                    options.seed, options.weights, network_learns=True, rehearsed=kept)
    figures, outputs = learn_further(course, avatar, job.inputs, job.folder, job.progress)
    return Outcome(figures, outputs)


def _estimate_s(inputs: Mapping[str, Path], options: FinetuneOptions) -> float:
    return learning_seconds(inputs, options, SHARE)


STAGE = Stage(name="finetune", version=1, doing="Fine-tuning", Options=FinetuneOptions, run=run,
              inputs=("capture", "fit", "raster", "matte", "keyframes"), resumable=True, folder_name="train",
              check=check_learning, estimate_s=_estimate_s)
