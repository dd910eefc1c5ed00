"""`anr benchmark`: the tables of the paper, anew."""

from __future__ import annotations

from typing import Any

from anrcli.commands.command import Command, Parameter, Report, parameters_of
from pipelines.benchmark import BenchmarkOptions, benchmark
from pipelines.benchmarking.rows import TABLES
from pipelines.core.errors import UsageError
from pipelines.core.stage import Progress
from pipelines.core.storage import read_json
from pipelines.core.workspace import Workspace


def run_benchmark(workspace: Workspace, progress: Progress, which: str = "", **typed: Any) -> Report:
    """Trains and examines all that a table needs; UsageError where none is named."""
    if not which:
        raise UsageError("No benchmark was named.", hint=f"For example `anr benchmark table1`; there are "
                                                         f"{', '.join(TABLES)}.")
    version = benchmark(workspace, which, BenchmarkOptions(**typed), progress)
    rows = read_json(version.folder / "benchmark.json")["rows"]
    table = [("method", "images", "PSNR", "FLIP", "LPIPS", "mask IoU", "runs that failed")]
    for row in rows:
        shown = (_shown(row["mean"][name], row["spread"][name]) for name in ("psnr", "flip", "lpips", "mask_iou"))
        failed = sum(run["state"] != "fine" for run in row["runs"])
        images = max(run["images"] for run in row["runs"])
        table.append((row["title"], str(images), *shown, f"{failed} of {len(row['runs'])}"))
    return Report({**version.outputs, "folder": version.folder}, dict(version.figures), table=tuple(table))


def _shown(mean: float | None, spread: float | None) -> str:
    return "-" if mean is None else f"{mean:.4g}" + ("" if spread is None else f" ± {spread:.2g}")


BENCHMARK = Command(
    "benchmark", "Trains and examines the models of the paper's tables: table1, table2, convergence or collapse.",
    (Parameter("which", str, f"What to measure: {', '.join(TABLES)}.", positional=True),
     *parameters_of(BenchmarkOptions)),
    run_benchmark)
