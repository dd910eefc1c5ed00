"""`anr bench`: which figures there are, how they are told, and that a timing is one of the work done."""

from __future__ import annotations

import json
import time
from pathlib import Path

import numpy as np
import pytest

from anrcli.app import main
from anrcli.commands import bench, bench_raster, measuring
from anrcli.commands.bench import BENCHES
from anrcli.commands.bench_fit import widescreen
from anrcli.commands.measuring import Bench, in_words, machine, timing
from pipelines.core.cores import available_cores
from pipelines.core.records import Camera
from pipelines.geometry.cameras import project


@pytest.fixture
def one_bench(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench, "BENCHES", {"sum": Bench("adding up", lambda progress: {"sums_fps": 12.5, "a_ms": 2.0})})


def test_a_table_and_the_cores_are_shown(one_bench: None, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench"]) == 0
    shown = capsys.readouterr().out
    assert "adding up" in shown and "12.5 frames/s" in shown and "2 ms" in shown
    assert "medians over 3 runs" in shown and machine().split(" of ")[0] in shown


def test_json_carries_a_figure_under_the_name_of_its_bench(one_bench: None, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--json", "bench", "sum"]) == 0
    figures = json.loads(capsys.readouterr().out)["figures"]
    assert figures == {"cores": available_cores(), "sum.sums_fps": 12.5, "sum.a_ms": 2.0}


def test_an_unknown_name_is_wrong_usage_and_the_known_ones_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "speed"]) == 2
    told = capsys.readouterr().err
    assert "There is no bench called 'speed'." in told and "fit, raster" in told


def test_raster_measures_maps_cache_and_rounding(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench_raster, "POSES", 6)
    monkeypatch.setattr(bench_raster, "FRAMES", 4)
    figures = bench.BENCH.as_function()(name="raster").figures
    assert {f"raster.{name}" for name in (
        "maps_512x512_ms", "maps_1024x1024_ms", "into_cache_512x512_fps", "frame_1024x1024_mb",
        "random_read_1024x1024_ms", "worst_uv_error_texels", "worst_normal_error_deg")} <= set(figures)
    assert all(value > 0 for value in figures.values())
    assert figures["raster.largest_frame_1024x1024_mb"] <= 1.0
    assert figures["raster.worst_uv_error_texels"] < 1 / 8 and figures["raster.worst_normal_error_deg"] < 0.5


def test_the_measured_body_fills_the_picture_and_turns() -> None:
    figure = bench_raster.standing_figure(256)
    first, half_turned = figure.maps(0), figure.maps(len(figure.poses) // 2)
    rows = np.nonzero(first.inside.any(1))[0]
    assert 0.8 < np.ptp(rows) / 256 < 0.95
    assert first.normal[first.inside][:, 2].mean() < -0.4 and half_turned.normal[half_turned.inside][:, 2].mean() < -0.4
    assert len(np.intersect1d(first.face_index, half_turned.face_index)) < 0.3 * len(np.unique(first.face_index))


def test_every_bench_says_what_it_measures() -> None:
    assert {"fit", "raster"} <= set(BENCHES)
    assert all(each.measures for each in BENCHES.values())


def test_a_figure_without_a_unit_keeps_its_whole_name() -> None:
    assert in_words("iou", 0.98765) == ("iou", "0.9877")
    assert in_words("share_kept", 0.5) == ("share kept", "0.5")
    assert in_words("random_read_ms", 3.0) == ("random read", "3 ms")


def test_the_machine_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "cpuinfo").write_text("processor : 0\nmodel name\t: Abacus 9\n", encoding="utf-8")
    monkeypatch.setattr(measuring, "CPU_INFO", tmp_path / "cpuinfo")
    monkeypatch.setattr(measuring, "available_cores", lambda: 1)
    assert machine().startswith("1 core of Abacus 9, ")


def test_a_timing_is_per_item_and_the_median_of_its_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = {"wall": 0.0, "cpu": 0.0}
    monkeypatch.setattr(time, "perf_counter", lambda: clock["wall"])
    monkeypatch.setattr(time, "process_time", lambda: clock["cpu"])
    walls, cpus = iter([5.0, 2.0, 30.0]), iter([1.0, 9.0, 3.0])

    def work() -> None:
        clock["wall"], clock["cpu"] = clock["wall"] + next(walls), clock["cpu"] + next(cpus)

    took = timing(work, items=10, runs=3)
    assert (took.wall_s, took.cpu_s) == (0.5, 0.3)


def test_the_wide_picture_sees_the_same_points_beside_repeated_borders() -> None:
    camera = Camera(np.array([[100.0, 0, 36], [0, 100, 36], [0, 0, 1]]), 72, 72)
    image = np.random.default_rng(0).integers(0, 255, (72, 72, 3), np.uint8)
    (wide,), view = widescreen([image], camera)
    assert wide.shape == (72, 128, 3) and (view.width, view.height) == (128, 72)
    points = np.array([[0.1, -0.2, 2.0]])
    (x, y), (u, v) = project(points, camera)[0].astype(int), project(points, view)[0].astype(int)
    assert (wide[v, u] == image[y, x]).all()
