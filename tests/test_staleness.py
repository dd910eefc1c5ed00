"""What is redone and what is not, told with three tiny stages in place of the real ones."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from chain_helpers import use_stages

from pipelines import train
from pipelines.chain import Request, bring_up_to_date, status, work_ahead
from pipelines.core.errors import AnrError
from pipelines.core.options import option
from pipelines.core.stage import Job, Outcome, Stage
from pipelines.core.workspace import Workspace, newest_version


@dataclass(frozen=True)
class ReadOptions:
    source: str = option("", "What to read.", file=True, words=("nothing",))


@dataclass(frozen=True)
class ScaleOptions:
    factor: int = option(2, "What to multiply by.")
    accept: bool = option(False, "Only written down.", recorded_only=True, once=True)


@dataclass(frozen=True)
class NoOptions:
    pass


def read(job: Job) -> Outcome:
    if not job.options.source:
        raise AnrError("No source was given.")
    number = "0" if job.options.source == "nothing" else Path(job.options.source).read_text()
    (job.folder / "number.txt").write_text(number)
    return Outcome()


def scale(job: Job) -> Outcome:
    number = int((job.inputs["capture"] / "number.txt").read_text())
    if number > 100 and not job.options.accept:
        raise AnrError(f"{number} is too large.", hint="--accept takes it.")
    (job.folder / "number.txt").write_text(str(number * job.options.factor))
    return Outcome(figures={"number": number * job.options.factor})


def sign(job: Job) -> Outcome:
    number = int((job.inputs["scale"] / "number.txt").read_text())
    (job.folder / "sign.txt").write_text("+" if number > 0 else "-")
    return Outcome()


CAPTURE = Stage("capture", 1, "Reading", ReadOptions, read)
SCALE = Stage("scale", 1, "Scaling", ScaleOptions, scale, inputs=("capture",))
SIGN = Stage("sign", 1, "Signing", NoOptions, sign, inputs=("scale",))


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    use(monkeypatch, CAPTURE, SCALE, SIGN)
    (tmp_path / "three").write_text("3")
    return Workspace(tmp_path / "workspace")


def use(monkeypatch: pytest.MonkeyPatch, *stages: Stage) -> None:
    use_stages(monkeypatch, PERSON_STAGES=stages, AVATAR_STAGES=(), STAGES={stage.name: stage for stage in stages})


def made(workspace: Workspace, stage: str, **typed: dict) -> list[str]:
    results = bring_up_to_date(workspace, stage, Request(person="ada", typed=typed))
    return [result.stage.name for result in results if result.made]


def three(workspace: Workspace) -> dict[str, str]:
    return {"source": str(workspace.root.parent / "three")}


def test_the_first_run_makes_everything_and_the_second_nothing(workspace: Workspace) -> None:
    assert made(workspace, "sign", capture=three(workspace)) == ["capture", "scale", "sign"]
    assert made(workspace, "sign") == []
    assert work_ahead(workspace, "sign", Request(person="ada")) == []


def test_an_option_redoes_only_what_depends_on_it(workspace: Workspace) -> None:
    made(workspace, "sign", capture=three(workspace))
    assert made(workspace, "scale", scale={"factor": -1}) == ["scale"]
    assert [(row.stage, row.state) for row in status(workspace)] == [
        ("capture", "up to date"), ("scale", "up to date"), ("sign", "out of date")]
    assert made(workspace, "sign") == ["sign"]


def test_options_typed_once_are_kept(workspace: Workspace) -> None:
    made(workspace, "sign", capture=three(workspace), scale={"factor": 5})
    assert made(workspace, "scale") == []
    assert newest_version(workspace.person_place("ada", "scale")).figures == {"number": 15}


def test_an_equal_result_makes_nothing_after_it_out_of_date(workspace: Workspace, tmp_path: Path) -> None:
    made(workspace, "sign", capture=three(workspace))
    (tmp_path / "six").write_text("6")
    assert made(workspace, "sign", capture={"source": str(tmp_path / "six")}, scale={"factor": 1}) == [
        "capture", "scale"]                     # 6 x 1 is 3 x 2 again, so the sign has nothing to do


def test_a_recorded_option_makes_nothing_out_of_date(workspace: Workspace) -> None:
    made(workspace, "sign", capture=three(workspace))
    assert made(workspace, "sign", scale={"accept": True}) == []


def test_an_option_that_counts_once_is_not_kept_for_the_next_recording(workspace: Workspace, tmp_path: Path) -> None:
    for number in ("101", "102"):
        (tmp_path / number).write_text(number)
    made(workspace, "scale", capture={"source": str(tmp_path / "101")}, scale={"accept": True})
    assert made(workspace, "sign") == ["sign"]                      # what was accepted stays accepted
    with pytest.raises(AnrError, match="102 is too large"):
        made(workspace, "scale", capture={"source": str(tmp_path / "102")})


def test_a_file_counts_by_its_content_not_by_its_name(workspace: Workspace, tmp_path: Path) -> None:
    made(workspace, "sign", capture=three(workspace))
    (tmp_path / "copy").write_text("3")
    assert made(workspace, "sign", capture={"source": str(tmp_path / "copy")}) == []
    (tmp_path / "copy").write_text("-3")
    assert made(workspace, "sign", capture={"source": str(tmp_path / "copy")}) == ["capture", "scale", "sign"]


def test_a_file_that_happens_to_be_called_like_a_word_changes_nothing(
        workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    made(workspace, "sign", capture={"source": "nothing"})
    (tmp_path / "nothing").write_text("3")
    assert made(workspace, "sign", capture={"source": "nothing"}) == []


def test_a_source_that_is_gone_makes_nothing_out_of_date(workspace: Workspace, tmp_path: Path) -> None:
    made(workspace, "sign", capture=three(workspace))
    (tmp_path / "three").unlink()
    assert made(workspace, "sign") == []


def test_staleness_is_walked_through_the_whole_chain(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    made(workspace, "sign", capture=three(workspace))
    use(monkeypatch, Stage("capture", 2, "Reading", ReadOptions, read), SCALE, SIGN)
    states = {row.stage: (row.state, row.why) for row in status(workspace)}
    assert states["capture"] == ("out of date", "made by another version of anr")
    assert states["sign"] == ("out of date", "scale is out of date")


def test_somebody_unknown_is_named_together_with_who_is_there(workspace: Workspace) -> None:
    made(workspace, "capture", capture=three(workspace))
    with pytest.raises(AnrError, match=r"no 'bob' in the workspace .* there is ada"):
        bring_up_to_date(workspace, "scale", Request(person="bob"))


def test_a_failing_stage_keeps_what_was_done_before_it(workspace: Workspace, tmp_path: Path) -> None:
    (tmp_path / "word").write_text("seven")
    with pytest.raises(ValueError, match="seven"):
        made(workspace, "sign", capture={"source": str(tmp_path / "word")})
    assert [row.state for row in status(workspace)] == ["up to date", "missing", "missing"]


def test_a_file_that_changed_behind_its_name_is_not_read_again_unasked(workspace: Workspace, tmp_path: Path,
                                                                       monkeypatch: pytest.MonkeyPatch) -> None:
    made(workspace, "sign", capture=three(workspace))
    (tmp_path / "three").write_text("33")
    use(monkeypatch, Stage("capture", 2, "Reading", ReadOptions, read), SCALE, SIGN)
    with pytest.raises(AnrError, match="has changed or is gone since it was read") as caught:
        made(workspace, "sign")
    assert "--source" in caught.value.hint
    assert made(workspace, "sign", capture=three(workspace)) == ["capture", "scale", "sign"]


def test_a_resumable_stage_begun_anew_and_interrupted_goes_on(workspace: Workspace,
                                                              monkeypatch: pytest.MonkeyPatch) -> None:
    stops = [False]

    def slow_scale(job: Job) -> Outcome:
        (job.folder / "checkpoint").write_text("half")
        if stops[0]:
            raise KeyboardInterrupt
        return scale(job)

    slow = Stage("scale", 1, "Scaling", ScaleOptions, slow_scale, ("capture",), resumable=True)
    use(monkeypatch, CAPTURE, slow)
    monkeypatch.setattr(train, "STAGE", slow)
    made(workspace, "scale", capture=three(workspace))
    stops[0] = True
    with pytest.raises(KeyboardInterrupt):
        bring_up_to_date(workspace, "scale", Request(person="ada", fresh=True))
    stops[0] = False
    assert made(workspace, "scale") == ["scale"]
    assert made(workspace, "scale") == []


@dataclass(frozen=True)
class ShowOptions:
    folder: str = option("", "Where copies go.", as_flag=True)


def test_only_whether_a_flag_like_option_was_given_counts(workspace: Workspace,
                                                          monkeypatch: pytest.MonkeyPatch) -> None:
    def show(job: Job) -> Outcome:
        (job.folder / "copies.txt").write_text(str(bool(job.options.folder)))
        return Outcome()

    delivered: list[str] = []
    use(monkeypatch, CAPTURE, Stage("show", 1, "Showing", ShowOptions, show, ("capture",), keeps_options=False,
                                    deliver=lambda folder, options: delivered.append(options.folder)))
    made(workspace, "capture", capture=three(workspace))
    assert made(workspace, "show", show={"folder": "A"}) == ["show"]
    assert made(workspace, "show", show={"folder": "B"}) == []
    assert delivered == ["A", "B"]
    version = newest_version(workspace.person_place("ada", "show"))
    assert version.made_from["options"] == {"folder": True} and version.manifest["recorded"] == {"folder": "A"}
    assert [(row.stage, row.state) for row in status(workspace)] == [("capture", "up to date"), ("show", "up to date")]
    assert made(workspace, "show") == ["show"]
    assert newest_version(workspace.person_place("ada", "show")).made_from["options"] == {"folder": False}
    assert [row.state for row in status(workspace)] == ["up to date", "up to date"]


@dataclass(frozen=True)
class LaterOptions:
    """ScaleOptions, some releases on."""

    factor: int = option(2, "What to multiply by.")
    accept: bool = option(False, "Only written down.", recorded_only=True, once=True)
    offsets: tuple[int, ...] = option((), "What to add.", repeat=True)
    table: str = option("", "A table of corrections.", file=True)
    scene: str = option("plain", "A scene, or a file of one.", file=True, words=("plain", "busy"))
    copies: str = option("", "Where copies go.", as_flag=True)
    ending: str = option("", "What of the factor's sign decides.", decides=lambda options: options.factor > 0)
    retries: int = option(3, "Only written down.", recorded_only=True)


LATER = Stage("scale", 1, "Scaling", LaterOptions, scale, inputs=("capture",))


def test_an_option_that_comes_later_leaves_what_is_there_up_to_date(workspace: Workspace,
                                                                   monkeypatch: pytest.MonkeyPatch) -> None:
    made(workspace, "sign", capture=three(workspace), scale={"factor": 5})
    use(monkeypatch, CAPTURE, LATER, SIGN)
    assert work_ahead(workspace, "sign", Request(person="ada")) == []
    assert made(workspace, "sign") == []
    assert {row.state for row in status(workspace)} == {"up to date"}


@pytest.mark.parametrize(("name", "value"), [
    ("offsets", (1,)), ("table", "three"), ("scene", "busy"), ("copies", "somewhere")])
def test_an_option_that_comes_later_counts_once_it_is_typed(workspace: Workspace, monkeypatch: pytest.MonkeyPatch,
                                                            name: str, value: object) -> None:
    made(workspace, "sign", capture=three(workspace), scale={"factor": 5})
    use(monkeypatch, CAPTURE, LATER, SIGN)
    monkeypatch.chdir(workspace.root.parent)
    (_, _, why, _), *_ = work_ahead(workspace, "scale", Request(person="ada", typed={"scale": {name: value}}))
    assert why == f"option {name} changed"
    assert made(workspace, "scale", scale={name: value}) == ["scale"]
    newest = newest_version(workspace.person_place("ada", "scale"))
    assert newest.figures == {"number": 15} and made(workspace, "scale") == []


def test_a_later_version_of_a_stage_makes_all_of_its_results_again(workspace: Workspace,
                                                                   monkeypatch: pytest.MonkeyPatch) -> None:
    made(workspace, "scale", capture=three(workspace))
    use(monkeypatch, CAPTURE, replace(LATER, version=2), SIGN)
    assert [row.why for row in status(workspace)][1] == "made by another version of anr"
    assert made(workspace, "scale") == ["scale"]


def test_an_option_that_is_gone_makes_a_result_out_of_date(workspace: Workspace,
                                                           monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, CAPTURE, LATER, SIGN)
    made(workspace, "scale", capture=three(workspace), scale={"offsets": (1,)})
    use(monkeypatch, CAPTURE, SCALE, SIGN)
    assert "option" in status(workspace)[1].why and made(workspace, "scale") == ["scale"]


def test_a_request_of_its_own_is_found_again_after_an_option_came(workspace: Workspace,
                                                                  monkeypatch: pytest.MonkeyPatch) -> None:
    before, after = (replace(stage, keeps_options=False) for stage in (SCALE, LATER))
    use(monkeypatch, CAPTURE, before, SIGN)
    made(workspace, "capture", capture=three(workspace))
    assert made(workspace, "scale", scale={"factor": 7}) == ["scale"]
    assert made(workspace, "scale") == ["scale"]
    use(monkeypatch, CAPTURE, after, SIGN)
    assert made(workspace, "scale", scale={"factor": 7}) == [] and made(workspace, "scale") == []
    assert made(workspace, "scale", scale={"offsets": (1,)}) == ["scale"]


def test_an_interrupted_run_goes_on_after_an_option_came(workspace: Workspace,
                                                         monkeypatch: pytest.MonkeyPatch) -> None:
    found: list[bool] = []

    def slow_scale(job: Job) -> Outcome:
        found.append((job.folder / "checkpoint").exists())
        if not found[-1]:
            (job.folder / "checkpoint").write_text("half")
            raise KeyboardInterrupt
        return scale(job)

    slow = replace(SCALE, run=slow_scale, resumable=True)
    use(monkeypatch, CAPTURE, slow)
    with pytest.raises(KeyboardInterrupt):
        made(workspace, "scale", capture=three(workspace), scale={"factor": 5})
    use(monkeypatch, CAPTURE, replace(slow, Options=LaterOptions))
    assert made(workspace, "scale", scale={"factor": 5}) == ["scale"] and found == [False, True]


def test_a_file_in_the_current_folder_never_stands_for_nothing_given(workspace: Workspace, tmp_path: Path,
                                                                     monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, CAPTURE, LATER, SIGN)
    made(workspace, "scale", capture=three(workspace))
    (tmp_path / "plain").write_text("a file that has the name of the default")
    monkeypatch.chdir(tmp_path)
    assert made(workspace, "scale") == [] and made(workspace, "scale", scale={"scene": "plain"}) == []


def test_options_of_a_result_that_stays_are_not_asked_again(workspace: Workspace,
                                                            monkeypatch: pytest.MonkeyPatch) -> None:
    """A model trained with weights, or on a device, that are gone by now can still be rendered."""
    there = [True]

    def check(options: ScaleOptions) -> None:
        if not there[0]:
            raise AnrError(f"Factor {options.factor} is gone.", hint="Take another.")

    use(monkeypatch, CAPTURE, replace(SCALE, check=check), SIGN)
    made(workspace, "scale", capture=three(workspace), scale={"factor": 5})
    there[0] = False
    assert made(workspace, "sign") == ["sign"]
    with pytest.raises(AnrError, match="Factor 5 is gone"):
        made(workspace, "sign", scale={"accept": True})
    (workspace.root.parent / "six").write_text("6")
    with pytest.raises(AnrError, match="Factor 5 is gone"):
        made(workspace, "sign", capture={"source": str(workspace.root.parent / "six")})
