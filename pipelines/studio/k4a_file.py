"""A synthetic person filmed by an Azure Kinect that does not exist: its .mkv, and what is true in every frame.

Both lenses are distorted, and depth is taken by its own narrower camera, 32 mm beside the colour camera and tilted
against it, as in the real device. So reading the file needs everything that reading a real one does, and the depth
that comes out can be compared with the truth in every pixel.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from pipelines.core.errors import AnrError
from pipelines.core.records import BodyPose, Camera
from pipelines.geometry.cameras import box_around, to_camera
from pipelines.geometry.lenses import pixel_rays
from pipelines.studio.actors import load_actor, pose_actor
from pipelines.studio.matroska import Attachment, MatroskaWriter, Track

START_OFFSET_US = 336_277               # of the file's time 0 in the device's time
FIRST_US = 127_600                      # of the first picture in the file: the motion sensor starts earlier
SENSOR_DEPTH, SENSOR_COLOUR = (1024, 1024), (1280, 960)     # what the calibration's shares count from, as scaled
WINDOW_DEPTH, WINDOW_COLOUR = (192, 180), (0, 120)          # left, top of what is read of them
DEPTH_LENS = np.array([0.5479, -0.02097, 2.06e-5, -7.21e-5, -0.002652, 0.88968, 0.08613, -0.01391])
COLOUR_LENS = np.array([0.3301, -2.4894, -1.618e-4, -1.294e-4, 1.4537, 0.2089, -2.3029, 1.3751])
FIELD = (0.79, 0.66)                    # half of what the lit field of the narrow mode covers, at 1 m
WALL_Z = -1.15                          # of the studio's back wall; its floor is y = 0
FINER = 6                               # samples per pixel each way where triangles are looked up


def device() -> tuple[Camera, Camera]:
    """(depth 640x576, colour 1280x720), distorted, standing in the studio: 2.35 m from the person, 1.2 m high."""
    colour = Camera(np.array([[611.80, 0, 639.80], [0, 611.93, 366.35], [0, 0, 1]]), 1280, 720,
                    _looking(np.array([0.25, 1.2, 2.35]), np.array([0.0, 0.93, 0.0])), COLOUR_LENS)
    tilt = np.radians(4.94)
    depth_to_colour = np.eye(4)
    depth_to_colour[:3, :3] = [[1, 0, 0], [0, np.cos(tilt), np.sin(tilt)], [0, -np.sin(tilt), np.cos(tilt)]]
    depth_to_colour[:3, 3] = [-0.03208, -0.00221, 0.00388]
    depth = Camera(np.array([[504.61, 0, 333.28], [0, 504.73, 349.33], [0, 0, 1]]), 640, 576,
                   np.linalg.inv(depth_to_colour) @ colour.world_to_camera, DEPTH_LENS)
    return depth, colour


def _looking(eye: np.ndarray, aim: np.ndarray) -> np.ndarray:
    """(4, 4) world (y up) to camera (y down)."""
    ahead = (aim - eye) / np.linalg.norm(aim - eye)
    right = np.cross(ahead, [0.0, 1.0, 0.0])
    right /= np.linalg.norm(right)
    placed = np.eye(4)
    placed[:3, :3] = [right, np.cross(ahead, right), ahead]
    placed[:3, 3] = -placed[:3, :3] @ eye
    return placed


def calibration_json(depth: Camera, colour: Camera) -> bytes:
    """The device's own file for two cameras in NFOV unbinned and 720p; the depth camera is its world."""
    depth_to_colour = colour.world_to_camera @ np.linalg.inv(depth.world_to_camera)
    cameras = [_stored(depth, "Depth", SENSOR_DEPTH, WINDOW_DEPTH, np.eye(4)),
               _stored(colour, "PhotoVideo", SENSOR_COLOUR, WINDOW_COLOUR, depth_to_colour)]
    motion = [_stored_sensor(kind) for kind in ("Gyro", "Accelerometer")]
    return json.dumps({"CalibrationInformation": {"Cameras": cameras, "InertialSensors": motion}}).encode() + b"\0"


