"""Models made from models in the chain: what is brought up to date, what is taken as it is, and what is refused."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from chain_helpers import use_stages

import anrcli
from anrcli.commands.command import Report
from pipelines import chain, evaluate, render, train, tryon
from pipelines.chain import Request, bring_up_to_date, status
from pipelines.core.errors import AnrError, UsageError
from pipelines.core.stage import Job, Outcome, Stage
from pipelines.core.storage import read_json, write_json
from pipelines.core.workspace import Workspace, newest_version

PEOPLE = ("ada", "ben", "cleo")


def toy(stage: Stage, runs: list[str]) -> Stage:
    """The stage, but it only writes down who there is."""
    def run(job: Job) -> Outcome:
        runs.append(f"{stage.name} {job.person or getattr(job.options, 'person', '') or 'all'}")
        if stage.name == "train":
            sources = {key.split("/")[0]: read_json(path / "options.json")["source"]
                       for key, path in job.inputs.items() if key.endswith("/capture")}
            write_json(job.folder / "avatar.json", {"people": sources})
        elif stage.name in ("finetune", "enroll", "edit"):
            known = read_json(job.inputs["train"] / "avatar.json")["people"]
            write_json(job.folder / "avatar.json", {"people": {**known, job.options.person: stage.name}})
        write_json(job.folder / "options.json", {"source": getattr(job.options, "source", ""), "made_by": stage.name})
        return Outcome()

    return replace(stage, run=run, check=None, estimate_s=None, deliver=None)


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What ran, in order, with stages that do nothing else."""
    ran: list[str] = []
    toys = {name: toy(stage, ran) for name, stage in chain.STAGES.items()}
    groups = ("PERSON_STAGES", "DERIVING", "AVATAR_STAGES", "EXPORT_STAGES")
    use_stages(monkeypatch, STAGES=toys,
               **{group: tuple(toys[stage.name] for stage in getattr(chain, group)) for group in groups})
    for module in (train, render, tryon, evaluate):
        monkeypatch.setattr(module, "STAGE", toys[module.STAGE.name])
    return ran


@pytest.fixture
def workspace(tmp_path: Path, runs: list[str]) -> Workspace:
    """ada and ben in the model main; cleo captured."""
    workspace = Workspace(tmp_path / "w")
    for person in PEOPLE:
        capture(workspace, person, f"synthetic:{person}")
    bring_up_to_date(workspace, "train", Request(people=("ada", "ben")))
    runs.clear()
    return workspace


def capture(workspace: Workspace, person: str, source: str) -> None:
    bring_up_to_date(workspace, "capture", Request(person=person, typed={"capture": {"source": source}}))


def call(command: Callable[..., Report], workspace: Workspace, **options: Any) -> Report:
    return command(workspace=workspace.root, **options)


def test_enrolling_brings_the_new_person_and_the_model_up_to_date_first(workspace: Workspace, runs: list[str]) -> None:
    report = call(anrcli.enroll, workspace, person="cleo")
    assert runs == [*(f"{name} cleo" for name in ("keypoints", "fit", "raster", "matte", "keyframes")), "enroll cleo"]
    assert report.outputs["folder"] == workspace.root / "avatars" / "main-with-cleo" / "train" / "v001"
    assert any("anr render --avatar main-with-cleo --person cleo" in line for line in report.lines)
    runs.clear()
    assert "nothing had to be done" in call(anrcli.enroll, workspace, person="cleo").lines[0] and not runs


