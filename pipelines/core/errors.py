"""The one error a person sees."""

from __future__ import annotations


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
