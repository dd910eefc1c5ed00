"""The workspace: versions, atomic commit, damage, and the split."""

from __future__ import annotations

import errno
from pathlib import Path

import numpy as np
import pytest

from pipelines.core.errors import AnrError
from pipelines.core.split import MARGIN, split_frames
from pipelines.core.workspace import (
    Workspace,
    commit,
    damaged_files,
    newest_version,
    partial_folders,
    versions,
    writing,
)

MANIFEST = {"made_from": {"options": {}}, "recorded": {}, "figures": {}, "outputs": {}}


def commit_text(place: Path, text: str) -> None:
    with writing(place, {"text": text}, resumable=False) as folder:
        (folder / "sub").mkdir()
        (folder / "sub" / "a.txt").write_text(text)
        commit(folder, MANIFEST)


def test_versions_count_up_and_the_newest_complete_one_counts(tmp_path: Path) -> None:
    commit_text(tmp_path, "one")
    commit_text(tmp_path, "two")
    assert [v.name for v in versions(tmp_path)] == ["v001", "v002"]
    assert newest_version(tmp_path).name == "v002"
    (tmp_path / "v003").mkdir()                       # no manifest: not complete, so it does not count
    assert newest_version(tmp_path).name == "v002"


def test_equal_content_has_an_equal_digest_and_other_content_another(tmp_path: Path) -> None:
    for text in ("same", "same", "other"):
        commit_text(tmp_path, text)
    first, second, third = (v.digest for v in versions(tmp_path))
    assert first == second != third


def test_a_failed_run_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), writing(tmp_path, {}, resumable=False) as folder:
        (folder / "half.txt").write_text("half")
        raise RuntimeError
    assert not partial_folders(tmp_path) and newest_version(tmp_path) is None


def test_an_interrupted_resumable_run_gets_its_folder_back_only_for_the_same_request(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), writing(tmp_path, {"lr": 1}, resumable=True) as folder:
        (folder / "checkpoint").write_text("step 5")
        raise KeyboardInterrupt
    with writing(tmp_path, {"lr": 2}, resumable=True) as other:
        assert not (other / "checkpoint").exists()
    with writing(tmp_path, {"lr": 1}, resumable=True) as again:
        assert (again / "checkpoint").read_text() == "step 5"
    with writing(tmp_path, {"lr": 1}, resumable=True, fresh=True) as fresh:
        assert not (fresh / "checkpoint").exists()


def test_a_full_disk_is_one_message_and_leaves_nothing_half_written(tmp_path: Path) -> None:
    for resumable in (False, True):
        with pytest.raises(AnrError, match="disk is full") as caught, \
                writing(tmp_path, {}, resumable=resumable) as folder:
            (folder / "checkpoint.partial").write_text("half")
            raise OSError(errno.ENOSPC, "No space left on device")
        assert "anr clean" in caught.value.hint
        assert not partial_folders(tmp_path)


def test_a_full_disk_does_not_cost_the_checkpoint_before_it(tmp_path: Path) -> None:
    with pytest.raises(AnrError, match="keeps its last checkpoint"), writing(tmp_path, {}, resumable=True) as folder:
        (folder / "checkpoint.pt").write_text("whole")
        (folder / "checkpoint.partial").write_text("half")
        raise OSError(errno.ENOSPC, "No space left on device")
    assert [file.name for file in partial_folders(tmp_path)[0].iterdir()] == ["checkpoint.pt"]


def test_two_writers_at_one_place_are_refused(tmp_path: Path) -> None:
    with writing(tmp_path, {"a": 1}, resumable=False), pytest.raises(AnrError, match="Another anr"), \
            writing(tmp_path, {"a": 2}, resumable=False):
        pass


def test_changed_and_missing_files_are_found(tmp_path: Path) -> None:
    commit_text(tmp_path, "one")
    version = newest_version(tmp_path)
    assert damaged_files(version) == []
    (version.folder / "sub" / "a.txt").write_text("changed")
    assert damaged_files(version) == ["sub/a.txt"]


def test_a_workspace_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    (tmp_path / "workspace.json").write_text('{"schema": 999}')
    with pytest.raises(AnrError, match="newer version of anr"):
        Workspace(tmp_path)


def test_opening_a_workspace_that_does_not_exist_makes_nothing(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "nothing")
    assert workspace.people() == [] and not (tmp_path / "nothing").exists()


@pytest.mark.parametrize("name", ["", "Ada", "../x", "a b", "-a", "a/b", "a\n"])
def test_names_that_could_leave_the_workspace_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(AnrError, match="not a usable person name"):
        Workspace(tmp_path).person_place(name, "capture")


@pytest.mark.parametrize("count", [24, 48, 53, 120, 150, 247, 600, 5000])
def test_the_split_holds_out_enough_in_segments_away_from_training_frames(count: int) -> None:
    split = split_frames(count)
    assert len(split.held_out) >= 0.15 * count
    gaps = np.abs(split.train[:, None] - split.held_out[None])
    assert gaps.min() > MARGIN
    assert np.count_nonzero(np.diff(split.held_out) > 1) <= 2
    assert len(split.train) > 0.5 * count
