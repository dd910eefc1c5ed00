"""What a stage is, and what it is given when it runs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")


class Progress:
    """Where a stage tells how far it is. This one is silent; the command line brings one that draws."""

    def track(self, items: Iterable[T], label: str, total: int | None = None) -> Iterator[T]:
        """Yields the items, showing a bar with the time left."""
        return iter(items)

    def note(self, text: str) -> None:
        """One line the person should read (kept in the manifest's notes as well by the chain)."""

    def warn(self, text: str) -> None:
        """One line about something that may spoil the result."""

    def live(self, text: str) -> None:
        """What is going on now, in one line that the next call replaces; "" takes it away."""


@dataclass(frozen=True)
class Job:
    """One run of a stage: where to write, what to read, what was asked."""

    folder: Path                        # write here; moved into place when run() returns
    options: Any                        # an instance of the stage's Options
    inputs: Mapping[str, Path]          # "capture" -> folder (person stages); "ada/capture" -> folder (avatar stages)
    progress: Progress
    person: str = ""                    # person stages: whose


@dataclass(frozen=True)
class Outcome:
    """What a stage says about its result."""

    figures: dict[str, float] = field(default_factory=dict)   # numbers, for the manifest and --json
    outputs: dict[str, str] = field(default_factory=dict)     # name -> file within the folder
    facts: dict[str, str] = field(default_factory=dict)       # sentences for the manifest


@dataclass(frozen=True)
class Stage:
    """One link of the chain."""

    name: str                           # folder name and command name
    version: int                        # raise it when the same input would give another result
    doing: str                          # "Fitting the body": shown while it runs
    Options: type
    run: Callable[[Job], Outcome]
    inputs: tuple[str, ...] = ()        # stages of the same person it reads
    resumable: bool = False             # the partial folder of an interrupted run is kept and handed back
    folder_name: str = ""               # where it differs from the name
    # True: options not typed are those of the newest version; False: each run is a request of its own
    keeps_options: bool = True
    # refuses, before any work, options that could only fail after it
    check: Callable[[Any], None] | None = None
    # called with the complete folder whenever the result was asked for, also when nothing had to be done: copies out
    deliver: Callable[[Path, Any], None] | None = None
    # rough seconds on this machine, from the input folders and options; None = no idea
    estimate_s: Callable[[Mapping[str, Path], Any], float | None] | None = None

    @property
    def folder(self) -> str:
        """The folder of its versions within that of a person, avatar or object."""
        return self.folder_name or self.name
