"""What the coach said, as files and as lines for people; light enough for `anr status`.

    coach.json    {"verdict": go, go with warnings or no-go; "findings": [{"severity", "about", "text", "remedy"}];
                  "sides": {name: {"share" of its surface, "frames"}}; "poses": {name: frames}; "use": {"start_s",
                  "seconds", "frames"} or null; "frames", "looked_at"; "figures": {name: number}}
    coach.png     the body from four sides, coloured by how well each part was seen
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pipelines.core.errors import AnrError
from pipelines.core.storage import read_json

FILE, PICTURE = "coach.json", "coach.png"
ON_ANYWAY = "Record again; or take it as it is: --no-coach, with `anr capture` or `anr run`."
NOT_STRICT = "Record again; or run the same command without --strict."


def read_verdict(folder: Path) -> dict[str, Any] | None:
    """What is in a capture's coach.json; None where the coach has not looked."""
    path = folder / FILE
    return read_json(path) if path.exists() else None


def summary(stored: dict[str, Any]) -> str:
    """`go with 2 warnings`."""
    warnings = len(_of(stored, "warning"))
    if stored["verdict"] != "go with warnings":
        return str(stored["verdict"])
    return f"go with {warnings} warning{'s' if warnings > 1 else ''}"


def table(stored: dict[str, Any]) -> list[str]:
    """Sides, poses and main numbers, a line each."""
    frames, figures = stored["frames"], stored["figures"]
    head = f"of {frames} frames"
    lines = [f"  {'seen':<26}{'surface':>8}{head:>{len(head) + 3}}"]
    lines += [f"  {name:<26}{100 * seen['share']:>6.0f} %{seen['frames']:>{len(head) + 3}}"
              for name, seen in stored["sides"].items()]
    lines += [f"  {pose:<26}{'':>8}{count:>{len(head) + 3}}" for pose, count in stored["poses"].items()]
    numbers = [("person {:.0f} px tall", "person_px"), ("blur {:.2f}", "blur"), ("people {:.0f}", "people")]
    shares = [("brightness {:.0f} %", "light"), ("camera moves {:.0f} %", "camera_moved_share"),
              ("in view {:.0f} %", "found_share")]
    told = [text.format(figures[name]) for text, name in numbers if name in figures]
    told += [text.format(100 * figures[name]) for text, name in shares if name in figures]
    return [*lines, "  " + " · ".join(told)]


def seen_shares(stored: dict[str, Any]) -> str:
    """`front 99 %, back 14 %, ...`."""
    return ", ".join(f"{name} {100 * seen['share']:.0f} %" for name, seen in stored["sides"].items())


def said(finding: dict[str, str]) -> str:
    """A finding and what to do about it."""
    return f"{finding['text']} {finding['remedy']}"


def check_verdict(folder: Path, strict: bool) -> None:
    """AnrError where the coach says no-go, or with `strict` where it has warnings; the capture itself stays."""
    stored = read_verdict(folder)
    if stored is None:
        return
    stops, warnings = _of(stored, "stop"), _of(stored, "warning")
    if stops:
        raise AnrError("No avatar can come of this recording; it is kept. " + " ".join(said(each) for each in stops),
                       hint=ON_ANYWAY)
    if strict and warnings:
        raise AnrError(f"The coach says {summary(stored)} (--strict); the recording is kept. "
                       + " ".join(said(each) for each in warnings), hint=NOT_STRICT)


def _of(stored: dict[str, Any], severity: str) -> list[dict[str, str]]:
    return [finding for finding in stored["findings"] if finding["severity"] == severity]
