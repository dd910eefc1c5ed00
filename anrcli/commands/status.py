"""`anr status`: what is in a workspace, and what is out of date."""

from __future__ import annotations

from anrcli.commands.command import Command, Parameter, Report
from pipelines.chain import owners, status
from pipelines.core.errors import AnrError
from pipelines.core.stage import Progress
from pipelines.core.workspace import Version, Workspace, damaged_files, newest_version, versions


def show_status(workspace: Workspace, progress: Progress, verify: bool = False) -> Report:
    """A row per stage of everybody, and the coach's verdicts; with `verify` AnrError when a file is not as written."""
    if not workspace.root.exists() or not (workspace.people() or workspace.avatars() or workspace.objects()):
        return Report(figures={"results": 0, "out_of_date": 0}, lines=(
            f"Nothing here yet ({workspace.root}). Begin with `anr demo`, or `anr run --source YOUR_CLIP.mp4`.",))
    rows = status(workspace)
    table = [("whose", "stage", "version", "state", "why")]
    table += [(row.owner, row.stage, row.version, row.state, row.why) for row in rows]
    lines: list[str] = []
    if verify:
        checked = every_version(workspace)
        damage = [f"{version.folder / name}" for version in progress.track(checked, "Checking digests", len(checked))
                  for name in damaged_files(version)]
        if damage:
            shown = ", ".join(damage[:5]) + (f" and {len(damage) - 5} more" if len(damage) > 5 else "")
            what = "1 file is missing or differs" if len(damage) == 1 else f"{len(damage)} files are missing or differ"
            raise AnrError(f"{what} from what was written: {shown}.",
                           hint="Remove those version folders; the next command makes them again, but for a capture "
                                "whose source is gone: copy what is whole of that one first.")
        lines.append(f"Every file of {len(checked)} results is as it was written.")
    outdated = sum(row.state == "out of date" for row in rows)
    if outdated:
        lines.append(f"{outdated} out of date: the next command that needs them makes them again.")
    told, judged = verdicts(workspace)
    return Report(figures={"results": len(rows), "out_of_date": outdated, **judged}, lines=(*lines, *told),
                  table=tuple(table))


def verdicts(workspace: Workspace) -> tuple[list[str], dict[str, float]]:
    """What the coach said of everybody's newest recording: lines, and `go_NAME` (0 or 1) with `warnings_NAME`."""
    from pipelines.coaching.telling import PICTURE, read_verdict, said, seen_shares, summary

    lines: list[str] = []
    figures: dict[str, float] = {}
    for person in workspace.people():
        capture = newest_version(workspace.person_place(person, "capture"))
        stored = read_verdict(capture.folder) if capture else None
        if capture is None or stored is None:
            lines.append(f"Coach on {person}: not judged.")
            continue
        taken = "" if capture.manifest["recorded"].get("coach", True) else ", taken as it is (--no-coach)"
        lines.append(f"Coach on {person}: {summary(stored)}{taken}. Seen: {seen_shares(stored)}. "
                     f"{capture.folder / PICTURE}")
        bad = [finding for finding in stored["findings"] if finding["severity"] != "note"]
        lines += [f"  {said(finding)}" for finding in bad]
        figures[f"go_{person}"] = float(stored["verdict"] != "no-go")
        figures[f"warnings_{person}"] = float(sum(finding["severity"] == "warning" for finding in bad))
    return lines, figures


def every_version(workspace: Workspace) -> list[Version]:
    """All complete versions of everybody and of every benchmark, old ones too."""
    folders = [place_of(name) for place_of, stages in owners(workspace)
               for name in dict.fromkeys(stage.folder for stage in stages)]
    folders += [workspace.benchmark_place(which) for which in workspace.benchmarks()]
    return [version for folder in folders for version in versions(folder)]


STATUS = Command(
    "status",
    "Shows what is in the workspace, what is out of date, and how good the recordings are.",
    (Parameter("verify", bool, "Compare every file with the digest written when it was made.", flag="--verify"),),
    show_status,
)
