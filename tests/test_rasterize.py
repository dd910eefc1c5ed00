"""The raster stage: every frame is kept, memory and disk stay bounded, and what cannot be drawn is said."""

from __future__ import annotations

import threading
from collections import namedtuple
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from listening import Listening

from pipelines import rasterize as stage
from pipelines.body.model import load_body, rest_pose
from pipelines.core.errors import AnrError
from pipelines.core.mapcache import read_maps
from pipelines.core.records import BodyFit, Camera
from pipelines.core.stage import Job
from pipelines.core.storage import camera_to_json, write_fit, write_json
from pipelines.core.workspace import versions, writing
from pipelines.geometry.cameras import camera_from_fov
from pipelines.rasterize import RasterOptions, in_bytes

CAMERA = camera_from_fov(96, 128, 40)


def a_fit(places: np.ndarray) -> BodyFit:
    """A body at rest, upright before the camera, at places (F, 3)."""
    body = load_body()
    rotations = np.tile(rest_pose(body).joint_rotations, (len(places), 1, 1, 1))
    rotations[:, 0] = np.diag([1.0, -1, -1])
    count = len(places)
    return BodyFit(np.zeros(8), np.array(body.joint_names), np.arange(count), rotations, places,
                   np.zeros((count, len(body.joint_names), 3)), np.zeros(count), np.full(count, np.nan),
                   np.ones(count, bool))


def a_job(folder: Path, places: Iterable[tuple[float, float, float]], options: RasterOptions | None = None,
          camera: Camera = CAMERA) -> Job:
    for name in ("capture", "fit", "raster"):
        (folder / name).mkdir(exist_ok=True)
    count = len(list(places))
    write_json(folder / "capture" / "capture.json", {
        "camera": camera_to_json(camera), "fps": 10.0, "times_s": list(np.arange(count) / 10), "height_m": None,
        "has_depth": False, "has_truth_alpha": False, "intrinsics_from": "a test", "intrinsics_known": True,
        "track": None})
    write_fit(folder / "fit" / "fit.npz", a_fit(np.array(list(places), float)))
    return Job(folder / "raster", options or RasterOptions(),
               {"capture": folder / "capture", "fit": folder / "fit"}, Listening())


def test_every_frame_has_maps_in_a_box_around_the_body(tmp_path: Path) -> None:
    job = a_job(tmp_path, [(x, 0.1, 4.0) for x in (-0.4, 0.0, 0.4)])
    outcome = stage.run(job)
    centres = []
    for frame in range(3):
        maps = read_maps(stage.maps_path(job.folder, frame))
        columns = np.nonzero(maps.inside.any(0))[0] + maps.box[0]
        centres.append(columns.mean())
        assert 0 <= maps.box[0] < maps.box[2] <= 96 and maps.inside.any()
    assert outcome.figures["frames"] == 3 and outcome.figures["frames_out_of_view"] == 0
    np.testing.assert_allclose(np.diff(centres), 0.4 * CAMERA.K[0, 0] / 4.0, atol=1.5)
    assert (job.folder / outcome.outputs["sheet"]).exists()


@pytest.mark.parametrize("projection", ["perspective", "weak"])
def test_maps_are_the_same_whatever_the_number_of_threads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                                                          projection: str) -> None:
    stored = []
    for threads in (1, 5):
        monkeypatch.setattr(stage, "THREADS", threads)
        (tmp_path / str(threads)).mkdir()
        job = a_job(tmp_path / str(threads), [(x, 0.1, 3.0) for x in np.linspace(-1, 1, 7)], RasterOptions(projection))
        stage.run(job)
        stored.append([stage.maps_path(job.folder, k).read_bytes() for k in range(7)])
    assert stored[0] == stored[1]


def test_frames_where_the_body_is_out_of_the_picture_are_empty_and_named(tmp_path: Path) -> None:
    job = a_job(tmp_path, [(0, 0.1, 4.0), (30, 0.1, 4.0), (0, 0.1, -4.0), (0, 40, 4.0)])
    outcome = stage.run(job)
    seen = [bool(read_maps(stage.maps_path(job.folder, k)).inside.any()) for k in range(4)]
    assert seen == [True, False, False, False]
    assert outcome.figures["frames_out_of_view"] == 3
    assert job.progress.warnings == ["The body is outside the picture in 3 frames, first in frame 1."]  # type: ignore[attr-defined]


def test_a_camera_inside_the_body_sees_it_wherever_it_looks(tmp_path: Path) -> None:
    """The body lies along the camera's axis, the camera in its hips: faces that cross the near plane are cut, not
    dropped, so a closed body leaves no pixel free."""
    job = a_job(tmp_path, [(0, 0, 0.05)])
    fit = a_fit(np.array([[0.0, 0.0, 0.05]]))
    fit.joint_rotations[0, 0] = np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]])
    write_fit(tmp_path / "fit" / "fit.npz", fit)
    stage.run(job)
    maps = read_maps(stage.maps_path(job.folder, 0))
    assert maps.box == (0, 0, 96, 128) and maps.inside.all()
    assert 0.02 <= maps.depth_m.min() < 0.15 and maps.depth_m.max() < 1.5


