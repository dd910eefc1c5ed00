"""`anr bench`: how fast the chain's parts are on this machine. A bench is a file `bench_*.py` and a line in BENCHES."""

from __future__ import annotations

from collections.abc import Sequence

from anrcli.commands.bench_fit import FIT
from anrcli.commands.bench_matte import MATTE
from anrcli.commands.bench_raster import RASTER
from anrcli.commands.bench_render import RENDER
from anrcli.commands.command import Command, Parameter, Report
from anrcli.commands.measuring import RUNS, Bench, Figures, in_words, machine
from pipelines.core.cores import available_cores
from pipelines.core.errors import UsageError
from pipelines.core.stage import Progress
from pipelines.core.workspace import Workspace

BENCHES: dict[str, Bench] = {
    "fit": FIT,
    "raster": RASTER,
    "matte": MATTE,
    "render": RENDER,
}


def bench(workspace: Workspace, progress: Progress, name: Sequence[str] = ()) -> Report:
    """Runs the benches named, all of them without a name; UsageError for a name there is none of."""
    unknown = [each for each in name if each not in BENCHES]
    if unknown:
        raise UsageError(f"There is no bench called {unknown[0]!r}.", hint=f"There are {', '.join(BENCHES)}.")
    figures: Figures = {"cores": float(available_cores())}
    table = [("bench", "figure", "value", "measures")]
    for each in name or BENCHES:
        told = BENCHES[each].measures
        for figure, value in BENCHES[each].run(progress).items():
            figures[f"{each}.{figure}"] = value
            table.append((each, *in_words(figure, value), told))
            told = ""
    line = f"Times are medians over {RUNS} runs or more on {machine()}; a busy machine makes them worse."
    return Report(figures=figures, table=tuple(table), lines=(line,))


BENCH = Command("bench", "Measures how fast this machine is; NAME picks what is measured.",
                (Parameter("name", str, f"What to measure: {', '.join(BENCHES)}.", "everything", repeat=True,
                           positional=True),), bench)