def _stored(camera: Camera, purpose: str, sensor: tuple[int, int], window: tuple[int, int],
            placed: np.ndarray) -> dict:
    k1, k2, p1, p2, k3, k4, k5, k6 = camera.distortion.tolist()
    (width, height), (left, top), K = sensor, window, camera.K
    shares = [(K[0, 2] + left) / width, (K[1, 2] + top) / height, K[0, 0] / width, K[1, 1] / height]
    return {
        "Intrinsics": {"ModelParameterCount": 14, "ModelType": "CALIBRATION_LensDistortionModelBrownConrady",
                       "ModelParameters": [*shares, k1, k2, k3, k4, k5, k6, 0, 0, p2, p1]},
        "Location": "CALIBRATION_CameraLocationD0" if purpose == "Depth" else "CALIBRATION_CameraLocationPV0",
        "Purpose": f"CALIBRATION_CameraPurpose{purpose}", "MetricRadius": 1.74 if purpose == "Depth" else 0,
        "Rt": {"Rotation": placed[:3, :3].ravel().tolist(), "Translation": placed[:3, 3].tolist()},
        "SensorWidth": 1024 if purpose == "Depth" else 4096, "SensorHeight": 1024 if purpose == "Depth" else 3072,
        "Shutter": "CALIBRATION_ShutterTypeUndefined", "ThermalAdjustmentParams": {"Params": [0] * 12},
    }


def _stored_sensor(kind: str) -> dict:
    """A motion sensor without errors: nothing here uses it, but the device's library refuses a file without."""
    return {
        "SensorType": f"CALIBRATION_InertialSensorType_{kind}", "Id": "CALIBRATION_InertialSensorId_LSM6DSM",
        "Rt": {"Rotation": np.eye(3).ravel().tolist(), "Translation": [0, 0, 0]}, "ModelTypeMask": 16,
        "BiasTemperatureModel": [0] * 12, "BiasUncertainty": [1e-4] * 3, "Noise": [0] * 6,
        "MixingMatrixTemperatureModel": [float(at in (0, 16, 32)) for at in range(36)], "SecondOrderScaling": [0] * 9,
        "TemperatureBounds": [5, 60], "TemperatureC": 0,
    }


