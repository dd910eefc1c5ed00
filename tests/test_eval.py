"""Evaluation: which pixels count, what is written, and that a perfect rendering gets perfect figures."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from training_helpers import SIZE, TINY, Remembering, make_person, trained

from pipelines import evaluate
from pipelines.core.mapcache import read_maps
from pipelines.core.records import SurfaceMaps
from pipelines.core.stage import Job, Outcome, Progress
from pipelines.media.images import read_image
from pipelines.media.recording import Recording
from pipelines.metrics.pairs import PSNR_CEILING_DB
from pipelines.renderers.avatar import load_avatar
from pipelines.training import loop
from pipelines.training.recipe import PRESETS

EVERYWHERE = {crop + name for crop in ("", "frame_") for name in ("psnr", "ssim", "flip")}


@pytest.fixture(scope="module")
def person(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return make_person(tmp_path_factory.mktemp("person"))


@pytest.fixture(scope="module")
def avatar_folder(person: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that has seen two images."""
    folder = tmp_path_factory.mktemp("avatar")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(PRESETS, "draft", TINY)
        patch.setattr(loop, "CHECKPOINT_S", 1e9)
        trained(folder, {"ada": person}, images=2, extractor="none")
    return folder


@pytest.fixture(autouse=True)
def no_weights_elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("ANR_WEIGHTS", raising=False)
    monkeypatch.delenv("TORCH_HOME", raising=False)


def examined(folder: Path, avatar: Path, person: dict[str, Path], progress: Progress | None = None,
             **options: object) -> Outcome:
    folder.mkdir()
    inputs = {"train": avatar, **{f"ada/{k}": person[k] for k in ("capture", "raster", "matte")}}
    return evaluate.run(Job(folder, evaluate.EvalOptions(**options), inputs, progress or Progress()))   # type: ignore[arg-type]


def inputs_of(person: dict[str, Path]) -> dict[str, Path]:
    return {f"ada/{k}": person[k] for k in ("capture", "raster", "matte")}


def test_the_examination_writes_figures_protocol_page_and_sheet(person: dict[str, Path], avatar_folder: Path,
                                                                tmp_path: Path, shared_data: Path) -> None:
    outcome = examined(tmp_path / "eval", avatar_folder, person, weights=str(shared_data / "weights"), frames=2)
    stored = json.loads((tmp_path / "eval" / "eval.json").read_text())
    crops = {crop + name for crop in ("", "frame_") for name in evaluate.METRICS}
    assert crops | set(evaluate.TEMPORAL) | set(evaluate.MASK) <= set(outcome.figures) == set(stored["mean"])
    assert stored["people"]["ada"]["frames"] == 2 == len(stored["frames"]["ada"])
    assert {"frames", "poses", "mask", "background", "crop", "face", "masks", "temporal", "metrics", "trained",
            "versions"} == set(stored["protocol"])
    assert "squeeze" in stored["protocol"]["metrics"]["lpips"] and stored["protocol"]["trained"]["renderer"] == "anr"
    assert stored["protocol"]["trained"]["extractor"] == "none" and "not trust 0 of" in stored["protocol"]["poses"]
    sheet = read_image(tmp_path / "eval" / "sheet.jpg")
    assert sheet.shape[1] > 6 * 40                                    # truth, rendering, FLIP map of two frames
    text = (tmp_path / "eval" / "eval.md").read_text()
    for part in ("## Person crop", "## Whole frame", "## Mask", "## From frame to frame", "| ada |", "| mean |",
                 "sheet.jpg", f"{stored['mean']['psnr']:.2f} dB", "mFID, everybody together: not measured",
                 "clean plate"):
        assert part in text, part
    assert outcome.outputs["page"] == "eval.md"


