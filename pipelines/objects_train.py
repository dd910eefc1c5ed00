"""Objects, stage 2: a renderer and a neural texture learn one object; figures on views held out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.core.errors import AnrError
from pipelines.core.options import option
from pipelines.core.stage import Job, Outcome, Stage
from pipelines.core.storage import camera_to_json, write_json

if TYPE_CHECKING:
    from pipelines.rigid.frames import ObjectFrames
    from pipelines.rigid.posed import PosedPicture
    from pipelines.training.recipe import Recipe
    from pipelines.training.state import State
    from pipelines.training.step import Pupil

RENDERERS = ("dnr", "anr", "pix2pix")   # those that see surface maps alone; the others want a body
SECONDS_PER_IMAGE = 0.3                 # of `draft` on two cores, for the estimate alone
START_VIEWS = 24                        # whose colours a texture begins with
# With the draft's rate of 0.05 texels that few pixels show become speckles: on the tests' box, 96 pixels wide, after
# 150 images, held-out PSNR 25.5 dB and LPIPS 0.127; with 0.01 27.2 dB and 0.075.
TEXTURE_LEARNING_RATE = 0.01
# DNR as its paper has it: 16 channels, four levels, spherical harmonics of the view direction (its section 4).
OF_DNR: dict[str, Any] = {"texture_channels": 16, "texture_levels": 4, "view_term": True}


@dataclass(frozen=True)
class ObjectTrainOptions:
    preset: str = option("draft", "draft (two CPU cores, minutes), standard or paper (a GPU).")
    renderer: str = option("dnr", f"Which renderer to train: {', '.join(RENDERERS)}.")
    images: int = option(0, "How many images to see; 0 = as many as the minutes allow, or what the preset says.")
    minutes: float = option(0.0, "Time budget, turned into a number of images after a warm-up; 0 = the preset's.")
    view_term: bool | None = option(None, "dnr: spherical harmonics of the view direction multiply nine channels of "
                                          "the texture, so that highlights can move (default: yes).")
    texture_start: str = option("colours", "What the texture begins with: colours (the views', averaged) or random.")
    changes: tuple[str, ...] = option((), "NAME=VALUE: any other number of the preset (docs/model.md lists them); may "
                                          "be given several times.", flag="--set", repeat=True)
    seed: int = option(0, "Start of everything random.")
    weights: str = option("", "Folder with pretrained extractor weights.", recorded_only=True)
    device: str = option("auto", "auto, cpu or cuda.", recorded_only=True)


def run(job: Job) -> Outcome:
    from pipelines.renderers.avatar import best_device
    from pipelines.rigid.model import NAME
    from pipelines.training.before import announcement
    from pipelines.training.features import load_extractor
    from pipelines.training.loop import train
    from pipelines.training.reporting import Reporter
    from pipelines.training.request import budget_of
    from pipelines.training.state import CHECKPOINT, Plan, begin, resumed
    from pipelines.training.step import Lesson

    options: ObjectTrainOptions = job.options
    recipe, device = _recipe(options), best_device(options.device)
    pupil, frames = _pupil(job, recipe)
    plan = Plan(*budget_of(options, recipe.images, recipe.minutes))
    state = begin(options.renderer, [NAME], recipe, options.seed, plan, device)
    _colour_texture(state, pupil, frames, recipe)
    state = resumed(job.folder, state, job.progress)
    extractor = load_extractor(recipe, options.weights, job.progress, device)
    lesson = Lesson({NAME: pupil}, recipe, options.seed, device, extractor, job.progress, job.folder / CHECKPOINT)
    lesson.report = Reporter(job.folder, lesson, {NAME: {"frames": len(frames.views)}}, state.images)
    guess = SECONDS_PER_IMAGE if options.preset == "draft" and device.type == "cpu" else 0.0
    for line in announcement(options.renderer, recipe, state, {NAME: pupil}, extractor, guess):
        job.progress.note(line)
    state = train(lesson, state)
    _write_model(job, recipe, state, frames)
    figures = _examine(job, frames.views)
    (job.folder / CHECKPOINT).unlink()
    figures = {"images": float(state.images), "seconds": round(state.seconds, 1), **figures}
    return Outcome(figures, {"sheet": "sheet.jpg", "eval": "eval.json", "metrics": "metrics.jsonl"})


def _pupil(job: Job, recipe: Recipe) -> tuple[Pupil, ObjectFrames]:
    """What there is to learn; writes split.json."""
    from pipelines.rigid.frames import ObjectFrames, split_views
    from pipelines.rigid.mesh import read_stored_mesh
    from pipelines.rigid.posed import read_transforms
    from pipelines.training.dataset import Memory
    from pipelines.training.step import Pupil

    source = job.inputs["object-views"]
    views = read_transforms(source)
    taught, held_out = split_views(len(views))
    frames = ObjectFrames(read_stored_mesh(source / "mesh.npz"), views, shading_of(recipe), Memory())
    seen = [k for k in taught if frames[k].inside.any()]
    if not seen:
        raise AnrError(f"The mesh is in none of the {len(taught)} training views.", hint="Look at the views' sheet.")
    (job.folder / "progress").mkdir(exist_ok=True)
    write_json(job.folder / "split.json", {"train": seen, "held_out": held_out})
    return Pupil(frames, seen, ()), frames


def shading_of(recipe: Recipe) -> str:
    """What a renderer is given beside its texture: DNR's view term takes directions, everybody else normals."""
    from pipelines.rigid.surface import DIRECTIONS, NORMALS

    return DIRECTIONS if recipe.view_term else NORMALS


