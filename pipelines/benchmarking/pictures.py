"""What a benchmark shows: held-out frames by every method, and curves over images seen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from pipelines.benchmarking.results import Line, mean_and_spread
from pipelines.media.plots import Backdrop, curves
from pipelines.media.sheets import fit_height, label, tile
from pipelines.metrics.flip import flip_map

SHOWN_PX = 300                          # how tall people are shown


def sheet(shown: Mapping[str, Sequence[tuple[np.ndarray, np.ndarray]]]) -> np.ndarray:
    """A row for each frame: truth, then of every method its rendering and its FLIP map.

    shown    method -> [(truth, rendering)], both (h, w, 3) float 0..1, the same frames for all
    returns  (H, W, 3) uint8
    """
    first = next(iter(shown.values()))
    pictures = []
    for k, (truth, _) in enumerate(first):
        pictures.append(label(_bytes(truth), "truth"))
        for name, pairs in shown.items():
            pictures += [label(_bytes(pairs[k][1]), name), fit_height(flip_map(*pairs[k]), SHOWN_PX)]
    return tile(pictures, columns=1 + 2 * len(shown))


def curves_picture(lines: Sequence[Line], figure: str = "lpips") -> np.ndarray:
    """A figure's mean over seeds against images seen (each doubling as wide), one curve a row; (H, W, 3) uint8."""
    rows = dict.fromkeys(line.row.title for line in lines)
    seen = np.log2(sorted({line.images for line in lines}))
    drawn = {title: np.array([mean_and_spread(line.values(figure))[0] for line in _rising(lines, title)])
             for title in rows}
    backdrop = Backdrop(seen, np.zeros(len(seen), bool), called=lambda doublings: f"{2**doublings:.0f}")
    return curves(drawn, f"{figure.upper()} on held-out frames against images seen", backdrop)


def _rising(lines: Sequence[Line], title: str) -> list[Line]:
    return sorted((line for line in lines if line.row.title == title), key=lambda line: line.images)


def _bytes(picture: np.ndarray) -> np.ndarray:
    return fit_height(np.round(np.clip(picture, 0.0, 1.0) * 255.0).astype(np.uint8), SHOWN_PX)
