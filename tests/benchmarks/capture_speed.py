"""What storing a recording costs: bytes and milliseconds per frame, and how fast a video file is captured.

    python tests/benchmarks/capture_speed.py [--shared ../shared/data] [--seconds 8]

Prints
- colour at 1080p, for JPEG qualities with full (4:4:4) and halved (4:2:0) colour resolution: size, PSNR, CPU time to
  write and to read (one core). The clips are enlarged to 1080p and get sensor noise, which is harder than most rooms;
- depth at 1080p with a depth camera's noise, with the PNG settings in use and OpenCV's own;
- a whole recording as the capture stage writes it: its quality, bytes per frame, GB for 3 minutes, random access;
- capture of a 720p file: frames per second by the clock, and CPU time per frame of its parts.
CPU times hold on a busy machine; the clock's do not.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from pipelines.capture import STAGE, CaptureOptions
from pipelines.core.records import Camera, Frame
from pipelines.core.stage import Job, Progress
from pipelines.media.images import depth_bytes
from pipelines.media.recording import Recording, RecordingWriter
from pipelines.sources import Request, open_source

CLIPS = ("videos/sam2_juggle.mp4", "videos/hybrik_taiji.mp4", "videos/swai_walk.mp4")
WIDTH, HEIGHT = 1920, 1080
THREE_MINUTES = 3 * 60 * 30
RNG = np.random.default_rng(0)


def cpu_ms(work: Callable[[], object], times: int = 8) -> float:
    """Median CPU time of a call; the first, which fills caches, does not count."""
    work()
    spent = []
    for _ in range(times):
        begin = time.process_time()
        work()
        spent.append(time.process_time() - begin)
    return float(np.median(spent) * 1000)


def full_hd(clip: Path, noise: float) -> list[np.ndarray]:
    """Four frames of a clip at 1080p with a sensor's noise (standard deviation, of 255)."""
    import cv2

    frames = [frame.image for frame in open_source(Request(str(clip), max_frames=181)).frames][::60]
    large = [cv2.resize(image, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC) for image in frames]
    return [np.clip(image + RNG.normal(0, noise, image.shape), 0, 255).astype(np.uint8) for image in large]


def depth_of_a_room() -> np.ndarray:
    """(1080, 1920) float32: a person before a wall and on a floor, 640x576 readings with 2 mm of noise at 2 m."""
    import cv2

    v, u = np.mgrid[0:576, 0:640] / 576.0
    depth_m = np.minimum(3.2 + 0.1 * u, 1.2 / np.maximum(v - 0.35, 1e-3))           # wall, floor
    person = (np.abs(u - 0.55) < 0.12) & (v > 0.15) & (v < 0.92)
    depth_m = np.where(person, 2.1 + 0.12 * np.cos(14 * u) + 0.03 * np.sin(40 * v), depth_m)
    depth_m = depth_m + RNG.normal(0, 0.0005 * depth_m**2)
    depth_m[(RNG.random(depth_m.shape) < 0.01) | (np.hypot(u - 0.55, v - 0.5) > 0.62)] = 0   # holes; a round field
    depth_m = np.round(depth_m * 1000) / 1000
    zoom = 1.83                                         # of the colour camera's pixels over the depth camera's
    place = np.array([[zoom, 0, WIDTH / 2 - zoom * 320], [0, zoom, HEIGHT / 2 - zoom * 288]], np.float32)
    smooth = cv2.warpAffine(depth_m.astype(np.float32), place, (WIDTH, HEIGHT), flags=cv2.INTER_LINEAR)
    solid = cv2.warpAffine((depth_m > 0).astype(np.float32), place, (WIDTH, HEIGHT), flags=cv2.INTER_LINEAR) > 0.999
    return np.where(solid, smooth, 0).astype(np.float32)


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    return float(10 * np.log10(255**2 / np.mean((a.astype(float) - b) ** 2)))


