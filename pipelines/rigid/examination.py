"""Figures of an object on views that training never saw, and a sheet to look at."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pipelines.core.stage import Progress
from pipelines.metrics.pairs import Box, Measures, box_around
from pipelines.rigid.frames import GREY, read_view
from pipelines.rigid.model import ObjectModel
from pipelines.rigid.posed import PosedPicture

MARGIN_PX = 4                           # around the object in the crop that is measured
SHEET_VIEWS, SHEET_HEIGHT = 6, 280


def examine(model: ObjectModel, views: Sequence[PosedPicture], held_out: Sequence[int], measures: Measures,
            progress: Progress) -> tuple[dict[str, float], list[dict[str, float]], np.ndarray]:
    """Mean figures, those of each held-out view, and a sheet: truth, rendering and FLIP map of a few."""
    from pipelines.media.sheets import fit_height, label, spread, tile
    from pipelines.metrics.flip import flip_map

    rows: list[dict[str, float]] = []
    shown: list[np.ndarray] = []
    pictured = {held_out[k] for k in spread(len(held_out), SHEET_VIEWS)}
    for index in progress.track(held_out, "Examining held-out views"):
        truth, rendering = compare(model, views[index])
        rows.append({"view": float(index), **{name: measure(truth, rendering) for name, measure in measures.items()}})
        if index in pictured:
            three = [*(np.round(x * 255.0).astype(np.uint8) for x in (truth, rendering)), flip_map(truth, rendering)]
            three = [fit_height(x, SHEET_HEIGHT) for x in three]
            shown += [label(three[0], f"view {index}"), *three[1:]]
    mean = {name: float(np.mean([row[name] for row in rows])) for name in measures}
    return mean, rows, tile(shown, columns=6)


def compare(model: ObjectModel, view: PosedPicture) -> tuple[np.ndarray, np.ndarray]:
    """Truth and rendering, each on grey by its own alpha: the crop about the true object, (h, w, 3) in 0..1."""
    stored = read_view(view.path).astype(np.float32) / 255.0
    rgb, alpha, (x0, y0, x1, y1) = model.draw(view.camera)      # a view of training size: never scaled
    rendering = np.full((*stored.shape[:2], 3), GREY / 255.0, np.float32)
    rendering[y0:y1, x0:x1] = on_grey(rgb, alpha)
    left, top, right, bottom = _crop(stored[..., 3])
    return on_grey(stored[..., :3], stored[..., 3])[top:bottom, left:right], rendering[top:bottom, left:right]


def on_grey(rgb: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    return rgb * alpha[..., None] + GREY / 255.0 * (1.0 - alpha[..., None])


def _crop(alpha: np.ndarray) -> Box:
    """Around the true object; the whole picture where there is none."""
    shown = alpha > 0.5
    return box_around(shown, MARGIN_PX) if shown.any() else (0, 0, alpha.shape[1], alpha.shape[0])