def test_a_derived_model_renders_everybody_it_knows_and_follows_its_base(workspace: Workspace, runs: list[str]) -> None:
    call(anrcli.enroll, workspace, person="cleo")
    for person in PEOPLE:
        call(anrcli.render, workspace, avatar="main-with-cleo", person=person, orbit=True)
    assert [run for run in runs if run.startswith("render")] == [f"render {person}" for person in PEOPLE]
    with pytest.raises(AnrError, match="There is no 'zoe'"):
        call(anrcli.render, workspace, avatar="main-with-cleo", person="zoe", orbit=True)
    assert all(row.state == "up to date" for row in status(workspace) if row.version)
    runs.clear()

    capture(workspace, "ada", "synthetic:dan")
    stale = {(row.owner, row.stage) for row in status(workspace) if row.state == "out of date"}
    assert {("avatar main", "train"), ("avatar main-with-cleo", "enroll")} <= stale
    call(anrcli.render, workspace, avatar="main-with-cleo", person="cleo", orbit=True)
    assert [run for run in runs if run.split()[0] in ("train", "enroll", "render")] == [
        "train all", "enroll cleo", "render cleo"]


def test_models_can_be_derived_again_and_options_stay_with_their_own(workspace: Workspace, runs: list[str],
                                                                    tmp_path: Path) -> None:
    capture(workspace, "dan", "synthetic:dan")
    call(anrcli.enroll, workspace, person="cleo", images=7)
    call(anrcli.enroll, workspace, person="dan", avatar="main-with-cleo", to="all", images=9)
    place = workspace.avatar_place("main-with-cleo", "train")
    first = newest_version(place)
    assert first and first.made_from["options"]["images"] == 7 and len(list(place.glob("v*"))) == 1
    newest = newest_version(workspace.avatar_place("all", "train"))
    assert newest and chain.people_of_model(newest) == ("ada", "ben", "cleo", "dan")
    runs.clear()
    call(anrcli.train, workspace, finetune="dan", avatar="all")
    assert runs == ["finetune dan"]
    call(anrcli.train, workspace, finetune="dan", avatar="all")
    assert runs == ["finetune dan"]
    rows = {row.owner for row in status(workspace) if row.state == "up to date"}
    assert {"avatar main", "avatar main-with-cleo", "avatar all", "avatar all-for-dan"} <= rows


