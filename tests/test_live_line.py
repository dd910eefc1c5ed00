"""The line that replaces itself on a terminal; elsewhere it speaks now and then; --quiet and --json silence it."""

from __future__ import annotations

import io
import sys

import pytest

from anrcli.console import CLEAR_LINE, LINE_EVERY_S, Console


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def terminal_of(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    screen = Terminal()             # not in a fixture: pytest puts its own stderr back between the two
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setenv("COLUMNS", "30")
    return screen


def test_on_a_terminal_each_line_replaces_the_one_before(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = terminal_of(monkeypatch)
    progress = Console().progress()
    progress.live("one")
    progress.live("two, which is longer than thirty columns allow")
    progress.live("")
    assert terminal.getvalue() == f"{CLEAR_LINE}one{CLEAR_LINE}two, which is longer than thi{CLEAR_LINE}"


def test_a_note_stands_above_the_live_line(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = terminal_of(monkeypatch)
    progress = Console().progress()
    progress.live("going")
    progress.note("a note")
    assert terminal.getvalue() == f"{CLEAR_LINE}going{CLEAR_LINE}a note\n{CLEAR_LINE}going"


@pytest.mark.parametrize("switch", ["quiet", "as_json"])
def test_quiet_and_json_are_silent(monkeypatch: pytest.MonkeyPatch, switch: str) -> None:
    terminal = terminal_of(monkeypatch)
    Console(**{switch: True}).progress().live("one")
    assert terminal.getvalue() == ""


def test_without_a_terminal_a_line_comes_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    log = io.StringIO()
    monkeypatch.setattr(sys, "stderr", log)
    monkeypatch.setattr("anrcli.console.time.monotonic", lambda: now[0])
    progress = Console().progress()
    for second in range(2 * int(LINE_EVERY_S) + 1):
        now[0] = 1000.0 + second
        progress.live(f"second {second}")
    assert log.getvalue().splitlines() == ["second 0", "second 20", "second 40"]
