"""Peak signal-to-noise ratio."""

from __future__ import annotations

import numpy as np


def psnr(truth: np.ndarray, other: np.ndarray) -> float:
    """10 log10(1 / mean squared error) in dB, all channels together; infinite for equal pictures.

    truth, other  (H, W, 3) float in 0..1
    """
    if truth.shape != other.shape:
        raise ValueError(f"pictures differ in shape: {truth.shape} and {other.shape}")
    error = float(np.mean((truth.astype(np.float64) - other.astype(np.float64)) ** 2))
    return float("inf") if error == 0.0 else -10.0 * float(np.log10(error))
