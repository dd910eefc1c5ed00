"""`anr enroll`: a new person on a trained model, by learning only their texture; the network stays as it is.

    network.safetensors, textures.safetensors, avatar.json, ...   a model folder as `anr train` writes it; the network
                                                                  and everybody else's texture are the old ones

With `--learn network` the network learns as well, and rehearses those it knows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pipelines.core.errors import AnrError
from pipelines.core.options import option
from pipelines.core.stage import Job, Outcome, Stage
from pipelines.training.request import LearningOptions, budget_of, check_learning, learning_seconds

SHARES = {"texture": 0.1, "network": 0.25}      # of the images that the model saw, where no number is said


@dataclass(frozen=True)
class EnrollOptions(LearningOptions):
    """Who joins which model, learned for how long."""

    avatar: str = option("main", "The model that learns somebody new; it stays as it is.")
    person: str = option("", "Who is new.")
    learn: str = option("texture", "texture (the network stays as it is) or network (it learns too: for clothes that "
                                   "nobody it knows wears).")
    images: int = option(0, "How many images to see; 0 = as many as the minutes allow, or a tenth of the model's (a "
                            "quarter with --learn network).")
    rehearse: float = option(0.4, "Share of images in which a network that learns draws everybody else as before.")


def check(options: EnrollOptions) -> None:
    """Refuses what could only fail after the work before it."""
    check_learning(options)
    if options.learn not in SHARES:
        raise AnrError(f"--learn {options.learn} is not known.", hint=f"Use {' or '.join(SHARES)}.")


def run(job: Job) -> Outcome:
    from pipelines.playback.around import some_surfaces
    from pipelines.renderers.avatar import load_avatar
    from pipelines.training.further import check_learns_texture, enrolment, images_of, recipe_of
    from pipelines.training.learning import Course, learn_further
    from pipelines.training.rehearsal import rehearsed
    from pipelines.training.state import Plan

    options: EnrollOptions = job.options
    avatar = load_avatar(job.inputs["train"], options.device)
    check_learns_texture(avatar)
    if options.person in avatar.people:
        raise AnrError(f"This model knows {options.person!r} already.",
                       hint=f"For higher quality: anr train --finetune {options.person} --avatar {options.avatar}")
    share = images_of(avatar, SHARES[options.learn])
    network_learns = options.learn == "network"
    stays = "the network learns too, and rehearses the others" if network_learns else "the network stays as it is"
    job.progress.note(f"Learning the texture of {options.person}; {stays}.")
    others = rehearsed(avatar, {name: some_surfaces(avatar, name) for name in avatar.people},
                       options.rehearse) if network_learns else {}
    course = Course("enrolled", options.person, enrolment(recipe_of(avatar), options.images or share),
                    Plan(*budget_of(options, share)), options.seed, options.weights, network_learns, others,
                    calibrated=True)
    figures, outputs = learn_further(course, avatar, job.inputs, job.folder, job.progress)
    return Outcome({**figures, "people": float(len(avatar.people) + 1)}, outputs)


def _estimate_s(inputs: Mapping[str, Path], options: EnrollOptions) -> float:
    return learning_seconds(inputs, options, SHARES.get(options.learn, SHARES["texture"]))


STAGE = Stage(name="enroll", version=2, doing="Learning a new person's texture", Options=EnrollOptions, run=run,
              inputs=("capture", "fit", "raster", "matte", "keyframes"), resumable=True, folder_name="train",
              check=check, estimate_s=_estimate_s)
