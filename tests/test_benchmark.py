"""Benchmarks: the rows of the tables, and what is worked out of their figures."""

from __future__ import annotations

import dataclasses
import math
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from training_helpers import lesson_and_state, make_person

from pipelines.benchmarking.page import outcome_of, page
from pipelines.benchmarking.pictures import curves_picture, sheet
from pipelines.benchmarking.results import (
    COLLAPSED,
    DIVERGED,
    FINE,
    Line,
    Run,
    efficiency,
    mean_and_spread,
    ratio,
    state_of,
    times_faster,
)
from pipelines.benchmarking.rows import TABLE_1, TABLE_2, TABLES, Row, parsed_seeds, present, rows_of
from pipelines.core.errors import AnrError, UsageError
from pipelines.media.plots import INKS
from pipelines.metrics.ripfip import ripfip
from pipelines.renderers import RENDERERS, renderer_file
from pipelines.train import TrainOptions, _recipe, check
from pipelines.training.recipe import PRESETS, Recipe, parsed_changes, typed_changes
from pipelines.training.step import draw_step, take_step
from pipelines.training.validation import rendered

GOOD = {"psnr": 24.0, "blank_psnr": 15.0, "mask_iou": 0.95}


def line(name: str, lpips: list[float], images: int = 100, parameters: int = 1000, title: str = "") -> Line:
    runs = tuple(Run(seed, f"{name}-{seed}", FINE, {**GOOD, "lpips": value}, images, 7.0, parameters)
                 for seed, value in enumerate(lpips))
    return Line(Row(name, title or name.upper(), name), runs, images)


# ---- rows -----------------------------------------------------------------------------------------------------------

def test_a_table_has_all_its_rows_unless_some_are_named() -> None:
    assert rows_of("table1") == TABLE_1 and rows_of("table2") == TABLE_2
    assert [row.name for row in rows_of("table1", "anr, dnr")] == ["dnr", "anr"]
    assert [row.name for row in rows_of("collapse")] == ["anr"]
    assert [row.name for row in rows_of("collapse", "dnr")] == ["dnr"]


def test_a_table_or_a_row_there_is_none_of_is_refused_with_the_known_ones() -> None:
    with pytest.raises(UsageError, match="no benchmark called 'table3'") as caught:
        rows_of("table3")
    assert "table1, table2, convergence, collapse" in caught.value.hint
    with pytest.raises(AnrError, match="table2 has no method 'dnr'") as refused:
        rows_of("table2", "ours,dnr")
    assert "pixel, feature, mask" in refused.value.hint


def test_seeds_are_numbers_and_ranges() -> None:
    assert parsed_seeds("0,1,2") == [0, 1, 2] and parsed_seeds("3-5, 1,4") == [3, 4, 5, 1]


@pytest.mark.parametrize("typed", ["", "a", "1,b", "5-3", "-1", "1.5", "2-"])
def test_seeds_that_are_none_are_refused(typed: str) -> None:
    with pytest.raises(AnrError, match="are no seeds") as caught:
        parsed_seeds(typed)
    assert "0-19" in caught.value.hint


def test_rows_of_renderers_that_are_not_here_are_told_apart() -> None:
    here, missing = present([Row("a", "A", "anr"), Row("b", "B", "gan")])
    assert [row.name for row in here] == ["a"] and [row.name for row in missing] == ["b"]


@pytest.mark.parametrize(("which", "row"), [(which, row) for which, rows in TABLES.items() for row in rows])
def test_every_row_is_a_training_that_can_be(which: str, row: Row) -> None:
    if row.renderer in RENDERERS:
        check(TrainOptions(renderer=row.renderer, changes=row.changes, images=1))


