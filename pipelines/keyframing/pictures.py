"""Keyframes to look at: a contact sheet with what each added, and the curve of coverage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

GREY = 128
LARGE, SMALL, MANY = (320, 8), (160, 16), 64    # height in pixels and columns; small where there are many


def contact_sheet(frames: Sequence[tuple[int, np.ndarray, np.ndarray]],
                  shares: Mapping[str, Sequence[float]]) -> np.ndarray:
    """The chosen frames in order of choice, cut out on grey; under each its number and what it added.

    frames  (number, picture (H, W, 3) uint8, matte (H, W) 0..1) of each
    shares  measure -> share covered after each frame
    """
    from pipelines.media.sheets import caption, fit_height, tile

    height, columns = SMALL if len(frames) > MANY else LARGE
    gains = {name: np.diff(share, prepend=0.0) for name, share in shares.items()}
    pictures = []
    for n, (number, image, alpha) in enumerate(frames):
        told = [f"{name} +{100 * gain[n]:.1f} %" for name, gain in gains.items()]
        pictures.append(caption(fit_height(cut_out(image, alpha), height), [f"{n + 1}: frame {number}", *told],
                                height // 23))
    return tile(pictures, columns)


def cut_out(image: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """The person on grey, cropped to the matte; the whole picture where the matte is empty."""
    rows, columns = np.flatnonzero((alpha > 0.1).any(axis=1)), np.flatnonzero((alpha > 0.1).any(axis=0))
    if len(rows):
        part = np.s_[rows[0]:rows[-1] + 1, columns[0]:columns[-1] + 1]
        image, alpha = image[part], alpha[part]
    return np.round(image * alpha[..., None] + GREY * (1 - alpha[..., None])).astype(np.uint8)


def coverage_curve(shares: Mapping[str, Sequence[float]], even: Mapping[str, Sequence[float]]) -> np.ndarray:
    """Share covered after each keyframe, in per cent, beside what as many frames at even spacing cover in all.

    shares  measure -> share after each; even  the same of 1, 2, ... frames at even spacing
    """
    from pipelines.media.plots import curves

    lines, beside = ({name: 100 * np.array(share) for name, share in of.items()} for of in (shares, even))
    return curves(lines, "covered after so many keyframes, %; thin: as many at even spacing", beside=beside)
