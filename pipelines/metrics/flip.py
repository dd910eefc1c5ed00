"""FLIP: the difference a person sees when flipping between two pictures."""

from __future__ import annotations

import numpy as np

PIXELS_PER_DEGREE = 67.0206             # 0.7 m from a 0.7 m wide 4K screen, the reference's default


def flip(truth: np.ndarray, other: np.ndarray) -> float:
    """Mean LDR FLIP, 0 for equal pictures.

    truth, other  (H, W, 3) float in 0..1, sRGB
    source        Andersson et al., FLIP: a difference evaluator for alternating images, HPG 2020; their flip-evaluator
    """
    return _evaluated(truth, other, False)[1]


def flip_map(truth: np.ndarray, other: np.ndarray) -> np.ndarray:
    """(H, W, 3) uint8: FLIP of each pixel in the colours of the authors' map, black for none."""
    return np.round(np.clip(_evaluated(truth, other, True)[0], 0.0, 1.0) * 255.0).astype(np.uint8)


def _evaluated(truth: np.ndarray, other: np.ndarray, coloured: bool) -> tuple[np.ndarray, float]:
    from flip_evaluator import evaluate

    if truth.shape != other.shape:
        raise ValueError(f"pictures differ in shape: {truth.shape} and {other.shape}")
    shown, mean, _ = evaluate(np.ascontiguousarray(truth, np.float32), np.ascontiguousarray(other, np.float32), "LDR",
                              inputsRGB=True, applyMagma=coloured, computeMeanError=True,
                              parameters={"ppd": PIXELS_PER_DEGREE})
    return np.asarray(shown), float(mean)