def test_frames_whose_fit_is_not_trusted_are_counted_and_said(person: dict[str, Path], avatar_folder: Path,
                                                              tmp_path: Path) -> None:
    copy = tmp_path / "avatar"
    shutil.copytree(avatar_folder, copy)
    motion = {**np.load(copy / "motions" / "ada.npz")}
    motion["ok"] = np.zeros_like(motion["ok"])
    np.savez(copy / "motions" / "ada.npz", **motion)
    examined(tmp_path / "eval", copy, person, frames=2, whole_frame=False)
    assert "does not trust 2 of" in json.loads((tmp_path / "eval" / "eval.json").read_text())["protocol"]["poses"]


def test_without_weights_the_examination_says_what_is_missing(person: dict[str, Path], avatar_folder: Path,
                                                              tmp_path: Path) -> None:
    progress = Remembering()
    outcome = examined(tmp_path / "eval", avatar_folder, person, progress, frames=1)
    assert set(outcome.figures) >= EVERYWHERE
    assert not any("lpips" in name or "mfid" in name for name in outcome.figures)
    assert any("LPIPS" in text and "--weights" in text for text in progress.warnings)
    assert any("mFID" in text and "pt_inception-2015-12-05-6726825d.pth" in text for text in progress.warnings)
    stored = json.loads((tmp_path / "eval" / "eval.json").read_text())
    assert "missing" in stored["protocol"]["metrics"]["lpips"] and "missing" in stored["protocol"]["metrics"]["mfid"]


