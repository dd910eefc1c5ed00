"""Stage 7: one renderer for all named people, and one neural texture for each of them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pipelines.core.errors import AnrError
from pipelines.core.options import option
from pipelines.core.split import split_frames
from pipelines.core.stage import Job, Outcome, Stage
from pipelines.core.storage import camera_to_json, read_fit, read_json, write_json

if TYPE_CHECKING:
    import torch

    from pipelines.training.recipe import Recipe
    from pipelines.training.state import State
    from pipelines.training.step import Lesson, Pupil

SECONDS_PER_IMAGE = {"draft": 0.3, "standard": 4.0, "paper": 60.0}     # on two cores, for the estimate alone
FIRST_PICTURE_S = 20.0
PICTURE_EVERY_S = 60.0
PICTURED_FRAMES = 3                     # held-out frames of each person in a progress picture
CHECKPOINT = "checkpoint.pt"


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
    texture_start: str = option("", "What textures begin with: random (the paper's) or colours (the keyframes').")
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
    from pipelines.training.features import load_extractor
    from pipelines.training.loop import train
    from pipelines.training.state import Plan, begin, load_checkpoint, save_checkpoint
    from pipelines.training.step import Lesson

    options: TrainOptions = job.options
    recipe = _recipe(options)
    device = best_device(options.device)
    people = sorted({key.split("/")[0] for key in job.inputs})
    pupils, described = _gather(job, people, recipe.patience > 0)
    minutes = _budget_minutes(options, recipe)
    plan = Plan(0 if minutes else options.images or recipe.images, minutes)
    state = begin(options.renderer, people, recipe, options.seed, plan, device)
    _colour_textures(state, pupils, recipe)
    if (job.folder / CHECKPOINT).exists():
        state = load_checkpoint(job.folder / CHECKPOINT, state)
        job.progress.note(f"Going on after {state.images} images.")
    extractor = load_extractor(recipe, options.weights, job.progress, device)
    lesson = Lesson(pupils, recipe, options.seed, device, extractor, job.progress, job.folder / CHECKPOINT,
                    charts=_charts(recipe, device))
    lesson.report = _Reporter(job, lesson, described, state.images)
    guess = SECONDS_PER_IMAGE.get(options.preset, 0.0) if device.type == "cpu" else 0.0
    for line in announcement(options.renderer, recipe, state, pupils, extractor, guess):
        job.progress.note(line)
    state = train(lesson, state)
    save_checkpoint(job.folder / CHECKPOINT, state)
    _write_avatar(job, options, recipe, state, described)
    (job.folder / CHECKPOINT).unlink()
    return Outcome({"images": state.images, "seconds": round(state.seconds, 1), "people": len(people)},
                   {"picture": _last_picture(job.folder), "metrics": "metrics.jsonl"})


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


def _charts(recipe: Recipe, device: torch.device) -> torch.Tensor | None:
    """The atlas chart of each texel, where grid noise is to stay in it."""
    import torch

    from pipelines.body.model import load_body
    from pipelines.body.surface import chart_map
    from pipelines.renderers.texture import TEXTURE_SIZE

    return torch.from_numpy(chart_map(load_body(), TEXTURE_SIZE)).to(device) if recipe.stay_in_chart else None


def _gather(job: Job, people: list[str],
            validating: bool = False) -> tuple[dict[str, Pupil], dict[str, dict[str, Any]]]:
    """What there is to learn of everybody, and what avatar.json says of them; writes plates, motions and split.json.

    validating  sets training frames aside that tell when training gains no more
    """
    from pipelines.body.model import load_body
    from pipelines.media.images import shows_somebody, write_image
    from pipelines.media.recording import Recording
    from pipelines.training.dataset import Memory, PersonFrames, clean_plate
    from pipelines.training.step import Pupil
    from pipelines.training.validation import set_aside

    body = load_body()
    face_of_body = body.face_region == body.region_names.index("face")
    memory = Memory()
    pupils: dict[str, Pupil] = {}
    described: dict[str, dict[str, Any]] = {}
    split: dict[str, dict[str, list[int]]] = {"train": {}, "keyframes": {}, "held_out": {}}
    for folder in ("backgrounds", "motions", "progress"):
        (job.folder / folder).mkdir(exist_ok=True)
    for person in job.progress.track(people, "Reading what was captured"):
        folders = {name: job.inputs[f"{person}/{name}"] for name in ("capture", "fit", "raster", "matte", "keyframes")}
        recording, fit = Recording(folders["capture"]), read_fit(folders["fit"] / "fit.npz")
        frames = split_frames(len(recording))
        # A bridged gap has a trusted body but an empty matte: it would teach that nobody is there.
        taught = [int(k) for k in frames.train
                  if fit.ok[k] and shows_somebody(folders["matte"] / "alpha" / f"{k:05d}.png")]
        chosen = read_json(folders["keyframes"] / "keyframes.json")["frames"]
        keyframes = sorted({int(k) for k in chosen} & set(taught))
        if not keyframes:
            raise AnrError(f"{person} has no keyframe among {len(taught)} training frames with a trusted fit.",
                           hint=f"Look at the overlay of `anr fit --person {person}`; record again if it is wrong.")
        plate = clean_plate(recording, folders["matte"], taught)
        write_image(job.folder / "backgrounds" / f"{person}.png", plate)
        np.savez_compressed(job.folder / "motions" / f"{person}.npz", joint_names=fit.joint_names,
                            joint_rotations=fit.joint_rotations.astype(np.float32),
                            root_translation=fit.root_translation, times_s=recording.times_s,
                            frame_index=fit.frame_index, ok=fit.ok)
        cropped = PersonFrames(folders["capture"], folders["raster"], folders["matte"], plate, face_of_body, memory)
        others: list[int] = sorted(set(taught) - set(keyframes))
        validation: list[int] = []
        if validating:
            keyframes, others, validation = set_aside(keyframes, others)
            split.setdefault("validation", {})[person] = validation
        pupils[person] = Pupil(cropped, keyframes, others, validation)
        described[person] = {"betas": fit.betas.tolist(), "camera": camera_to_json(recording.camera),
                             "fps": recording.fps, "height_m": recording.height_m,
                             "projection": read_json(folders["raster"] / "raster.json")["projection"],
                             "height_px": _height_px(pupils[person]), "frames": len(recording)}
        split["train"][person], split["keyframes"][person] = taught, keyframes
        split["held_out"][person] = [int(k) for k in frames.held_out]
    write_json(job.folder / "split.json", split)
    return pupils, described


def _height_px(pupil: Pupil) -> float:
    """How tall the person is in the picture, median over keyframes."""
    tall = [int(np.ptp(np.flatnonzero((pupil.frames[k].inside > 0).any(1)))) + 1 for k in pupil.keyframes
            if pupil.frames[k].inside.any()]
    return float(np.median(tall)) if tall else 0.0


class _Reporter:
    """metrics.jsonl, TensorBoard where it is installed, and a picture of held-out frames now and then."""

    def __init__(self, job: Job, lesson: Lesson, described: Mapping[str, dict[str, Any]], images: int) -> None:
        self.job, self.lesson = job, lesson
        self.pictured = {name: _pictured(described[name]["frames"]) for name in lesson.pupils}
        self.next_picture_s = FIRST_PICTURE_S
        self.metrics = job.folder / "metrics.jsonl"
        kept = [line for line in self.metrics.read_text().splitlines() if json.loads(line)["images"] <= images] \
            if self.metrics.exists() else []
        self.metrics.write_text("".join(f"{line}\n" for line in kept))
        self.board = _tensorboard(job.folder / "tensorboard")

    def __call__(self, state: State, terms: dict[str, float]) -> None:
        row = {"images": state.images, "seconds": round(state.seconds, 1), **{k: round(v, 6) for k, v in terms.items()}}
        with self.metrics.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(row) + "\n")
        if self.board:
            for name, value in terms.items():
                self.board.add_scalar(f"loss/{name}", value, state.images)
        done = state.plan.images and state.images >= state.plan.images
        if state.seconds >= self.next_picture_s or done:
            self.next_picture_s = state.seconds + PICTURE_EVERY_S
            self._picture(state)
        if done and self.board:
            self.board.close()

    def _picture(self, state: State) -> None:
        from pipelines.media.images import write_image
        from pipelines.media.sheets import tile

        shown = []
        for person, frames in self.pictured.items():
            for index in frames:
                shown += _truth_and_rendering(self.lesson, state, self.lesson.pupils[person].frames[index], person)
        sheet = tile(shown, columns=2 * max(1, min(PICTURED_FRAMES, len(shown) // 2)))
        write_image(self.job.folder / "progress" / f"{state.images:07d}.jpg", sheet)
        if self.board:
            self.board.add_image("held out", sheet, state.images, dataformats="HWC")


def _pictured(frame_count: int) -> list[int]:
    held_out = split_frames(frame_count).held_out
    picked = np.unique(np.linspace(0, len(held_out) - 1, min(PICTURED_FRAMES, len(held_out))).round().astype(int))
    return [int(held_out[k]) for k in picked]


def _truth_and_rendering(lesson: Lesson, state: State, frame: Any, person: str) -> list[np.ndarray]:
    """The captured frame and the average network's picture over the clean plate, at most 360 pixels tall."""
    from pipelines.media.sheets import fit_height
    from pipelines.training.validation import rendered

    rgb, alpha = rendered(frame, state, person, lesson)
    share = alpha[..., None]
    picture = np.round(share * rgb * 255.0 + (1.0 - share) * frame.background).astype(np.uint8)
    return [fit_height(x, min(len(picture), 360)) for x in (frame.image, picture)]


