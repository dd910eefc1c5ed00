"""What a person types: every command, its help, its exit codes and what it says when something is wrong."""

from __future__ import annotations

import errno
import fcntl
import http.client
import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import anrcli
from anrcli.app import globals_first, main
from anrcli.commands import COMMANDS, stages
from anrcli.commands.doctor import is_missing_part
from anrcli.commands.stages import duration, with_one_budget
from anrcli.commands.status import every_version
from anrcli.console import Console, ShownProgress, native_messages_aside
from pipelines.chain import STAGES
from pipelines.chain import Request as ChainRequest
from pipelines.core.errors import AnrError
from pipelines.core.records import Camera, Footage, Frame
from pipelines.core.workspace import Version, Workspace, commit, writing
from pipelines.metrics.weights import fetch_weights
from pipelines.sources import Request

PROMISED = (
    "demo", "run", "capture", "keypoints", "fit", "raster", "matte", "keyframes", "train", "render", "tryon", "eval",
    "status", "doctor", "bench", "clean",
)  # fmt: skip
PROMISED_OPTIONS = {
    "demo": {"seconds", "size"},
    "run": {"source", "person", "motion", "preset", "height_m", "fov_deg", "accept", "minutes"},
    "capture": {"source", "person", "start", "seconds", "max_frames", "height_m", "fov_deg", "track"},
    "fit": {"person", "accept"},
    "train": {"person", "avatar", "preset", "renderer", "minutes", "fresh"},
    "render": {"person", "avatar", "motion", "orbit", "replay", "frames", "size", "background", "out", "frames_dir"},
    "tryon": {"face", "shirt", "hair", "trousers", "shoes", "avatar", "motion", "orbit", "replay", "frames", "out"},
    "eval": {"avatar", "person"},
    "status": {"verify"},
}


@dataclass(frozen=True)
class Answer:
    """What one run of `anr` left behind."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        return json.loads(self.out)


@pytest.fixture
def anr(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Runs a command in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ANR_WORKSPACE", raising=False)

    def run(*arguments: str | Path) -> Answer:
        capsys.readouterr()
        code = main([str(each) for each in arguments])
        return Answer(code, *capsys.readouterr())

    return run


def noise_footage(request: Request) -> Footage:
    """A source without anybody in it: 30 frames of coarse noise."""
    random = np.random.default_rng(0)
    blocks = random.integers(0, 255, (30, 6, 8, 3), np.uint8).repeat(12, 1).repeat(12, 2)
    camera = Camera(np.array([[90.0, 0, 48], [0, 90, 36], [0, 0, 1]]), 96, 72)
    frames = (Frame(n, n / 15, image) for n, image in enumerate(blocks))
    return Footage(camera, frames, 30, 15.0, "made up")


@pytest.fixture
def noise(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A path that every source opens as noise."""
    monkeypatch.setattr("pipelines.sources.open_source", noise_footage)
    path = tmp_path / "noise.mp4"
    path.write_bytes(b"noise")
    return path


def test_every_promised_command_and_option_exists() -> None:
    assert set(PROMISED) <= set(COMMANDS)
    for name, options in PROMISED_OPTIONS.items():
        there = {parameter.name for parameter in COMMANDS[name].parameters}
        assert options <= there, f"anr {name} lacks {options - there}"


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_that_lists_its_options(anr: Any, name: str) -> None:
    answer = anr(name, "--help")
    assert answer.code == 0 and name in answer.out
    for parameter in COMMANDS[name].parameters:
        assert parameter.flags.split("/")[0][:20] in answer.out
        assert parameter.help, f"{name} --{parameter.name} has no help"


def test_options_come_from_the_stages_alone() -> None:
    inside = {"unwrap": "edit", "finetune": "train"}            # stages that have no command of their own
    for name, stage in STAGES.items():
        command = inside.get(name, name.partition("-")[0])
        there = {parameter.name for parameter in COMMANDS[command].parameters}
        assert {each.name for each in fields(stage.Options)} <= there


