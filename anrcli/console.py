"""Everything that is printed: notes, bars, tables, errors, and the one JSON object of --json.

Results go to stdout; what is said on the way goes to stderr, and so does everything but the object with --json.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence, Sized
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, TypeVar

from pipelines.core.errors import AnrError
from pipelines.core.stage import Progress

T = TypeVar("T")
LINE_EVERY_S = 20.0                     # without a terminal a line now and then replaces the bar
CLEAR_LINE = "\r\x1b[2K"                # back to the first column, and erase the line (ECMA-48: EL 2)


class Console:
    """How a run of `anr` talks to whoever started it."""

    def __init__(self, *, as_json: bool = False, quiet: bool = False, verbose: bool = False) -> None:
        self.as_json, self.quiet, self.verbose = as_json, quiet, verbose

    def progress(self) -> Progress:
        return Progress() if self.quiet and self.as_json else ShownProgress(self)

    def say(self, text: str) -> None:
        """On the way; not with --quiet."""
        if not self.quiet:
            print(text, file=sys.stderr, flush=True)

    def warn(self, text: str) -> None:
        print(f"warning: {text}", file=sys.stderr, flush=True)

    def report(self, command: str, outputs: dict[str, Path], figures: dict[str, float],
               lines: Sequence[str] = (), table: Sequence[Sequence[str]] = ()) -> None:
        """The end of a command that worked."""
        if self.as_json:
            self._object(command, True, outputs, figures, None)
            return
        if table:
            self._table(table)
        for line in lines if not self.quiet or not outputs else ():
            print(line)
        if figures and outputs and not self.quiet:
            print("  " + " · ".join(f"{name} {_number(value)}" for name, value in figures.items()))
        width = max((len(name) for name in outputs), default=0)
        for name, path in outputs.items():
            print(f"  {name:<{width}}  {path}")
        sys.stdout.flush()

    def failure(self, command: str, message: str, hint: str = "") -> None:
        """The end of a command that did not: one message, and what to try."""
        if self.as_json:
            self._object(command, False, {}, {}, {"message": message, "hint": hint})
        print(f"error: {message}", file=sys.stderr)
        if hint:
            print(f"hint:  {hint}", file=sys.stderr)
        sys.stderr.flush()

    def error(self, command: str, error: AnrError) -> None:
        self.failure(command, error.message, error.hint)

    def trace(self, text: str) -> None:
        """A traceback, only with --verbose."""
        if self.verbose:
            print(text, file=sys.stderr, flush=True)

    def _object(self, command: str, ok: bool, outputs: dict[str, Path], figures: dict[str, float],
                error: dict[str, str] | None) -> None:
        plain = {name: _json_number(value) for name, value in figures.items()}
        print(json.dumps({"command": command, "ok": ok, "figures": plain, "error": error,
                          "outputs": {name: str(Path(path).absolute()) for name, path in outputs.items()}}), flush=True)

    def _table(self, rows: Sequence[Sequence[str]]) -> None:
        from rich.console import Console as RichConsole
        from rich.table import Table

        table = Table(box=None, pad_edge=False, header_style="bold")
        for heading in rows[0]:
            table.add_column(heading, overflow="fold")          # an address that is cut short leads nowhere
        for row in rows[1:]:
            table.add_row(*row)
        terminal = sys.stdout.isatty()
        RichConsole(file=sys.stdout, width=None if terminal else 200, highlight=False, markup=False).print(table)


class ShownProgress(Progress):
    """Bars with the time left on a terminal; elsewhere a line now and then."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._bars: Any = None          # the rich display while one bar or more are running
        self._running = 0
        self._live = ""                 # the line that replaces itself, as it stands now
        self._live_told = -LINE_EVERY_S

    def track(self, items: Iterable[T], label: str, total: int | None = None) -> Iterator[T]:
        total = len(items) if total is None and isinstance(items, Sized) else total
        if self._console.quiet:
            return iter(items)
        return self._bar(items, label, total) if sys.stderr.isatty() else self._lines(items, label, total)

    def note(self, text: str) -> None:
        if not self._console.quiet:
            self._aside(self._console.say, text)

    def warn(self, text: str) -> None:
        self._aside(self._console.warn, text)

    def live(self, text: str) -> None:
        if self._console.quiet or self._console.as_json:
            return
        if sys.stderr.isatty():
            shown = text[:shutil.get_terminal_size().columns - 1]       # a wrapped line could not be replaced
            print(f"{CLEAR_LINE}{shown}", end="", file=sys.stderr, flush=True)
            self._live = text
        elif text and time.monotonic() - self._live_told >= LINE_EVERY_S:
            self._live_told = time.monotonic()
            self._console.say(text)

    def _aside(self, say: Callable[[str], None], text: str) -> None:
        """Prints above a running bar or live line instead of through it."""
        if self._live:
            print(CLEAR_LINE, end="", file=sys.stderr)
        if self._bars is not None:
            self._bars.console.print(
                text if say == self._console.say else f"warning: {text}", highlight=False, markup=False
            )
        else:
            say(text)
        if self._live:
            self.live(self._live)

    def _bar(self, items: Iterable[T], label: str, total: int | None) -> Iterator[T]:
        if self._bars is None:
            self._bars = _rich_bars()
            self._bars.start()
        bars, task = self._bars, self._bars.add_task(label, total=total)
        self._running += 1
        try:
            for item in items:
                yield item
                bars.advance(task)
            if total is None:
                bars.update(task, total=bars.tasks[-1].completed)
        finally:
            self._running -= 1
            if self._running == 0:
                bars.stop()
                self._bars = None

    def _lines(self, items: Iterable[T], label: str, total: int | None) -> Iterator[T]:
        started = told = time.monotonic()
        for done, item in enumerate(items, start=1):
            yield item
            now = time.monotonic()
            if now - told >= LINE_EVERY_S:
                told = now
                left = f" of {total}, {_clock((now - started) * (total - done) / done)} left" if total else ""
                self._console.say(f"{label}: {done}{left}")