def _tensorboard(folder: Path) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:                         # a GPU machine may have torch alone; metrics.jsonl has the same numbers
        return None
    return SummaryWriter(str(folder))


def _write_avatar(job: Job, options: TrainOptions, recipe: Recipe, state: State,
                  described: dict[str, dict[str, Any]]) -> None:
    """All that rendering needs: the averaged network and textures, the body, and what is known of the people."""
    from safetensors.torch import save

    from pipelines.body import model
    from pipelines.renderers import renderer_config
    from pipelines.renderers.avatar import SCHEMA

    # Written by Python, whose error for a full disk can be told from others.
    textures = {person: _texture_of(state, person, recipe) for person in state.textures}
    for name, tensors in (("network", state.average.state_dict()), ("textures", textures)):
        stored = save({k: v.detach().float().cpu().contiguous() for k, v in tensors.items()})
        (job.folder / f"{name}.safetensors").write_bytes(stored)
    shutil.copyfile(Path(model.__file__).parent / "assets" / "body.npz", job.folder / "body.npz")
    config = renderer_config(options.renderer, recipe.network(recipe.texture_channels))
    write_json(job.folder / "avatar.json", {
        "schema": SCHEMA, "renderer": options.renderer, "config": config,
        "body_version": model.load_body().version, "preset": options.preset, "recipe": asdict(recipe),
        "seed": options.seed, "plan": vars(state.plan), "images": state.images, "seconds": round(state.seconds, 1),
        "people": described})


