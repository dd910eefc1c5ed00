"""The analysis as a page of Markdown."""

from __future__ import annotations

from typing import Any

PLOT = "shares.png"


def markdown(report: dict[str, Any]) -> str:
    """The tables, the rule of exclusion, and how to read the intervals."""
    level = f"{100 * report['confidence']:g} %"
    gone = report["participants"] - report["kept"]
    lines = [f"# {report['question']}", "", *_headline(report, level), "", f"![Shares]({PLOT})", "",
             f"{report['answers']} answers of {report['kept']} participants"
             f" ({gone} of {report['participants']} excluded). Chance is {_percent(report['chance'])}.", ""]
    if report["few"]:
        lines += [f"With {report['kept']} participants the intervals over participants are too narrow: "
                  "read them as a first impression.", ""]
    lines += ["## How often each was chosen", "", *_share_table(report["shares"], level), ""]
    if len(report["methods"]) > 2:
        lines += [f"## {report['ours']} against one other", "",
                  f"Among the answers that went to either; chance is 50 %. Share of {report['ours']}:", "",
                  *_share_table({f"against {name}": of for name, of in report["pairs"].items()}, level), ""]
    lines += ["## Per stimulus", "", *_stimulus_table(report, level), "", "## Per place on the screen", "",
              "Everything stood in each place equally often but for chance, so each should be near "
              f"{_percent(report['chance'])}.", "",
              *_share_table({str(k): of for k, of in enumerate(report["places"], 1)}, level), "",
              "## Participants", "", *_attention_table(report), "", "## Method", "", *_method(report, level)]
    return "\n".join(lines) + "\n"


def _headline(report: dict[str, Any], level: str) -> list[str]:
    of = report["shares"][report["ours"]]
    how = "taken for the real recording" if report["real"] else "chosen"
    sure = "" if None in of["participants"] else f" ({level}: {_ends(of['participants'])} over participants)"
    return [f"**{report['ours']} was {how} {_percent(of['share'])} of the time**{sure}."]


def _share_table(shares: dict[str, Any], level: str) -> list[str]:
    head = [f"| | chosen | share | {level} over participants | Wilson | exact | p of guessing |", "|---" * 7 + "|"]
    return [*head, *(f"| {name} | {of['chosen']} of {of['asked']} | {_percent(of['share'])} | "
                     f"{_ends(of['participants'])} | {_ends(of['wilson'])} | {_ends(of['exact'])} | {_p(of['p'])} |"
                     for name, of in shares.items())]


def _stimulus_table(report: dict[str, Any], level: str) -> list[str]:
    names = report["methods"]
    head = [f"| stimulus | {' | '.join(names)} | share of {report['ours']} | {level}, Wilson |",
            "|---" * (len(names) + 3) + "|"]
    return [*head, *(f"| {stimulus} | {' | '.join(str(of['chosen'][name]) for name in names)} | "
                     f"{_percent(of['ours'])} | {_ends(of['wilson'])} |" for stimulus, of in report["stimuli"].items())]


def _attention_table(report: dict[str, Any]) -> list[str]:
    head = ["| participant | checks passed | repeated alike | median answer | away | late frames | |", "|---" * 7 + "|"]
    return [*head, *(f"| {who['given'] or who['participant']} | {who['checks'] - who['missed']} of {who['checks']} "
                     f"| {who['agreed']} of {who['repeated']} | {who['median_answer_s']:.1f} s | {who['restarts']} "
                     f"| {who['dropped']:.0f} % | {'excluded' if who['excluded'] else ''} |"
                     for who in report["attention"])]


def _method(report: dict[str, Any], level: str) -> list[str]:
    rules = report["rules"]
    return [
        f"- **Excluded** is whoever chose a spoiled clip in more than {rules['misses']} attention checks, and nobody "
        "else. Checks and second showings count in no share; late frames and time away exclude nobody.",
        f"- **Over participants**: {rules['resamples']} times as many participants as there are were drawn with "
        f"replacement (seed {rules['seed']}); {level} of the shares lie between the two numbers. Believe this one: "
        "the answers of one person are alike.",
        "- **Wilson** and **exact** (Clopper-Pearson) take every answer for independent, and so does p (binomial test, "
        "two-sided); with people who differ they are too sure.",
    ]


def _percent(share: float | None) -> str:
    return "-" if share is None or share != share else f"{100 * share:.1f} %"


def _ends(ends: list[float | None]) -> str:
    return "-" if None in ends else " to ".join(_percent(end) for end in ends)


def _p(value: float) -> str:
    return "-" if value != value else "< 0.0001" if value < 1e-4 else f"{value:.4f}"
