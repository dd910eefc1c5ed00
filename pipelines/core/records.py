"""What the stages hand on: plain frozen records of numpy arrays.

Units are metres, seconds, radians and pixels. Cameras look along +Z with x right and y down; pixel
coordinates count from the top-left corner of the picture, so the centre of the first pixel is (0.5, 0.5).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np


def _identity() -> np.ndarray:
    return np.eye(4)


@dataclass(frozen=True, eq=False)
class Camera:
    """A pinhole camera; with `weak_depth_m` set, the paper's weak-perspective camera."""

    K: np.ndarray                       # (3, 3) pixels
    width: int
    height: int
    world_to_camera: np.ndarray = field(default_factory=_identity)  # (4, 4) metres
    distortion: np.ndarray = field(default_factory=lambda: np.zeros(0))  # OpenCV order; empty = none
    weak_depth_m: float | None = None   # one depth for all points (scaled orthography); None = full perspective


@dataclass(frozen=True, eq=False)
class Frame:
    """One picture of a recording."""

    index: int
    time_s: float
    image: np.ndarray                   # (H, W, 3) uint8 sRGB
    depth_m: np.ndarray | None = None   # (H, W) float32 metres along +Z, 0 = no reading
    alpha: np.ndarray | None = None     # (H, W) float32 0..1, the true matte where the source knows it


@dataclass(frozen=True, eq=False)
class Footage:
    """What a source delivers: a camera and frames in order of time, read once."""

    camera: Camera
    frames: Iterator[Frame]
    frame_count: int | None             # None = not known before the end
    fps: float                          # nominal; the frames' own times count
    intrinsics_from: str                # a sentence for the manifest: where K came from
    truth: Callable[[], dict[str, np.ndarray]] | None = None  # after the last frame: arrays for truth.npz
    background: np.ndarray | None = None  # (H, W, 3) uint8, a clean plate where the source knows it
    live: bool = False                  # a camera that records now: frames come in their own time, until told to stop
    dropped: Callable[[], int] | None = None    # how many frames the device lost so far
    depth_units_per_m: float = 1000.0   # the steps in which the device measured depth; stored in them, nothing is lost
    notes: Callable[[], list[str]] | None = None  # after the last frame: sentences to warn with


@dataclass(frozen=True, eq=False)
class Landmarks:
    """Body landmarks of one frame (MediaPipe's 33)."""

    pixels: np.ndarray                  # (L, 2)
    confidence: np.ndarray              # (L,) 0..1
    world_m: np.ndarray                 # (L, 3) metres from the mid-hip, camera axes


@dataclass(frozen=True, eq=False)
class BodyPose:
    """Joint angles and place of a body."""

    joint_rotations: np.ndarray         # (J, 3, 3) relative to the parent; rest pose = identity everywhere
    root_translation: np.ndarray        # (3,) metres, where the root joint is


@dataclass(frozen=True, eq=False)
class Motion:
    """Poses in time, in a world with y up and the floor at y = 0."""

    joint_rotations: np.ndarray         # (F, J, 3, 3)
    root_translation: np.ndarray        # (F, 3)
    fps: float


@dataclass(frozen=True, eq=False)
class SurfaceMaps:
    """One posed body, rasterised: what each pixel of `box` sees of the surface."""

    face_index: np.ndarray              # (h, w) int32; -1 = background
    uv: np.ndarray                      # (h, w, 2) float32 in 0..1; 0 on background
    normal: np.ndarray                  # (h, w, 3) float32 unit length, camera frame; 0 on background
    depth_m: np.ndarray                 # (h, w) float32; 0 on background
    box: tuple[int, int, int, int]      # x0, y0, x1, y1 in picture pixels; h = y1 - y0, w = x1 - x0

    @property
    def inside(self) -> np.ndarray:
        """(h, w) bool: pixels the body covers."""
        return self.face_index >= 0

    def part_index(self, face_region: np.ndarray) -> np.ndarray:
        """(h, w) uint8: the I of IUV maps, 0 = background, else one more than the region in `face_region` (T,)."""
        return np.concatenate([[0], np.asarray(face_region) + 1]).astype(np.uint8)[self.face_index + 1]

    @staticmethod
    def unwritten(box: tuple[int, int, int, int]) -> SurfaceMaps:
        """Maps of a box with nothing in them yet, to be filled in place."""
        height, width = box[3] - box[1], box[2] - box[0]
        pixels = height * width
        # One block instead of four: the C library hands the pages of a block freed before on to the next one, where
        # it gives the pages of several back to the system, and getting new ones costs more than drawing.
        block = np.empty(7 * pixels, np.float32)
        face_index, depth_m, uv, normal = np.split(block, [pixels, 2 * pixels, 4 * pixels])
        return SurfaceMaps(face_index.view(np.int32).reshape(height, width), uv.reshape(height, width, 2),
                           normal.reshape(height, width, 3), depth_m.reshape(height, width), box)


@dataclass(frozen=True, eq=False)
class BodyFit:
    """The fitted body of a whole recording; one row per captured frame."""

    betas: np.ndarray                   # (S,)
    joint_names: np.ndarray             # (J,) str
    frame_index: np.ndarray             # (F,)
    joint_rotations: np.ndarray         # (F, J, 3, 3)
    root_translation: np.ndarray        # (F, 3) metres, camera frame
    joints_m: np.ndarray                # (F, J, 3) metres, camera frame
    residual_px: np.ndarray             # (F,)
    residual_mm: np.ndarray             # (F,) NaN without depth
    ok: np.ndarray                      # (F,) bool: which rows to trust

    def pose(self, row: int) -> BodyPose:
        """The body in a row of the fit, which is a captured frame: root_translation in metres, camera frame."""
        return BodyPose(self.joint_rotations[row], self.root_translation[row])
