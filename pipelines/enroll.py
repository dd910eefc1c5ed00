"""`anr enroll`: a new person on a trained model, by learning only their texture; the network stays as it is.

    network.safetensors, textures.safetensors, avatar.json, ...   a model folder as `anr train` writes it; the network
                                                                  and everybody else's texture are the old ones
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
class EnrollOptions:
    avatar: str = option("main", "The model that learns somebody new; it stays as it is.")
    person: str = option("", "Who is new.")
    images: int = option(0, "How many images to see; 0 = as many as the minutes allow, or a tenth of the model's.")
    minutes: float = option(0.0, "Time budget, turned into a number of images after a warm-up.")
    seed: int = option(0, "Start of everything random.")
    weights: str = option("", "Folder with pretrained extractor weights.", recorded_only=True)
    device: str = option("auto", "auto, cpu or cuda.", recorded_only=True)


def check(options: EnrollOptions) -> None:
    """Refuses what could only fail after the work before it."""
    from pipelines.renderers.avatar import best_device

    best_device(options.device)
    for name in ("images", "minutes", "seed"):
        if not getattr(options, name) >= 0:
            raise AnrError(f"--{name} {getattr(options, name):g} is out of range.", hint="Use at least 0.")


def run(job: Job) -> Outcome:
    from pipelines.renderers.avatar import load_avatar
    from pipelines.training.further import ENROLLED_SHARE, check_learns_texture, enrolment, images_of, recipe_of
    from pipelines.training.learning import Course, learn_further
    from pipelines.training.state import Plan

    options: EnrollOptions = job.options
    avatar = load_avatar(job.inputs["train"], options.device)
    check_learns_texture(avatar)
    if options.person in avatar.people:
        raise AnrError(f"This model knows {options.person!r} already.",
                       hint=f"For higher quality: anr train --finetune {options.person} --avatar {options.avatar}")
    images = options.images or images_of(avatar, ENROLLED_SHARE)
    minutes = 0.0 if options.images else options.minutes
    job.progress.note(f"Learning the texture of {options.person}; the network stays as it is.")
    course = Course("enrolled", options.person, enrolment(recipe_of(avatar), images),
                    Plan(0 if minutes else images, minutes), options.seed, options.weights, network_learns=False)
    figures, outputs = learn_further(course, avatar, job.inputs, job.folder, job.progress)
    return Outcome({**figures, "people": float(len(avatar.people) + 1)}, outputs)


def _estimate_s(inputs: Mapping[str, Path], options: EnrollOptions) -> float:
    told = read_json(inputs["train"] / "avatar.json")
    return 15.0 + (options.minutes * 60.0 or 0.1 * float(told.get("seconds", 300.0)))


STAGE = Stage(name="enroll", version=1, doing="Learning a new person's texture", Options=EnrollOptions, run=run,
              inputs=("capture", "fit", "raster", "matte", "keyframes"), resumable=True, folder_name="train",
              check=check, estimate_s=_estimate_s)
