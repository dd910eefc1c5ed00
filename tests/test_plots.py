"""Plots: curves over counts or time, shaded where asked, with a limit."""

from __future__ import annotations

import numpy as np
import pytest

from pipelines.core.records import BodyFit
from pipelines.fitting.plots import residual_plot
from pipelines.media.plots import HEIGHT, LIMIT, SHADE, WIDTH, Backdrop, curves


def has(panel: np.ndarray, ink: tuple[int, int, int]) -> np.ndarray:
    return np.asarray((panel == ink).all(axis=-1))


def test_curves_without_values_are_refused() -> None:
    with pytest.raises(ValueError, match=r"expected named \(N,\) values"):
        curves({}, "nothing")


def test_what_is_not_to_be_trusted_is_shaded_where_it_happened() -> None:
    times = np.linspace(2.0, 12.0, 101)
    panel = curves({"a": np.ones(101)}, "a", Backdrop(times, (times > 7) & (times < 9), 3.0))
    columns = np.flatnonzero(has(panel, SHADE).any(axis=0))
    assert panel.shape == (HEIGHT, WIDTH, 3)
    left, width = 60, WIDTH - 80
    assert columns.min() == pytest.approx(left + 0.5 * width, abs=12)
    assert columns.max() == pytest.approx(left + 0.7 * width, abs=12)
    rows = np.flatnonzero(has(panel, LIMIT).sum(axis=1) > 100)
    assert len(rows) and rows.max() < HEIGHT / 2                     # the limit is above the curve
    assert not has(curves({"a": np.ones(5)}, "a"), SHADE).any()


def test_the_residual_plot_has_a_panel_for_depth_only_where_there_is_depth() -> None:
    F = 30
    for mm, panels in ((np.full(F, np.nan), 1), (np.full(F, 8.0), 2)):
        fit = BodyFit(np.zeros(10), np.array(["root"]), np.arange(F), np.zeros((F, 1, 3, 3)), np.zeros((F, 3)),
                      np.zeros((F, 1, 3)), np.linspace(1, 5, F), mm, np.arange(F) < 20)
        picture = residual_plot(fit, np.full(F, 200.0), np.arange(F) / 10.0, 0.05)
        assert picture.shape == (panels * HEIGHT, WIDTH, 3) and picture.dtype == np.uint8
        assert has(picture, SHADE).any()
