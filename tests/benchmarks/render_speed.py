"""How fast an avatar is rendered, stage by stage, on each engine that is installed here.

    python tests/benchmarks/render_speed.py workspace/avatars/main/train/v001 [--frames 48] [--sizes 256 512]
    python tests/benchmarks/render_speed.py workspace/avatars/main/train/v001 --memory [--lengths 200 2000]

For each size and engine: milliseconds of processor time and of the clock per frame for maps, network, compositing and
encoding, each alone; then frames per second from start to finished file, all of them overlapping, on the captured
background, with the time to load and prepare left out. `--memory` prints the peak of the memory after shots of
each length at the last size, and exits with 1 where a longer one takes more than its poses and joints and some noise.
"""

from __future__ import annotations

import argparse
import importlib.util
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from pipelines.body.model import load_body
from pipelines.core.stage import Progress
from pipelines.media.video import VideoWriter
from pipelines.playback.backdrop import backdrop
from pipelines.playback.drawing import Actor, composed, drawn_body, person_of, trained_px_per_m
from pipelines.playback.film import Setting, film
from pipelines.playback.framing import Sitting
from pipelines.playback.shots import Shot, orbit, read_captured, sitting_of
from pipelines.renderers.avatar import Avatar, load_avatar
from pipelines.renderers.engines import ENGINES, engine_for

FPS = 12.0
REPEATS = 12                            # frames that each stage is measured over
NOISE_MB, POSE_MB = 16.0, 0.02          # of the allocator, and of one more frame's pose, joints and camera


def installed(engine: str) -> bool:
    return engine == "torch" or importlib.util.find_spec(engine) is not None


def scene(avatar: Avatar, size: int, frames: int) -> tuple[Shot, Sitting]:
    """An orbit of `frames` frames around the first person of the avatar."""
    person = next(iter(avatar.people.values()))
    body = load_body()
    sitting = sitting_of(person.camera, person.height_px, read_captured(person.motion)[0], body, person.betas)
    return orbit(body, person.betas, sitting, size, frames / 4.0), sitting


def actor_of(avatar: Avatar, sitting: Sitting, engine: str) -> Actor:
    person = next(iter(avatar.people.values()))
    texture, body = avatar.textures[person.name], load_body()
    run = engine_for(engine, avatar.renderer, avatar.device, texture.shape[0])
    return Actor(avatar, body, person.betas, texture, person.projection, run,
                 trained_px_per_m(avatar, sitting, body, person.betas))


def setting_of(avatar: Avatar, shot: Shot, sitting: Sitting, background: str = "capture") -> Setting:
    person, camera = next(iter(avatar.people.values())), shot.cameras[0]
    return Setting(backdrop(background, camera.width, camera.height, person.background, sitting), "video.mp4")


def stages(avatar: Avatar, shot: Shot, sitting: Sitting, engine: str) -> dict[str, tuple[float, float]]:
    """{stage: (ms of processor time, ms by the clock)} per frame, each alone; medians."""
    actor, camera = actor_of(avatar, sitting, engine), shot.cameras[0]
    rows = np.linspace(0, len(shot) - 1, min(REPEATS, len(shot))).astype(int)
    found: dict[str, tuple[float, float]] = {}
    drawn = [drawn_body(shot, k, actor) for k in rows]
    people = [person_of(each, actor) for each in drawn]          # shapes are prepared here, once
    found["maps"] = per_frame(lambda k: drawn_body(shot, rows[k], actor), len(rows))
    found["network"] = per_frame(lambda k: person_of(drawn[k], actor), len(rows))
    pictures = []
    for name, background in (("compositing", "capture"), ("compositing_white", "white")):
        behind = setting_of(avatar, shot, sitting, background).backdrop
        picture = next(behind.pictures([0.0]))
        found[name] = per_frame(lambda k, picture=picture, behind=behind: composed(
            picture, behind, people[k], drawn[k].box, (camera.height, camera.width)), len(rows))
        pictures.append([composed(picture, behind, person, each.box, (camera.height, camera.width))
                         for person, each in zip(people, drawn)])
    found["encoding"] = encoding(pictures[0], camera.width, camera.height)
    return found


def encoding(pictures: list[np.ndarray], width: int, height: int) -> tuple[float, float]:
    """Of the encoder's own process, with its start and end."""
    with tempfile.TemporaryDirectory() as folder:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        started = time.perf_counter()
        with VideoWriter(Path(folder) / "video.mp4", width, height, FPS) as writer:
            for _ in range(4):
                for picture in pictures:
                    writer.add(picture)
        wall = time.perf_counter() - started
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return 1000 * cpu / (4 * len(pictures)), 1000 * wall / (4 * len(pictures))


def per_frame(work: Callable[[int], object], count: int) -> tuple[float, float]:
    """Median ms of processor time and of the clock over `count` calls."""
    cpus, walls = [], []
    for k in range(count):
        cpu, wall = time.process_time(), time.perf_counter()
        work(k)
        cpus.append(time.process_time() - cpu)
        walls.append(time.perf_counter() - wall)
    return 1000 * float(np.median(cpus)), 1000 * float(np.median(walls))


def whole(avatar: Avatar, shot: Shot, sitting: Sitting, engine: str) -> float:
    """Frames per second from the first pose to the finished file."""
    actor = actor_of(avatar, sitting, engine)
    for k in range(0, len(shot), 2):
        person_of(drawn_body(shot, k, actor), actor)     # what is prepared once per size of the box
    with tempfile.TemporaryDirectory() as folder:
        return film(Path(folder), shot, actor, setting_of(avatar, shot, sitting), Progress())[0]["frames_per_s"]


def peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def print_memory(avatar: Avatar, size: int, lengths: list[int]) -> bool:
    """Whether length takes nothing but poses: peaks only grow, so a longer shot that adds nothing shows it."""
    before, peaks = peak_mb(), []
    for frames in sorted(lengths):
        shot, sitting = scene(avatar, size, frames)
        whole(avatar, shot, sitting, "torch")
        peaks.append(peak_mb())
        sys.stdout.write(f"{size}x{size}, {frames} frames: {peaks[-1]:.0f} MB at the peak ({before:.0f} MB before)\n")
    allowed = NOISE_MB + POSE_MB * (max(lengths) - min(lengths))
    grown = peaks[-1] - peaks[0]
    sys.stdout.write(f"the longest took {grown:.0f} MB more than the shortest; {allowed:.0f} are allowed\n")
    return grown <= allowed


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("train", type=Path)
    parser.add_argument("--frames", type=int, default=48)
    parser.add_argument("--sizes", type=int, nargs="+", default=[256, 512])
    parser.add_argument("--memory", action="store_true")
    parser.add_argument("--lengths", type=int, nargs="+", default=[200, 2000])
    asked = parser.parse_args()
    avatar = load_avatar(asked.train, "cpu")
    if asked.memory:
        return 0 if print_memory(avatar, asked.sizes[-1], asked.lengths) else 1
    for size in asked.sizes:
        shot, sitting = scene(avatar, size, asked.frames)
        for engine in filter(installed, ENGINES):
            sys.stdout.write(f"{size}x{size} {engine}\n")
            for name, (cpu_ms, wall_ms) in stages(avatar, shot, sitting, engine).items():
                sys.stdout.write(f"    {name:18s} {cpu_ms:7.1f} ms of processor time {wall_ms:7.1f} ms by the clock\n")
            sys.stdout.write(f"    {'end to end':18s} {whole(avatar, shot, sitting, engine):7.1f} frames/s\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
