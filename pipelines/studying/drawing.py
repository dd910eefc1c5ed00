"""The shares as a picture: a bar for each method, its interval over participants, a line where guessing would be."""

from __future__ import annotations

from typing import Any

import numpy as np

from pipelines.media.plots import GRID, INKS, LIMIT, TEXT

WIDTH, ROW, TOP, BOTTOM = 960, 46, 44, 40   # pixels
LEFT, RIGHT = 180, 90
PALE = 0.45                             # how far the bars of the others are towards white
LONGEST = 18                            # letters of a name
WHISKER = (40, 40, 40)


def shares_plot(report: dict[str, Any]) -> np.ndarray:
    """(H, 960, 3) uint8: `report["shares"]` with their intervals over participants, from 0 to 100 %."""
    import cv2

    rows = list(report["shares"].items())
    panel = np.full((TOP + ROW * len(rows) + BOTTOM, WIDTH, 3), 255, np.uint8)
    bottom = TOP + ROW * len(rows)
    _write(panel, f"chosen, {report['answers']} answers of {report['kept']} participants; whiskers: "
                  f"{100 * report['confidence']:g} % over participants", (LEFT, 26))
    for tick in range(0, 101, 20):
        cv2.line(panel, (_at(tick / 100), TOP), (_at(tick / 100), bottom), GRID, 1)
        _write(panel, f"{tick} %", (_at(tick / 100) - 14, bottom + 20))
    for k, (name, of) in enumerate(rows):
        y = TOP + ROW * k + ROW // 2
        ink = INKS[0] if name == report["ours"] else _paler(INKS[0])
        cv2.rectangle(panel, (_at(0), y - 13), (_at(of["share"]), y + 13), ink, -1)
        _write(panel, name if len(name) <= LONGEST else name[:LONGEST - 2] + "..", (10, y + 5))
        low, high = of["participants"]
        if low is not None:
            cv2.line(panel, (_at(low), y), (_at(high), y), WHISKER, 2)
            for end in (low, high):
                cv2.line(panel, (_at(end), y - 7), (_at(end), y + 7), WHISKER, 2)
        _write(panel, f"{100 * of['share']:.1f} %", (WIDTH - RIGHT + 14, y + 5))
    cv2.line(panel, (_at(report["chance"]), TOP), (_at(report["chance"]), bottom), LIMIT, 2)
    _write(panel, "chance", (_at(report["chance"]) - 24, bottom + 36))
    return panel


def _at(share: float) -> int:
    return round(LEFT + (WIDTH - LEFT - RIGHT) * share)


def _paler(ink: tuple[int, int, int]) -> tuple[int, int, int]:
    red, green, blue = (round(c + (255 - c) * PALE) for c in ink)
    return red, green, blue


def _write(panel: np.ndarray, text: str, at: tuple[int, int]) -> None:
    import cv2

    cv2.putText(panel, text, at, cv2.FONT_HERSHEY_SIMPLEX, 0.45, TEXT, 1, cv2.LINE_AA)
