"""A whole benchmark on tiny people: through the chain, resumed, and with trainings that fail."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from chain_helpers import use_stages
from training_helpers import TINY, Remembering, make_person

import anrcli
from anrcli.commands.command import Report
from pipelines import benchmark as orchestra
from pipelines import chain
from pipelines.benchmark import BenchmarkOptions, benchmark, trials_of
from pipelines.benchmarking.results import FINE
from pipelines.benchmarking.rows import TABLE_1, rows_of
from pipelines.core.errors import AnrError, UsageError
from pipelines.core.stage import Job, Outcome, Stage
from pipelines.core.storage import read_json
from pipelines.core.workspace import Workspace
from pipelines.media.images import read_image
from pipelines.renderers.dnr import DNR
from pipelines.training import loop
from pipelines.training.losses import Diverged
from pipelines.training.recipe import PRESETS
from pipelines.training.state import State
from pipelines.training.step import Lesson

PEOPLE = "ada,ben"


@pytest.fixture(scope="module")
def person(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return make_person(tmp_path_factory.mktemp("person"))


@pytest.fixture
def filmed(person: dict[str, Path], monkeypatch: pytest.MonkeyPatch, shared_data: Path,
           tmp_path: Path) -> list[str]:
    """Everybody is the made-up person, whatever is asked of the stages before training; what ran."""
    ran: list[str] = []

    def made_up(stage: Stage) -> Stage:
        def run(job: Job) -> Outcome:
            ran.append(f"{stage.name} {job.person}")
            for path in person[stage.name].iterdir() if stage.name in person else ():
                copy: Callable[..., Any] = shutil.copytree if path.is_dir() else shutil.copy
                copy(path, job.folder / path.name)
            (job.folder / "made").write_text(job.person)
            return Outcome()

        return replace(stage, run=run, check=None, deliver=None, estimate_s=None)

    toys = {name: made_up(stage) if stage in chain.PERSON_STAGES else stage for name, stage in chain.STAGES.items()}
    use_stages(monkeypatch, STAGES=toys, PERSON_STAGES=tuple(toys[stage.name] for stage in chain.PERSON_STAGES))
    monkeypatch.setitem(PRESETS, "draft", TINY)
    monkeypatch.setattr(loop, "CHECKPOINT_S", 1e9)
    monkeypatch.setenv("ANR_WEIGHTS", str(shared_data / "weights"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return ran


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Which trainings ran, by renderer and seed; all of them count as fine, however little they saw."""
    ran: list[str] = []
    own = loop.train

    def train(lesson: Lesson, state: State) -> State:
        ran.append(f"{type(state.renderer).__name__.lower()} {lesson.seed}")
        return own(lesson, state)

    monkeypatch.setattr(loop, "train", train)
    monkeypatch.setattr(orchestra, "state_of", lambda _: FINE)
    monkeypatch.setattr(orchestra, "SHEET_FRAMES", 1)
    return ran


def options(**changes: Any) -> BenchmarkOptions:
    return BenchmarkOptions(**{"people": PEOPLE, "methods": "anr,dnr", "seeds": "0", "images": 4, "frames": 1,
                               **changes})


