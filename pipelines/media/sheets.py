"""Several pictures in one: strips, contact sheets, labels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

GAP_PX = 4
GAP_COLOUR = 255


def tile(images: Sequence[np.ndarray], columns: int, gap: int = GAP_PX) -> np.ndarray:
    """Pictures in rows of `columns`, left to right and down, on white.

    images   (H, W, 3) uint8; smaller ones are centred in a cell of the largest size
    returns  (H', W', 3) uint8
    """
    if not images or columns < 1:
        raise ValueError(f"nothing to tile: {len(images)} images in {columns} columns")
    height = max(image.shape[0] for image in images)
    width = max(image.shape[1] for image in images)
    columns = min(columns, len(images))
    rows = -(-len(images) // columns)
    sheet = np.full((rows * (height + gap) - gap, columns * (width + gap) - gap, 3), GAP_COLOUR, np.uint8)
    for k, image in enumerate(images):
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
            raise ValueError(f"expected (H, W, 3) uint8, got {image.shape} {image.dtype}")
        y = (k // columns) * (height + gap) + (height - image.shape[0]) // 2
        x = (k % columns) * (width + gap) + (width - image.shape[1]) // 2
        sheet[y:y + image.shape[0], x:x + image.shape[1]] = image
    return sheet


def spread(total: int, count: int) -> list[int]:
    """`count` indices evenly spread over `range(total)`, first and last included, each once."""
    if total < 1 or count < 1:
        raise ValueError(f"cannot choose {count} of {total} pictures")
    return sorted({int(k) for k in np.round(np.linspace(0, total - 1, min(count, total)))})


def label(image: np.ndarray, text: str, height_px: int = 16) -> np.ndarray:
    """A copy with a line of text in the top left corner, readable on any ground."""
    import cv2

    marked = np.ascontiguousarray(image).copy()
    scale = height_px / 26.0
    at = (height_px // 3, int(height_px * 1.1))
    for colour, weight in (((0, 0, 0), 3), ((255, 255, 255), 1)):
        cv2.putText(marked, text, at, cv2.FONT_HERSHEY_SIMPLEX, scale, colour, weight, cv2.LINE_AA)
    return marked


def caption(image: np.ndarray, lines: Sequence[str], height_px: int = 14) -> np.ndarray:
    """The picture with lines of text below it, on white; wider where the text needs it."""
    import cv2

    scale = height_px / 26.0
    widest = max((cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, scale, 1)[0][0] for text in lines), default=0)
    line_px = round(1.4 * height_px)
    h, w = image.shape[:2]
    whole = np.full((h + line_px * len(lines) + 6, max(w, widest + 8), 3), GAP_COLOUR, np.uint8)
    x0 = (whole.shape[1] - w) // 2
    whole[:h, x0:x0 + w] = image
    for k, text in enumerate(lines, 1):
        cv2.putText(whole, text, (4, h + k * line_px), cv2.FONT_HERSHEY_SIMPLEX, scale, (0, 0, 0), 1, cv2.LINE_AA)
    return whole


def fit_height(image: np.ndarray, height: int) -> np.ndarray:
    """The picture scaled to `height` pixels, its proportions kept."""
    import cv2

    width = max(1, round(image.shape[1] * height / image.shape[0]))
    shrinking = height < image.shape[0]
    return cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA if shrinking else cv2.INTER_LINEAR)