def test_a_rendering_equal_to_the_truth_is_perfect_everywhere(person: dict[str, Path], avatar_folder: Path,
                                                             tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Over the whole frame as well, where the plate is the frame's own background."""
    recording = Recording(person["capture"])
    order: list[int] = []

    def perfect(_avatar: object, _texture: object, maps: object, *_: object) -> tuple[np.ndarray, np.ndarray]:
        return recording.image(order[-1]).astype(np.float32) / 255, maps.inside.astype(np.float32)  # type: ignore

    class Watched(Recording):
        def image(self, index: int) -> np.ndarray:
            order.append(index)
            return super().image(index)

    monkeypatch.setattr("pipelines.renderers.replay.render_person", perfect)
    monkeypatch.setattr("pipelines.media.recording.Recording", Watched)
    monkeypatch.setattr(evaluate, "_plate", lambda *_: recording.image(order[-1]).astype(np.float32) / 255)
    monkeypatch.setattr(evaluate, "_inception", lambda _: ("inception_fid", lambda picture: picture.mean((0, 1))))
    figures = examined(tmp_path / "eval", avatar_folder, person, frames=3).figures
    for crop in ("", "frame_"):
        assert figures[crop + "psnr"] == PSNR_CEILING_DB and figures[crop + "ssim"] == pytest.approx(1.0)
        assert figures[crop + "flip"] == pytest.approx(0.0, abs=1e-6)
    assert figures["temporal_error"] == 0.0 and figures["mfid"] == pytest.approx(0.0, abs=1e-9)
    assert figures["temporal_change"] == figures["temporal_truth"]


def test_the_person_crop_of_a_replay(person: dict[str, Path], avatar_folder: Path,
                                     monkeypatch: pytest.MonkeyPatch) -> None:
    avatar = load_avatar(avatar_folder, "cpu")
    image = Recording(person["capture"]).image(25).astype(np.float32) / 255
    alpha = read_maps(person["raster"] / "maps" / "00025.maps").inside.astype(np.float32)
    monkeypatch.setattr("pipelines.renderers.replay.render_person", lambda *_: (image, alpha))
    truth, rendering = evaluate.compare(inputs_of(person), avatar, "ada", 25)
    np.testing.assert_array_equal(truth, rendering)
    assert truth.shape[0] < SIZE or truth.shape[1] < SIZE


def a_view(alpha: np.ndarray, face: np.ndarray, head: np.ndarray) -> evaluate.View:
    empty = np.zeros((*alpha.shape, 3), np.float32)
    return evaluate.View(empty, alpha, empty, empty, alpha, np.full((*alpha.shape, 2), np.nan), face, head)


def test_the_head_box_holds_face_and_scalp_with_a_margin() -> None:
    head, face = np.zeros((300, 200), bool), np.zeros((300, 200), bool)
    head[40:140, 60:130] = True
    face[80:140, 70:120] = True
    seen = a_view(head.astype(np.float32), face, head)
    assert evaluate.head_box(seen) == (60 - 15, 40 - 15, 130 + 15, 140 + 15)


def test_a_head_seen_from_behind_has_no_face_box_and_a_small_one_is_widened() -> None:
    head = np.zeros((300, 200), bool)
    head[2:22, 0:15] = True
    assert evaluate.head_box(a_view(head.astype(np.float32), np.zeros_like(head), head)) is None
    left, top, right, bottom = evaluate.head_box(a_view(head.astype(np.float32), head, head)) or (0, 0, 0, 0)
    assert (right - left, bottom - top) == (48, 48) and left == 0 and top == 0


def test_faces_count_where_they_are_seen(person: dict[str, Path], avatar_folder: Path, tmp_path: Path,
                                         monkeypatch: pytest.MonkeyPatch) -> None:
    """The tiny person's face is below the limit; with a lower one the frames that show it count."""
    monkeypatch.setattr(evaluate, "FACE_PIXELS", 4)
    avatar = load_avatar(avatar_folder, "cpu")
    shown = [evaluate.head_box(evaluate.view(inputs_of(person), avatar, "ada", k)) is not None for k in range(0, 26, 4)]
    assert any(shown) and not all(shown)


def test_faces_have_figures_and_a_sheet_and_whole_frames_can_be_left_out(
        person: dict[str, Path], avatar_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluate, "FACE_PIXELS", 4)
    outcome = examined(tmp_path / "eval", avatar_folder, person, frames=4, whole_frame=False)
    assert "face_psnr" in outcome.figures and "frame_psnr" not in outcome.figures
    assert read_image(tmp_path / "eval" / outcome.outputs["faces"]).shape[0] % (evaluate.FACE_SHOWN_PX + 4) == 180
    text = (tmp_path / "eval" / "eval.md").read_text()
    assert "faces.jpg" in text and "## Face crop" in text and "## Whole frame" not in text


def test_masks_overlap_by_hand() -> None:
    """Equal, disjoint, and half as much where the other is whole beside a pixel too many."""
    matte = np.array([[1.0, 1.0, 0.0]])
    assert evaluate.mask_overlap(matte, matte) == 1.0 and evaluate.mask_overlap(matte, 1.0 - matte) == 0.0
    assert evaluate.mask_overlap(matte, np.array([[0.5, 1.0, 1.0]])) == pytest.approx(1.5 / 3.0)


def test_a_rendering_of_nobody_has_the_blank_psnr(person: dict[str, Path], avatar_folder: Path, tmp_path: Path,
                                                  monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody(_avatar: object, _texture: object, maps: SurfaceMaps, *_: object) -> tuple[np.ndarray, np.ndarray]:
        return np.ones((*maps.inside.shape, 3), np.float32), np.zeros(maps.inside.shape, np.float32)

    monkeypatch.setattr("pipelines.renderers.replay.render_person", nobody)
    figures = examined(tmp_path / "eval", avatar_folder, person, frames=2, whole_frame=False).figures
    assert figures["psnr"] == figures["blank_psnr"] and figures["mask_iou"] == 0.0


def test_only_frames_that_have_a_figure_count_in_its_mean() -> None:
    assert evaluate._means([{"a": 1.0}, {"a": 3.0, "b": 5.0}]) == {"a": 2.0, "b": 5.0}


def test_the_page_shows_a_dash_where_somebody_has_no_figure() -> None:
    protocol = {"trained": {"renderer": "anr", "preset": "draft", "images": 3}}
    report = {"people": {"ada": {"psnr": 20.0, "face_psnr": 18.0}, "ben": {"psnr": 22.0}},
              "mean": {"psnr": 21.0, "face_psnr": 18.0, "mfid": 91.25}, "frames": {"ada": [1]}, "protocol": protocol}
    text = evaluate.page(report)
    assert "| ben | - |" in text and "| ada | 18.00 dB |" in text and "together: 91.2" in text
