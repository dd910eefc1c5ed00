"""`anr bench fit`: landmarks and fit of a person, frame after frame as they come."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from anrcli.commands.measuring import Bench, Figures, timing
from pipelines.core.stage import Progress

if TYPE_CHECKING:
    from pipelines.core.records import Camera, Landmarks
    from pipelines.detectors.following import Follower

CLIP_S, CLIP_FPS = 2.0, 24.0            # of the studio person that is measured with
PERSON = "ada"


def bench_fit(progress: Progress) -> Figures:
    """Landmarks and fit of a person without depth, frame after frame as they come."""
    images, camera, height_m = studio_clip(720, progress)
    return {**live_figures("720p", *widescreen(images, camera), height_m),
            **live_figures("512x512", *smaller(images, camera, 512), height_m)}


def live_figures(title: str, images: Sequence[np.ndarray], camera: Camera, height_m: float) -> Figures:
    marks: list[Landmarks] = []
    see(started(images[0]), images, marks.append)
    fit = live_fitter(camera, height_m)
    for each in marks[:3]:
        fit(each)                                              # compiles, or reads what was compiled before
    count = len(images)
    whole = timing(lambda follower: see(follower, images, fit), count, prepare=lambda: started(images[0]))
    seen = timing(lambda follower: see(follower, images, lambda landmarks: None), count,
                  prepare=lambda: started(images[0]))
    fitted = timing(lambda: [fit(each) for each in marks], len(marks))
    return {f"landmarks_and_fit_{title}_fps": 1.0 / whole.wall_s, f"landmarks_{title}_fps": 1.0 / seen.wall_s,
            f"landmarks_{title}_cpu_ms": 1000.0 * seen.cpu_s, f"fit_alone_{title}_ms": 1000.0 * fitted.wall_s}


def studio_clip(size: int, progress: Progress) -> tuple[list[np.ndarray], Camera, float]:
    """Square pictures of a studio person who moves, the camera, and the person's height in metres."""
    from pipelines.sources.synthetic import open_synthetic

    footage = open_synthetic(PERSON, CLIP_S, CLIP_FPS, size)
    images = [frame.image for frame in progress.track(footage.frames, f"Filming {PERSON}", footage.frame_count)]
    assert footage.truth is not None
    return images, footage.camera, float(footage.truth()["height_m"])


def widescreen(images: Sequence[np.ndarray], camera: Camera) -> tuple[list[np.ndarray], Camera]:
    """The pictures in the middle of 16:9, the borders repeated."""
    from pipelines.geometry.cameras import crop_camera

    height, width = images[0].shape[:2]
    beside = (round(height * 16 / 9) - width) // 2
    wide = [np.pad(image, ((0, 0), (beside, beside), (0, 0)), mode="edge") for image in images]
    return wide, crop_camera(camera, (-beside, 0, width + beside, height))


def smaller(images: Sequence[np.ndarray], camera: Camera, size: int) -> tuple[list[np.ndarray], Camera]:
    import cv2

    from pipelines.geometry.cameras import scale_camera

    view = scale_camera(camera, size / camera.height)
    return [cv2.resize(image, (view.width, view.height), interpolation=cv2.INTER_AREA) for image in images], view


def started(image: np.ndarray) -> Follower:
    """A follower that has found its person."""
    from pipelines.detectors.following import Follower

    follower = Follower(CLIP_FPS)
    follower.see(image)
    return follower


def see(follower: Follower, images: Sequence[np.ndarray], then: Callable[[Landmarks], object]) -> None:
    """Hands the person's body landmarks to `then` as they come."""
    for _, seen in follower.follow(images):
        if seen is not None:
            then(seen.landmarks)
    follower.close()


def live_fitter(camera: Camera, height_m: float) -> Callable[[Landmarks], object]:
    """What fits the next frame from those before it, with a body of the right height."""
    from pipelines.fitting.tracking import LiveFit

    live, clock = LiveFit.from_height(camera, height_m), itertools.count()
    return lambda landmarks: live.see(landmarks, None, next(clock) / CLIP_FPS)


FIT = Bench("landmarks and fit as frames come, a studio person without depth", bench_fit)