def test_a_table_is_trained_examined_and_written_once(filmed: list[str], trained: list[str], tmp_path: Path) -> None:
    workspace, progress = Workspace(tmp_path / "w"), Remembering()
    made = benchmark(workspace, "table1", options(seeds="0,1"), progress)
    assert trained == ["dnr 0", "anr 0", "dnr 1", "anr 1"]
    assert [each for each in filmed if "capture" in each] == ["capture ada", "capture ben"]
    assert "ada, ben will be filmed; 4 of 4 trainings are still to be done" in progress.notes[0]
    report = read_json(made.folder / "benchmark.json")
    assert [row["method"] for row in report["rows"]] == ["dnr", "anr"]
    anr = report["rows"][1]
    values = [run["figures"]["lpips"] for run in anr["runs"]]
    assert all(run["images"] == 4 for run in anr["runs"]) and anr["parameters"] > 1000
    assert anr["mean"]["lpips"] == pytest.approx(sum(values) / 2)
    assert report["people"]["ada"]["source"] == "synthetic:ada" and report["people"]["ada"]["faults"]
    assert read_image(made.outputs["sheet"]).shape[0] > 2 * 300
    text = made.outputs["page"].read_text()
    assert "| ANR |" in text and "- **DNR**: `--renderer dnr`: split no, " in text
    assert "- **ANR**: `--renderer anr`: split yes, texture_start random, grid_noise " in text
    assert anr["trained"]["extractor"] == "squeezenet1_1" and "extractor squeezenet1_1" in text

    again = benchmark(workspace, "table1", options(seeds="0,1"), progress)
    assert again.folder == made.folder and len(trained) == 4
    benchmark(workspace, "table1", options(seeds="0-2"), progress)
    assert trained[4:] == ["dnr 2", "anr 2"]


def test_tables_share_the_models_they_have_in_common(filmed: list[str], trained: list[str], tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "w")
    benchmark(workspace, "table2", options(methods="ours,two-unsplit"), Remembering())
    assert len(trained) == 2
    benchmark(workspace, "table1", options(methods="anr"), Remembering())
    assert len(trained) == 2                                          # ours is the preset as it is
    benchmark(workspace, "collapse", options(methods="anr"), Remembering())
    assert len(trained) == 2


def test_curves_go_through_growing_budgets(filmed: list[str], trained: list[str], tmp_path: Path) -> None:
    made = benchmark(Workspace(tmp_path / "w"), "convergence", options(methods="", images=16), Remembering())
    rows = read_json(made.folder / "benchmark.json")["rows"]
    assert [(row["method"], row["asked_images"]) for row in rows] == [
        (name, images) for name in ("split", "unsplit") for images in (1, 2, 4, 8, 16)]
    assert read_image(made.outputs["curves"]).shape == (300, 960, 3)
    curves = {name: [row["mean"]["lpips"] for row in rows if row["method"] == name] for name in ("split", "unsplit")}
    reached = min(curves["split"]) <= curves["unsplit"][-1]
    assert ("times fewer images" if reached else "never reached") in made.outputs["page"].read_text()


