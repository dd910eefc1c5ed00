"""What there is to learn of people: their frames, the split, and what rendering needs to know of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pipelines.body.model import load_body
from pipelines.body.surface import chart_map
from pipelines.core.errors import AnrError
from pipelines.core.split import split_frames
from pipelines.core.stage import Progress
from pipelines.core.storage import camera_to_json, read_fit, read_json, write_json
from pipelines.media.images import shows_somebody, write_image
from pipelines.media.recording import Recording
from pipelines.renderers.places import captured_joints
from pipelines.renderers.texture import TEXTURE_SIZE
from pipelines.training.dataset import Memory, PersonFrames, clean_plate
from pipelines.training.recipe import Recipe
from pipelines.training.step import Pupil


def gather(inputs: Mapping[str, Path], people: Sequence[str], folder: Path, progress: Progress,
           validating: bool = False) -> tuple[dict[str, Pupil], dict[str, dict[str, Any]]]:
    """What there is to learn of everybody, and what avatar.json says of them; writes plates, motions and split.json.

    inputs      {"ada/capture": folder}, of everybody what training reads
    folder      where it writes
    validating  sets training frames aside that tell when training gains no more
    """
    from pipelines.training.validation import set_aside

    body = load_body()
    face_of_body = body.face_region == body.region_names.index("face")
    memory = Memory()
    pupils: dict[str, Pupil] = {}
    described: dict[str, dict[str, Any]] = {}
    split: dict[str, dict[str, list[int]]] = {"train": {}, "keyframes": {}, "held_out": {}}
    for each in ("backgrounds", "motions", "progress"):
        (folder / each).mkdir(exist_ok=True)
    for person in progress.track(people, "Reading what was captured"):
        folders = {name: inputs[f"{person}/{name}"] for name in ("capture", "fit", "raster", "matte", "keyframes")}
        recording, fit = Recording(folders["capture"]), read_fit(folders["fit"] / "fit.npz")
        frames = split_frames(len(recording))
        # A bridged gap has a trusted body but an empty matte: it would teach that nobody is there.
        taught = [int(k) for k in frames.train
                  if fit.ok[k] and shows_somebody(folders["matte"] / "alpha" / f"{k:05d}.png")]
        if not taught:
            raise AnrError(f"{person} has nothing to learn from: of {len(recording)} captured frames "
                           f"{len(frames.held_out)} are held out, and none of the other {len(frames.train)} has a "
                           "trusted fit and a matte that shows somebody.",
                           hint=f"Look at the overlay of `anr fit --person {person}` and the sheet of `anr matte "
                                f"--person {person}`; a longer recording helps where only a part of it went wrong.")
        chosen = read_json(folders["keyframes"] / "keyframes.json")["frames"]
        keyframes = sorted({int(k) for k in chosen} & set(taught))
        if not keyframes:
            raise AnrError(f"{person} has no keyframe among {len(taught)} training frames with a trusted fit.",
                           hint=f"Look at the overlay of `anr fit --person {person}`; record again if it is wrong.")
        plate = clean_plate(recording, folders["matte"], taught)
        write_image(folder / "backgrounds" / f"{person}.png", plate)
        np.savez_compressed(folder / "motions" / f"{person}.npz", joint_names=fit.joint_names,
                            joint_rotations=fit.joint_rotations.astype(np.float32),
                            root_translation=fit.root_translation, times_s=recording.times_s,
                            frame_index=fit.frame_index, ok=fit.ok)
        projection = read_json(folders["raster"] / "raster.json")["projection"]
        cropped = PersonFrames(folders["capture"], folders["raster"], folders["matte"], plate, face_of_body,
                               captured_joints(fit, recording.camera, projection), memory)
        others: list[int] = sorted(set(taught) - set(keyframes))
        validation: list[int] = []
        if validating:
            keyframes, others, validation = set_aside(keyframes, others)
            split.setdefault("validation", {})[person] = validation
        pupils[person] = Pupil(cropped, keyframes, others, validation)
        described[person] = {"betas": fit.betas.tolist(), "camera": camera_to_json(recording.camera),
                             "fps": recording.fps, "height_m": recording.height_m,
                             "projection": projection,
                             "height_px": _height_px(pupils[person]), "frames": len(recording)}
        split["train"][person], split["keyframes"][person] = taught, keyframes
        split["held_out"][person] = [int(k) for k in frames.held_out]
    write_json(folder / "split.json", split)
    return pupils, described


def _height_px(pupil: Pupil) -> float:
    """How tall the person is in the picture, median over keyframes."""
    tall = [int(np.ptp(np.flatnonzero((pupil.frames[k].inside > 0).any(1)))) + 1 for k in pupil.keyframes
            if pupil.frames[k].inside.any()]
    return float(np.median(tall)) if tall else 0.0


def charts_for(recipe: Recipe, device: torch.device) -> torch.Tensor | None:
    """The atlas chart of each texel, where grid noise is to stay in it."""
    return torch.from_numpy(chart_map(load_body(), TEXTURE_SIZE)).to(device) if recipe.stay_in_chart else None
