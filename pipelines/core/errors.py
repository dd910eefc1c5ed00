"""The errors a person sees."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class AnrError(Exception):
    """Bad input or a missing part: what happened, and what to try.

    The command line prints `message` and `hint` and exits with code 3.
    """

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()


class UsageError(AnrError):
    """The command itself was not complete or contradicts itself: exit code 2."""


@contextmanager
def explained_os_errors(place: Path) -> Iterator[None]:
    """Turns a full disk and a folder that cannot be written into messages."""
    try:
        yield
    except OSError as problem:
        if problem.errno == errno.ENOSPC:
            hint = "Free some space (`anr clean` removes old versions) and run the command again."
            raise AnrError(f"The disk is full: could not finish writing to {place}. Nothing half-written was left; "
                           "a training keeps its last checkpoint.", hint) from problem
        if problem.errno in (errno.EACCES, errno.EROFS, errno.EPERM):
            raise AnrError(f"{problem.filename or place} cannot be written: {problem.strerror}.",
                           hint="Choose another --workspace, or mend the folder's permissions.") from problem
        raise