def test_a_body_without_numbers_becomes_an_empty_map(tmp_path: Path) -> None:
    fit = a_fit(np.array([[np.nan, 0.0, 4.0]]))
    for projection in stage.PROJECTIONS:
        from pipelines.rasterizers.cpu import rasterize

        maps = stage.body_maps(fit, 0, CAMERA, projection, rasterize)
        assert not maps.inside.any() and not maps.depth_m.any()


def test_the_room_on_the_disk_is_told_before_and_close_to_what_is_taken(tmp_path: Path) -> None:
    job = a_job(tmp_path, [(x, 0.1, 3.0 + x) for x in np.linspace(-1, 1, 40)])
    wanted: list[float] = []
    expected = stage.expected_bytes

    def listen(*args: Any) -> float:
        wanted.append(expected(*args))
        return wanted[0]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stage, "expected_bytes", listen)
        outcome = stage.run(job)
    taken = sum(path.stat().st_size for path in (job.folder / "maps").iterdir())
    assert taken <= wanted[0] <= 1.6 * taken
    assert outcome.figures["maps_mb"] == pytest.approx(taken / 1e6, abs=0.01)
    assert job.progress.notes[0].startswith(f"The maps of 40 frames take about {in_bytes(wanted[0])} of ")  # type: ignore[attr-defined]


def test_a_disk_that_is_too_full_is_refused_before_anything_is_written(tmp_path: Path,
                                                                       monkeypatch: pytest.MonkeyPatch) -> None:
    job = a_job(tmp_path, [(0, 0.1, 4.0)] * 30)
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(stage.shutil, "disk_usage", lambda place: usage(10**12, 10**12, 100_020_000))
    told = r"The maps of 30 frames take about 0\.\d MB, and 100 MB should stay free; 100 MB are free.*anr clean"
    with pytest.raises(AnrError, match=told):
        stage.run(job)
    assert not list((job.folder / "maps").iterdir())


def test_bytes_are_told_in_words() -> None:
    assert [in_bytes(count) for count in (3e5, 24.2e6, 1.6e9)] == ["0.3 MB", "24 MB", "1.6 GB"]


def test_nothing_accumulates_however_long_the_clip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of many frames only a few are ever begun and not yet written."""
    monkeypatch.setattr(stage, "THREADS", 3)
    monkeypatch.setattr(stage, "AHEAD", 6)
    job = a_job(tmp_path, [(0, 0.1, 8.0)] * 120)
    alive, most, lock = 0, 0, threading.Lock()
    draw, write = stage.body_maps, stage.write_maps

    def count_drawn(*args: Any) -> Any:
        nonlocal alive, most
        with lock:
            alive += 1
            most = max(most, alive)
        return draw(*args)

    def count_written(*args: Any) -> int:
        nonlocal alive
        size = write(*args)
        with lock:
            alive -= 1
        return size

    monkeypatch.setattr(stage, "expected_bytes", lambda draw, frames: 0.0)
    monkeypatch.setattr(stage, "body_maps", count_drawn)
    monkeypatch.setattr(stage, "write_maps", count_written)
    stage.run(job)
    assert most <= 3 and alive == 0


def test_no_more_than_a_few_frames_are_begun_ahead(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stage, "AHEAD", 4)
    begun: list[int] = []

    def rows() -> Iterator[int]:
        for row in range(50):
            begun.append(row)
            yield row

    for done, (_, row) in enumerate(stage._in_threads(lambda row: (True, row), rows())):  # type: ignore[arg-type]
        assert row == done and len(begun) <= done + 6
    assert len(begun) == 50


def test_an_interrupted_run_leaves_nothing_that_could_be_taken_as_whole(tmp_path: Path,
                                                                        monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C in the middle of the frames: no version, no partial folder, and the next run writes all frames."""
    (tmp_path / "inputs").mkdir()
    job = a_job(tmp_path / "inputs", [(0, 0.1, 6.0)] * 20)
    place, write = tmp_path / "place", stage.write_maps

    def break_off(path: Path, maps: Any) -> int:
        if path.name == "00009.maps":
            path.write_bytes(b"anrmaps2 half")
            raise KeyboardInterrupt
        return write(path, maps)

    monkeypatch.setattr(stage, "write_maps", break_off)
    with pytest.raises(KeyboardInterrupt), writing(place, {"a": 1}, resumable=False) as folder:
        stage.run(replace(job, folder=folder))
    assert versions(place) == [] and not list(place.glob(".partial-*"))
    monkeypatch.setattr(stage, "write_maps", write)
    with writing(place, {"a": 1}, resumable=False) as folder:
        stage.run(replace(job, folder=folder))
        assert all(read_maps(stage.maps_path(folder, k)).inside.any() for k in range(20))


def test_options_that_could_only_fail_later_are_refused_at_once() -> None:
    with pytest.raises(AnrError, match=r"no projection called 'fisheye'.*perspective, weak"):
        stage.STAGE.check(RasterOptions(projection="fisheye"))  # type: ignore[misc]
    with pytest.raises(AnrError, match=r"no rasterizer called 'embree'.*cpu, nvdiffrast"):
        stage.STAGE.check(RasterOptions(rasterizer="embree"))  # type: ignore[misc]


def test_doctor_says_how_to_get_nvdiffrast_and_what_its_licence_forbids() -> None:
    from anrcli.commands.doctor import PARTS

    part = next(part for part in PARTS if part.module == "nvdiffrast")
    assert not part.needed and "not for commercial use" in part.use and "github.com/NVlabs/nvdiffrast" in part.remedy
