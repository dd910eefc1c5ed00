"""A benchmark as numbers to keep and as a page to read."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipelines.benchmarking.results import (
    COLLAPSED,
    DIVERGED,
    FINE,
    LEAST_MASK_IOU,
    METRICS,
    Line,
    efficiency,
    mean_and_spread,
    parameters_of,
    ratio,
    times_faster,
)
from pipelines.benchmarking.rows import RATIOS, TABLES

SHOWN = {"ssim": "SSIM ↑", "psnr": "PSNR ↑ dB", "flip": "FLIP ↓", "lpips": "LPIPS ↓", "mfid": "mFID ↓",
         "mask_iou": "mask IoU ↑", "face_lpips": "face LPIPS ↓", "temporal_error": "temporal error ↓"}
OF_PAPER = ("ssim", "flip", "lpips", "ripfip", "mfid")
DIGITS = {"psnr": 2, "mfid": 1, "ripfip": 3}


@dataclass(frozen=True)
class Outcome:
    """What came of a benchmark: all of it, and the few numbers of its manifest."""

    report: dict[str, Any]
    figures: dict[str, float]


def outcome_of(lines: Sequence[Line]) -> Outcome:
    """Means, spread, ratios and curves of the lines of a table; numbers that there are not are None."""
    by_name = {line.row.name: line for line in lines}
    v2v = by_name.get("v2v")
    rows = [{"method": line.row.name, "title": line.row.title, "renderer": line.row.renderer,
             "changes": list(line.row.changes), "asked_images": line.images, "parameters": parameters_of(line),
             "mean": {name: _known(mean_and_spread(line.values(name))[0]) for name in METRICS},
             "spread": {name: _known(mean_and_spread(line.values(name))[1]) for name in METRICS},
             "ripfip": _known(efficiency(line, v2v)), "paper": dict(line.row.paper),
             "runs": [vars(run) for run in line.runs]} for line in lines]
    ladder = len(lines) > len(by_name)
    ratios = [] if ladder else _ratios(by_name)
    figures = {f"lpips_{line.row.name}": mean_and_spread(line.values("lpips"))[0] for line in lines if not ladder}
    figures |= {f"lpips_{each['of']}_over_{each['over']}": each["here"] for each in ratios}
    faster = _known(_faster(lines)) if ladder else None
    if faster is not None:
        figures["times_faster"] = faster
    for state in (COLLAPSED, DIVERGED):
        figures[state] = float(sum(line.count(state) for line in lines))
    kept = {name: round(value, 4) for name, value in figures.items() if value is not None and math.isfinite(value)}
    return Outcome({"rows": rows, "ratios": ratios, "times_faster": faster}, kept)


def _ratios(by_name: Mapping[str, Line]) -> list[dict[str, Any]]:
    """LPIPS of one row over another's, and the paper's, for the pairs that there are."""
    found = []
    for one, other in dict.fromkeys(pair for pairs in RATIOS.values() for pair in pairs):
        if one in by_name and other in by_name:
            mean, spread = ratio(by_name[one], by_name[other])
            papers = [by_name[name].row.paper.get("lpips", math.nan) for name in (one, other)]
            found.append({"of": one, "over": other, "here": _known(mean), "spread": _known(spread),
                          "paper": _known(papers[0] / papers[1])})
    return found


def _faster(lines: Sequence[Line]) -> float:
    """With how many times fewer images the first row is as good as the second at its end."""
    curves: dict[str, list[tuple[int, float]]] = {}
    for line in sorted(lines, key=lambda line: line.images):
        curves.setdefault(line.row.name, []).append((line.images, mean_and_spread(line.values("lpips"))[0]))
    first, second = curves.values() if len(curves) == 2 else ([], [])
    if any(math.isnan(value) for _, value in (*first, *second)) or not first:
        return math.nan
    return times_faster([images for images, _ in first], [v for _, v in first], [v for _, v in second])


def page(report: Mapping[str, Any], pictures: Mapping[str, str]) -> str:
    """The report as Markdown: figures, ratios beside the paper's, what failed, and how it was done."""
    asked = report["asked"]
    names = [name for name in SHOWN if any(row["mean"][name] is not None for row in report["rows"])]
    lines = [f"# {asked['which']}: preset {asked['preset']}, {_budget(asked, report)}", "",
             f"Means over seeds ± standard deviation, held-out frames, person crop; {_people(report)}.", "",
             *_figures(report, names)]
    if any(row["paper"] for row in report["rows"]):
        lines += _papers(report)
    if report["ratios"]:
        lines += _ratio_table(report["ratios"])
    if asked["which"] == "convergence":
        lines += [_faster_sentence(report), ""]
    lines += _worst(report) if asked["which"] == "collapse" else []
    lines += _failures(report)
    lines += [line for name, file in pictures.items() for line in (f"![{name}]({file})", "")]
    return "\n".join([*lines, *_protocol(report)])


