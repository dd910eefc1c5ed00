"""What is printed on clothes: small grey pictures, drawn at build time."""

from __future__ import annotations

import numpy as np

from pipelines.studio.identities import Identity


def lettering(text: str, width: int, height: int, thickness: int) -> np.ndarray:
    """(height, width) uint8: text as tall as the picture, in blunt sporty letters."""
    import cv2

    font = cv2.FONT_HERSHEY_DUPLEX
    (w, h), base = cv2.getTextSize(text, font, 4.0, thickness * 4)
    canvas = np.zeros((h + base + 60, w + 60), np.uint8)
    cv2.putText(canvas, text, (30, h + 30), font, 4.0, (255,), thickness * 4, cv2.LINE_AA)
    rows, columns = np.flatnonzero(canvas.any(1)), np.flatnonzero(canvas.any(0))
    tight = canvas[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    picture = np.zeros((height, width), np.uint8)
    wide = min(width - 4, round(1.25 * (height - 4) * tight.shape[1] / tight.shape[0]))
    left = (width - wide) // 2
    picture[2:-2, left : left + wide] = cv2.resize(tight, (wide, height - 4), interpolation=cv2.INTER_AREA)
    return picture


def print_masks(identity: Identity) -> dict[str, np.ndarray]:
    """`print_front` and `print_back` of a person's top; one that is not there is black."""
    blank = np.zeros((2, 2), np.uint8)
    return {
        "print_front": lettering(identity.print_front, 128, 40, 2) if identity.print_front else blank,
        "print_back": lettering(identity.print_back, 128, 128, 5) if identity.print_back else blank,
    }