def test_an_edit_unwraps_first_and_a_painted_file_that_changed_is_read_again(
        workspace: Workspace, runs: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from anrcli.commands import models

    monkeypatch.setattr(models, "read_before", lambda path: None)
    painted = tmp_path / "painted.png"
    painted.write_text("one")
    call(anrcli.edit, workspace, person="ada", texture=str(painted))
    assert runs == ["unwrap ada", "edit ada"]
    call(anrcli.edit, workspace, person="ada", texture=str(painted))
    assert runs == ["unwrap ada", "edit ada"]
    painted.write_text("two")
    call(anrcli.edit, workspace, person="ada", texture=str(painted))
    assert runs == ["unwrap ada", "edit ada", "edit ada"]
    painted.unlink()
    call(anrcli.render, workspace, avatar="main-edited-ada", person="ada", orbit=True)
    assert runs[3:] == ["render ada"], "what is made already needs the file no more"
    call(anrcli.edit, workspace, person="ada", export=True)
    assert runs[4:] == []


def test_a_model_whose_base_is_gone_is_taken_as_it_is(workspace: Workspace, runs: list[str]) -> None:
    call(anrcli.enroll, workspace, person="cleo")
    shutil.rmtree(workspace.root / "avatars" / "main")
    runs.clear()
    call(anrcli.render, workspace, avatar="main-with-cleo", person="cleo", orbit=True)
    assert runs == ["render cleo"]
    with pytest.raises(AnrError, match="There is no avatar 'main'"):
        call(anrcli.enroll, workspace, person="cleo")


def test_a_model_never_replaces_what_it_is_made_from(workspace: Workspace) -> None:
    call(anrcli.enroll, workspace, person="cleo")
    for avatar, to, message in (("main", "main", "The avatar 'main' is made by anr train"),
                                ("main-with-cleo", "main", "The avatar 'main' is made by anr train")):
        with pytest.raises(UsageError, match=message):
            call(anrcli.train, workspace, finetune="ada", avatar=avatar, to=to)
    capture(workspace, "dan", "synthetic:dan")
    call(anrcli.enroll, workspace, person="dan", avatar="main-with-cleo", to="all")
    capture(workspace, "eve", "synthetic:ada")
    with pytest.raises(UsageError, match="The avatar 'all' was made from 'main-with-cleo'"):
        call(anrcli.enroll, workspace, person="eve", avatar="all", to="main-with-cleo")


def test_wrong_usage_is_said_before_any_work(workspace: Workspace, runs: list[str]) -> None:
    wrong: list[tuple[Callable[..., Report], dict[str, Any], str]] = [
        (anrcli.enroll, {}, "who is new"),
        (anrcli.enroll, {"person": "ada"}, "The model 'main' knows 'ada' already"),
        (anrcli.enroll, {"person": "zoe"}, "There is no 'zoe'"),
        (anrcli.enroll, {"person": "cleo", "avatar": "other"}, "There is no avatar 'other'"),
        (anrcli.edit, {"person": "cleo", "texture": "no.png"}, "There is no texture no.png"),
        (anrcli.edit, {"person": "ada"}, "Either --export writes the texture"),
        (anrcli.edit, {"person": "zoe", "export": True}, "There is no 'zoe'"),
        (anrcli.train, {"finetune": "cleo"}, "The model 'main' does not know 'cleo'; it knows ada, ben"),
        (anrcli.train, {"finetune": "ada", "preset": "paper"}, "--preset cannot be changed"),
        (anrcli.train, {"to": "other"}, "--to names the model that --finetune makes"),
        (anrcli.train, {"rehearse": 0.3}, "--rehearse is for --finetune"),
    ]
    for command, options, message in wrong:
        with pytest.raises(AnrError, match=message):
            call(command, workspace, **options)
    assert runs == []


def test_a_model_whose_base_is_gone_is_up_to_date_as_it_is(workspace: Workspace, runs: list[str]) -> None:
    call(anrcli.enroll, workspace, person="cleo")
    call(anrcli.render, workspace, avatar="main-with-cleo", person="cleo", orbit=True)
    shutil.rmtree(workspace.root / "avatars" / "main")
    rows = {row.stage: row for row in status(workspace) if row.owner == "avatar main-with-cleo"}
    assert rows["enroll"].why == "kept: the avatar main is not here"
    assert {row.state for row in rows.values()} == {"up to date"}
    runs.clear()
    call(anrcli.render, workspace, avatar="main-with-cleo", person="cleo", orbit=True)
    assert not runs
    with pytest.raises(AnrError, match="There is no avatar 'main'") as caught:
        call(anrcli.enroll, workspace, person="cleo")
    assert caught.value.hint == "There is main-with-cleo."
    shutil.rmtree(workspace.root / "people" / "ada")
    whys = {row.stage: row.why for row in status(workspace) if row.owner == "avatar main-with-cleo"}
    assert whys["enroll"] == "kept: the recording of ada is not here"


def test_an_avatar_nobody_has_heard_of_is_not_trained_by_a_slip(workspace: Workspace, runs: list[str]) -> None:
    for command in (anrcli.render, anrcli.tryon, anrcli.eval):
        with pytest.raises(AnrError, match=r"There is no avatar 'mian' in the workspace .*; there is main") as caught:
            call(command, workspace, avatar="mian")
        assert caught.value.hint == "To train it: anr train --avatar mian" and not runs


def test_whose_video_it_is_must_be_said_before_any_work(workspace: Workspace, runs: list[str]) -> None:
    capture(workspace, "ada", "synthetic:dan")                          # so that a training would come first
    runs.clear()
    with pytest.raises(AnrError, match="The model 'main' knows several people") as caught:
        call(anrcli.render, workspace, orbit=True)
    assert caught.value.hint == "Say who with --person: ada, ben." and not runs


def test_somebody_a_model_does_not_know_can_be_added(workspace: Workspace) -> None:
    with pytest.raises(AnrError, match="does not know 'cleo'") as caught:
        call(anrcli.render, workspace, person="cleo", orbit=True)
    assert caught.value.hint == (
        "Add them: anr enroll --avatar main --person cleo. "
        "Or train it on everybody: anr train --avatar main --person ada --person ben --person cleo")