def _texture_of(state: State, person: str, recipe: Recipe) -> torch.Tensor:
    """The averaged texture (C, S, S) of a person; where it was learned, its gutters hold what lies across the seams."""
    import torch

    from pipelines.body.model import load_body
    from pipelines.body.seams import across_seams, tied
    from pipelines.training.state import final_texture

    texture = final_texture(state, person, recipe).detach().cpu()
    if person not in state.texture_optimisers:
        return texture
    return torch.from_numpy(tied(texture.float().numpy(), across_seams(load_body(), texture.shape[-1])))


def _last_picture(folder: Path) -> str:
    pictures = sorted((folder / "progress").glob("*.jpg"))
    return f"progress/{pictures[-1].name}" if pictures else "avatar.json"


def _budget_minutes(options: TrainOptions, recipe: Recipe) -> float:
    """The time budget; 0 = the images are counted."""
    return 0.0 if options.images else options.minutes or recipe.minutes


def check(options: TrainOptions) -> None:
    """AnrError for what could only fail after all the work before training."""
    from pipelines.renderers.avatar import best_device

    _recipe(options)
    best_device(options.device)
    for name in ("images", "minutes", "seed"):
        value = getattr(options, name)
        if not value >= 0:
            raise AnrError(f"--{name} {value:g} is out of range.", hint="Use at least 0.")


def _estimate(inputs: Mapping[str, Path], options: TrainOptions) -> float:
    from pipelines.training.recipe import PRESETS

    recipe = PRESETS[options.preset]
    minutes = _budget_minutes(options, recipe)
    return 15.0 + (minutes * 60.0 or (options.images or recipe.images) * SECONDS_PER_IMAGE.get(options.preset, 1.0))


STAGE = Stage(name="train", version=2, doing="Training", Options=TrainOptions, run=run,
              inputs=("capture", "fit", "raster", "matte", "keyframes"), resumable=True, estimate_s=_estimate,
              check=check)
