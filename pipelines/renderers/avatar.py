"""An avatar: a trained renderer and the textures of its people, read from a `train` folder; one picture drawn."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from pipelines.core.errors import AnrError
from pipelines.core.records import Camera, SurfaceMaps
from pipelines.core.storage import camera_from_json, read_json
from pipelines.renderers import Needed, build_renderer
from pipelines.renderers.past import Recall, needed_by, padded
from pipelines.renderers.texture import sample_texture

SCHEMA = 1                              # of avatar.json
DEVICES = ("auto", "cpu", "cuda")
AGAIN = "Train it again: anr train --fresh"


@dataclass(frozen=True, eq=False)
class AvatarPerson:
    """What rendering needs to know of one person of a model."""

    name: str
    betas: np.ndarray                   # (S,)
    camera: Camera                      # the capture's
    fps: float                          # the capture's
    projection: str                     # of the surface maps it learnt from: "perspective" or "weak"
    height_px: float                    # how tall the person stands in the captured picture (median)
    background: Path                    # PNG, the clean plate at capture size
    motion: Path                        # npz, the fitted motion (see `pipelines.train`)


@dataclass(frozen=True, eq=False)
class Avatar:
    """A model with the people it knows."""

    folder: Path
    renderer: torch.nn.Module           # in evaluation mode, on `device`
    textures: dict[str, torch.Tensor]   # person -> (C, 256, 256) float32
    people: dict[str, AvatarPerson]
    body_version: str
    device: torch.device
    description: dict[str, Any]         # all of avatar.json

    def person(self, name: str) -> AvatarPerson:
        if name not in self.people:
            raise AnrError(f"This avatar does not know {name!r}.", hint=f"It knows: {', '.join(self.people)}.")
        return self.people[name]


def load_avatar(folder: Path, device: str = "auto") -> Avatar:
    """Reads what training wrote; AnrError where it is missing, damaged or made for another body.

    device  "auto" (CUDA where there is one), "cpu" or "cuda"
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    from pipelines.body.model import load_body

    description = read_json(folder / "avatar.json")
    if description["schema"] > SCHEMA:
        raise AnrError(f"The avatar in {folder} was written by a newer version of anr.", hint="Upgrade anr.")
    body = load_body()
    if description["body_version"] != body.version:
        raise AnrError(f"The avatar in {folder} was trained on body version {description['body_version']}, "
                       f"this anr has {body.version}.", hint=AGAIN)
    where = best_device(device)
    renderer = build_renderer(description["renderer"], description["config"])
    try:
        renderer.load_state_dict(load_file(folder / "network.safetensors"))
        textures = load_file(folder / "textures.safetensors")
    except FileNotFoundError as error:
        raise AnrError(f"The avatar in {folder} is incomplete: {error}.", hint=AGAIN) from None
    except (SafetensorError, RuntimeError, ValueError) as error:
        raise AnrError(f"The avatar in {folder} is damaged: {error}.", hint=AGAIN) from None
    renderer = renderer.to(where).to(memory_format=torch.channels_last).eval().requires_grad_(False)
    people = {name: _person(folder, name, stored) for name, stored in description["people"].items()}
    return Avatar(folder, renderer, {name: textures[name].to(where) for name in people}, people, body.version, where,
                  description)


def _person(folder: Path, name: str, stored: dict[str, Any]) -> AvatarPerson:
    return AvatarPerson(name, np.array(stored["betas"], float), camera_from_json(stored["camera"]),
                        float(stored["fps"]), stored["projection"], float(stored["height_px"]),
                        folder / "backgrounds" / f"{name}.png", folder / "motions" / f"{name}.npz")


