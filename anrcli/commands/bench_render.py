"""`anr bench render`: maps, network, compositing and encoding of the draft network, end to end."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from anrcli.commands.measuring import Bench, Figures, timing
from pipelines.core.stage import Progress

if TYPE_CHECKING:
    from pipelines.playback.drawing import Actor
    from pipelines.playback.shots import Shot

SIZES = (256, 512)
FRAMES = 24
TALL_SHARE = 0.78                       # of the picture's height, as people are captured
TEXTURE_CHANNELS = 8


def bench_render(progress: Progress) -> Figures:
    """An orbit around a person of the draft network's size: its weights do not matter for its speed."""
    figures: Figures = {}
    for size in SIZES:
        shot, actor = scene(size)
        rows = range(0, len(shot), 4)
        figures[f"network_{size}x{size}_ms"] = 1000.0 * network_s(shot, actor, rows)
        figures[f"end_to_end_{size}x{size}_fps"] = 1.0 / filmed_s(shot, actor, size, progress)
    return figures


def scene(size: int) -> tuple[Shot, Actor]:
    """Somebody captured at this very size, who goes once around."""
    import torch

    from pipelines.body.model import load_body
    from pipelines.geometry.cameras import camera_from_fov
    from pipelines.playback.drawing import Actor
    from pipelines.playback.framing import Sitting
    from pipelines.playback.shots import orbit
    from pipelines.renderers import build_renderer
    from pipelines.renderers.avatar import Avatar
    from pipelines.renderers.engines import engine_for
    from pipelines.renderers.texture import start_texture
    from pipelines.training.recipe import PRESETS

    body, betas, cpu = load_body(), np.zeros(10), torch.device("cpu")
    torch.manual_seed(0)
    draft = PRESETS["draft"]
    size_of_it = {"latent_channels": draft.latent_channels, "unshuffle": draft.unshuffle, "widths": list(draft.widths),
                  "blocks": draft.blocks}
    network = build_renderer("anr", {"texture_channels": TEXTURE_CHANNELS, **size_of_it}).eval().requires_grad_(False)
    network = network.to(memory_format=torch.channels_last)
    texture = start_texture(0)
    avatar = Avatar(Path(), network, {"somebody": texture}, {}, body.version, cpu, {})
    sitting = Sitting(camera_from_fov(size, size, 42.0), TALL_SHARE * size, 0.92 * size, size / 2)
    engine = engine_for("torch", network, cpu, TEXTURE_CHANNELS)
    actor = Actor(avatar, body, betas, texture, "perspective", engine, (0.0, 1e9))
    return orbit(body, betas, sitting, size, FRAMES / 4.0), actor


def network_s(shot: Shot, actor: Actor, rows: range) -> float:
    """Seconds a frame, by the clock."""
    from pipelines.playback.drawing import drawn_body, person_of

    drawn = [drawn_body(shot, k, actor) for k in rows]

    def work() -> None:
        for each in drawn:
            person_of(each, actor)

    work()                                                     # prepares each size of the box once
    return timing(work, len(drawn)).wall_s


def filmed_s(shot: Shot, actor: Actor, size: int, progress: Progress) -> float:
    """Seconds a frame by the clock, from the first pose to the finished file."""
    from pipelines.playback.backdrop import still
    from pipelines.playback.film import Setting, film

    room = still(np.full((size, size, 3), 128, np.uint8), captured=True)

    def work() -> None:
        with tempfile.TemporaryDirectory() as folder:
            film(Path(folder), shot, actor, Setting(room, "video.mp4"), progress)

    work()
    return timing(work, len(shot)).wall_s


RENDER = Bench("a draft avatar, from poses to the video, on torch", bench_render)
