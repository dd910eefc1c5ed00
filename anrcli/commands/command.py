"""What a command is: a function on a workspace, with options declared once."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, get_type_hints

from pipelines.core.stage import Progress
from pipelines.core.workspace import Workspace

DEFAULT_WORKSPACE = "workspace"


@dataclass(frozen=True)
class Parameter:
    """One option of a command. Not typed means None, so that a command can tell what was typed."""

    name: str                           # the Python keyword
    type: Any                           # str, int, float or bool
    help: str
    default: Any = None                 # only shown: whoever reads the option knows it
    flag: str = ""                      # "--name-with-dashes" unless given
    repeat: bool = False                # may be typed several times; the value is a tuple
    positional: bool = False            # typed without a flag

    @property
    def flags(self) -> str:
        """As Typer takes it: `--size`, or `--accept/--no-accept`; `[NAME]...` for one without a flag."""
        if self.positional:
            return f"[{self.name.upper()}]" + ("..." if self.repeat else "")
        plain = self.name.replace("_", "-")
        return self.flag or (f"--{plain}/--no-{plain}" if self.type is bool else f"--{plain}")

    @property
    def help_with_default(self) -> str:
        shown = self.default not in (None, "", (), False)
        return f"{self.help} (default: {_plain(self.default)})" if shown and "(default" not in self.help else self.help


@dataclass(frozen=True)
class Report:
    """What a command hands back: to --json, to the screen and to Python."""

    outputs: dict[str, Path] = field(default_factory=dict)
    figures: dict[str, float] = field(default_factory=dict)
    lines: tuple[str, ...] = ()         # for the screen
    table: tuple[tuple[str, ...], ...] = ()     # for the screen; the first row is the heading


@dataclass(frozen=True)
class Command:
    """A name, its options, and what it does: `call(workspace, progress, **typed options)`."""

    name: str
    help: str
    parameters: tuple[Parameter, ...]
    call: Callable[..., Report]

    def as_function(self) -> Callable[..., Report]:
        """The command for Python callers: keyword options, a workspace folder, an optional Progress."""
        known = {parameter.name: parameter for parameter in self.parameters}

        def function(
            workspace: Path | str = DEFAULT_WORKSPACE, progress: Progress | None = None, **options: Any
        ) -> Report:
            unknown = sorted(set(options) - set(known))
            if unknown:
                raise TypeError(f"{self.name}() has no option {unknown[0]!r}; it takes {', '.join(sorted(known))}")
            typed = {name: (value,) if known[name].repeat and isinstance(value, str) else value
                     for name, value in options.items() if value is not None}
            return self.call(Workspace(workspace), progress or Progress(), **typed)

        function.__name__ = function.__qualname__ = self.name
        function.__doc__ = "\n".join([self.help, "", *(f"{p.name}: {p.help_with_default}" for p in self.parameters)])
        setattr(function, "__signature__", self._signature())  # noqa: B010 (mypy knows no such attribute)
        return function

    def _signature(self) -> inspect.Signature:
        own = [inspect.Parameter("workspace", inspect.Parameter.POSITIONAL_OR_KEYWORD, default=DEFAULT_WORKSPACE),
               inspect.Parameter("progress", inspect.Parameter.POSITIONAL_OR_KEYWORD, default=None)]
        return inspect.Signature([*own, *(inspect.Parameter(p.name, inspect.Parameter.KEYWORD_ONLY, default=None,
                                                            annotation=p.type) for p in self.parameters)])


def parameters_of(options: type, leave_out: Sequence[str] = ()) -> tuple[Parameter, ...]:
    """The parameters that a stage's options dataclass declares."""
    hints = get_type_hints(options)
    return tuple(
        Parameter(
            name=each.name,
            type=_single(hints[each.name]),
            help=each.metadata["help"],
            default=each.default,
            flag=each.metadata["flag"],
            repeat=each.metadata["repeat"],
        )
        for each in fields(options)
        if each.name not in leave_out
    )


def _single(hint: Any) -> type:
    """`float | None` and `tuple[str, ...]` are float and str to whoever types one."""
    inner = [part for part in getattr(hint, "__args__", ()) if part not in (type(None), Ellipsis)]
    return inner[0] if inner else hint


def _plain(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return (
        " ".join(map(str, value))
        if isinstance(value, tuple)
        else f"{value:g}"
        if isinstance(value, float)
        else str(value)
    )