class KinectFilm:
    """A person of the studio moving in front of the device."""

    def __init__(self, name: str, seconds: float = 1.0, fps: float = 30.0, motion: str = "capture") -> None:
        from pipelines.studio.motions import make_motion

        if fps not in (5, 15, 30):
            raise AnrError(f"An Azure Kinect films at 5, 15 or 30 frames per second, not {fps:g}.", hint="Take 30.")
        self.actor = load_actor(name)
        self.fps = fps
        self.depth_camera, self.colour_camera = device()
        moves = make_motion(motion, self.actor, seconds, fps)
        self._poses = [BodyPose(turns, root) for turns, root in zip(moves.joint_rotations, moves.root_translation)]
        self._depth_rays, self._colour_rays = pixel_rays(self.depth_camera), pixel_rays(self.colour_camera)

    def __len__(self) -> int:
        return len(self._poses)

    def true_depth(self, index: int, camera: Camera) -> np.ndarray:
        """(H, W) float32 metres seen by a camera placed in the colour camera's frame."""
        placed = replace(camera, world_to_camera=camera.world_to_camera @ self.colour_camera.world_to_camera)
        return self._seen(index, placed, pixel_rays(placed))[0].astype(np.float32)

    def person(self, index: int, camera: Camera) -> np.ndarray:
        """(H, W) bool: where a camera placed in the colour camera's frame sees the person."""
        placed = replace(camera, world_to_camera=camera.world_to_camera @ self.colour_camera.world_to_camera)
        return self._seen(index, placed, pixel_rays(placed))[2]

    def depth_mm(self, index: int) -> np.ndarray:
        """(576, 640) uint16: what the device measures, without noise; 0 beyond its lit field."""
        depth_m, _, _ = self._seen(index, self.depth_camera, self._depth_rays)
        lit = (np.abs(self._depth_rays[..., 0]) < FIELD[0]) & (np.abs(self._depth_rays[..., 1]) < FIELD[1])
        return np.where(lit, np.round(depth_m * 1000), 0).astype(np.uint16)

    def image(self, index: int) -> np.ndarray:
        """(720, 1280, 3) uint8 sRGB through the colour lens: plain light on floor, wall and a chequered person."""
        return self._seen(index, self.colour_camera, self._colour_rays)[1]

    def _seen(self, index: int, camera: Camera, rays: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Depth (H, W) metres, picture (H, W, 3) uint8 and person (H, W) bool along the rays (H, W, 2) of a camera."""
        verts, _, _ = pose_actor(self.actor, self._poses[index])
        seen = to_camera(verts.astype(float), camera)
        corners = seen[self.actor.faces]                 # (T, 3, 3)
        face = _face_seen(seen, self.actor.faces, camera, rays)
        around_m, around = _room_seen(camera, rays)
        depth_m, facing = _on_triangles(corners, face, rays)
        hit = (face >= 0) & (depth_m < around_m)
        cell = np.floor(self.actor.verts[self.actor.faces[np.maximum(face, 0), 0]] * 14).sum(axis=-1) % 2
        person = (0.35 + 0.5 * facing)[..., None] * np.where(cell[..., None] > 0, [0.85, 0.55, 0.4], [0.3, 0.4, 0.7])
        picture = np.where(hit[..., None], person, around)
        return np.where(hit, depth_m, around_m), np.round(np.clip(picture, 0, 1) * 255).astype(np.uint8), hit

    def write(self, path: Path, colour_format: str = "MJPG") -> None:
        """The recording, as k4arecorder would have written it."""
        step_us = 1e6 / self.fps
        captures = (StoredCapture(FIRST_US + round(index * step_us), self.image(index), self.depth_mm(index))
                    for index in range(len(self)))
        write_k4a(path, captures, calibration_json(self.depth_camera, self.colour_camera), colour_format, self.fps)


def _face_seen(seen: np.ndarray, faces: np.ndarray, camera: Camera, rays: np.ndarray) -> np.ndarray:
    """(H, W) the triangle nearest along each ray, -1 = none; vertices are given in the camera's frame.

    A lens bends the rays off any pinhole picture's pixels, so they are looked up in a `FINER` one.
    """
    from pipelines.rasterizers.cpu import rasterize

    if not np.any(camera.distortion):
        return rasterize(seen, faces, replace(camera, world_to_camera=np.eye(4)))[0]
    usable = np.isfinite(rays).all(axis=-1)
    low, high = rays[usable].min(axis=0), rays[usable].max(axis=0)
    focal = FINER * rays.shape[1] / (high[0] - low[0])
    size = np.ceil((high - low) * focal).astype(int) + 1
    K = np.array([[focal, 0, -low[0] * focal], [0, focal, -low[1] * focal], [0, 0, 1.0]])
    finer = Camera(K, int(size[0]), int(size[1]))
    x0, y0, x1, y1 = box_around(seen, finer, 0.01)
    face_index = rasterize(seen, faces, finer, (x0, y0, x1, y1))[0]
    at = np.floor((np.nan_to_num(rays) - low) * focal).astype(int) - [x0, y0]
    inside = usable & np.all((at >= 0) & (at < [x1 - x0, y1 - y0]), axis=-1)
    at = np.where(inside[..., None], at, 0)
    return np.where(inside, face_index[at[..., 1], at[..., 0]], -1)


def _on_triangles(corners: np.ndarray, face: np.ndarray, rays: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where the rays meet the planes of their triangles: depth (H, W), inf without one, and 0..1 how much they face."""
    depth_m, facing = np.full(face.shape, np.inf), np.zeros(face.shape)
    inside = face >= 0
    three = corners[face[inside]]
    normal = np.cross(three[:, 1] - three[:, 0], three[:, 2] - three[:, 0])
    normal /= np.maximum(np.linalg.norm(normal, axis=-1, keepdims=True), 1e-20)
    ray = np.concatenate([rays[inside], np.ones((len(three), 1))], axis=-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        z = np.sum(normal * three[:, 0], axis=-1) / np.sum(normal * ray, axis=-1)
    # A ray just past the triangle that was looked up would meet a steep plane far away: stay within its corners.
    depth_m[inside] = np.clip(np.nan_to_num(z, nan=0.0), three[..., 2].min(axis=1), three[..., 2].max(axis=1))
    facing[inside] = np.abs(np.sum(normal * ray, axis=-1)) / np.linalg.norm(ray, axis=-1)
    return depth_m, facing


def _room_seen(camera: Camera, rays: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(depth (H, W), colour (H, W, 3) 0..1) of the floor y = 0 and the wall behind."""
    turn, place = camera.world_to_camera[:3, :3], camera.world_to_camera[:3, 3]
    eye = -turn.T @ place
    ahead = np.concatenate([np.nan_to_num(rays), np.ones((*rays.shape[:2], 1))], axis=-1) @ turn
    with np.errstate(divide="ignore"):
        to_floor = np.where(ahead[..., 1] < 0, -eye[1] / ahead[..., 1], np.inf)
        to_wall = np.where(ahead[..., 2] < 0, (WALL_Z - eye[2]) / ahead[..., 2], np.inf)
    depth_m = np.minimum(np.minimum(to_floor, to_wall), 8.0)
    points = eye + ahead * depth_m[..., None]
    cells = np.floor(points * 4 + 1e-6).sum(axis=-1) % 2
    floor = np.where(cells[..., None] > 0, [0.55, 0.43, 0.32], [0.50, 0.39, 0.29])
    wall = np.where(cells[..., None] > 0, [0.72, 0.73, 0.71], [0.68, 0.69, 0.68])
    return depth_m, np.where((to_floor < to_wall)[..., None], floor, wall)


@dataclass(frozen=True, eq=False)
class StoredCapture:
    """What the device had at one time; None = that camera missed it."""

    time_us: int                        # in the file's time
    image: np.ndarray | None            # (720, 1280, 3) uint8 sRGB
    depth_mm: np.ndarray | None         # (576, 640) uint16


def write_k4a(path: Path, captures: Iterable[StoredCapture], calibration: bytes | None, colour_format: str = "MJPG",
              fps: float = 30.0, depth_delay_us: int = 0) -> None:
    """A recording of 720p colour and NFOV unbinned depth, with infrared and motion tracks that a reader ignores.

    calibration     the attachment; None leaves it out
    depth_delay_us  how much later than colour the depth is taken; its pictures carry that time
    """
    tracks = [Track("COLOR", colour_format, 1280, 720, fps,
                    {"K4A_COLOR_TRACK": "1", "K4A_COLOR_MODE": f"{colour_format}_720P"}),
              Track("DEPTH", "b16g", 640, 576, fps, {"K4A_DEPTH_TRACK": "2", "K4A_DEPTH_MODE": "NFOV_UNBINNED"}),
              Track("IR", "b16g", 640, 576, fps, {"K4A_IR_TRACK": "3", "K4A_IR_MODE": "ACTIVE"}),
              Track("IMU", "S_K4A/IMU", 0, 0, fps, {"K4A_IMU_TRACK": "4", "K4A_IMU_MODE": "ON"})]
    tags = {"title": "Azure Kinect", "K4A_DEPTH_DELAY_NS": str(depth_delay_us * 1000),
            "K4A_WIRED_SYNC_MODE": "STANDALONE", "K4A_DEVICE_SERIAL_NUMBER": "000000000000",
            "K4A_START_OFFSET_NS": str(START_OFFSET_US * 1000)}
    attached = () if calibration is None else (
        Attachment("calibration.json", calibration, {"K4A_CALIBRATION_FILE": "calibration.json"}),)
    with MatroskaWriter(path, tracks, tags, attached) as writer:
        writer.add(3, 0, bytes(40))                      # the motion sensor starts before the cameras
        for capture in captures:
            if capture.image is not None:
                writer.add(0, capture.time_us, encode_colour(capture.image, colour_format))
            if capture.depth_mm is not None:
                depth = capture.depth_mm.astype(">u2").tobytes()
                writer.add(1, capture.time_us + depth_delay_us, depth)
                writer.add(2, capture.time_us + depth_delay_us, depth)


def encode_colour(image: np.ndarray, colour_format: str) -> bytes:
    """(H, W, 3) uint8 sRGB as the device sends it: MJPG, NV12, YUY2 (BT.601, video range) or BGRA."""
    import cv2

    if colour_format == "MJPG":
        done, encoded = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 92])
        if not done:
            raise ValueError(f"cannot encode {image.shape} {image.dtype} as JPEG")
        return encoded.tobytes()
    if colour_format == "BGRA":
        return np.concatenate([image[..., ::-1], np.full((*image.shape[:2], 1), 255, np.uint8)], axis=-1).tobytes()
    if colour_format not in ("NV12", "YUY2"):
        raise ValueError(f"the device has no colour format {colour_format!r}")
    rgb = image.astype(float) / 255
    luma = rgb @ [0.299, 0.587, 0.114]
    blue, red = (rgb[..., 2] - luma) / 1.772, (rgb[..., 0] - luma) / 1.402
    y, u, v = 16 + 219 * luma, 128 + 224 * blue, 128 + 224 * red
    u, v = ((part[:, ::2] + part[:, 1::2]) / 2 for part in (u, v))
    if colour_format == "NV12":
        u, v = ((part[::2] + part[1::2]) / 2 for part in (u, v))
        return b"".join(np.round(part).astype(np.uint8).tobytes() for part in (y, np.stack([u, v], axis=-1)))
    packed = np.stack([y[:, ::2], u, y[:, 1::2], v], axis=-1)
    return np.round(packed).astype(np.uint8).tobytes()
