"""The Typer program, and the one place where errors become messages and exit codes."""

from __future__ import annotations

import inspect
import os
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Optional

import typer

from anrcli.commands import COMMANDS
from anrcli.commands.command import DEFAULT_WORKSPACE, Command, Parameter, Report
from anrcli.commands.doctor import is_missing_part, remedy_for
from anrcli.console import Console, native_messages_aside
from pipelines.core.errors import AnrError, UsageError, explained_os_errors
from pipelines.core.workspace import Workspace

DONE, BUG, USAGE, BAD_INPUT, INTERRUPTED = 0, 1, 2, 3, 130
USAGE_ERROR: type[Exception] = typer.BadParameter.__mro__[2]     # click's ClickException, wherever typer keeps it now
GLOBAL_SWITCHES = ("--json", "--quiet", "--verbose")
GLOBAL_WITH_VALUE = ("--workspace", "-w")
HELP = """Turns a recording of a person into an avatar that any motion can drive.

Begin with `anr demo`, or with a clip of your own: anr run --source YOUR_CLIP.mp4 --height-m 1.75 --motion WALK.bvh
"""


class Interrupted(Exception):
    """Ctrl-C while a command ran."""


@dataclass
class Session:
    """One run of `anr`: who is told what, and in which workspace."""

    console: Console
    workspace: str = DEFAULT_WORKSPACE
    command: str = ""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command; returns the exit code: 0, 2 wrong usage, 3 bad input, 130 interrupted, 1 a bug of ours."""
    typed = globals_first(list(sys.argv[1:] if arguments is None else arguments)) or ["--help"]
    session = Session(Console(as_json="--json" in typed, quiet="--quiet" in typed, verbose="--verbose" in typed))
    try:
        with explained_os_errors(Path.cwd()):
            code = _exit_code(
                typer.main.get_command(app)(args=typed, prog_name="anr", standalone_mode=False, obj=session)
            )
            if code == INTERRUPTED:     # Typer's own answer to a Ctrl-C before the command began, without a word
                raise Interrupted
            return code
    except USAGE_ERROR as error:
        told = getattr(error, "format_message", error.__str__)()
        session.console.failure(session.command, told, f"anr {session.command} --help".replace("  ", " "))
        return USAGE
    except AnrError as error:
        session.console.trace(traceback.format_exc())
        session.console.error(session.command, error)
        return USAGE if isinstance(error, UsageError) else BAD_INPUT
    except (Interrupted, KeyboardInterrupt, typer.Abort):
        session.console.failure(
            session.command, "Interrupted; what was finished is kept.", "The same command continues from there."
        )
        return INTERRUPTED
    except BrokenPipeError:  # `anr status | head`: nobody reads on
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE
    except Exception as error:  # the last resort: whatever is left is a bug of ours
        session.console.trace(traceback.format_exc())
        what = str(error).strip().splitlines()[0] if str(error).strip() else ""
        if is_missing_part(error):
            hint = remedy_for(error) or "`anr doctor` says how to get it."
            session.console.failure(session.command, f"A part does not work here: {what}.", hint)
            return BAD_INPUT
        session.console.failure(
            session.command,
            f"A bug of ours: {type(error).__name__}{': ' if what else ''}{what}",
            f"Please report it with {_save_traceback(typed)}",
        )
        return BUG


def globals_first(arguments: list[str]) -> list[str]:
    """Lets --json, --quiet, --verbose and --workspace stand behind the command as well."""
    front: list[str] = []
    rest: list[str] = []
    index = 0
    while index < len(arguments):
        each = arguments[index]
        if each == "--":
            return [*front, *rest, *arguments[index:]]
        if each in GLOBAL_WITH_VALUE and index + 1 < len(arguments):
            front += [each, arguments[index + 1]]
            index += 1
        elif each in GLOBAL_SWITCHES or each.startswith("--workspace="):
            front.append(each)
        else:
            rest.append(each)
        index += 1
    return [*front, *rest]


def _exit_code(returned: Any) -> int:
    return returned if isinstance(returned, int) else DONE


def _save_traceback(typed: Sequence[str]) -> str:
    try:
        with tempfile.NamedTemporaryFile(
            "w", prefix=time.strftime("anr-bug-%Y%m%d-%H%M%S-"), suffix=".txt", delete=False, encoding="utf-8"
        ) as file:
            file.write(f"anr {' '.join(typed)}\nPython {sys.version}\n\n{traceback.format_exc()}")
    except OSError:
        return "what --verbose shows (the traceback could not be saved)."
    return file.name


app = typer.Typer(
    help=HELP,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["--help", "-h"]},
)


def _version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        typer.echo(f"anr {version('anr')}")
        raise typer.Exit


@app.callback()
def options_for_all(
    context: typer.Context,
    workspace: Annotated[
        str, typer.Option("--workspace", "-w", envvar="ANR_WORKSPACE", help="Folder for everything that is made.")
    ] = DEFAULT_WORKSPACE,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON object on stdout; everything else on stderr.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Only results, warnings and errors.")] = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", help="Also tracebacks and the libraries' own messages.")
    ] = False,
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    session: Session = context.obj or Session(Console(as_json=as_json, quiet=quiet, verbose=verbose))
    context.obj = session
    session.workspace = workspace
    session.command = context.invoked_subcommand or ""


def _typer_function(command: Command) -> Callable[..., None]:
    """A function whose signature is the command's options, which is what Typer reads."""

    def function(context: typer.Context, **values: Any) -> None:
        session: Session = context.obj
        typed = {name: tuple(value) if isinstance(value, list) else value
                 for name, value in values.items() if value is not None and value != []}
        try:
            with nullcontext() if session.console.verbose else native_messages_aside():
                report: Report = command.call(Workspace(session.workspace), session.console.progress(), **typed)
        except KeyboardInterrupt as stopped:            # Typer would end with 130 itself, and without a word
            raise Interrupted from stopped
        session.console.report(command.name, report.outputs, report.figures, report.lines, report.table)

    parameters = [inspect.Parameter("context", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=typer.Context)]
    parameters += [_typer_parameter(parameter) for parameter in command.parameters]
    setattr(function, "__signature__", inspect.Signature(parameters))  # noqa: B010 (mypy knows no such attribute)
    function.__annotations__ = {each.name: each.annotation for each in parameters}
    function.__name__ = command.name
    return function


def _typer_parameter(parameter: Parameter) -> inspect.Parameter:
    kind: Any = list[parameter.type] if parameter.repeat else parameter.type  # type: ignore[name-defined]
    if parameter.positional:
        option: Any = typer.Argument(metavar=parameter.name.upper(), help=parameter.help_with_default,
                                     show_default=False)
    else:
        option = typer.Option(parameter.flags, help=parameter.help_with_default, show_default=False)
    return inspect.Parameter(parameter.name, inspect.Parameter.KEYWORD_ONLY, default=None,
                             annotation=Annotated[Optional[kind], option])  # noqa: UP045 (`kind` is a value)


for _each in COMMANDS.values():
    app.command(_each.name, help=_each.help, short_help=_each.help)(_typer_function(_each))
