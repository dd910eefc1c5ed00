"""The page of a study: what it hides, that it shows everything equally often, and that its script reckons as we do."""

from __future__ import annotations

import itertools
import json
import re
import shutil
import subprocess
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from study_helpers import (
    COLOURS,
    FPS,
    SECONDS,
    SIZE,
    STIMULI,
    answered,
    chooses,
    made,
    on_paper,
    store,
    write_methods,
    write_video,
)

from anrcli.commands import COMMANDS
from anrcli.commands.command import Report
from pipelines.core.errors import AnrError, UsageError
from pipelines.core.stage import Progress
from pipelines.core.workspace import Workspace
from pipelines.study import StudyOptions, make_study
from pipelines.studying.clips import film_of, takes_in
from pipelines.studying.ordering import Draws, showings
from pipelines.studying.results import checksum
from pipelines.studying.study import CHECK, MAIN, Plan, Study, arranged, read_study

PARTS = Path(__file__).resolve().parents[1] / "pipelines" / "studying" / "page"
VOID = {"meta", "link", "input", "br", "img"}


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return write_methods(tmp_path_factory.mktemp("videos"))


@pytest.fixture(scope="module")
def four(videos: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Study]:
    """The paper's first study, small: four methods, four stimuli, two checks."""
    folder = tmp_path_factory.mktemp("studies") / "four"
    return folder, made(folder, videos)


@pytest.fixture(scope="module")
def node() -> str:
    program = shutil.which("node")
    if program is None:
        pytest.skip("node is not here, which runs the page's script without a page")
    return program


# ---- what the page hides

def test_no_method_no_stimulus_and_no_secret_is_anywhere_in_the_page(four: tuple[Path, Study]) -> None:
    folder, study = four
    files = [path for path in (folder / "page").rglob("*") if path.is_file()]
    assert len(files) == 3 + len(study.clips)
    for path in files:
        text = str(path.relative_to(folder)).encode() + path.read_bytes()
        for word in (*COLOURS, *STIMULI, "ada-", study.secret, "spoiled", str(folder.parent)):
            assert word.encode() not in text, f"{word} is in {path.name}"


def test_all_files_of_the_page_have_the_same_date(four: tuple[Path, Study]) -> None:
    assert len({path.stat().st_mtime for path in (four[0] / "page").rglob("*") if path.is_file()}) == 1


def test_the_source_order_tells_nothing_about_methods() -> None:
    """Over many secrets each method comes first among a trial's names equally often, and so do checks among trials."""
    first, checks = Counter[str](), Counter[int]()
    secrets = 1200
    for k in range(secrets):
        clips, trials = arranged(Plan(("a", "b", "c", "d"), ("x", "y", "z"), checks=1), f"secret {k}")
        names = sorted(trials)
        first[clips[trials[names[0]].clips[0]].method] += 1
        checks[[trials[name].role for name in names].index(CHECK)] += 1
        assert all(list(trial.clips) == sorted(trial.clips) for trial in trials.values())
    for counts in (first, checks):
        assert all(abs(counts[key] - secrets / 4) < 5 * (secrets * 0.25 * 0.75) ** 0.5 for key in counts), counts
        assert len(counts) == 4


def test_names_of_one_methods_clips_have_nothing_in_common_but_their_length(four: tuple[Path, Study]) -> None:
    _, study = four
    assert len(set(study.clips)) == 4 * 4 + 2 * 4 and {len(name) for name in study.clips} == {12}
    assert all(re.fullmatch("[0-9a-f]{12}", name) for name in (*study.clips, *study.trials))
    again, _ = arranged(Plan(study.methods, STIMULI), "another secret")
    assert not set(again) & set(study.clips)


def test_nothing_is_fetched_from_elsewhere(four: tuple[Path, Study]) -> None:
    for name in ("index.html", "study.css", "study.js"):
        text = (four[0] / "page" / name).read_text(encoding="utf-8")
        assert not re.search(r"https?:|//[a-z]+\.|@import|url\(|import\(|eval\(", text), name
    sources = re.findall(r'(?:src|href)="([^"]*)"', (four[0] / "page" / "index.html").read_text(encoding="utf-8"))
    assert sorted(sources) == ["data:,", "study.css", "study.js"]


