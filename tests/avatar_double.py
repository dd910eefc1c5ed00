"""A tiny avatar whose network was never trained, and how to render it."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import numpy as np

from pipelines.body.model import body_height_m, load_body, rest_pose
from pipelines.core.records import Camera, Motion
from pipelines.core.stage import Job, Outcome, Progress
from pipelines.core.storage import camera_to_json, write_json
from pipelines.geometry.rotations import rotation_from_vector
from pipelines.media.images import write_image
from pipelines.playback.framing import Sitting

WIDTH, HEIGHT, TALL_PX, FRAMES = 160, 128, 96.0, 6


def write_avatar(folder: Path) -> Path:
    """A train folder of ada and ben, 160x128, six captured frames, weights as they come."""
    import torch
    from safetensors.torch import save_file

    from pipelines.renderers import build_renderer
    from pipelines.renderers.texture import start_texture

    config = {"texture_channels": 8, "latent_channels": 4, "unshuffle": 4, "widths": [8, 8], "blocks": 1}
    torch.manual_seed(0)
    save_file(build_renderer("anr", config).state_dict(), folder / "network.safetensors")
    save_file({"ada": start_texture(1), "ben": start_texture(2)}, folder / "textures.safetensors")
    body, camera = load_body(), captured_camera()
    (folder / "backgrounds").mkdir()
    (folder / "motions").mkdir()
    plate = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    plate[..., 0] = np.arange(WIDTH)[None]
    for person in ("ada", "ben"):
        write_image(folder / "backgrounds" / f"{person}.png", plate)
        motion = captured_motion()
        np.savez(folder / "motions" / f"{person}.npz", joint_names=np.array(body.joint_names),
                 joint_rotations=motion.joint_rotations, root_translation=motion.root_translation,
                 times_s=np.arange(FRAMES) / 12.0, frame_index=np.arange(FRAMES), ok=np.ones(FRAMES, bool))
    person = {"betas": [0.0] * 10, "camera": camera_to_json(camera), "fps": 12.0, "projection": "perspective",
              "height_px": TALL_PX, "frames": FRAMES}
    write_json(folder / "avatar.json", {"schema": 1, "renderer": "anr", "config": config, "body_version": body.version,
                                        "people": {"ada": person, "ben": person}})
    return folder


def captured_camera() -> Camera:
    return Camera(np.array([[200.0, 0, WIDTH / 2], [0, 200.0, HEIGHT / 2], [0, 0, 1]]), WIDTH, HEIGHT)


def captured_motion() -> Motion:
    """Turning on the spot, 10 pixels left of the middle, in the camera's frame (y down)."""
    body = load_body()
    away = 200.0 * body_height_m(body, np.zeros(10)) / TALL_PX
    rotations = np.repeat(rest_pose(body).joint_rotations[None], FRAMES, axis=0)
    rotations[:, 0] = np.diag([1.0, -1, -1]) @ rotation_from_vector(np.outer(np.arange(FRAMES) * 0.5, [0, 1, 0]))
    return Motion(rotations, np.repeat([[-10 * away / 200, 0.0, away]], FRAMES, axis=0), 12.0)


def sitting() -> Sitting:
    return Sitting(captured_camera(), TALL_PX, feet_row=112.0, middle_column=70.0)


def run(stage: ModuleType, avatar: Path, folder: Path, **options: object) -> Outcome:
    folder.mkdir(exist_ok=True)
    return stage.run(Job(folder, stage.STAGE.Options(**options), {"train": avatar}, Progress()))
