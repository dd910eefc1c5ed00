"""Stage 7: one renderer for all named people, and one neural texture for each of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.core.errors import AnrError
from pipelines.core.options import option
from pipelines.core.stage import Job, Outcome, Stage
from pipelines.core.storage import write_json

if TYPE_CHECKING:
    from pipelines.training.recipe import Recipe
    from pipelines.training.state import State
    from pipelines.training.step import Pupil

SECONDS_PER_IMAGE = {"draft": 0.3, "standard": 4.0, "paper": 60.0}     # on two cores, for the estimate alone


@dataclass(frozen=True)
class TrainOptions:
    preset: str = option("draft", "draft (two CPU cores, minutes), standard or paper (a GPU).")
    renderer: str = option("anr", "Which renderer to train.")
    images: int = option(0, "How many images to see; 0 = as many as the minutes allow, or what the preset says.")
    minutes: float = option(0.0, "Time budget, turned into a number of images after a warm-up; 0 = the preset's.")
    batch: int | None = option(None, "Images per step; the preset's when not given.")
    learning_rate: float | None = option(None, "Of the network; the preset's when not given.")
    grid_noise: float | None = option(None, "Noise on the sampling grid, of its [-1, 1] range; the paper says 0.02.")
    feature_weight: float | None = option(None, "Weight of the feature loss; 0 = none.")
    face_weight: float | None = option(None, "Weight of the face in the pixel loss; 1 = like the rest.")
    adversarial_weight: float | None = option(None, "Weight of the adversarial loss; 0 = none.")
    face_share: float | None = option(None, "Share of training windows placed about the face.")
    face_feature_weight: float | None = option(None, "Weight of a feature loss on the enlarged face; 0 = none.")
    extractor: str = option("", "Network of the feature loss: vgg19, squeezenet1_1 or none; the preset's when not "
                                "given, SqueezeNet where VGG19's weights are not to be had.")
    split: bool | None = option(None, "Alternate keyframes (texture and network) with the other frames (network "
                                      "alone); the renderer's when not given.")
    split_ratio: float | None = option(None, "Steps of the network alone to one on a keyframe; the preset's is 1.")
    network_frames: str = option("", "Which frames teach the network alone: others (than keyframes) or all.")
    stay_in_chart: bool | None = option(None, "Grid noise never moves a sample into another chart of the atlas.")
    texture_start: str = option("", "What textures begin with: random (the paper's) or colours (the keyframes'); the "
                                    "preset's when not given.")
    patience: int | None = option(None, "Stop when so many looks in a row, 250 images apart, at frames set aside from "
                                        "training brought no gain; 0 = never.")
    changes: tuple[str, ...] = option((), "NAME=VALUE: any other number of the preset (docs/model.md lists them); may "
                                          "be given several times.", flag="--set", repeat=True)
    seed: int = option(0, "Start of everything random.")
    weights: str = option("", "Folder with pretrained extractor weights.", recorded_only=True)
    device: str = option("auto", "auto, cpu or cuda.", recorded_only=True)


def run(job: Job) -> Outcome:
    from pipelines.renderers.avatar import best_device
    from pipelines.training.before import announcement
    from pipelines.training.features import load_extractor, name_of
    from pipelines.training.gathering import charts_for, gather
    from pipelines.training.loop import train
    from pipelines.training.refinement import begin_refinement
    from pipelines.training.refinement_report import write_refinement
    from pipelines.training.reporting import Reporter, last_picture
    from pipelines.training.request import budget_of
    from pipelines.training.state import CHECKPOINT, Plan, begin, resumed
    from pipelines.training.step import Lesson

    options: TrainOptions = job.options
    recipe = _recipe(options)
    device = best_device(options.device)
    people = sorted({key.split("/")[0] for key in job.inputs})
    pupils, described = gather(job.inputs, people, job.folder, job.progress, recipe.patience > 0)
    plan = Plan(*budget_of(options, recipe.images, recipe.minutes))
    state = begin(options.renderer, people, recipe, options.seed, plan, device)
    _colour_textures(state, pupils, recipe)
    state.refinement = begin_refinement(job.inputs, pupils, recipe, device)
    state = resumed(job.folder, state, job.progress)
    extractor = load_extractor(recipe, options.weights, job.progress, device)
    lesson = Lesson(pupils, recipe, options.seed, device, extractor, job.progress, job.folder / CHECKPOINT,
                    charts=charts_for(recipe, device))
    lesson.report = Reporter(job.folder, lesson, described, state.images)
    guess = SECONDS_PER_IMAGE.get(options.preset, 0.0) if device.type == "cpu" else 0.0
    for line in announcement(options.renderer, recipe, state, pupils, extractor, guess):
        job.progress.note(line)
    state = train(lesson, state)
    _write_avatar(job, options, recipe, state, described, name_of(extractor))
    refined = write_refinement(job.folder, state.refinement) if state.refinement else {}
    (job.folder / CHECKPOINT).unlink()
    return Outcome({"images": state.images, "seconds": round(state.seconds, 1), "people": len(people), **refined},
                   {"picture": last_picture(job.folder), "metrics": "metrics.jsonl"})


def _recipe(options: TrainOptions) -> Recipe:
    """The preset, changed by what the renderer's paper says, then by what was typed."""
    from pipelines.renderers import renderer_file
    from pipelines.training.recipe import parsed_changes, recipe_for

    named = {"feature_weight": "feature", "adversarial_weight": "adversarial", "face_feature_weight": "face_feature"}
    kept = ("batch", "learning_rate", "grid_noise", "face_weight", "face_share", "extractor", "split", "split_ratio",
            "network_frames", "stay_in_chart", "texture_start", "patience")
    typed = {named.get(name, name): getattr(options, name) for name in (*named, *kept)}
    given = {name: value for name, value in typed.items() if value not in (None, "")}
    recipe = recipe_for(options.preset, **{**renderer_file(options.renderer).RECIPE, **given,
                                           **parsed_changes(options.changes)})
    if recipe.view_term and options.renderer != "dnr":
        raise AnrError(f"--set view_term=yes is not for the renderer {options.renderer!r}.", hint="It is part of dnr.")
    if not recipe.normals and options.renderer not in ("anr", "onestage"):
        raise AnrError(f"--set normals=no is not for the renderer {options.renderer!r}.",
                       hint="anr and onestage can do without.")
    if recipe.capacity != 1.0 and options.renderer != "onestage":
        raise AnrError(f"--set capacity={recipe.capacity:g} is not for the renderer {options.renderer!r}.",
                       hint="Rivals have as many parameters as anr; onestage can have others.")
    needs: frozenset[str] = getattr(renderer_file(options.renderer), "NEEDS", frozenset())
    if recipe.critic_sees_pairs and "past" not in needs:
        raise AnrError(f"--set critic_sees_pairs=yes is not for the renderer {options.renderer!r}.",
                       hint="v2v draws frames in a row; the others one by one.")
    if recipe.refine and "joints" in needs:
        raise AnrError(f"--set refine=yes is not for the renderer {options.renderer!r}.",
                       hint="It draws from the joints, and poses are refined through the surface.")
    return recipe