def test_run_takes_each_option_for_one_stage_only() -> None:
    """Two stages of `run` with an option of the same name and another meaning would share what is typed."""
    from anrcli.commands.run import RUNS

    owners: dict[str, list[str]] = {}
    for name in RUNS:
        for each in fields(STAGES[name].Options):
            owners.setdefault(each.name, []).append(name)
    shared = {name: stages for name, stages in owners.items() if len(stages) > 1}
    assert set(shared) <= {"person", "device", "weights", "rasterizer", "depth"}, shared


def test_help_alone_and_no_arguments_are_the_same(anr: Any) -> None:
    assert anr().out == anr("--help").out
    assert anr("--version").out.startswith("anr 0.")


@pytest.mark.parametrize(
    "arguments", [["nonsense"], ["fit", "--nonsense"], ["capture", "--seconds", "many"], ["fit", "extra"]]
)
def test_wrong_usage_is_2_with_a_hint(anr: Any, arguments: list[str]) -> None:
    answer = anr(*arguments)
    assert answer.code == 2 and answer.out == ""
    assert answer.err.startswith("error: ") and "hint:  anr" in answer.err
    as_json = anr("--json", *arguments)
    assert as_json.code == 2 and as_json.json["ok"] is False and as_json.json["error"]["message"]


def test_general_options_may_stand_behind_the_command() -> None:
    typed = ["render", "--orbit", "--json", "-w", "there", "--size", "64", "--quiet", "--workspace=x"]
    assert globals_first(typed) == [
        "--json",
        "-w",
        "there",
        "--quiet",
        "--workspace=x",
        "render",
        "--orbit",
        "--size",
        "64",
    ]
    assert globals_first(["fit", "--", "--json"]) == ["fit", "--", "--json"]


def test_a_workspace_that_is_not_there_has_a_status(anr: Any, tmp_path: Path) -> None:
    answer = anr("status")
    assert answer.code == 0 and "Nothing here yet" in answer.out
    assert not (tmp_path / "workspace").exists()
    assert anr("status", "--verify").code == 0 and anr("clean").code == 0