def test_the_rows_of_figure_5_each_add_one_thing() -> None:
    """From pixel loss alone to the whole model: what differs between neighbours is what the row is named after."""
    def trained(name: str) -> Recipe:
        row = next(row for row in TABLE_2 if row.name == name)
        return _recipe(TrainOptions(preset="standard", changes=row.changes))

    steps = ["pixel", "feature", "mask", "variation", "two-unsplit", "ours"]
    added = [{word.partition("=")[0] for word in typed_changes(trained(a), trained(b))}
             for a, b in pairwise(steps)]
    assert added == [{"feature"}, {"mask", "pixel_mask"}, {"tv_image", "tv_mask"}, {"normals", "adversarial"},
                     {"split"}]
    assert trained("pixel").pixel_mask == "matte" and trained("mask").pixel_mask == "predicted"
    first = trained("pixel")
    assert first.feature == first.mask == first.tv_image == first.tv_mask == first.adversarial == 0 < first.pixel
    assert trained("ours") == PRESETS["standard"]


def test_without_a_mask_loss_the_predicted_mask_vanishes_unless_the_matte_takes_its_place(tmp_path: Path) -> None:
    """Why the first rows have the matte in Eq. 3: what is painted of the body after thirty images."""
    (tmp_path / "person").mkdir()
    person = make_person(tmp_path / "person")
    for place, least, most in (("predicted", 0.0, 0.05), ("matte", 0.9, 1.0)):
        lesson, state = lesson_and_state(person, tmp_path / place, split=False, mask=0.0, feature=0.0, tv_image=0.0,
                                         tv_mask=0.0, pixel_mask=place, batch=1)
        for images in range(30):
            state.images = images
            take_step(lesson, state, *draw_step(lesson, state.renderer, images))
        frame = lesson.pupils["ada"].frames[22]
        painted = rendered(frame, state, "ada", lesson)[1][frame.alpha > 128].mean()
        assert least <= painted <= most, f"{place}: {painted:.3f}"


def test_changes_of_a_recipe_are_the_same_however_they_were_typed() -> None:
    base = PRESETS["draft"]
    words = ("grid_noise=0.02", "split=yes", "widths=8,16,24", "scale=0.5,1.25", "extractor=none")
    wanted = dataclasses.replace(base, **parsed_changes(words))
    assert dataclasses.replace(base, **parsed_changes(typed_changes(base, wanted))) == wanted
    assert typed_changes(base, wanted) == typed_changes(base, dataclasses.replace(base, **parsed_changes(words[::-1])))
    assert typed_changes(base, dataclasses.replace(base, split=base.split)) == ()


def test_the_docs_say_how_every_row_is_trained() -> None:
    whole = (Path(__file__).resolve().parents[1] / "docs" / "model.md").read_text(encoding="utf-8")
    text = whole.partition("## Benchmark")[2]
    for row in {row.name: row for rows in TABLES.values() for row in rows}.values():
        told = next(line for line in text.splitlines() if line.startswith(f"| `{row.name}` |"))
        cells = [cell.strip() for cell in told.strip("|").split("|")]
        assert cells[2] == f"`{row.renderer}`" and cells[1]
        assert sorted(cells[3].replace("`", "").split()) == sorted(row.changes)


# ---- figures --------------------------------------------------------------------------------------------------------

def test_mean_and_spread_by_hand() -> None:
    assert mean_and_spread([1.0, 2.0, 6.0]) == (3.0, pytest.approx(math.sqrt((4 + 1 + 9) / 2)))
    mean, spread = mean_and_spread([0.5])
    assert mean == 0.5 and math.isnan(spread) and math.isnan(mean_and_spread([])[0])


def test_ratios_go_seed_by_seed() -> None:
    """0.1/0.2 and 0.3/0.2 are 0.5 and 1.5; a seed that only one of them has does not count."""
    mean, spread = ratio(line("a", [0.1, 0.3, 0.9]), line("b", [0.2, 0.2]))
    assert mean == pytest.approx(1.0) and spread == pytest.approx(math.sqrt(0.5))


