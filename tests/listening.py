"""A Progress that keeps what it is told."""

from __future__ import annotations

from pipelines.core.stage import Progress


class Listening(Progress):
    """What a person would read."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.warnings: list[str] = []
        self.lines: list[str] = []      # both, in the order they came

    def note(self, text: str) -> None:
        self.notes.append(text)
        self.lines.append(text)

    def warn(self, text: str) -> None:
        self.warnings.append(text)
        self.lines.append(text)
