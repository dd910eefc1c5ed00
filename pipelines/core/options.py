"""Options declared once: flag, help text, default and manifest entry come from the dataclass field."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any


def option(default: Any, help: str, *, flag: str = "", recorded_only: bool = False, repeat: bool = False,
           file: bool = False, words: tuple[str, ...] = (), devices: tuple[str, ...] = (), as_flag: bool = False,
           once: bool = False, decides: Callable[[Any], Any] | None = None) -> Any:
    """A field of a stage's options; results made before there was one count as made with its default.

    flag           the command-line flag when it is not the field's name with dashes
    recorded_only  written to the manifest, but a different value makes no result out of date
    repeat         the flag may be given several times (the field holds a tuple)
    file           where the value names a file or folder, its content decides the result, not its name
    words          values that name no file, whatever lies in the current folder (the default is one anyway)
    devices        values that name a camera (`webcam`, `webcam:1`): typed again, they give another result
    as_flag        only whether there is a value decides the result; the value itself is written down
    once           counts for the command it is typed in; a later one begins with the default again
    decides        what of it decides the result, worked out from all the options; the value itself is written down
    """
    metadata = {"help": help, "flag": flag, "recorded_only": recorded_only, "repeat": repeat, "file": file,
                "words": words, "devices": devices, "as_flag": as_flag, "once": once, "decides": decides}
    return dataclasses.field(default=default, metadata=metadata)


def identity_of(options: Any) -> dict[str, Any]:
    """The part of the options that decides the result, as plain JSON values."""
    return {f.name: _deciding(f, value, options)
            for f, value in _values(options) if not f.metadata.get("recorded_only")}


def recorded_of(options: Any) -> dict[str, Any]:
    """The part of the options that is only written down."""
    return {f.name: _plain(value) for f, value in _values(options)
            if any(f.metadata.get(kind) for kind in ("recorded_only", "as_flag", "decides"))}


def _deciding(field: dataclasses.Field[Any], value: Any, options: Any) -> Any:
    if field.metadata.get("decides"):
        return field.metadata["decides"](options)
    return bool(value) if field.metadata.get("as_flag") else _plain(value)


def _values(options: Any) -> list[tuple[dataclasses.Field[Any], Any]]:
    return [(f, getattr(options, f.name)) for f in dataclasses.fields(options)]


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
