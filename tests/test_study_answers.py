"""From participants' files to shares: cases worked by hand, and files that cannot be what they say."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from study_helpers import answered, chooses, on_paper, store

from pipelines.core.errors import AnrError
from pipelines.studying.analysis import Rules, analysed
from pipelines.studying.drawing import shares_plot
from pipelines.studying.report import markdown
from pipelines.studying.results import checksum, read_participants
from pipelines.studying.study import CHECK, MAIN, Study, Trial

THREE = ("ours", "dnr", "tna")
QUICK = Rules(resamples=500)


def fails_checks(study: Study, method: str) -> Callable[[Trial], str]:
    def choose(trial: Trial) -> str:
        if trial.role == CHECK:
            return next(name for name in trial.clips if name != trial.answer)
        return chooses(study, method)(trial)
    return choose


def report_of(tmp_path: Path, study: Study, results: list[dict[str, Any]], rules: Rules = QUICK) -> dict[str, Any]:
    return analysed(study, read_participants([*store(tmp_path / "answers", results)], study), rules)


def test_three_people_worked_by_hand(tmp_path: Path) -> None:
    """Two always choose ours, one always dnr, on four stimuli each: 8 of 12, 4 of 12, 0 of 12."""
    study = on_paper(THREE, checks=2, repeats=2)
    results = [answered(study, k, chooses(study, method)) for k, method in enumerate(("ours", "ours", "dnr"), 1)]
    found = report_of(tmp_path, study, results)
    assert found["answers"] == 12 and found["kept"] == found["participants"] == 3 and found["few"]
    assert {name: (of["chosen"], of["asked"]) for name, of in found["shares"].items()} == {
        "ours": (8, 12), "dnr": (4, 12), "tna": (0, 12)}
    assert found["chance"] == pytest.approx(1 / 3)
    assert found["shares"]["tna"]["p"] == pytest.approx((2 / 3) ** 12 + sum(
        p for p in _outcomes(12, 1 / 3) if p <= (2 / 3) ** 12))
    assert {name: (of["chosen"], of["asked"]) for name, of in found["pairs"].items()} == {"dnr": (8, 12), "tna": (8, 8)}
    assert found["pairs"]["tna"]["p"] == pytest.approx(2 / 2 ** 8)
    assert found["stimuli"]["a"]["chosen"] == {"ours": 2, "dnr": 1, "tna": 0}
    assert found["shares"]["ours"]["participants"] == [0.0, 1.0]        # drawn again, all three may be the one
    assert sum(of["chosen"] for of in found["places"]) == 12


def _outcomes(asked: int, share: float) -> list[float]:
    """Probabilities of 1, 2, ... hits."""
    from math import comb

    return [comb(asked, k) * share ** k * (1 - share) ** (asked - k) for k in range(1, asked + 1)]


def test_second_showings_and_checks_count_for_nothing_but_attention(tmp_path: Path) -> None:
    plain, more = on_paper(THREE, checks=0, repeats=0), on_paper(THREE, checks=3, repeats=3)
    shares = [report_of(tmp_path, study, [answered(study, k, chooses(study, "ours")) for k in (1, 2)])["shares"]
              for study in (plain, more)]
    assert shares[0] == shares[1]


def test_who_fails_a_check_is_excluded_unless_that_is_forgiven(tmp_path: Path) -> None:
    study = on_paper(checks=1, repeats=0)
    results = [answered(study, 1, chooses(study, "ours")), answered(study, 2, fails_checks(study, "theirs"))]
    strict = report_of(tmp_path, study, results)
    assert [each["excluded"] for each in strict["attention"]] == [False, True]
    assert strict["shares"]["ours"]["share"] == 1.0 and strict["kept"] == 1
    lenient = report_of(tmp_path, study, results, Rules(misses=1, resamples=500))
    assert lenient["shares"]["ours"]["share"] == 0.5 and lenient["kept"] == 2
    told = markdown(strict)
    assert "| 0000000000000002 | 0 of 1 |" in told and "| excluded |" in told
    assert "more than 0 attention checks" in told


def test_when_everybody_fails_there_is_nothing_to_analyse(tmp_path: Path) -> None:
    study = on_paper(checks=1)
    with pytest.raises(AnrError, match="All 1 participants failed their attention checks") as problem:
        report_of(tmp_path, study, [answered(study, 1, fails_checks(study, "ours"))])
    assert "--misses" in problem.value.hint


def test_answering_a_repeated_screen_otherwise_is_reported(tmp_path: Path) -> None:
    study = on_paper(checks=0, repeats=2)
    seen: set[str] = set()

    def changes_their_mind(trial: Trial) -> str:
        again = trial.stimulus in seen
        seen.add(trial.stimulus)
        return chooses(study, "theirs" if again else "ours")(trial)

    found = report_of(tmp_path, study, [answered(study, 5, changes_their_mind)])
    assert (found["attention"][0]["repeated"], found["attention"][0]["agreed"]) == (2, 0)
    assert found["shares"]["ours"]["share"] == 1.0 and not found["attention"][0]["excluded"]


def test_always_pressing_the_same_place_shows_in_the_places(tmp_path: Path) -> None:
    study = on_paper(("a", "b", "c", "d"), tuple("abcdefgh"), checks=0, repeats=0)
    found = report_of(tmp_path, study, [pressing(study, k, 2) for k in range(1, 7)])
    assert [of["share"] for of in found["places"]] == [0.0, 0.0, 1.0, 0.0]
    assert found["places"][2]["p"] < 1e-6


def pressing(study: Study, seed: int, place: int) -> dict[str, Any]:
    """Answers of somebody who always presses the same place."""
    result = answered(study, seed, lambda trial: trial.clips[0])
    for answer in result["answers"]:
        answer["chosen"] = answer["order"][place]
    return sealed(result)


def sealed(result: dict[str, Any]) -> dict[str, Any]:
    plain = {key: value for key, value in result.items() if key != "checksum"}
    return {**plain, "checksum": checksum(plain)}


def test_the_report_says_how_to_read_it_and_the_plot_marks_chance(tmp_path: Path) -> None:
    study = on_paper(THREE)
    found = report_of(tmp_path, study, [answered(study, k, chooses(study, THREE[k % 3])) for k in range(1, 13)])
    told = markdown(found)
    for sentence in ("**ours was chosen 33.3 % of the time**", "Chance is 33.3 %", "## ours against one other",
                     "over participants", "| ours | 16 of 48 | 33.3 % |", "| a | 4 | 4 | 4 | 33.3 % |",
                     "share of ours"):
        assert sentence in told, told
    assert "first impression" not in told
    picture = shares_plot(found)
    assert picture.shape[1:] == (960, 3) and len(picture) > 150
    assert (picture == (200, 60, 60)).all(axis=2).sum() > 100           # the line at chance
    json.dumps(found, allow_nan=False)                                  # plain JSON throughout


def test_a_study_against_the_real_says_how_often_people_were_fooled(tmp_path: Path) -> None:
    from dataclasses import replace

    study = replace(on_paper(("ours", "real")), real="real")
    told = markdown(report_of(tmp_path, study, [answered(study, 1, chooses(study, "real"))]))
    assert "**ours was taken for the real recording 0.0 % of the time**" in told
    assert "against one other" not in told


def test_the_checksum_is_the_published_one() -> None:
    """FNV-1a of the two bytes {} by hand: two rounds."""
    value = 0xCBF29CE484222325
    for byte in b"{}":
        value = ((value ^ byte) * 0x100000001B3) % 2 ** 64
    assert checksum({}) == f"{value:016x}"


CHANGES: dict[str, tuple[Callable[[dict[str, Any]], None], bool, str]] = {
    # name: (what is changed, whether the checksum is made to fit again, what is said)
    "an answer, by hand": (lambda r: r["answers"][0].update(chosen=r["answers"][0]["order"][-1], answer_ms=7), False,
                           "its checksum does not fit"),
    "another study": (lambda r: r.update(study="other"), True, "answers another study (other); this one is study0"),
    "another version": (lambda r: r.update(digest="0" * 12), True, "answers another version of this study"),
    "the seed": (lambda r: r.update(seed=r["seed"] + 1), True, "is not to what its seed shows there"),
    "one answer less": (lambda r: r["answers"].pop(), True, "has 5 answers; the study asks for 6"),
    "a clip of another screen": (lambda r: r["answers"][0].update(chosen="0123456789ab"), True,
                                 "its answers cannot be"),
    "places": (lambda r: r["answers"][0]["order"].reverse(), True, "answer 1 is not to what its seed shows there"),
    "clips not seen": (lambda r: r["answers"][2].update(shown_ms=900), True, "answer 3 was given after 0.90 s of 5 s"),
    "more showings than allowed": (lambda r: r["answers"][1].update(showings=3), True, "answer 2 was shown 3 times"),
    "no consent": (lambda r: r.update(agreed=False), True, "its agreed cannot be"),
    "a number as text": (lambda r: r["answers"][0].update(answer_ms="12"), True, "its answers cannot be"),
    "a yes as number": (lambda r: r.update(seed=True), True, "its seed cannot be"),
    "too fast": (lambda r: r.update(finished=r["started"]), True, "was finished 0 s after its start"),
    "no time": (lambda r: r.update(finished="soon"), True, "its started or finished is no time"),
    "a newer format": (lambda r: r.update(schema=9), True, "is of format 9; this version reads 1"),
    "a field less": (lambda r: r.pop("answers"), True, "holds no answers of a participant"),
}


@pytest.mark.parametrize("what", CHANGES)
def test_files_that_cannot_be_the_pages_are_refused(tmp_path: Path, what: str) -> None:
    study = on_paper()
    change, fits, message = CHANGES[what]
    result = answered(study, 9, chooses(study, "ours"))
    change(result)
    [path] = store(tmp_path, [sealed(result) if fits else result])
    with pytest.raises(AnrError) as problem:
        read_participants([path], study)
    assert message in problem.value.message and str(path) in problem.value.message and problem.value.hint


@pytest.mark.parametrize("content", ["", "[1, 2]", "{}", "nonsense", "[" * 100_000, "\x00\x01"])
def test_files_that_are_no_answers_at_all_are_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "x.json").write_text(content)
    with pytest.raises(AnrError, match=r"x\.json (is no JSON file|holds no answers)"):
        read_participants([tmp_path / "x.json"], on_paper())


def test_the_same_participant_twice_is_refused(tmp_path: Path) -> None:
    study = on_paper()
    first, second = (answered(study, k, chooses(study, "ours")) for k in (1, 2))
    paths = store(tmp_path / "copies", [first, first])
    with pytest.raises(AnrError, match=r"both from participant 0000000000000001") as problem:
        read_participants(paths, study)
    assert "first" in problem.value.hint
    given = [sealed({**each, "given": "w7"}) for each in (first, second)]
    with pytest.raises(AnrError, match="both from participant w7"):
        read_participants(store(tmp_path / "given", given), study)


def test_folders_are_searched_and_a_file_named_twice_counts_once(tmp_path: Path) -> None:
    study = on_paper()
    paths = store(tmp_path / "in", [answered(study, k, chooses(study, "ours")) for k in (1, 2, 3)])
    assert len(read_participants([tmp_path / "in", paths[0]], study)) == 3
    with pytest.raises(AnrError, match="There is no file"):
        read_participants([tmp_path / "nowhere"], study)
    (tmp_path / "empty").mkdir()
    with pytest.raises(AnrError, match="no answers to analyse"):
        read_participants([tmp_path / "empty"], study)


def test_a_random_crowd_chooses_everything_as_often_as_chance(tmp_path: Path) -> None:
    """Places are shuffled per person, so who always takes the first place chooses each method equally often."""
    study = on_paper(("a", "b", "c", "d"), tuple("abcdefghij"), checks=0, repeats=0)
    found = report_of(tmp_path, study, [pressing(study, seed, 0) for seed in range(1000, 1080)])
    for of in found["shares"].values():
        assert of["p"] > 1e-3 and of["wilson"][0] - 0.02 <= 0.25 <= of["wilson"][1] + 0.02
    assert {each.role for each in study.trials.values()} == {MAIN}
