"""A Kinect that is not there: speaks pyk4a's interface and plays a script of captures."""

from __future__ import annotations

from enum import IntEnum
from types import ModuleType
from typing import Any

import numpy as np


class K4AException(Exception):
    pass


class K4ATimeoutException(K4AException):
    pass


class ImageFormat(IntEnum):
    COLOR_MJPG = 0
    COLOR_BGRA32 = 3


class DepthMode(IntEnum):
    NFOV_UNBINNED = 2


class ColorResolution(IntEnum):
    RES_720P = 1
    RES_1080P = 2


class FPS(IntEnum):
    FPS_30 = 2


class Config:
    def __init__(self, color_resolution: Any = None, color_format: Any = None, depth_mode: Any = None,
                 camera_fps: Any = None, synchronized_images_only: bool = True) -> None:
        self.color_resolution, self.color_format, self.depth_mode = color_resolution, color_format, depth_mode
        self.camera_fps, self.synchronized_images_only = camera_fps, synchronized_images_only


class Capture:
    """One entry of a script; None = that picture is missing."""

    def __init__(self, time_us: int, color: np.ndarray | None, depth: np.ndarray | None) -> None:
        self.color, self.depth = color, depth
        self.color_timestamp_usec = self.depth_timestamp_usec = time_us


class Driver(ModuleType):
    """Stands in for the module pyk4a. `script` holds captures and exceptions; after its end comes `ending` for ever."""

    def __init__(self, calibration: str, script: list[Any], ending: type[Exception] = K4ATimeoutException,
                 devices: int = 1) -> None:
        super().__init__("pyk4a")
        self.K4AException, self.K4ATimeoutException = K4AException, K4ATimeoutException
        self.ImageFormat, self.DepthMode, self.ColorResolution, self.FPS = ImageFormat, DepthMode, ColorResolution, FPS
        self.Config = Config
        self.script, self.ending, self.devices, self.calibration = script, ending, devices, calibration
        self.fails_at = ""                               # "open" or "start": where the device refuses
        self.opened: list[PyK4A] = []                    # every device ever made
        self.reads = 0

    def connected_device_count(self) -> int:
        return self.devices

    def PyK4A(self, config: Config, device_id: int = 0) -> PyK4A:
        device = PyK4A(self, config, device_id)
        self.opened.append(device)
        return device


class PyK4A:
    """As pyk4a.PyK4A: stopping one that was never started, or is gone, raises."""

    def __init__(self, driver: Driver, config: Config, device_id: int) -> None:
        self.driver, self.config, self.device_id = driver, config, device_id
        self.opened = self.is_running = self.gone = False

    def start(self) -> None:
        if self.driver.fails_at == "open":
            raise K4AException()
        self.opened = True
        if self.driver.fails_at == "start":
            raise K4AException()
        self.is_running = True

    def stop(self) -> None:
        if self.gone or not self.is_running:
            raise K4AException()
        self.opened = self.is_running = False

    def close(self) -> None:
        if not self.opened:
            raise K4AException("Device is not opened")
        self.opened = False

    @property
    def serial(self) -> str:
        return "000123"

    @property
    def calibration_raw(self) -> str:
        return self.driver.calibration

    def get_capture(self, timeout: int) -> Capture:
        if not self.opened or timeout <= 0:
            raise K4AException()
        self.driver.reads += 1
        if not self.driver.script:
            self.gone = self.driver.ending is K4AException
            raise self.driver.ending()
        entry = self.driver.script.pop(0)
        if isinstance(entry, Exception):
            raise entry
        return entry
