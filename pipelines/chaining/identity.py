"""What decides a result: the options it was made with, and how two results differ in what made them.

A stage's options are its defaults, then those of the version kept, then what was typed now. A file counts by its
content, as it was when it was read. An option that came after a version was made counts as its default there: a
default that gives another result than before is told by the stage's version number.
"""

from __future__ import annotations

import os.path
from collections.abc import Mapping
from dataclasses import Field, fields
from datetime import datetime
from pathlib import Path
from typing import Any

from pipelines.core.errors import AnrError
from pipelines.core.options import identity_of, recorded_of
from pipelines.core.stage import Stage
from pipelines.core.workspace import SCHEMA, Version, content_digest


def made_from(stage: Stage, kept: Version | None, typed: Mapping[str, Any],
              inputs: Mapping[str, str]) -> dict[str, Any]:
    """The `made_from` of a manifest; inputs are {name: digest}."""
    return {"schema": SCHEMA, "stage": stage.name, "stage_version": stage.version,
            "options": options_identity(stage, options_of(stage, kept, typed), kept, typed), "inputs": dict(inputs)}


def completed(stage: Stage, version: Version) -> dict[str, Any]:
    """The `made_from` of a version, as if the stage had had its options of today when it was made."""
    then = version.made_from
    today = options_identity(stage, options_of(stage, version, {}), version, {})
    return {**then, "options": {**today, **then["options"]}}


def attempt_at(stage: Stage, wanted: Mapping[str, Any]) -> dict[str, Any]:
    """A `made_from` without the options left at their defaults: the same attempt before and after one is added."""
    usual = identity_of(stage.Options())
    options = {name: value for name, value in wanted["options"].items() if name not in usual or value != usual[name]}
    return {**wanted, "options": options}


def why_differs(then: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """A few words on the first difference between two `made_from`; "" when they are equal."""
    if then == now:
        return ""
    if then["stage_version"] != now["stage_version"] or then["schema"] != now["schema"]:
        return "made by another version of anr"
    for group, what in (("options", "option"), ("inputs", "input")):
        for key in sorted({*then[group], *now[group]}):
            if then[group].get(key) != now[group].get(key):
                return f"{what} {key} changed"
    return "changed"


def options_of(stage: Stage, kept: Version | None, typed: Mapping[str, Any]) -> Any:
    """The stage's options: its defaults, then those of the version kept, then what was typed now.

    Raises ValueError for an option the stage does not have.
    """
    names = {f.name for f in fields(stage.Options)}
    unknown = set(typed) - names
    if unknown:
        raise ValueError(f"{stage.name} has no option {sorted(unknown)[0]!r}")
    lasting = {f.name for f in fields(stage.Options) if not f.metadata.get("once")}
    stored = {**kept.made_from["options"], **kept.manifest["recorded"]} if kept else {}
    values = {**{k: v for k, v in stored.items() if k in lasting}, **typed}
    return stage.Options(**{k: tuple(v) if isinstance(v, list) else v for k, v in values.items()})


def options_identity(stage: Stage, options: Any, kept: Version | None, typed: Mapping[str, Any]) -> dict[str, Any]:
    """The options that decide the result; a file counts by its content, as it was when it was read."""
    identity = identity_of(options)
    for each in fields(stage.Options):
        if each.metadata.get("file"):
            now = identity[each.name]
            if _names_no_file(each, now):
                continue
            if kept and each.name not in typed:
                identity[each.name] = kept.made_from["options"].get(each.name)
            elif isinstance(now, str) and now.split(":")[0] in each.metadata["devices"]:
                identity[each.name] = f"{now} at {datetime.now().isoformat(timespec='milliseconds')}"
            else:
                identity[each.name] = _file_identity(now)
    return identity


def check_same_files(stage: Stage, options: Any, wanted: Mapping[str, Any], typed: Mapping[str, Any]) -> None:
    """Refuses to read a file again that is no longer what it was when its name was typed."""
    for each in fields(stage.Options):
        if each.metadata.get("file") and each.name not in typed:
            name, then = getattr(options, each.name), wanted["options"][each.name]
            if not _names_no_file(each, name) and _file_identity(name) != then:
                flag = f"--{each.name.replace('_', '-')}"
                raise AnrError(f"{name} has changed or is gone since it was read for {stage.name}.",
                               hint=f"Name the file again: {flag} {name}")


def recorded_of_making(stage: Stage, options: Any, kept: Version | None, typed: Mapping[str, Any]) -> dict[str, Any]:
    """The options a new version only writes down: those that decide nothing, and the names of files."""
    named = {f.name: getattr(options, f.name) for f in fields(stage.Options) if f.metadata.get("file")}
    if kept:
        named.update({k: v for k, v in kept.manifest["recorded"].items() if k in named and k not in typed})
    return {**recorded_of(options), **named}


def recorded_of_asking(stage: Stage, typed: Mapping[str, Any]) -> dict[str, Any]:
    """What was typed now of the options that are only written down, and last."""
    return {f.name: typed[f.name] for f in fields(stage.Options)
            if f.name in typed and f.metadata.get("recorded_only") and not f.metadata.get("once")}


def _names_no_file(option: Field[Any], value: Any) -> bool:
    """Whether the value of a file option is one of its words, or its default: nothing was named."""
    return value == option.default or value in option.metadata["words"]


def _file_identity(value: Any) -> Any:
    there = isinstance(value, str) and value and os.path.exists(value)
    return f"sha256:{content_digest(Path(value))}" if there else value