def test_failed_runs_do_not_count_in_means() -> None:
    good = line("a", [0.1, 0.3])
    bad = dataclasses.replace(good.runs[1], state=COLLAPSED)
    failed = dataclasses.replace(good, runs=(good.runs[0], bad, Run(2, "a-2", DIVERGED)))
    assert failed.values("lpips") == [0.1] and (failed.count(COLLAPSED), failed.count(DIVERGED)) == (1, 1)


@pytest.mark.parametrize(("changes", "state"), [({}, FINE), ({"psnr": 15.0}, COLLAPSED), ({"mask_iou": 0.4}, COLLAPSED),
                                                ({"psnr": 15.1, "mask_iou": 0.5}, FINE)])
def test_what_is_no_better_than_a_blank_picture_has_collapsed(changes: dict[str, float], state: str) -> None:
    assert state_of({**GOOD, **changes}) == state


def test_rows_are_compared_with_vid2vid_by_lpips_and_parameters() -> None:
    v2v, other = line("v2v", [0.2], parameters=1000), line("anr", [0.1], parameters=100)
    assert efficiency(other, v2v) == pytest.approx(0.5 * math.log(10) / math.log(1000)) == ripfip(0.1, 100, 0.2, 1000)
    assert math.isnan(efficiency(v2v, v2v)) and math.isnan(efficiency(other, None))


def test_how_much_faster_by_hand() -> None:
    """The second ends at 0.1 after 400 images; the first has 0.2 at 100 and 0 at 400: 0.1 at 200, twice as fast."""
    assert times_faster([100, 400], [0.2, 0.0], [0.3, 0.1]) == pytest.approx(2.0)
    assert times_faster([100, 400], [0.05, 0.0], [0.3, 0.1]) == 4.0
    assert times_faster([100, 400], [0.3, 0.1], [0.3, 0.1]) == pytest.approx(1.0)
    assert math.isnan(times_faster([100, 400], [0.3, 0.2], [0.3, 0.1]))


# ---- page and pictures ----------------------------------------------------------------------------------------------

def report_of(which: str, lines: list[Line], **asked: object) -> dict[str, object]:
    about = {"source": "synthetic:ada", "faults": True, "frames": 300.0, "width": 512.0, "height": 512.0}
    told = {"which": which, "preset": "draft", "minutes": 0.0, "changes": [], "missing": [], **asked}
    return {"asked": told, "people": {"ada": about}, **outcome_of(lines).report}


def named(name: str, lpips: list[float]) -> Line:
    row = next(row for row in TABLE_1 if row.name == name)
    return dataclasses.replace(line(name, lpips), row=row)


def test_the_page_shows_our_figures_and_ratios_beside_the_papers() -> None:
    lines = [named("v2v", [0.3, 0.1]), named("dnr", [0.2, 0.2]), named("anr", [0.1, 0.2])]
    text = page(report_of("table1", lines, missing=["tna"]), {"sheet": "sheet.png"})
    assert "| V2V | 24.00 ± 0.00 | 0.2000 ± 0.1414 | 0.9500 ± 0.0000 | - | 0.00 M | 100 | 7 | 2 of 2 |" in text
    assert "| anr / dnr | 0.7500 ± 0.3536 | 0.5534 |" in text and "| anr / v2v | 1.1667" in text
    assert "| ANR | 0.9738 | 0.0289 | 0.0508 | 0.186 | 74.0 |" in text
    assert "**Left out**: TNA" in text and "No run collapsed or diverged." in text and "![sheet](sheet.png)" in text
    assert "ada: synthetic:ada, 300 frames of 512x512, camera with faults" in text
    assert outcome_of(lines).figures["lpips_anr_over_dnr"] == 0.75


