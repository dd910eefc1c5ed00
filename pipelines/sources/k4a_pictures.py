"""What an Azure Kinect delivers, made into frames: colour decoded and straightened, depth warped onto it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from pipelines.core.records import Camera, Frame
from pipelines.geometry.cameras import scale_camera
from pipelines.geometry.lenses import Straightener, straightener
from pipelines.geometry.registration import DepthWarp, depth_warp
from pipelines.sources.k4a_calibration import Rig, in_own_frame

FORMATS = ("MJPG", "NV12", "YUY2", "BGRA")
END_OF_JPEG = b"\xff\xd9"
WORKERS = 2                             # threads that make frames

Made = TypeVar("Made")


def decode_colour(raw: np.ndarray, colour_format: str, width: int, height: int) -> np.ndarray | None:
    """(height, width, 3) uint8, in whatever order OpenCV decodes to (blue first); None for a damaged picture.

    raw            uint8, any shape: the bytes as the device sends them
    colour_format  one of `FORMATS`; YUV is BT.601 in video range, as the device's own programs take it
    """
    import cv2

    raw = np.ascontiguousarray(raw, np.uint8).reshape(-1)
    if colour_format == "MJPG":
        if END_OF_JPEG not in raw[-64:].tobytes():      # OpenCV would paint the missing rest grey and say nothing
            return None
        image = cv2.imdecode(raw, cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
        return image if image is not None and image.shape[:2] == (height, width) else None
    shapes = {"NV12": (height * 3 // 2, width), "YUY2": (height, width, 2), "BGRA": (height, width, 4)}
    codes = {"NV12": cv2.COLOR_YUV2BGR_NV12, "YUY2": cv2.COLOR_YUV2BGR_YUY2, "BGRA": cv2.COLOR_BGRA2BGR}
    if colour_format not in shapes:
        raise ValueError(f"colour formats are {', '.join(FORMATS)}, not {colour_format!r}")
    if raw.size != int(np.prod(shapes[colour_format])):
        return None
    return cv2.cvtColor(raw.reshape(shapes[colour_format]), codes[colour_format])


@dataclass(frozen=True, eq=False)
class Registration:
    """Brings both cameras of a device to one: the straightened colour camera, perhaps reduced."""

    camera: Camera                      # of the finished frames, at the origin
    colour: Camera                      # as the device has it, distorted
    straight: Straightener
    warp: DepthWarp

    @classmethod
    def of(cls, rig: Rig, max_side: int = 0) -> Registration:
        """max_side: larger pictures are reduced to this longer side; 0 = as they are."""
        rig = in_own_frame(rig)
        straight = straightener(rig.colour)
        longer = max(rig.colour.width, rig.colour.height)
        camera = scale_camera(straight.camera, max_side / longer) if 0 < max_side < longer else straight.camera
        return cls(camera, rig.colour, straight, depth_warp(rig.depth, camera))

    def frame(self, index: int, time_s: float, image: np.ndarray, depth_mm: np.ndarray) -> Frame:
        """image (H, W, 3) uint8 from `decode_colour`; depth_mm (h, w) as the depth camera gives it, 0 = no reading."""
        import cv2

        image = self.straight.picture(image)
        size = (self.camera.width, self.camera.height)
        if image.shape[1::-1] != size:
            image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
        depth_m = self.warp.depth(depth_mm.astype(np.float32) * np.float32(1e-3))
        return Frame(index, time_s, cv2.cvtColor(image, cv2.COLOR_BGR2RGB), depth_m)



def made_ahead(jobs: Iterable[Callable[[], Made]], ahead: int) -> Generator[Made, None, None]:
    """What the jobs return, in their order; up to `ahead` of them are worked on before they are asked for."""
    waiting: deque[Future[Made]] = deque()
    with ThreadPoolExecutor(max_workers=WORKERS) as workers:
        try:
            for job in jobs:
                waiting.append(workers.submit(job))
                if len(waiting) >= ahead:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for unwanted in waiting:
                unwanted.cancel()
