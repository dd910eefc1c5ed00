"""A camera that is not perfect: noise, blur, a rolling shutter, and a depth image as depth cameras make them.

Every figure below is a default of `Sensor`; the same seed gives the same noise.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

LUMINANCE = np.array([0.2126, 0.7152, 0.0722], np.float32)


@dataclass(frozen=True)
class Sensor:
    """What the studio's `--studio-sensor` switches on."""

    # colour
    exposure_s: float = 1 / 60
    sub_frames: int = 3  # moments within the exposure that are added up
    readout_s: float = 0.016  # from the first to the last row
    electrons: float = 9000.0  # of a white pixel; shot noise is its square root
    read_electrons: float = 9.0  # standard deviation of an unlit pixel
    exposure_drift: float = 0.06  # share by which the automatic exposure wanders
    drift_s: float = 6.0  # seconds of one such wave
    # depth
    depth_lag_s: float = 0.008  # the depth image is taken this much after the colour image's middle
    # Khoshelham and Oude Elberink, Sensors 2012, 12(2), section 4: 1.425e-5 per cm, a Kinect's random error. It reaches
    # 17 mm at 3.45 m, the bound that Microsoft states for the Azure Kinect (Toelgyessy et al., Sensors 2021, 21(2))
    noise_per_m: float = 1.425e-3
    step_m: float = 0.001  # readings are whole millimetres
    nearest_m: float = 0.25
    farthest_m: float = 5.46  # Azure Kinect, narrow field of view, binned: its operating range
    edge_jump_m: float = 0.05  # a jump of more between neighbours is an edge
    flying_share: float = 0.35  # of an edge's pixels lie between both sides
    edge_hole_share: float = 0.25  # and of them nothing is read
    grazing_cos: float = 0.20  # surfaces seen flatter than this lose readings
    dark_linear: float = 0.012  # and those darker than this


def sub_times(sensor: Sensor) -> np.ndarray:
    """(N,) seconds before and after the exposure's middle."""
    steps = (np.arange(sensor.sub_frames) + 0.5) / sensor.sub_frames - 0.5
    return steps * sensor.exposure_s


def row_times(rows: np.ndarray, height: int, sensor: Sensor) -> np.ndarray:
    """Seconds after the picture's middle row that picture rows (...,) are exposed."""
    return (np.clip(rows / height, 0, 1) - 0.5) * sensor.readout_s


def exposure_gain(time_s: float, sensor: Sensor, seed: int) -> float:
    """What the automatic exposure multiplies light with."""
    phase = float(np.random.default_rng([seed, 11]).uniform(0, 2 * np.pi))
    wave = 2 * np.pi * time_s / sensor.drift_s + phase
    return 1 + sensor.exposure_drift * (0.7 * np.sin(wave) + 0.3 * np.sin(2.3 * wave))


def noisy_light(linear: np.ndarray, gain: float, sensor: Sensor, random: np.random.Generator) -> np.ndarray:
    """Linear light (H, W, 3) as read: amplified, with shot and read noise, in 0..1."""
    light = np.clip(linear * np.float32(gain), 0, 1)
    spread = np.sqrt(light / np.float32(sensor.electrons) + np.float32((sensor.read_electrons / sensor.electrons) ** 2))
    return np.clip(light + spread * random.standard_normal(light.shape, dtype=np.float32), 0, 1)


def noisy_depth(depth_m: np.ndarray, linear: np.ndarray, focal_px: float, sensor: Sensor,
                random: np.random.Generator) -> np.ndarray:
    """A depth image (H, W) as a depth camera reads it, metres, 0 = no reading.

    depth_m  true depth, 0 = nothing there; linear (H, W, 3) what the place looks like, which says how dark it is
    """
    cosine = facing_cosine(depth_m, focal_px)
    spread = sensor.noise_per_m * depth_m**2 / np.sqrt(np.maximum(cosine, 0.25))
    read = depth_m + spread * random.standard_normal(depth_m.shape, dtype=np.float32)
    near, far, edge = edges(depth_m, sensor.edge_jump_m)
    chance = random.random(depth_m.shape, dtype=np.float32)
    flying = edge & (chance < sensor.flying_share)
    between = near + (far - near) * random.random(depth_m.shape, dtype=np.float32)
    read = np.where(flying, between, read)
    lost = edge & (chance > 1 - sensor.edge_hole_share)
    luck = random.random(depth_m.shape, dtype=np.float32)
    lost |= ~edge & (cosine < sensor.grazing_cos * (0.5 + luck))
    lost |= (linear @ LUMINANCE) < sensor.dark_linear * (0.5 + luck)
    lost |= (depth_m < sensor.nearest_m) | (depth_m > sensor.farthest_m)
    read = np.round(read / sensor.step_m) * sensor.step_m
    return np.where(lost, 0, np.maximum(read, 0)).astype(np.float32)


def facing_cosine(depth_m: np.ndarray, focal_px: float) -> np.ndarray:
    """(H, W) how squarely a surface faces the camera, from the slope of its depth; 1 = squarely."""
    down, right = np.gradient(depth_m)
    slope = (right**2 + down**2) * (focal_px / np.maximum(depth_m, 0.1)) ** 2
    return (1 / np.sqrt(1 + slope)).astype(np.float32)


def edges(depth_m: np.ndarray, jump_m: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Nearest and farthest depth of each pixel and its four neighbours, and where depth jumps; 0 counts as very far."""
    filled = np.where(depth_m > 0, depth_m, 50.0).astype(np.float32)
    near, far, edge = filled.copy(), filled.copy(), np.zeros(filled.shape, bool)
    for axis in (0, 1):
        padded = np.pad(filled, [(1, 1) if axis == k else (0, 0) for k in (0, 1)], mode="edge")
        before, after = (padded[:-2], padded[2:]) if axis == 0 else (padded[:, :-2], padded[:, 2:])
        near, far = np.minimum(near, np.minimum(before, after)), np.maximum(far, np.maximum(before, after))
        edge |= np.abs(before + after - 2 * filled) > jump_m  # 0 on a plane, however steep
    return near, far, edge