def test_failed_runs_are_named_with_the_reason() -> None:
    bad = Run(1, "anr-1", COLLAPSED, {"psnr": 14.0, "mask_iou": 0.1, "lpips": 0.5, "blank_psnr": 15.0}, 100, 7.0, 1000)
    diverged = Run(2, "anr-2", DIVERGED, why="The pixel loss became nan at image 7.")
    lines = [dataclasses.replace(named("anr", [0.1]), runs=(*named("anr", [0.1]).runs, bad, diverged))]
    text = page(report_of("collapse", lines), {})
    assert "- ANR, seed 1: collapsed (PSNR 14.0 dB, mask IoU 0.10)" in text
    assert "- ANR, seed 2: diverged (The pixel loss became nan at image 7.)" in text and "| 1 of 3 |" in text
    assert outcome_of(lines).figures["collapsed"] == outcome_of(lines).figures["diverged"] == 1.0


def test_a_count_of_collapses_says_what_came_nearest() -> None:
    runs = [Run(seed, f"anr-{seed}", FINE, {"psnr": psnr, "blank_psnr": 15.0, "mask_iou": iou, "lpips": 0.1}, 100)
            for seed, (psnr, iou) in enumerate(((20.0, 0.8), (17.5, 0.9)))]
    lines = [dataclasses.replace(named("anr", [0.1]), runs=(*runs, Run(2, "anr-2", DIVERGED, why="nan")))]
    assert ("- ANR: 3 runs, 2 fine, 0 collapsed, 1 diverged; least PSNR above a blank picture's 2.5 dB, least mask IoU "
            "0.80") in page(report_of("collapse", lines), {})


def test_curves_with_a_gap_say_nothing_of_speed() -> None:
    lines = [dataclasses.replace(line("split", values), images=images) for images, values in ((100, [0.4]), (200, []))]
    lines += [dataclasses.replace(line("unsplit", [0.5]), images=images) for images in (100, 200)]
    report = outcome_of(lines)
    assert "times_faster" not in report.figures
    assert "cannot be said" in page(report_of("convergence", lines), {})


def test_a_row_of_which_every_run_diverged_has_dashes() -> None:
    dead = dataclasses.replace(named("dnr", []), runs=(Run(0, "dnr-0", DIVERGED, why="nan"),))
    text = page(report_of("table1", [dead, named("anr", [0.1])]), {})
    assert "| DNR | - | - | - | - | 0.00 M | - | - | 0 of 1 |" in text and "| anr / dnr | - | 0.5534 |" in text


def test_the_sheet_has_a_row_for_each_frame_and_two_pictures_for_each_method() -> None:
    truth, wrong = np.full((60, 40, 3), 0.5), np.full((60, 40, 3), 0.9)
    picture = sheet({"anr": [(truth, truth), (truth, truth)], "dnr": [(truth, wrong), (truth, wrong)]})
    assert picture.shape == (2 * 300 + 4, 5 * 200 + 4 * 4, 3)
    flips = [picture[100:250, 50 + k * 204:150 + k * 204].astype(float).mean() for k in (2, 4)]
    assert flips[0] < 10 < flips[1]                                  # FLIP paints no difference black


def test_curves_fall_from_left_to_right_on_a_scale_of_images() -> None:
    lines = [dataclasses.replace(line("split", [value]), images=images)
             for images, value in ((100, 0.4), (400, 0.1), (200, 0.2))]
    lines += [dataclasses.replace(line("unsplit", [0.5]), images=images) for images in (100, 200, 400)]
    picture = curves_picture(lines)
    where = [np.argwhere((picture[:, x - 2:x + 3] == INKS[0]).all(-1))[:, 0].mean() for x in (64, 355, 935)]
    assert where[0] < where[1] < where[2]                            # rows count downwards
    assert outcome_of(lines).figures["times_faster"] == 4.0


def test_every_method_of_table_1_is_trained_as_its_own_paper_says() -> None:
    for row in TABLE_1:
        assert (row.changes == ()) == (row.name not in ("dnr-full", "anr-paper"))
        if row.renderer in RENDERERS:
            recipe = _recipe(TrainOptions(renderer=row.renderer))
            assert all(getattr(recipe, name) == value for name, value in renderer_file(row.renderer).RECIPE.items())