def _colour_texture(state: State, pupil: Pupil, frames: ObjectFrames, recipe: Recipe) -> None:
    """Begins the texture with the mean colours of the views, where the recipe says so and a texture is learned."""
    import torch

    from pipelines.media.sheets import spread
    from pipelines.renderers.texture import flat_texture
    from pipelines.rigid.model import NAME
    from pipelines.rigid.start import colour_start
    from pipelines.training.state import set_texture

    if recipe.texture_start != "colours" or NAME not in state.texture_optimisers:
        return
    looked = [frames[pupil.keyframes[k]] for k in spread(len(pupil.keyframes), START_VIEWS)]
    start = flat_texture(state.textures[NAME].detach(), recipe.texture_levels).cpu().numpy()
    set_texture(state, NAME, torch.from_numpy(colour_start(start, looked)), recipe.texture_levels)


def _write_model(job: Job, recipe: Recipe, state: State, frames: ObjectFrames) -> None:
    """All that rendering needs: network, texture, mesh and cameras."""
    from pipelines.renderers import renderer_config
    from pipelines.rigid.mesh import write_mesh
    from pipelines.rigid.model import NAME, SCHEMA
    from pipelines.training.state import final_texture
    from pipelines.training.writing import write_tensors

    options: ObjectTrainOptions = job.options
    write_tensors(job.folder / "network.safetensors", state.average.state_dict())
    write_tensors(job.folder / "textures.safetensors", {NAME: final_texture(state, NAME, recipe)})
    write_mesh(job.folder / "mesh.npz", frames.mesh)
    write_json(job.folder / "object.json", {
        "schema": SCHEMA, "renderer": options.renderer, "shading": frames.shading,
        "config": renderer_config(options.renderer, recipe.network(recipe.texture_channels)),
        "preset": options.preset, "recipe": asdict(recipe), "seed": options.seed, "plan": vars(state.plan),
        "images": state.images, "seconds": round(state.seconds, 1),
        "cameras": [camera_to_json(each.camera) for each in frames.views]})


def _examine(job: Job, views: Sequence[PosedPicture]) -> dict[str, float]:
    """Figures on the held-out views; writes eval.json and sheet.jpg."""
    from pipelines.core.storage import read_json
    from pipelines.media.images import write_image
    from pipelines.metrics.pairs import measures_for
    from pipelines.rigid.examination import examine
    from pipelines.rigid.model import load_object

    held_out = read_json(job.folder / "split.json")["held_out"]
    model = load_object(job.folder, job.options.device)
    mean, rows, sheet = examine(model, views, held_out, measures_for(job.options.weights, job.progress), job.progress)
    write_image(job.folder / "sheet.jpg", sheet)
    write_json(job.folder / "eval.json", {"mean": mean, "views": rows, "protocol": {
        "views": "held out in contiguous segments of the order of names; mean over views",
        "background": "truth and rendering each on grey 128 by their own alpha",
        "crop": "the true mask (above 0.5) with 4 pixels around it, 48 pixels or more each way"}})
    return {name: round(value, 4) for name, value in mean.items()}


def _recipe(options: ObjectTrainOptions) -> Recipe:
    """The preset, changed by what the renderer's paper says, then for objects, then by what was typed."""
    from pipelines.renderers import renderer_file
    from pipelines.training.recipe import parsed_changes, recipe_for

    own: dict[str, Any] = {"texture_start": options.texture_start, "texture_learning_rate": TEXTURE_LEARNING_RATE,
                           **(OF_DNR if options.renderer == "dnr" else {})}
    if options.view_term is not None:
        own["view_term"] = options.view_term
    recipe = recipe_for(options.preset, **{**renderer_file(options.renderer).RECIPE, **own,
                                           **parsed_changes(options.changes)})
    if recipe.view_term and options.renderer != "dnr":
        raise AnrError(f"--view-term is not for the renderer {options.renderer!r}.", hint="It is part of dnr.")
    if recipe.stay_in_chart or recipe.patience:
        raise AnrError("--set stay_in_chart and patience are for people.", hint="Leave them away.")
    return recipe


def check(options: ObjectTrainOptions) -> None:
    """AnrError for what could only fail after the work before training."""
    from pipelines.training.request import check_budget

    if options.renderer not in RENDERERS:
        raise AnrError(f"The renderer {options.renderer!r} cannot learn an object.",
                       hint=f"Those that can: {', '.join(RENDERERS)}.")
    _recipe(options)
    check_budget(options)


def _estimate(inputs: Mapping[str, Path], options: ObjectTrainOptions) -> float:
    from pipelines.training.recipe import PRESETS
    from pipelines.training.request import READING_S, budget_of

    recipe = PRESETS[options.preset]
    images, minutes = budget_of(options, recipe.images, recipe.minutes)
    return READING_S + minutes * 60.0 + images * SECONDS_PER_IMAGE


STAGE = Stage(name="object-train", folder_name="train", version=2, doing="Training on the object",
              Options=ObjectTrainOptions, run=run, inputs=("object-views",), resumable=True, estimate_s=_estimate,
              check=check)
