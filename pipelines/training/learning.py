"""One person learned further on a trained model: the part that enrolment and fine-tuning share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from pipelines.core.stage import Progress
from pipelines.renderers import needs_of
from pipelines.renderers.avatar import Avatar
from pipelines.renderers.texture import flat_texture
from pipelines.training.colouring import calibrated_start
from pipelines.training.features import load_extractor
from pipelines.training.further import Derived, going_on, write_derived
from pipelines.training.gathering import charts_for, gather
from pipelines.training.loop import train
from pipelines.training.recipe import Recipe
from pipelines.training.reporting import Reporter, last_picture
from pipelines.training.state import CHECKPOINT, Plan, resumed, set_texture
from pipelines.training.step import Lesson, Pupil
from pipelines.training.writing import final_textures


@dataclass(frozen=True)
class Course:
    """How somebody is learned further."""

    how: str                            # "enrolled" or "tuned"
    person: str
    recipe: Recipe
    plan: Plan
    seed: int
    weights: str                        # folder of pretrained extractors, or ""
    network_learns: bool
    rehearsed: Mapping[str, Pupil] = field(default_factory=dict)    # whom the network must not forget
    calibrated: bool = False            # the texture begins with the captured colours, as the network shows them


def learn_further(course: Course, avatar: Avatar, inputs: Mapping[str, Path], folder: Path,
                  progress: Progress) -> tuple[dict[str, float], dict[str, str]]:
    """Trains and writes the model folder; figures and outputs. What is interrupted goes on from its checkpoint.

    inputs  {"cleo/capture": folder}, what training reads of the person
    """
    person, recipe = course.person, course.recipe
    pupils, described = gather(inputs, [person], folder, progress)
    if not course.network_learns:       # the texture is learned from keyframes, as in training (paper, section 3.4)
        pupils = {person: replace(pupils[person], others=())}
    state = going_on(avatar, person, recipe, course.plan, course.network_learns, sorted(course.rehearsed))
    state = resumed(folder, state, progress)
    if course.calibrated and not state.images and not needs_of(avatar.renderer):
        own = pupils[person]
        start = flat_texture(state.textures[person].detach(), recipe.texture_levels)
        set_texture(state, person, calibrated_start(avatar.renderer, start, [own.frames[k] for k in own.keyframes]),
                    recipe.texture_levels)
    lesson = Lesson({**pupils, **course.rehearsed}, recipe, course.seed, avatar.device,
                    load_extractor(recipe, course.weights, progress, avatar.device), progress, folder / CHECKPOINT,
                    charts=charts_for(recipe, avatar.device))
    lesson.report = Reporter(folder, replace(lesson, pupils=pupils), described, state.images)
    state = train(lesson, state)
    figures = {"images": float(state.images), "seconds": round(state.seconds, 1)}
    before = float(avatar.description.get("seconds", 0))
    if before:
        figures["share_of_training"] = round(state.seconds / before, 3)
        progress.note(f"It took {state.seconds:.0f} s, {state.seconds / before:.0%} of the {before:.0f} s that the "
                      "model itself was trained for.")
    network = state.average if course.network_learns else None
    learned = {person: final_textures(state, recipe)[person]}
    write_derived(folder, avatar, Derived(course.how, person, learned, network, described, figures))
    (folder / CHECKPOINT).unlink()
    return figures, {"picture": last_picture(folder), "metrics": "metrics.jsonl"}