# ---- the clips

def test_all_clips_are_alike_in_size_rate_length_and_codec(four: tuple[Path, Study]) -> None:
    import av

    for path in (four[0] / "page" / "clips").iterdir():
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            assert (stream.codec_context.name, stream.pix_fmt) == ("h264", "yuv420p")
            assert (stream.width, stream.height, stream.frames) == (*SIZE, round(FPS * SECONDS))
            assert not container.streams.audio
            assert set(container.metadata) <= {"major_brand", "minor_version", "compatible_brands", "encoder"}


def test_clips_show_what_their_method_shows_and_spoiled_ones_do_not(four: tuple[Path, Study]) -> None:
    from pipelines.media.video import frames_at

    folder, study = four
    for name, clip in study.clips.items():
        picture = next(frames_at(folder / "page" / "clips" / f"{name}.mp4", [0.0])).astype(float)
        middle = picture[14:26, 24:36].mean(axis=(0, 1))
        assert np.abs(middle - COLOURS[clip.method]).max() < 60
        sharp = np.abs(np.diff(picture[20], axis=0)).max()      # the square's edge, from one pixel to the next
        assert sharp > 60 if not clip.spoiled else np.abs(picture[:, 18] - picture[:, 19]).max() < 40


def test_the_lowest_size_and_rate_are_everybodys(tmp_path: Path) -> None:
    write_video(tmp_path / "a" / "x.mp4", size=(128, 160), fps=20.0)
    write_video(tmp_path / "b" / "x.mp4", size=(64, 80), fps=12.5)
    study = made(tmp_path / "study", {"a": tmp_path / "a", "b": tmp_path / "b"}, checks=0)
    assert (study.width, study.height) == (64, 80) and study.fps == pytest.approx(12.5)
    films = [film_of(path) for path in (tmp_path / "study" / "page" / "clips").iterdir()]
    assert {(film.width, film.height) for film in films} == {(64, 80)}
    assert len({round(film.seconds, 2) for film in films}) == 1


def test_stills_are_single_pictures(videos: dict[str, Path], tmp_path: Path) -> None:
    study = made(tmp_path / "study", {name: videos[name] for name in list(videos)[:2]}, still=True)
    clips = list((tmp_path / "study" / "page" / "clips").iterdir())
    assert {path.suffix for path in clips} == {".png"} and len(clips) == len(study.clips)
    assert study.page["still"] and "pictures" in study.wording.task


# ---- trials

def test_there_is_a_trial_for_each_stimulus_and_checks_have_one_right_answer(four: tuple[Path, Study]) -> None:
    _, study = four
    main = [trial for trial in study.trials.values() if trial.role == MAIN]
    checks = [trial for trial in study.trials.values() if trial.role == CHECK]
    assert sorted(trial.stimulus for trial in main) == sorted(STIMULI) and len(checks) == 2
    for trial in main:
        assert {study.clips[name].method for name in trial.clips} == set(COLOURS)
        assert {study.clips[name].stimulus for name in trial.clips} == {trial.stimulus}
    for trial in checks:
        assert [name for name in trial.clips if not study.clips[name].spoiled] == [trial.answer]
    assert len({study.clips[trial.answer].method for trial in checks}) == 2     # not always ours


def test_against_the_real_the_true_clip_shows_another_motion_of_the_same_person(videos: dict[str, Path],
                                                                                tmp_path: Path) -> None:
    takes, true = {"ours": takes_in(videos["anrnet"])}, {"real": takes_in(videos["deferred"])}
    study = make_study(tmp_path / "different", takes, true, StudyOptions(seconds=SECONDS), Progress())
    assert study.methods == ("ours", "real") and study.wording.question == "Which one is the real recording?"
    for trial in study.trials.values():
        shown = {study.clips[name].method: study.clips[name].stimulus for name in trial.clips}
        assert shown["ours"].split("-")[0] == shown["real"].split("-")[0] and shown["ours"] != shown["real"]
        assert not trial.answer or study.clips[trial.answer].method == "real"
    same = make_study(tmp_path / "same", takes, true, StudyOptions(seconds=SECONDS, poses="same"), Progress())
    for trial in same.trials.values():
        assert len({study_clip.stimulus for study_clip in map(same.clips.__getitem__, trial.clips)}) == 1


