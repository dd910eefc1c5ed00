"""FLIP: the difference a person sees when flipping between two pictures."""

from __future__ import annotations

import numpy as np

PIXELS_PER_DEGREE = 67.0206             # 0.7 m from a 0.7 m wide 4K screen, the reference's default


def flip(truth: np.ndarray, other: np.ndarray) -> float:
    """Mean LDR FLIP, 0 for equal pictures.

    truth, other  (H, W, 3) float in 0..1, sRGB
    source        Andersson et al., FLIP: a difference evaluator for alternating images, HPG 2020; their flip-evaluator
    """
    from flip_evaluator import evaluate

    if truth.shape != other.shape:
        raise ValueError(f"pictures differ in shape: {truth.shape} and {other.shape}")
    _, mean, _ = evaluate(np.ascontiguousarray(truth, np.float32), np.ascontiguousarray(other, np.float32), "LDR",
                          inputsRGB=True, applyMagma=False, computeMeanError=True,
                          parameters={"ppd": PIXELS_PER_DEGREE})
    return float(mean)
