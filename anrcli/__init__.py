"""The command line, and the same commands as Python functions.

>>> import anrcli
>>> report = anrcli.fit(workspace="workspace", person="ada")       # what `anr -w workspace fit --person ada` does
>>> report.outputs["overlay"]
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def __getattr__(name: str) -> Callable[..., Any]:
    """`anrcli.NAME` is the command NAME; options are keyword arguments, with _ for -."""
    from anrcli.commands import COMMANDS

    if name not in COMMANDS:
        raise AttributeError(f"module 'anrcli' has no attribute {name!r}")
    return COMMANDS[name].as_function()
