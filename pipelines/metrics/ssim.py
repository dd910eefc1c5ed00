"""Structural similarity."""

from __future__ import annotations

import numpy as np

WINDOW, SIGMA = 11, 1.5                 # Wang et al.: an 11 x 11 Gaussian of standard deviation 1.5
K1, K2 = 0.01, 0.03


def ssim(truth: np.ndarray, other: np.ndarray) -> float:
    """Mean over channels and over all places where the window lies wholly within the picture; 1 for equal pictures.

    truth, other  (H, W, 3) float in 0..1, at least 11 pixels each way
    source        Wang, Bovik, Sheikh, Simoncelli, Image quality assessment: from error visibility to structural
                  similarity, IEEE TIP 2004
    """
    if truth.shape != other.shape or min(truth.shape[:2]) < WINDOW:
        raise ValueError(f"expected two pictures of one shape, {WINDOW} pixels or wider: {truth.shape}, {other.shape}")
    a, b = truth.astype(np.float64), other.astype(np.float64)
    mean_a, mean_b = _windowed(a), _windowed(b)
    variance_a = _windowed(a * a) - mean_a**2
    variance_b = _windowed(b * b) - mean_b**2
    covariance = _windowed(a * b) - mean_a * mean_b
    c1, c2 = K1**2, K2**2
    similar = ((2 * mean_a * mean_b + c1) * (2 * covariance + c2)) / (
        (mean_a**2 + mean_b**2 + c1) * (variance_a + variance_b + c2))
    return float(similar.mean())


def _windowed(image: np.ndarray) -> np.ndarray:
    """Gaussian means where the window fits: (H - 10, W - 10, C)."""
    import cv2

    half = WINDOW // 2
    blurred = cv2.GaussianBlur(image, (WINDOW, WINDOW), SIGMA)
    return blurred[half:-half, half:-half]