def _figures(report: Mapping[str, Any], names: Sequence[str]) -> list[str]:
    heads = [*(SHOWN[name] for name in names), "rIPFIP ↑", "parameters", "images", "training s", "runs"]
    table = [f"| | {' | '.join(heads)} |", "|---" * (len(heads) + 1) + "|"]
    for row in report["rows"]:
        cells = [_cell(row["mean"][name], row["spread"][name], name) for name in names]
        seen = sorted({run["images"] for run in row["runs"] if run["images"]})
        spent = mean_and_spread([run["seconds"] for run in row["runs"] if run["images"]])[0]
        fine = sum(run["state"] == FINE for run in row["runs"])
        cells += [_cell(row["ripfip"], None, "ripfip"), f"{row['parameters'] / 1e6:.2f} M",
                  "-".join(str(n) for n in dict.fromkeys((*seen[:1], *seen[-1:]))) or "-",
                  f"{spent:.0f}" if math.isfinite(spent) else "-", f"{fine} of {len(row['runs'])}"]
        table.append(f"| {row['title']} | {' | '.join(cells)} |")
    return [*table, ""]


def _papers(report: Mapping[str, Any]) -> list[str]:
    rows = [row for row in report["rows"] if row["paper"]]
    names = [name for name in OF_PAPER if any(name in row["paper"] for row in rows)]
    heads = [{"ripfip": "rIPFIP ↑", **SHOWN}[name] for name in names]
    table = ["The paper's own (1024x1024, six people, 161 M parameters, LPIPS of a network it does not name):", "",
             f"| | {' | '.join(heads)} |", "|---" * (len(names) + 1) + "|"]
    return [*table, *(f"| {row['title']} | " + " | ".join(_cell(row["paper"].get(name), None, name) for name in names)
                      + " |" for row in rows), ""]


def _ratio_table(ratios: Sequence[Mapping[str, Any]]) -> list[str]:
    table = ["## Ratios of LPIPS", "", "Below 1: the first is better. Seed by seed, then the mean.", "",
             "| | here | the paper |", "|---|---|---|"]
    return [*table, *(f"| {each['of']} / {each['over']} | {_cell(each['here'], each['spread'], 'ratio')} | "
                      f"{_cell(each['paper'], None, 'ratio')} |" for each in ratios), ""]


def _faster_sentence(report: Mapping[str, Any]) -> str:
    times = report["times_faster"]
    if any(row["mean"]["lpips"] is None for row in report["rows"]):
        return "How much faster split optimisation is cannot be said: not every point of both curves is there."
    if times is None:
        return "With split optimisation the LPIPS that training without it ends with was never reached."
    return (f"With split optimisation the LPIPS that training without it ends with was reached with {times:.2f} times "
            "fewer images (the paper: up to 5 times faster).")