def test_the_workspace_is_named_by_option_or_environment(
    anr: Any, noise: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANR_WORKSPACE", "from_environment")
    assert anr("capture", "--no-coach", "--source", noise).code == 0
    assert anr("-w", "named", "capture", "--no-coach", "--source", noise).code == 0
    assert Workspace("from_environment").people() == Workspace("named").people() == ["me"]


def test_a_command_says_what_it_will_do_then_where_it_is(anr: Any, noise: Path) -> None:
    first = anr("capture", "--no-coach", "--source", noise, "--person", "ada")
    assert first.code == 0 and "To do: capture of ada (about" in first.err
    assert "workspace/people/ada/capture/v001" in first.out
    again = anr("capture", "--no-coach", "--source", noise, "--person", "ada")
    assert "Everything is up to date." in again.err and "nothing had to be done" in again.out


def test_json_is_one_object_and_nothing_else_on_stdout(anr: Any, noise: Path) -> None:
    answer = anr("--json", "capture", "--no-coach", "--source", noise)
    assert answer.code == 0 and set(answer.json) == {"command", "ok", "outputs", "figures", "error"}
    assert answer.json["command"] == "capture" and answer.json["ok"] is True and answer.json["error"] is None
    assert answer.json["figures"]["frames"] == 30
    assert Path(answer.json["outputs"]["folder"]).is_dir()
    assert "To do" in answer.err
    failed = anr("fit", "--person", "bob", "--json")
    noted = failed.json["error"]
    assert failed.code == 3 and failed.json["ok"] is False and noted["message"] and noted["hint"]


def test_quiet_leaves_only_the_result(anr: Any, noise: Path) -> None:
    answer = anr("--quiet", "capture", "--no-coach", "--source", noise)
    assert answer.err == "" and answer.out.strip().endswith("workspace/people/me/capture/v001")


def test_the_only_person_there_is_needs_no_name(anr: Any, noise: Path) -> None:
    anr("capture", "--no-coach", "--source", noise, "--person", "ada")
    again = anr("--json", "capture", "--no-coach", "--source", noise)
    assert "people/ada/capture/v001" in again.json["outputs"]["folder"]


def test_another_recording_does_not_inherit_the_options_of_the_last(anr: Any, noise: Path) -> None:
    anr("capture", "--no-coach", "--source", noise, "--height-m", "1.9")
    kept = anr("--json", "capture", "--no-coach", "--source", noise).json["outputs"]["folder"]
    assert json.loads((Path(kept) / "capture.json").read_text())["height_m"] == 1.9
    noise.write_bytes(b"somebody else")
    anew = anr("--json", "capture", "--no-coach", "--source", noise).json["outputs"]["folder"]
    assert anew.endswith("v002") and json.loads((Path(anew) / "capture.json").read_text())["height_m"] is None


def left_behind(workspace: Path) -> list[str]:
    """Version folders and partial folders in a workspace."""
    return [
        path.name for path in workspace.rglob("*") if path.is_dir() and (path.name[0] == "." or path.name[:2] == "v0")
    ]


def test_bad_input_is_3_and_leaves_nothing(anr: Any, tmp_path: Path) -> None:
    (tmp_path / "text.mp4").write_text("no video")
    for arguments, says in (
        (["capture", "--source", "nowhere.mp4"], "nowhere.mp4"),
        (["capture", "--source", "text.mp4"], "not a video"),
        (["capture", "--source", "text.mp4", "--person", "Bad Name"], "'Bad Name'"),
        (["capture"], "'me'"),
        (["fit", "--person", "bob"], "'bob'"),
        (["fit", "--person", "A b"], "'A b' is not a usable person name"),
        (["train"], "nobody"),
        (["train", "--person", "bob"], "'bob'"),
        (["render", "--orbit"], "nobody"),
        (["tryon", "--face", "bob", "--shirt", "bob"], "'bob'"),
        (["run", "--source", "text.mp4", "--person", "bob"], "not a video"),
        (["eval"], "nobody"),
    ):
        answer = anr(*arguments)
        assert answer.code == 3, f"{arguments}: {answer}"
        assert says in answer.err and "\nhint:  " in answer.err, f"{arguments}: {answer.err}"
    assert left_behind(tmp_path / "workspace") == []


def test_numbers_out_of_range_are_refused_before_anything_is_said_to_begin(anr: Any, noise: Path) -> None:
    for flag, value in (("--seconds", "-3"), ("--seconds", "nan"), ("--height-m", "17"), ("--fov-deg", "500")):
        answer = anr("capture", "--source", noise, flag, value)
        assert answer.code == 3 and answer.err.startswith(f"error: {flag} {value} is out of range.\nhint:  Use")
    assert anr("capture", "--no-coach", "--source", noise).code == 0
    assert "--start -1" in anr("capture", "--start", "-1").err


@pytest.mark.parametrize(("arguments", "says"), [
    (("eval", "--frames", "-3"), "--frames -3 is out of range"),
    (("eval", "--weights", "no"), "folder no does not exist"),
    (("train", "--weights", "no"), "folder no does not exist")])
def test_what_training_and_evaluation_cannot_take_is_refused_before_any_work(anr: Any, noise: Path, says: str,
                                                                             arguments: tuple[str, ...]) -> None:
    anr("capture", "--no-coach", "--source", noise)
    answer = anr(*arguments)
    assert answer.code == 3 and says in answer.err and "To do" not in answer.err


def test_a_motion_is_checked_before_the_long_work(anr: Any, noise: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.bvh").write_text("HIERARCHY\nROOT hips\n{\n  OFFSET 0 0\n}\n")
    for motion, says in (("nowhere.bvh", "nowhere.bvh"), ("bad.bvh", "line")):
        answer = anr("run", "--source", noise, "--motion", motion)
        assert answer.code == 3 and says in answer.err and "hint:" in answer.err
        assert left_behind(tmp_path / "workspace") == []


def bvh_text(names: tuple[str, ...]) -> str:
    """A chain of joints, one below the other, with two frames."""
    lines = [f"{'JOINT' if at else 'ROOT'} {name}\n{{\nOFFSET 0 10 0\nCHANNELS 3 Zrotation Xrotation Yrotation"
             for at, name in enumerate(names)]
    zeros = " ".join(["0"] * 3 * len(names))
    end = "End Site\n{\nOFFSET 0 1 0\n}" + "\n}" * len(names)
    return "\n".join(["HIERARCHY", *lines, end, "MOTION", "Frames: 2", "Frame Time: 0.03", zeros, zeros, ""])


def test_what_cannot_be_rendered_is_refused_before_any_work(anr: Any, noise: Path, tmp_path: Path) -> None:
    (tmp_path / "tail.bvh").write_text(bvh_text(("Hips", "Tail", "TailTip")))
    for typed, says in ((("--motion", "tail.bvh"), "no joint that is known as hip.L"),
                        (("--preset", "nonsense"), "nonsense"), (("--frames", "abc"), "abc"),
                        (("--background", "nosuch.png"), "nosuch.png")):
        answer = anr("run", "--source", noise, *typed)
        assert answer.code == 3 and says in answer.err and "hint:" in answer.err
        assert left_behind(tmp_path / "workspace") == []
    answer = anr("demo", "--frames", "abc")
    assert answer.code == 3 and "abc" in answer.err and not (tmp_path / "workspace").exists()


def test_a_malformed_bvh_of_the_wild_is_refused_with_its_line(anr: Any, noise: Path, shared_data: Path) -> None:
    (malformed,) = (shared_data / "bvh_odd").glob("malformed*")
    answer = anr("run", "--source", noise, "--motion", malformed)
    assert answer.code == 3 and "line" in answer.err and "hint:" in answer.err


def test_an_unknown_person_is_named_with_those_there_are(anr: Any, noise: Path) -> None:
    anr("capture", "--no-coach", "--source", noise, "--person", "ada")
    for arguments in (["render", "--orbit", "--person", "bob"], ["tryon", "--face", "ada", "--shirt", "bob", "--orbit"],
                      ["tryon", "--face", "ada", "--region", "torso=bob"], ["tryon", "--face", "ada", "--shape", "bob"],
                      ["fit", "--person", "bob"], ["eval", "--person", "bob"]):  # fmt: skip
        answer = anr(*arguments)
        assert answer.code == 3 and "'bob'" in answer.err and "there is ada" in answer.err


def test_a_model_without_its_recordings_names_whom_it_knows(anr: Any, tmp_path: Path) -> None:
    made_from = {"schema": 1, "stage": "train", "stage_version": 1, "options": {},
                 "inputs": {"ada/capture": "", "ben/capture": ""}}
    workspace = Workspace(tmp_path / "workspace")
    workspace.create()
    with writing(workspace.avatar_place("main", "train"), made_from, resumable=False) as folder:
        commit(folder, {"made_from": made_from})
    for arguments in (("render", "--orbit", "--person", "bob"), ("tryon", "--face", "ada", "--shirt", "bob")):
        answer = anr(*arguments)
        assert answer.code == 3 and "'bob'" in answer.err and "there is ada, ben" in answer.err, answer


def test_nobody_in_the_clip_names_how_many_frames_were_searched(anr: Any, noise: Path, tmp_path: Path) -> None:
    answer = anr("fit", "--person", "me")
    assert answer.code == 3                             # there is no recording yet
    anr("capture", "--no-coach", "--source", noise)
    answer = anr("fit")
    assert answer.code == 3 and "30" in answer.err and "hint:" in answer.err
    assert left_behind(tmp_path / "workspace") == ["v001"]          # the capture alone


def test_a_full_disk_is_said_and_leaves_nothing(
    anr: Any, noise: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[Path] = []

    def full(path: Path, raw: object, flags: object) -> None:
        written.append(path)
        if len(written) == 10:
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        path.write_bytes(b"picture")

    monkeypatch.setattr("pipelines.media.images._write", full)
    answer = anr("capture", "--no-coach", "--source", noise)
    assert answer.code == 3 and "disk is full" in answer.err and "hint:" in answer.err
    assert len(written) >= 10 and left_behind(tmp_path / "workspace") == []


def test_a_newer_workspace_is_refused(anr: Any, tmp_path: Path) -> None:
    (tmp_path / "workspace").mkdir()
    (tmp_path / "workspace" / "workspace.json").write_text('{"schema": 99}')
    for command in ("status", "fit", "clean"):
        answer = anr(command)
        assert answer.code == 3 and "newer version" in answer.err and "99" in answer.err


@pytest.mark.parametrize("marker", ["{", "[]", "{}", '{"schema": "one"}'])
def test_a_damaged_marker_is_mended_not_the_workspace_deleted(anr: Any, noise: Path, tmp_path: Path,
                                                              marker: str) -> None:
    anr("capture", "--no-coach", "--source", noise)
    (tmp_path / "workspace" / "workspace.json").write_text(marker)
    answer = anr("status")
    assert answer.code == 3 and "workspace.json is damaged" in answer.err and "Delete" not in answer.err
    told = answer.err.split("write ")[1].split(" into")[0]
    (tmp_path / "workspace" / "workspace.json").write_text(told)
    assert anr("status").code == 0


def test_an_interruption_is_130(anr: Any, noise: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(request: Request) -> Footage:
        raise KeyboardInterrupt

    monkeypatch.setattr("pipelines.sources.open_source", interrupted)
    answer = anr("capture", "--no-coach", "--source", noise)
    assert answer.code == 130 and "Interrupted" in answer.err
    assert left_behind(tmp_path / "workspace") == []


def test_a_bug_of_ours_is_1_and_its_traceback_is_saved(anr: Any, noise: Path, tmp_path: Path,
                                                       monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(request: Request) -> Footage:
        raise RuntimeError("this cannot be")

    monkeypatch.setattr("pipelines.sources.open_source", wrong)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    answer = anr("capture", "--no-coach", "--source", noise)
    assert answer.code == 1 and "RuntimeError: this cannot be" in answer.err and "Traceback" not in answer.err
    (saved,) = tmp_path.glob("anr-bug-*.txt")
    assert str(saved) in answer.err and "Traceback" in saved.read_text()
    assert "Traceback" in anr("--verbose", "capture", "--no-coach", "--source", noise).err


@pytest.mark.parametrize(
    ("error", "hint"),
    [(ModuleNotFoundError("No module named 'pymatting'", name="pymatting"), "`anr doctor` says how to get it."),
     (ImportError("libGL.so.1: cannot open shared object file: No such file or directory"),
      "pip install --no-deps --force-reinstall opencv-contrib-python-headless=="),
     (OSError("libfoo.so: cannot open shared object file"), "`anr doctor`")],
)
def test_a_missing_part_is_3_and_says_how_to_get_it(anr: Any, noise: Path, monkeypatch: pytest.MonkeyPatch,
                                                    error: Exception, hint: str) -> None:
    def missing(request: Request) -> Footage:
        raise error

    monkeypatch.setattr("pipelines.sources.open_source", missing)
    answer = anr("capture", "--no-coach", "--source", noise)
    assert answer.code == 3 and f"A part does not work here: {error}" in answer.err and f"hint:  {hint}" in answer.err


def test_a_module_of_ours_that_cannot_be_imported_is_a_bug() -> None:
    assert not is_missing_part(ImportError("cannot import name 'x'", name="pipelines.core"))
    assert not is_missing_part(FileNotFoundError("file"))


def test_without_room_for_temporary_files_commands_work_and_bugs_are_told(
    anr: Any, noise: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_room(*_: Any, **__: Any) -> None:
        raise FileNotFoundError(errno.ENOENT, "No usable temporary directory found")

    def wrong(request: Request) -> Footage:
        raise RuntimeError("this cannot be")

    monkeypatch.setattr("tempfile.TemporaryFile", no_room)
    monkeypatch.setattr("tempfile.NamedTemporaryFile", no_room)
    assert anr("capture", "--no-coach", "--source", noise).code == 0 and anr("clean").code == 0
    monkeypatch.setattr("pipelines.sources.open_source", wrong)
    answer = anr("capture", "--no-coach", "--source", noise, "--height-m", "1.7")
    assert answer.code == 1 and "this cannot be" in answer.err and "could not be saved" in answer.err


@pytest.mark.parametrize(
    ("typed", "taught"),
    [({"minutes": 3.0}, {"minutes": 3.0, "images": 0}), ({"images": 50}, {"images": 50, "minutes": 0.0}),
     ({"minutes": 3.0, "images": 50}, {"minutes": 3.0, "images": 50}), ({"preset": "draft"}, {"preset": "draft"})],
)
def test_the_budget_typed_last_counts(typed: dict[str, Any], taught: dict[str, Any]) -> None:
    """Options not typed are kept from the model before, so the other one would be."""
    assert with_one_budget(ChainRequest(typed={"train": typed})).typed["train"] == taught


def test_a_stage_that_an_extension_adds_needs_no_table_of_ours() -> None:
    blur = replace(STAGES["keyframes"], name="blur", doing="Blurring")
    assert stages._command(blur).help == "Blurring."
    assert stages._typical_s(blur, ChainRequest()) > 0


def test_a_download_that_is_cut_off_is_like_no_network(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    class CutOff:
        def __enter__(self) -> CutOff:
            return self

        def __exit__(self, *_: object) -> None:
            pass

        def read(self, _: int) -> bytes:
            raise http.client.IncompleteRead(b"some")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.delenv("ANR_OFFLINE", raising=False)
    monkeypatch.setattr("urllib.request.urlopen", lambda *_, **__: CutOff())
    assert fetch_weights("squeezenet1_1") is None
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_status_lists_and_verify_finds_damage(anr: Any, noise: Path, tmp_path: Path) -> None:
    anr("capture", "--no-coach", "--source", noise, "--person", "ada")
    listed = anr("status")
    assert listed.code == 0 and "up to date" in listed.out and "missing" in listed.out
    assert anr("status", "--verify").code == 0
    (tmp_path / "workspace/people/ada/capture/v001/color/00003.jpg").write_bytes(b"damaged")
    answer = anr("status", "--verify")
    assert answer.code == 3 and "color/00003.jpg" in answer.err


def test_clean_removes_what_newer_versions_replaced(anr: Any, noise: Path, tmp_path: Path) -> None:
    anr("capture", "--no-coach", "--source", noise)
    anr("capture", "--no-coach", "--source", noise, "--height-m", "1.7")
    place = tmp_path / "workspace/people/me/capture"
    assert "v001" in anr("clean", "--dry-run").out and (place / "v001").exists()
    assert anr("clean").code == 0
    assert not (place / "v001").exists() and (place / "v002").exists()
    assert "nothing to remove" in anr("clean").out


def made(place: Path, stage: str, **inputs: str) -> Version:
    """A complete version of a stage, made from inputs by name."""
    made_from = {"stage": stage, "stage_version": 1, "schema": 1, "options": {}, "inputs": inputs}
    with writing(place, made_from, resumable=False) as folder:
        (folder / "result").write_text(f"{stage} {inputs}")
        return commit(folder, {"made_from": made_from, "figures": {}, "outputs": {}, "recorded": {}})


def test_clean_keeps_trainings_to_resume_and_videos_of_the_newest_model(anr: Any, tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "workspace")
    workspace.create()
    base, derived = (workspace.avatar_place(avatar, "train") for avatar in ("main", "main-with-cleo"))
    first, second = (made(base, "train", **{"ada/capture": number}) for number in "12")
    older = made(derived, "enroll", train=first.digest)
    newer = made(derived, "enroll", train=second.digest)
    videos = [made(place, "render", train=model.digest) for place, model in (
        (workspace.avatar_place("main", "renders"), first), (workspace.avatar_place("main", "renders"), second),
        (workspace.avatar_place("main-with-cleo", "renders"), older),
        (workspace.avatar_place("main-with-cleo", "renders"), newer))]
    for place in (base, derived):
        (place / ".partial-0123").mkdir()
        (place / ".partial-0123" / "checkpoint").write_text("half")
    listed = anr("clean", "--dry-run").out
    assert listed.startswith("4 old results would be removed") and "partial" not in listed
    assert anr("clean").code == 0
    assert [video.folder.exists() for video in videos] == [False, True, False, True]
    assert [model.folder.exists() for model in (first, second, older, newer)] == [False, True, False, True]
    assert all((place / ".partial-0123" / "checkpoint").exists() for place in (base, derived))
    assert anr("clean", "--interrupted").out.startswith("2 old results removed")
    assert not list(workspace.root.rglob(".partial-*"))


def test_pages_of_benchmarks_are_kept_and_what_is_half_written_of_them_goes(anr: Any, tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "workspace")
    place = workspace.benchmark_place("table1")
    pages = [made(place, "benchmark", budget=str(k)) for k in range(2)]
    (place / ".partial-0123").mkdir()
    assert anr("clean").out.startswith("1 old results removed")
    assert all(page.folder.exists() for page in pages) and len(list(place.glob("v*"))) == 2


def test_what_is_verified_are_models_videos_objects_and_benchmarks_too(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    there = [made(place, "some", train="1") for place in (
        workspace.avatar_place("derived", "train"), workspace.avatar_place("derived", "train"),
        workspace.avatar_place("derived", "renders"), workspace.object_place("toy", "views"),
        workspace.benchmark_place("table1"))]
    assert every_version(workspace) == there


def test_clean_leaves_alone_what_another_anr_is_writing(anr: Any, noise: Path, tmp_path: Path) -> None:
    anr("capture", "--no-coach", "--source", noise)
    place = tmp_path / "workspace/people/me/capture"
    partial = place / ".partial-0123"
    partial.mkdir()
    with (place / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for arguments in (("clean",), ("clean", "--dry-run")):
            answer = anr(*arguments)
            assert answer.code == 0 and "Another anr is writing" in answer.err and "nothing to remove" in answer.out
        assert partial.exists()
    assert anr("clean").code == 0 and not partial.exists()


def test_doctor_lists_parts_and_remedies(anr: Any) -> None:
    answer = anr("doctor")
    assert answer.code == 0 and "Everything that is needed works." in answer.out
    for part in ("torch", "mediapipe", "ffmpeg program", "nvdiffrast", "openvino", "weights vgg19"):
        assert part in answer.out


def test_doctor_names_every_extra_and_all_weights() -> None:
    from anrcli.commands.doctor import PARTS, WEIGHTS
    from pipelines.metrics.weights import PRETRAINED

    assert set(WEIGHTS) == set(PRETRAINED)
    told = (Path(__file__).parents[1] / "pyproject.toml").read_text()
    extras = set(re.findall(r'^(?:kinect|openvino) = \["([\w-]+)', told, re.M))
    assert len(extras) == 2 and extras <= {part.package for part in PARTS}


def test_doctor_goes_on_past_weights_that_are_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from anrcli.commands.doctor import _weights

    (tmp_path / "vgg19-dcbb9e9d.pth").write_bytes(b"a page of a proxy's")
    monkeypatch.setenv("ANR_WEIGHTS", str(tmp_path))
    finding = _weights("vgg19")
    assert not finding.works and "vgg19-dcbb9e9d.pth" in finding.told and finding.remedy


def test_doctor_is_3_when_a_needed_part_is_missing(anr: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pymatting", None)             # importing it now raises ImportError
    answer = anr("doctor")
    assert answer.code == 3 and "pymatting" in answer.err and "pip install" in answer.err


def test_every_command_is_a_python_function(noise: Path, tmp_path: Path) -> None:
    report = anrcli.capture(workspace=tmp_path / "ws", source=str(noise), person="ada", coach=False)
    assert report.figures["frames"] == 30 and report.outputs["folder"].is_dir()
    with pytest.raises(AnrError, match="bob"):
        anrcli.fit(workspace=tmp_path / "ws", person="bob")
    with pytest.raises(TypeError, match="no option 'nonsense'"):
        anrcli.fit(workspace=tmp_path / "ws", nonsense=1)
    with pytest.raises(AttributeError):
        anrcli.nonsense()


def test_a_bar_shows_label_and_yields_everything(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    progress = ShownProgress(Console())
    seen = []
    for outer in progress.track(range(2), "Outer"):
        progress.note("in between")
        seen += [(outer, inner) for inner in progress.track(iter("ab"), "Inner", total=2)]
    assert seen == [(0, "a"), (0, "b"), (1, "a"), (1, "b")]
    assert "Outer" in capsys.readouterr().err
    assert list(progress.track(iter(range(3)), "Length not known")) == [0, 1, 2]


def test_a_table_cuts_nothing_short(capsys: pytest.CaptureFixture[str]) -> None:
    address = "https://example.org/" + "x" * 300
    Console().report("doctor", {}, {}, table=(("part", "remedy"), ("weights", address)))
    assert address in "".join(capsys.readouterr().out.split())


def test_what_libraries_write_natively_does_not_reach_the_screen(capfd: pytest.CaptureFixture[str]) -> None:
    with native_messages_aside():
        os.write(2, b"native noise\n")
        Console().say("a note")
    os.write(2, b"afterwards\n")
    err = capfd.readouterr().err
    assert "native noise" not in err and "a note" in err and "afterwards" in err


def test_lengths_of_time_read_well() -> None:
    assert [duration(s) for s in (0.2, 45, 150, 7200)] == ["1 s", "45 s", "2 min", "2.0 h"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [(("render", "--person", "me"), "Nothing was said about what"), (("tryon",), "whose face"),
     (("tryon", "--face", "me"), "Nothing was named")],
)
def test_an_incomplete_request_is_2_before_any_work(
    anr: Any, noise: Path, arguments: tuple[str, ...], says: str
) -> None:
    anr("capture", "--no-coach", "--source", noise)
    answer = anr(*arguments)
    assert answer.code == 2 and says in answer.err
    assert not (Path("workspace", "people", "me", "keypoints")).exists()


def run_main(folder: Path, before: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """`anr` in a process of its own, as `python -m` starts it, after some lines of Python."""
    heard = "signal.signal(signal.SIGINT, signal.default_int_handler)"  # a shell's background job would not hear it
    code = f"import os, signal, sys, types\n{heard}\nfrom anrcli.__main__ import main\n{before}\nsys.exit(main())\n"
    (folder / "started.py").write_text(code)
    return subprocess.run([sys.executable, "-m", "started", *arguments], cwd=folder, capture_output=True, text=True,
                          check=False)


READING = """
class Reading:
    def find_spec(name, path=None, target=None):
        if name == "anrcli.app":
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Reading)
"""
HANDLED = """
def handled():
    try:
        exec("raise KeyboardInterrupt")
    except KeyboardInterrupt:
        return 130
import anrcli
anrcli.app = sys.modules["anrcli.app"] = types.SimpleNamespace(main=handled)
"""


def test_an_interruption_while_the_program_is_read_ends_it_with_one_line(tmp_path: Path) -> None:
    for arguments in (("status",), ("--json", "status")):
        done = run_main(tmp_path, READING, *arguments)
        assert (done.returncode, done.stderr) == (130, "error: Interrupted before anything was done.\n")
        assert bool(done.stdout) == ("--json" in arguments)
    assert json.loads(done.stdout)["error"]["message"] == "Interrupted before anything was done."


def test_an_interruption_that_was_handled_keeps_its_exit_code(tmp_path: Path) -> None:
    """CPython remembers one that fell into an exec(), and would end with -2."""
    assert run_main(tmp_path, HANDLED).returncode == 130
