"""Does a rendered clip flicker more than the real one?

    python tests/benchmarks/render_stability.py workspace/avatars/main/train/v001 \
        workspace/people/ada/capture/v001 [--person ada] [--frames 40:70]

Each frame is warped onto the next one by the known motion of the fitted body's surface, and what is left of the
difference is averaged over the pixels whose surface both frames see: for the captured frames, and for the same frames
rendered (a replay). sRGB, 0..255. The rendered clip moves with the fit exactly; the real one moves with the person, so
its figure also holds what the fit's motion errs from frame to frame.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import cv2
import numpy as np

from pipelines.body.model import Body, load_body, pose_body
from pipelines.core.records import Camera
from pipelines.geometry.cameras import project, to_camera
from pipelines.media.images import read_image
from pipelines.media.recording import Recording
from pipelines.playback.backdrop import backdrop
from pipelines.playback.drawing import Actor, composed, drawn_body, person_of, trained_px_per_m
from pipelines.playback.shots import Shot, read_captured, replay, sitting_of
from pipelines.rasterizers.cpu import interpolate, rasterize
from pipelines.renderers.avatar import load_avatar
from pipelines.renderers.engines import engine_for

HIDDEN_M = 0.02                         # a surface this much behind what a frame shows is hidden there
EDGE_PX = 3                             # beside the body's outline, where backgrounds mix in


def surface_flow(body: Body, before: np.ndarray, after: np.ndarray, camera: Camera) -> tuple[np.ndarray, np.ndarray]:
    """Where each pixel's surface was in the picture before (H, W, 2), and whether both see it (H, W) bool.

    before, after  (V, 3) vertices of two frames
    """
    depth_before = rasterize(before, body.faces, camera)[2]
    face_index, bary, _ = rasterize(after, body.faces, camera)
    depth_of = to_camera(before, camera)[:, 2:3]
    was = interpolate(face_index, bary, np.hstack([project(before, camera), depth_of]).astype(np.float32), body.faces)
    inner = cv2.erode((face_index >= 0).astype(np.uint8), np.ones((2 * EDGE_PX + 1, 2 * EDGE_PX + 1), np.uint8)) > 0
    seen = cv2.remap(depth_before, was[..., :2] - 0.5, None, cv2.INTER_NEAREST)
    return was[..., :2], inner & (seen > 0) & (np.abs(seen - was[..., 2]) < HIDDEN_M)


def warped_difference(before: np.ndarray, after: np.ndarray, was: np.ndarray, both: np.ndarray) -> float:
    """Mean absolute difference of `after` and `before` carried along, over the pixels `both`."""
    carried = cv2.remap(before.astype(np.float32), (was - 0.5).astype(np.float32), None, cv2.INTER_CUBIC)
    return float(np.abs(carried - after.astype(np.float32))[both].mean())


def measure(train: Path, capture: Path, person_name: str, frames: str) -> dict[str, float]:
    """Warped differences of the real and the rendered clip, their ratio, and how many pixels were compared."""
    avatar, body = load_avatar(train), load_body()
    person = avatar.person(person_name)
    captured, frame_index, times_s = read_captured(person.motion)
    sitting = sitting_of(person.camera, person.height_px, captured, body, person.betas)
    texture = avatar.textures[person_name]
    actor = Actor(avatar, body, person.betas, texture, person.projection,
                  engine_for("torch", avatar.renderer, avatar.device, texture.shape[0]),
                  trained_px_per_m(avatar, sitting, body, person.betas))
    shot = replay(captured, frame_index, times_s, person.camera, frames)
    real, rendered, pixels = [], [], []
    recording = Recording(capture)
    last: tuple[np.ndarray, np.ndarray, np.ndarray] | None = None
    for k in range(len(shot)):
        verts = pose_body(body, person.betas, shot.pose(k))[0]
        now = (verts, recording.image(int(shot.frame_index[k])), rendered_frame(shot, k, actor, person.background))
        if last is not None:
            was, both = surface_flow(body, last[0], now[0], person.camera)
            if both.any():
                real.append(warped_difference(last[1], now[1], was, both))
                rendered.append(warped_difference(last[2], now[2], was, both))
                pixels.append(float(both.sum()))
        last = now
    told = {"real": float(np.mean(real)), "rendered": float(np.mean(rendered)), "pairs": float(len(real)),
            "pixels": float(np.mean(pixels))}
    return {**told, "ratio": told["rendered"] / told["real"]}


def rendered_frame(shot: Shot, k: int, actor: Actor, plate: Path) -> np.ndarray:
    camera = shot.cameras[k]
    behind = backdrop("capture", camera.width, camera.height, plate, None)
    drawn = drawn_body(shot, k, actor)
    return composed(read_image(plate), behind, person_of(drawn, actor), drawn.box, (camera.height, camera.width))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("train", type=Path)
    parser.add_argument("capture", type=Path)
    parser.add_argument("--person", default="ada")
    parser.add_argument("--frames", default="")
    asked = parser.parse_args()
    for name, value in measure(asked.train, asked.capture, asked.person, asked.frames).items():
        sys.stdout.write(f"{name:10s} {value:.4g}\n")


if __name__ == "__main__":
    main()