def render_person(avatar: Avatar, texture: torch.Tensor, maps: SurfaceMaps, joints: np.ndarray | None = None,
                  recall: Recall | None = None) -> tuple[np.ndarray, np.ndarray]:
    """One picture of a posed body.

    texture  (C, 256, 256), a person's or a mixed one
    maps     the body's surface in its box; leave a margin, the network paints beyond the body
    joints   (J, 3) `places.picture_joints` in pixels of the box, for a renderer that needs them
    recall   what was drawn before, for a renderer that looks back; this picture is remembered in it
    returns  rgb (h, w, 3) and alpha (h, w), float32 0..1, of the maps' box; rgb is not multiplied by alpha
    """
    inputs = network_inputs(texture, maps, avatar.device)
    placed = None if joints is None else torch.from_numpy(joints).to(inputs[0])[None]
    past = recall.seen_from(inputs, maps.box) if recall else None
    rgb, alpha = (x.cpu().numpy() for x in draw(avatar.renderer, *inputs, needed_by(avatar.renderer, inputs, texture,
                                                                                    placed, past)))
    if recall:
        recall.keep(inputs, (rgb, alpha), maps.box)
    return rgb, alpha


def network_inputs(texture: torch.Tensor, maps: SurfaceMaps,
                   device: torch.device) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """The sampled texture (1, C, h, w), normals (1, 3, h, w) and coverage (1, 1, h, w) of one frame."""
    inside = torch.from_numpy(maps.inside).to(device)[None, None].float()
    grid = torch.from_numpy(np.ascontiguousarray(maps.uv, np.float32)).to(device)[None] * 2.0 - 1.0
    normal = torch.from_numpy(np.ascontiguousarray(maps.normal, np.float32)).to(device).permute(2, 0, 1)[None] * inside
    return sample_texture(texture.to(device), grid, inside), normal, inside


@torch.no_grad()
def draw(renderer: torch.nn.Module, features: torch.Tensor, normal: torch.Tensor, inside: torch.Tensor,
         needed: Needed | None = None) -> tuple[torch.Tensor, torch.Tensor]:
    """rgb (h, w, 3) and alpha (h, w) in 0..1; the network sees them padded at the right and below to its multiple.

    needed  `past.needed_by`, None for a renderer that needs nothing more
    """
    multiple = int(renderer.multiple)   # type: ignore[arg-type]
    height, width = inside.shape[-2:]
    padding = (0, -width % multiple, 0, -height % multiple)
    inputs = [F.pad(x, padding).contiguous(memory_format=torch.channels_last) for x in (features, normal, inside)]
    with half_precision(inside.device):
        predicted = renderer(*inputs, padded(needed, padding)) if needed else renderer(*inputs)
    rgb = ((predicted.rgb[0, :, :height, :width].float() + 1.0) / 2.0).clamp(0.0, 1.0).permute(1, 2, 0)
    return rgb.contiguous(), predicted.mask_logit[0, 0, :height, :width].float().sigmoid()


def best_device(name: str) -> torch.device:
    """What "auto", "cpu" or "cuda" stands for here; AnrError for another name and where there is no CUDA."""
    if name not in DEVICES:
        raise AnrError(f"--device {name} is not known.", hint=f"Use {', '.join(DEVICES[:-1])} or {DEVICES[-1]}.")
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if name == "cuda" and not torch.cuda.is_available():
        raise AnrError("There is no CUDA device here.", hint="Leave --device away: the processor does it.")
    return torch.device(name)


def half_precision(device: torch.device) -> torch.autocast:
    """bfloat16 where the processor or card computes it natively (1.7 times faster on AVX-512 BF16), else float32."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=has_bfloat16(device))


def has_bfloat16(device: torch.device) -> bool:
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported()
    if hasattr(torch.cpu, "get_capabilities"):
        found = torch.cpu.get_capabilities()
        return bool(found.get("avx512_bf16") or found.get("amx_bf16"))
    flags = Path("/proc/cpuinfo")       # torch before 2.10 cannot be asked
    return flags.exists() and "avx512_bf16" in flags.read_text(encoding="utf-8")