def _colour_textures(state: State, pupils: Mapping[str, Pupil], recipe: Recipe) -> None:
    """Begins everybody with the colours of their keyframes, where the recipe says so and a texture is learned."""
    import torch

    from pipelines.body.model import load_body
    from pipelines.body.surface import region_map
    from pipelines.renderers.texture import flat_texture
    from pipelines.training.colours import coloured_start
    from pipelines.training.state import set_texture

    if recipe.texture_start != "colours":
        return
    for person in state.texture_optimisers:
        start = flat_texture(state.textures[person].detach(), recipe.texture_levels).cpu().numpy()
        frames = [pupils[person].frames[k] for k in pupils[person].keyframes]
        coloured = coloured_start(start, frames, region_map(load_body(), start.shape[1]))
        set_texture(state, person, torch.from_numpy(coloured), recipe.texture_levels)


def _write_avatar(job: Job, options: TrainOptions, recipe: Recipe, state: State,
                  described: dict[str, dict[str, Any]], extractor: str) -> None:
    """All that rendering needs: the averaged network and textures, the body, and what is known of the people."""
    from pipelines.body import model
    from pipelines.renderers import renderer_config
    from pipelines.renderers.avatar import SCHEMA
    from pipelines.training.writing import final_textures, write_body, write_tensors

    write_tensors(job.folder / "network.safetensors", state.average.state_dict())
    write_tensors(job.folder / "textures.safetensors", final_textures(state, recipe))
    write_body(job.folder)
    config = renderer_config(options.renderer, recipe.network(recipe.texture_channels))
    write_json(job.folder / "avatar.json", {
        "schema": SCHEMA, "renderer": options.renderer, "config": config,
        "body_version": model.load_body().version, "preset": options.preset, "recipe": asdict(recipe),
        "seed": options.seed, "extractor": extractor, "plan": vars(state.plan), "images": state.images,
        "seconds": round(state.seconds, 1), "people": described})


def check(options: TrainOptions) -> None:
    """AnrError for what could only fail after all the work before training."""
    from pipelines.training.request import check_budget

    _recipe(options)
    check_budget(options)


def _estimate(inputs: Mapping[str, Path], options: TrainOptions) -> float:
    from pipelines.training.recipe import PRESETS
    from pipelines.training.request import READING_S, budget_of

    recipe = PRESETS[options.preset]
    images, minutes = budget_of(options, recipe.images, recipe.minutes)
    return READING_S + minutes * 60.0 + images * SECONDS_PER_IMAGE.get(options.preset, 1.0)


STAGE = Stage(name="train", version=6, doing="Training", Options=TrainOptions, run=run,
              inputs=("capture", "fit", "raster", "matte", "keyframes"), resumable=True, estimate_s=_estimate,
              check=check)