def test_a_reference_stands_beside_and_cannot_be_chosen(videos: dict[str, Path], tmp_path: Path) -> None:
    takes = {name: takes_in(videos[name]) for name in ("anrnet", "deferred")}
    study = make_study(tmp_path / "study", takes, {"": takes_in(videos["textured"])}, StudyOptions(seconds=SECONDS),
                       Progress())
    assert study.methods == ("anrnet", "deferred")
    for trial in study.trials.values():
        assert trial.reference and trial.reference not in trial.clips
        assert (tmp_path / "study" / "page" / "clips" / f"{trial.reference}.mp4").is_file()


def test_what_was_written_is_read_again(four: tuple[Path, Study]) -> None:
    assert read_study(four[0]) == four[1]
    assert four[1].page["digest"] == read_study(four[0]).page["digest"]


# ---- order

def test_every_trial_is_shown_once_and_some_of_the_first_half_again() -> None:
    for seed, trials, repeats in itertools.product(range(40), (1, 2, 3, 7, 22), (0, 1, 2)):
        shown = showings(trials, 4, repeats, seed)
        first = [each.trial for each in shown if not each.again]
        again = [each.trial for each in shown if each.again]
        assert sorted(first) == list(range(trials)) and len(set(again)) == len(again) == min(repeats, (trials + 1) // 2)
        order = [each.trial for each in shown]
        for trial in again:
            before, after = (k for k, each in enumerate(order) if each == trial)
            assert after - before >= (2 if trials >= 3 else 1) and shown[after].again
        assert all(sorted(each.places) == [0, 1, 2, 3] for each in shown)


def test_over_participants_every_clip_stands_in_every_place_equally_often() -> None:
    people, trials = 3000, 3
    counts = np.zeros((trials, 4, 4))
    orders = Counter[tuple[int, ...]]()
    for seed in range(people):
        shown = showings(trials, 4, 0, seed)
        orders[tuple(each.trial for each in shown)] += 1
        for each in shown:
            counts[each.trial, each.places, range(4)] += 1
    assert np.abs(counts - people / 4).max() < 5 * (people * 0.25 * 0.75) ** 0.5
    assert len(orders) == 6 and max(orders.values()) - min(orders.values()) < 10 * (people / 6) ** 0.5


def test_places_of_one_trial_tell_nothing_about_those_of_another() -> None:
    people = 3000
    together = np.zeros((2, 2))
    for seed in range(people):
        places = {each.trial: each.places[0] for each in showings(2, 2, 0, seed)}
        together[places[0], places[1]] += 1
    assert np.abs(together - people / 4).max() < 5 * (people * 0.25 * 0.75) ** 0.5


def test_the_same_seed_gives_the_same_order_and_draws_stay_below() -> None:
    assert showings(20, 4, 2, 7) == showings(20, 4, 2, 7) != showings(20, 4, 2, 8)
    draws = Draws(2 ** 40 + 5)
    assert {draws.below(3) for _ in range(200)} == {0, 1, 2}


def test_the_pages_script_works_out_the_same_order_and_checksum(node: str) -> None:
    sizes = ((1, 2, 1), (5, 3, 2), (24, 4, 3))
    cases = [(*size, seed) for size in sizes for seed in (0, 1, 12345, 2 ** 31, 2 ** 32 - 1)]
    study = on_paper(checks=2, repeats=2)
    results = [answered(study, seed, chooses(study, "ours"), given=given)
               for seed, given in ((1, ""), (2, "Zoë-\u2028\x7f\n"))]
    script = f"""
        const page = require({json.dumps(str(PARTS / "logic.js"))});
        const [cases, results] = JSON.parse(require("fs").readFileSync(0, "utf-8"));
        const sealed = results.map((each) => {{ const {{ checksum, ...plain }} = each; return page.sealed(plain); }});
        process.stdout.write(JSON.stringify([cases.map((each) => page.showings(...each)), sealed]));"""
    done = subprocess.run([node, "-e", script], input=json.dumps([cases, results]), capture_output=True, text=True,
                          check=True, encoding="utf-8")
    orders, sealed = json.loads(done.stdout)
    for case, order in zip(cases, orders):
        assert [(each["trial"], tuple(each["places"]), each["again"]) for each in order] == \
               [(each.trial, each.places, each.again) for each in showings(*case)]
    assert sealed == results and [each["checksum"] for each in sealed] == [
        checksum({key: value for key, value in each.items() if key != "checksum"}) for each in results]


def test_clips_are_as_large_as_fits(node: str) -> None:
    """Worked by hand: count, aspect, width and height of the room -> columns."""
    cases = {(4, 1.0, 1200, 300): 4, (4, 1.0, 800, 800): 2, (4, 1.0, 300, 1300): 1, (2, 1.0, 390, 640): 1,
             (2, 0.5, 390, 640): 2, (3, 1.0, 900, 320): 3}
    script = f"""const page = require({json.dumps(str(PARTS / "logic.js"))});
        process.stdout.write(JSON.stringify({json.dumps(list(cases))}.map((each) => page.columnsFor(...each))));"""
    done = subprocess.run([node, "-e", script], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == list(cases.values())


def test_the_whole_script_is_valid(node: str, four: tuple[Path, Study]) -> None:
    subprocess.run([node, "--check", str(four[0] / "page" / "study.js")], capture_output=True, check=True)


# ---- the document

class Document(HTMLParser):
    """Ids, tags, labels and whether every tag is closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_document_has_all_that_the_script_looks_for_and_can_be_used_without_sight_or_mouse() -> None:
    document = Document((PARTS / "index.html").read_text(encoding="utf-8"))
    assert not document.open
    ids = [attributes["id"] for _, attributes in document.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'byId\("([^"]+)"\)', (PARTS / "page.js").read_text(encoding="utf-8"))) <= set(ids)
    by_tag: dict[str, list[dict[str, Any]]] = {}
    for tag, attributes in document.tags:
        by_tag.setdefault(tag, []).append(attributes)
    assert by_tag["html"][0]["lang"] == "en" and by_tag["noscript"]
    assert all(each["type"] == "button" for each in by_tag["button"])
    assert sum("aria-live" in attributes for _, attributes in document.tags) == 2
    assert {"fieldset", "legend", "progress"} <= set(by_tag)
    assert "width=device-width" in str(by_tag["meta"])


# ---- bad input

def test_studies_that_cannot_be_made_say_why(videos: dict[str, Path], tmp_path: Path) -> None:
    two = {name: videos[name] for name in list(videos)[:2]}
    write_video(tmp_path / "wide" / "ada-walk.mp4", size=(96, 80))
    write_video(tmp_path / "short" / "ada-walk.mp4", seconds=0.5)
    write_methods(tmp_path / "few", {"one": (1, 2, 3)}, ("ada-walk",))
    one = {"few": tmp_path / "few" / "one"}
    for given, options, message in (
            (two, {"ours": "mine"}, "--ours mine is none of the methods"),
            ({"a": videos["anrnet"]}, {}, "compares 2 to 6 methods; there are 1"),
            ({**two, **one}, {}, "few has no 'ada-dance', which anrnet has"),
            ({**one, "wide": tmp_path / "wide"}, {}, "the shape of a picture would tell who made it"),
            ({**one, "short": tmp_path / "short"}, {}, "lasts 0.50 s; 1 s are to be shown"),
            (two, {"seconds": 0.0}, "--seconds 0 is not between 0.2 and 60"),
            (two, {"height": 20}, "--height 20 is not between 64 and 1080"),
            (two, {"checks": -1}, "--checks -1 is not between 0 and 20"),
            (two, {"poses": "odd"}, "--poses odd is not known"),
            (two, {"post": "ftp://x"}, "--post ftp://x is no web address")):
        with pytest.raises(AnrError) as problem:
            made(tmp_path / "study", given, **options)
        assert message in problem.value.message and problem.value.hint
        assert not (tmp_path / "study").exists() and not list(tmp_path.glob(".study*"))


def test_folders_that_hold_no_videos_or_two_of_a_name_are_refused(tmp_path: Path) -> None:
    with pytest.raises(AnrError, match="There is no folder"):
        takes_in(tmp_path / "nowhere")
    (tmp_path / "x.txt").write_text("x")
    with pytest.raises(AnrError, match="holds no video"):
        takes_in(tmp_path)
    for name in ("a.mp4", "a.webm"):
        (tmp_path / name).write_bytes(b"")
    with pytest.raises(AnrError, match="two videos called 'a'"):
        takes_in(tmp_path)
    with pytest.raises(AnrError, match="cannot be read as a video"):
        film_of(tmp_path / "a.mp4")


def test_a_lonely_stimulus_cannot_stand_against_another_motion(tmp_path: Path) -> None:
    folders = write_methods(tmp_path, {"ours": (1, 2, 3), "real": (9, 9, 9)}, ("ada-walk", "ben-walk"))
    with pytest.raises(AnrError, match="only one stimulus of 'ada'") as problem:
        make_study(tmp_path / "study", {"ours": takes_in(folders["ours"])}, {"real": takes_in(folders["real"])},
                   StudyOptions(seconds=SECONDS), Progress())
    assert "--poses same" in problem.value.hint


def test_a_study_is_never_overwritten_and_damage_is_told(four: tuple[Path, Study], videos: dict[str, Path],
                                                        tmp_path: Path) -> None:
    with pytest.raises(AnrError, match="is there already and not empty") as problem:
        made(four[0], videos)
    assert "--study" in problem.value.hint
    with pytest.raises(AnrError, match="is no study"):
        read_study(tmp_path)
    for content, message in (('{"schema": 5}', "is of format 5"), ('{"schema": 1}', "is damaged"),
                             ("[]", "is of format None"), ("{", "is damaged")):
        (tmp_path / "study.json").write_text(content)
        with pytest.raises(AnrError, match=message):
            read_study(tmp_path)


# ---- the command

def study_command(*words: str, **typed: Any) -> Report:
    task, results = words[0] if words else "", words[1:]
    return COMMANDS["study"].call(Workspace("nowhere"), Progress(), task=task, results=results, **typed)


def test_from_videos_to_shares_by_the_command(videos: dict[str, Path], tmp_path: Path) -> None:
    named = tuple(f"{name}={path}" for name, path in videos.items())
    folder = str(tmp_path / "study")
    report = study_command("make", method=named, seconds=SECONDS, study=folder, stimuli=3)
    assert report.figures == {"alternatives": 4.0, "screens": 7.0, "clips": 20.0} and report.outputs["page"].is_file()
    assert "study.json tells who is who" in report.lines[1]
    study = read_study(tmp_path / "study")
    answers = [answered(study, k, chooses(study, "anrnet" if k < 4 else "deferred")) for k in range(1, 6)]
    store(tmp_path / "in", answers)
    report = study_command("analyse", str(tmp_path / "in"), study=folder, resamples=300)
    assert report.figures["share.anrnet"] == 0.6 and report.figures["kept"] == 5.0
    assert all(path.is_file() for path in report.outputs.values())
    assert report.table[1][:2] == ("anrnet", "60.0%")
    stored = json.loads(report.outputs["shares"].read_text())
    assert stored["shares"]["anrnet"]["chosen"] == 9 and stored["answers"] == 15


@pytest.mark.parametrize(("words", "typed", "message"), [
    ((), {}, "makes or analyses."),
    (("build",), {}, "what is 'build'?"),
    (("make", "x.json"), {"method": ("a=b",)}, "takes no 'x.json'"),
    (("make",), {}, "either videos (--method NAME=FOLDER) or models"),
    (("make",), {"method": ("a=b",), "avatar": ("main",)}, "either videos"),
    (("make",), {"method": ("folder",)}, "--method folder names no folder"),
    (("make",), {"method": ("a=.",), "misses": 1}, "--misses belongs to `anr study analyse`"),
    (("make",), {"method": ("a=.",), "person": ("ada",)}, "--person needs --avatar"),
    (("make",), {"avatar": ("main",)}, "either --motion FILE.bvh or --replay"),
    (("make",), {"method": ("a=.",), "real": "x", "reference": "y"}, "either to be found (--real) or shown beside"),
    (("analyse",), {}, "Nothing was said about the answers"),
    (("analyse", "x"), {"checks": 3}, "--checks belongs to `anr study make`"),
])
def test_wrong_usage_is_explained(words: tuple[str, ...], typed: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError) as problem:
        study_command(*words, **typed)
    assert message in problem.value.message and problem.value.hint