@contextmanager
def native_messages_aside() -> Iterator[None]:
    """Keeps what C++ libraries write to file descriptor 2 (MediaPipe: pages of it) out of bars and messages.

    Python's own stderr goes on reaching the terminal. GLOG_minloglevel and its like are not heard by MediaPipe 0.10.21.
    """
    own = sys.stderr
    try:
        shown = own.fileno() == 2
    except (OSError, ValueError, AttributeError):           # a test's or a notebook's stand-in
        shown = False
    sys.stderr.flush()
    kept = os.dup(2)
    with _somewhere_aside() as aside, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        os.dup2(aside.fileno(), 2)
        if shown:
            sys.stderr = os.fdopen(os.dup(kept), "w", buffering=1, encoding=own.encoding, errors=own.errors)
        try:
            yield
        finally:
            if shown:
                sys.stderr.close()
                sys.stderr = own
            os.dup2(kept, 2)
            os.close(kept)


def _somewhere_aside() -> IO[bytes]:
    """A file nobody will read: a temporary one, or no file at all where none can be made (a full disk)."""
    try:
        return tempfile.TemporaryFile()
    except OSError:
        return open(os.devnull, "wb")


def _rich_bars() -> Any:
    from rich.console import Console as RichConsole
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
    from rich.progress import Progress as RichProgress

    return RichProgress(TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(),
                        TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn(),
                        console=RichConsole(file=sys.stderr), refresh_per_second=5)


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"


def _number(value: float) -> str:
    return f"{value:g}" if abs(value) < 1e6 else f"{value:.0f}"


def _json_number(value: float) -> float | None:
    """JSON knows no NaN and no infinity."""
    number = float(value)
    return number if number == number and abs(number) != float("inf") else None
