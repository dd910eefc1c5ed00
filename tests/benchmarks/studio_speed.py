"""How long the studio takes for one picture of 512x512, for each person: wall clock on two threads, and CPU time.

    python tests/benchmarks/studio_speed.py [--size 512] [--frames 60] [--people ada ben] [--parts]

Prints milliseconds per frame of `open_synthetic` (movement, pictures and truth), after one picture to warm up.
The target is 40 ms of wall clock on two quiet cores. --parts adds what each step takes on one thread.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

from pipelines.core.records import BodyPose
from pipelines.sources.synthetic import NAMES, Setting, open_synthetic
from pipelines.studio import scene
from pipelines.studio.actors import load_actor, pose_actor
from pipelines.studio.motions import make_motion

FPS = 15.0


def milliseconds(name: str, size: int, frames: int, setting: Setting) -> tuple[float, float]:
    """Wall clock and CPU time per frame."""
    next(open_synthetic(name, 2.0, FPS, size, setting=setting).frames)
    wall, cpu = time.perf_counter(), time.process_time()
    footage = open_synthetic(name, frames / FPS, FPS, size, setting=setting)
    for _ in footage.frames:
        pass
    assert footage.truth is not None
    footage.truth()
    return 1000 * (time.perf_counter() - wall) / frames, 1000 * (time.process_time() - cpu) / frames


def parts(name: str, size: int) -> dict[str, float]:
    """CPU milliseconds of each step of one picture, the least of ten."""
    actor, room = load_actor(name), scene.build_room(size)
    moves = make_motion("capture", actor, 2.0, FPS)
    pose = BodyPose(moves.joint_rotations[0], moves.root_translation[0])
    verts, normals, joints = pose_actor(actor, pose)
    drawn = scene.draw(actor, verts, room.camera)
    nearness = scene.draw_from_light(actor, verts, room.light)
    steps: dict[str, Callable[[], Any]] = {
        "pose": lambda: pose_actor(actor, pose),
        "draw": lambda: scene.draw(actor, verts, room.camera),
        "light map": lambda: scene.draw_from_light(actor, verts, room.light),
        "shade": lambda: scene.shaded(actor, verts, normals, drawn, room.light, nearness),
        "exposed": lambda: scene.exposed(actor, verts, normals, joints, room),
        "picture": lambda: scene.picture(actor, pose, room, 0, 0.0, 0),
    }
    return {step: min(_cpu_ms(call) for _ in range(10)) for step, call in steps.items()}


def _cpu_ms(call: Callable[[], Any]) -> float:
    start = time.process_time()
    call()
    return 1000 * (time.process_time() - start)


def main() -> None:
    parser = argparse.ArgumentParser(description="Milliseconds per synthetic picture.")
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--frames", type=int, default=60)
    parser.add_argument("--people", nargs="*", default=list(NAMES))
    parser.add_argument("--sensor", action="store_true")
    parser.add_argument("--parts", action="store_true")
    typed = parser.parse_args()
    print(f"{'person':8} {'wall ms':>8} {'CPU ms':>8}")
    for name in typed.people:
        wall, cpu = milliseconds(name, typed.size, typed.frames, Setting(sensor=typed.sensor))
        print(f"{name:8} {wall:8.1f} {cpu:8.1f}")
        if typed.parts:
            print("         " + "  ".join(f"{step} {ms:.1f}" for step, ms in parts(name, typed.size).items()))


if __name__ == "__main__":
    main()