def print_colour(name: str, images: list[np.ndarray]) -> None:
    import cv2

    pictures = [cv2.cvtColor(image, cv2.COLOR_RGB2BGR) for image in images]
    for quality in (95, 91, 87, 82):
        for sampling in ("444", "420"):
            factor = getattr(cv2, f"IMWRITE_JPEG_SAMPLING_FACTOR_{sampling}")
            flags = [cv2.IMWRITE_JPEG_QUALITY, quality, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, factor]
            stored = [cv2.imencode(".jpg", picture, flags)[1] for picture in pictures]
            loss = np.mean([psnr(cv2.imdecode(each, 1), picture) for each, picture in zip(stored, pictures)])
            write = cpu_ms(lambda flags=flags: cv2.imencode(".jpg", pictures[0], flags))
            read = cpu_ms(lambda stored=stored: cv2.imdecode(stored[0], 1))
            size = np.mean([len(each) for each in stored]) / 1000
            print(f"{name:<24} q{quality} {sampling}  {size:6.0f} KB  {loss:5.2f} dB  write {write:5.1f} ms  "
                  f"read {read:5.1f} ms")


def print_depth(depth_m: np.ndarray) -> None:
    import cv2

    units = np.round(depth_m * 1000).astype(np.uint16)
    default = len(cv2.imencode(".png", units)[1])
    print(f"depth, {(depth_m > 0).mean():.0%} with a reading   as stored {depth_bytes(depth_m) / 1000:.0f} KB "
          f"(OpenCV's default {default / 1000:.0f} KB), write {cpu_ms(lambda: depth_bytes(depth_m), 4):.1f} ms")


def print_recording(name: str, images: list[np.ndarray], depth_m: np.ndarray | None, folder: Path) -> None:
    """Writes a second of it, and reads it back in random order."""
    lens = Camera(np.array([[1000.0, 0, WIDTH / 2], [0, 1000, HEIGHT / 2], [0, 0, 1]]), WIDTH, HEIGHT)
    begin = time.process_time()
    with RecordingWriter(folder, lens) as writer:
        for n in range(30):
            writer.add(Frame(n, n / 30, images[n % len(images)], depth_m))
        writer.close(fps=30, height_m=None, intrinsics_from="", intrinsics_known=True, track=None)
    write_ms = (time.process_time() - begin) / 30 * 1000
    per_frame = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 30
    recording = Recording(folder)
    order = iter(RNG.permutation(30).tolist() * 2)
    image_ms = cpu_ms(lambda: recording.image(next(order)), 29)
    print(f"{name:<24} q{writer.quality}  {per_frame / 1000:6.0f} KB a frame  "
          f"{per_frame * THREE_MINUTES / 1e9:5.2f} GB in 3 minutes  write {write_ms:5.1f} ms CPU  "
          f"random colour frame {image_ms:5.1f} ms")


def frames_of(clip: Path, seconds: float) -> Iterator[Frame]:
    return open_source(Request(str(clip), seconds=seconds)).frames


def print_capture(clip: Path, seconds: float, folder: Path) -> None:
    begin = time.process_time()
    count = sum(1 for _ in frames_of(clip, seconds))
    decode_ms = (time.process_time() - begin) / count * 1000
    folder.mkdir()
    begin, began = time.process_time(), time.monotonic()
    options = CaptureOptions(source=str(clip), seconds=seconds, coach=False)
    STAGE.run(Job(folder, options, {}, Progress()))
    whole_ms, rate = (time.process_time() - begin) / count * 1000, count / (time.monotonic() - began)
    print(f"{clip.name:<24} {count} frames  decode and convert {decode_ms:.1f} ms CPU  all {whole_ms:.1f} ms CPU "
          f"({2000 / whole_ms:.0f} frames/s on two cores)  by the clock {rate:.0f} frames/s")


def main() -> None:
    here = Path(__file__).resolve()
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--shared", type=Path, default=here.parents[3] / "shared" / "data")
    arguments.add_argument("--seconds", type=float, default=8.0, help="how much of the 720p clips is captured")
    asked = arguments.parse_args()
    import cv2

    cv2.setNumThreads(1)
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    room_m = depth_of_a_room()
    print_depth(room_m)
    with tempfile.TemporaryDirectory() as scratch:
        for clip in CLIPS:
            images = full_hd(asked.shared / clip, noise=2.0)
            print_colour(Path(clip).name, images)
            for what, depth_m in (("colour", None), ("colour and depth", room_m)):
                folder = Path(scratch) / f"{Path(clip).stem} {what}"
                print_recording(f"{Path(clip).stem} {what}", images, depth_m, folder)
        for clip in CLIPS[:2]:
            print_capture(asked.shared / clip, asked.seconds, Path(scratch) / f"{Path(clip).stem} captured")


if __name__ == "__main__":
    main()