def _worst(report: Mapping[str, Any]) -> list[str]:
    """Of every row what came nearest to a collapse; diverged runs have no figures."""
    lines = ["## Nearest to a collapse", ""]
    for row in report["rows"]:
        seen = [run["figures"] for run in row["runs"] if run["figures"]]
        counted = ", ".join(f"{sum(run['state'] == state for run in row['runs'])} {state}"
                            for state in (FINE, COLLAPSED, DIVERGED))
        lines.append(f"- {row['title']}: {len(row['runs'])} runs, {counted}")
        if seen:
            above = min(figures["psnr"] - figures["blank_psnr"] for figures in seen)
            lines[-1] += (f"; least PSNR above a blank picture's {above:.1f} dB, "
                          f"least mask IoU {min(figures['mask_iou'] for figures in seen):.2f}")
    return [*lines, ""]


def _failures(report: Mapping[str, Any]) -> list[str]:
    failed = [(row, run) for row in report["rows"] for run in row["runs"] if run["state"] != FINE]
    if not failed:
        return ["No run collapsed or diverged.", ""]
    lines = ["## Runs that failed", "", "They do not count in the means.", ""]
    for row, run in failed:
        why = run["why"] or f"PSNR {run['figures']['psnr']:.1f} dB, mask IoU {run['figures']['mask_iou']:.2f}"
        lines.append(f"- {row['title']}, seed {run['seed']}: {run['state']} ({why})")
    return [*lines, ""]


def _protocol(report: Mapping[str, Any]) -> list[str]:
    asked, known = report["asked"], {row.name: row for row in TABLES[report["asked"]["which"]]}
    return ["## How it was done", "",
            "- **Models**: one for all people together; every row sees the same data, split, windows and budget. "
            "Renderers have equal parameters (within 10 %) unless the row says otherwise.",
            "- **Bodies**: fitted, never the studio's true ones.",
            "- **Figures**: those of `anr eval` (each avatar's `eval.md` has the protocol, with LPIPS's network).",
            "- **LPIPS and the feature loss** may share a network (SqueezeNet): rows with that loss are judged by what "
            "taught them, so read FLIP, SSIM and PSNR as well.",
            "- **rIPFIP** compares logarithms of parameters: with equal ones it is near 0 whatever LPIPS says.",
            f"- **Collapsed**: PSNR not above that of painting nothing, or mask IoU below {LEAST_MASK_IOU:g}. "
            "**Diverged**: a loss or gradient became no number.",
            *(f"- **Changed for every row**: {word}" for word in asked["changes"]),
            *(f"- **Left out**: {known[name].title}; this version has no such renderer." for name in asked["missing"]),
            *(f"- **{row['title']}**: {_trained_as(row)}" for row in report["rows"][:len(known)]), ""]


def _trained_as(row: Mapping[str, Any]) -> str:
    changes = " ".join(f"--set {word}" for word in row["changes"])
    trained = ", ".join(f"{name} {_word(value)}" for name, value in (row.get("trained") or {}).items())
    return f"`--renderer {row['renderer']}{' ' + changes if changes else ''}`{': ' if trained else ''}{trained}"


def _word(value: Any) -> str:
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else f"{value}"


def _budget(asked: Mapping[str, Any], report: Mapping[str, Any]) -> str:
    seeds = len(report["rows"][0]["runs"])
    most = max(row["asked_images"] for row in report["rows"])
    length = f"{most} images" if most else f"{asked['minutes']:g} minutes"
    return f"{length}, {seeds} seed{'s' if seeds > 1 else ''}"


def _people(report: Mapping[str, Any]) -> str:
    return "; ".join(f"{person}: {about['source']}, {about.get('frames', 0):.0f} frames of "
                     f"{about.get('width', 0):.0f}x{about.get('height', 0):.0f}"
                     f"{', camera with faults' if about['faults'] else ''}"
                     for person, about in report["people"].items())


def _cell(value: float | None, spread: float | None, name: str) -> str:
    if value is None:
        return "-"
    digits = DIGITS.get(name, 4)
    return f"{value:.{digits}f}" + ("" if spread is None else f" ± {spread:.{digits}f}")


def _known(value: float) -> float | None:
    """None for a number that there is not: JSON has no other word for it."""
    return value if math.isfinite(value) else None