def test_a_training_that_diverges_is_written_down_and_the_others_go_on(
        filmed: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = loop.train

    def train(lesson: Lesson, state: State) -> State:
        if isinstance(state.renderer, DNR):
            raise Diverged("The pixel loss became nan at image 2; the last checkpoint was kept.")
        return own(lesson, state)

    monkeypatch.setattr(loop, "train", train)
    progress = Remembering()
    made = benchmark(Workspace(tmp_path / "w"), "table1", options(), progress)
    states = {row["method"]: row["runs"][0]["state"] for row in read_json(made.folder / "benchmark.json")["rows"]}
    assert states["dnr"] == "diverged" and states["anr"] in ("fine", "collapsed")
    assert any("DNR, seed 0: The pixel loss became nan at image 2" in text for text in progress.warnings)
    assert "- DNR, seed 0: diverged (The pixel loss became nan" in made.outputs["page"].read_text()


def test_a_row_without_its_renderer_is_said_and_left_out(filmed: list[str], trained: list[str], tmp_path: Path,
                                                        monkeypatch: pytest.MonkeyPatch) -> None:
    from pipelines.renderers import RENDERERS

    monkeypatch.delitem(RENDERERS, "dnr")
    progress = Remembering()
    made = benchmark(Workspace(tmp_path / "w"), "table1", options(), progress)
    assert progress.warnings[0] == "DNR is left out: there is no renderer 'dnr' here." and trained == ["anr 0"]
    assert "**Left out**: DNR" in made.outputs["page"].read_text()


def test_the_command_shows_the_table(filmed: list[str], trained: list[str], tmp_path: Path) -> None:
    report: Report = anrcli.benchmark(workspace=tmp_path / "w", which="collapse", people=PEOPLE, seeds="0-1", images=2,
                                      frames=1)
    assert trained == ["anr 0", "anr 1"] and report.table[1][0] == "ANR"
    assert report.figures["collapsed"] + report.figures["diverged"] <= 2 and report.outputs["page"].exists()


# ---- what is refused before any work --------------------------------------------------------------------------------

@pytest.mark.parametrize(("changes", "told"), [
    ({"people": "zoe"}, "There is no 'zoe' in the workspace"), ({"people": " ,"}, "--people names nobody"),
    ({"methods": "nerf"}, "table1 has no method 'nerf'"), ({"seeds": "one"}, "'one' are no seeds"),
    ({"preset": "huge"}, "no preset called 'huge'"), ({"images": -1}, "--images -1 is out of range"),
    ({"changes": ("magic=1",)}, "names nothing of a preset"), ({"device": "tpu"}, "--device tpu is not known"),
    ({"minutes": 1.0}, "Both --images and --minutes")])
def test_what_cannot_be_is_refused_before_anybody_is_filmed(filmed: list[str], tmp_path: Path, changes: dict[str, Any],
                                                            told: str) -> None:
    with pytest.raises(AnrError, match=told) as caught:
        benchmark(Workspace(tmp_path / "w"), "table1", options(**changes), Remembering())
    assert caught.value.hint and not filmed


def test_a_command_without_a_table_lists_them(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="No benchmark was named") as caught:
        anrcli.benchmark(workspace=tmp_path / "w")
    assert "table1, table2, convergence, collapse" in caught.value.hint


def test_curves_are_refused_where_lpips_cannot_be_had(filmed: list[str], tmp_path: Path,
                                                      monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ANR_WEIGHTS")
    with pytest.raises(AnrError, match="SqueezeNet's weights are not here") as caught:
        benchmark(Workspace(tmp_path / "w"), "convergence", options(methods=""), Remembering())
    assert "squeezenet1_1" in caught.value.hint and not filmed


# ---- which trainings ------------------------------------------------------------------------------------------------

def test_avatars_are_named_after_all_that_decides_them() -> None:
    def names(**changes: Any) -> set[str]:
        asked = options(**changes)
        return {trial.avatar for trial in trials_of("table1", TABLE_1[-1:], tuple(asked.people.split(",")), asked)}

    assert names() == {"bench-ada-ben-draft-4i-anr-s0"}
    others = [names(seeds="1"), names(images=5), names(images=0, minutes=0.5), names(people="ada"),
              names(preset="standard"), names(changes=("grid_noise=0.02",)), names(changes=("grid_noise=0.03",))]
    assert len({*names(), *(name for found in others for name in found)}) == 8
    assert names(images=0, minutes=0.5) == {"bench-ada-ben-draft-0_5m-anr-s0"}
    assert names(changes=("split=no",)) == names() == names(people="ben,ada")


def test_dearer_methods_are_expected_to_take_longer() -> None:
    """By hand: 15 s and 0.3 s an image, of v2v 8.4 times as much; of minutes all take the same."""
    def seconds(**changes: Any) -> dict[str, float]:
        rows = rows_of("table1", "anr,v2v")
        return {trial.row.name: orchestra._training_s(trial)
                for trial in trials_of("table1", rows, ("ada",), options(methods="", **changes))}

    assert seconds(images=1000) == {"anr": pytest.approx(315.0), "v2v": pytest.approx(8.4 * 315.0)}
    assert seconds(images=0, minutes=2.0) == {"anr": 135.0, "v2v": 135.0}


def test_budgets_come_from_the_preset_where_none_is_typed() -> None:
    def images(which: str) -> set[int]:
        return {trial.images for trial in trials_of(which, rows_of(which)[-1:], ("ada",), options(images=0))}

    assert images("table2") == {PRESETS["draft"].images} and images("collapse") == {orchestra.SHORT_IMAGES}
    with pytest.raises(AnrError, match="cannot be drawn of a budget in minutes"):
        trials_of("convergence", rows_of("convergence"), ("ada",), options(images=0, minutes=3.0))
