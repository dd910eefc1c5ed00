"""Does a try-on show the shirt of its owner and the face of the other?

    python tests/benchmarks/tryon_lpips.py workspace/avatars/main/train/v001 --face ada --shirt ben [--views 8]

Renders the face's owner, the shirt's owner and the swap in the same poses, from all sides, in the body shape of the
face's owner, and compares them in the swapped region and in the face, everything else grey: LPIPS(squeeze) of the swap
to the owner and to the other person. At the border between both textures: how steep the picture is there, against
both people's own renderings and the two pasted together along it, and whether the matte has a dent. Exits with 1 where
the swap fails.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from pipelines.body.model import load_body
from pipelines.body.surface import region_texels
from pipelines.metrics.lpips import load_lpips
from pipelines.metrics.weights import find_weights
from pipelines.playback.drawing import Actor, drawn_body, person_of, trained_px_per_m
from pipelines.playback.shots import orbit, read_captured, sitting_of
from pipelines.playback.wardrobe import mixed_texture, texels_of
from pipelines.renderers.avatar import load_avatar
from pipelines.renderers.engines import engine_for

GREY = 0.5
STEP = 1.5                              # a border this much steeper than in both people's own pictures is a step
FEW_PIXELS = 300                        # a region seen by fewer is not judged
LPIPS_LEAST_PX = 64                     # the crop that is compared is at least so large


@dataclass(frozen=True, eq=False)
class View:
    """One pose rendered three times: rgb (h, w, 3) on grey and alpha (h, w)."""

    pictures: dict[str, np.ndarray]     # "face", "shirt", "swap"
    alphas: dict[str, np.ndarray]
    shirt: np.ndarray                   # (h, w) weights of the swapped region
    face: np.ndarray                    # (h, w) weights of the face


def views_of(train: Path, face: str, shirt: str, count: int, garment: str) -> list[View]:
    """`count` views around the face's owner."""
    avatar, body = load_avatar(train), load_body()
    person = avatar.person(face)
    avatar.person(shirt)
    textures = {"face": avatar.textures[face], "shirt": avatar.textures[shirt]}
    size = textures["face"].shape[-1]
    weights = texels_of([garment], size)[garment]
    textures["swap"] = mixed_texture(textures["face"], [(weights, textures["shirt"])])
    face_weights = region_texels(body, ("face",), size, 0.0)
    sitting = sitting_of(person.camera, person.height_px, read_captured(person.motion)[0], body, person.betas)
    actor = Actor(avatar, body, person.betas, textures["face"], person.projection,
                  engine_for("torch", avatar.renderer, avatar.device, textures["face"].shape[0]),
                  trained_px_per_m(avatar, sitting, body, person.betas))
    shot = orbit(body, person.betas, sitting, 0, count / 4.0)
    views = []
    for k in range(count):
        pictures, alphas = {}, {}
        for name, texture in textures.items():
            drawn = drawn_body(shot, k, replace(actor, texture=texture))
            rgb, alphas[name] = person_of(drawn, actor)
            pictures[name] = alphas[name][..., None] * rgb + (1 - alphas[name][..., None]) * GREY
        at = np.clip((drawn.maps.uv * size).astype(int), 0, size - 1)
        inside = drawn.maps.inside
        views.append(View(pictures, alphas, weights[at[..., 1], at[..., 0]] * inside,
                          face_weights[at[..., 1], at[..., 0]] * inside))
    return views


def cropped(picture: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """The masked part alone on grey, in the box around it."""
    rows, columns = np.nonzero(mask)
    top, left = rows.min(), columns.min()
    bottom, right = max(rows.max() + 1, top + LPIPS_LEAST_PX), max(columns.max() + 1, left + LPIPS_LEAST_PX)
    shown = np.where(mask[..., None], picture, GREY)
    shown = np.pad(shown, ((0, LPIPS_LEAST_PX), (0, LPIPS_LEAST_PX), (0, 0)), constant_values=GREY)
    return shown[top:bottom, left:right].astype(np.float32)


def steepness(picture: np.ndarray, where: np.ndarray) -> float:
    """Mean length of the colour gradient over some pixels."""
    across, down = (cv2.Sobel(picture.astype(np.float32), cv2.CV_32F, *way, ksize=3) / 8 for way in ((1, 0), (0, 1)))
    return float(np.sqrt((across**2 + down**2).sum(axis=2))[where].mean())


def measure(train: Path, face: str, shirt: str, views: int, garment: str) -> dict[str, float]:
    backbone = find_weights("squeezenet1_1")
    if backbone is None:
        raise SystemExit("The weights of SqueezeNet are not there; set ANR_WEIGHTS.")
    lpips = load_lpips(backbone)
    told: dict[str, list[float]] = {}
    for view in views_of(train, face, shirt, views, garment):
        for region, weights in (("shirt", view.shirt), ("face", view.face)):
            mask = weights > 0.5
            if mask.sum() < FEW_PIXELS:
                continue
            swap = cropped(view.pictures["swap"], mask)
            for owner in ("face", "shirt"):
                distance = lpips(cropped(view.pictures[owner], mask), swap)
                told.setdefault(f"{region}_region_to_{owner}_owner", []).append(distance)
        seen = cv2.dilate((view.shirt > 0.5).astype(np.uint8), np.ones((3, 3))) - (view.shirt > 0.5) > 0
        border = seen & (np.minimum(view.alphas["face"], view.alphas["shirt"]) > 0.9)
        if border.sum() < 20:
            continue
        pasted = np.where((view.shirt > 0.5)[..., None], view.pictures["shirt"], view.pictures["face"])
        told.setdefault("border_steepness_swap", []).append(steepness(view.pictures["swap"], border))
        own = max(steepness(view.pictures[name], border) for name in ("face", "shirt"))
        told.setdefault("border_steepness_own", []).append(own)
        told.setdefault("border_steepness_pasted", []).append(steepness(pasted, border))
        told.setdefault("border_least_alpha", []).append(float(np.percentile(view.alphas["swap"][border], 2)))
    return {name: float(np.mean(values)) for name, values in told.items()}


def right(told: dict[str, float]) -> bool:
    """Whether each region is nearer to its owner, and the border is neither a step nor a dent."""
    return (told["shirt_region_to_shirt_owner"] < told["shirt_region_to_face_owner"]
            and told["face_region_to_face_owner"] < told["face_region_to_shirt_owner"]
            and told["border_steepness_swap"] <= STEP * told["border_steepness_own"]
            and told["border_least_alpha"] > 0.8)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("train", type=Path)
    parser.add_argument("--face", required=True)
    parser.add_argument("--shirt", required=True)
    parser.add_argument("--views", type=int, default=8)
    parser.add_argument("--garment", default="shirt")
    asked = parser.parse_args()
    told = measure(asked.train, asked.face, asked.shirt, asked.views, asked.garment)
    for name, value in told.items():
        sys.stdout.write(f"{name:28s} {value:.4f}\n")
    sys.stdout.write("right\n" if right(told) else "wrong\n")
    return 0 if right(told) else 1


if __name__ == "__main__":
    sys.exit(main())
