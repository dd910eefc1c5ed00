"""Versioned stage folders: manifests, atomic commit, locks.

A *place* is the folder of one stage of one person or avatar; it holds complete versions `v001`, `v002`, ...,
never changed once complete, and at most one `.partial-KEY` per attempt. A version is complete when its
`manifest.json` is there, which arrives with the folder in one rename.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipelines.core.errors import AnrError, explained_os_errors
from pipelines.core.storage import read_json, write_json

SCHEMA = 1
NAME = re.compile(r"[a-z0-9][a-z0-9_-]*\Z")
VERSION = re.compile(r"v(\d{3,})\Z")


@dataclass(frozen=True)
class Version:
    """One complete result."""

    folder: Path
    manifest: dict[str, Any]

    @property
    def name(self) -> str:
        return self.folder.name

    @property
    def made_from(self) -> dict[str, Any]:
        return self.manifest["made_from"]

    @property
    def digest(self) -> str:
        """Of the content alone, so that an equal result makes nothing after it out of date."""
        return digest_of(self.manifest["files"])

    @property
    def figures(self) -> dict[str, float]:
        return self.manifest["figures"]

    @property
    def outputs(self) -> dict[str, Path]:
        return {name: self.folder / file for name, file in self.manifest["outputs"].items()}


class Workspace:
    """A folder with people and avatars. Opening one that does not exist yet creates nothing."""

    def __init__(self, root: Path | str) -> None:
        self.root = Path(root)
        if self.root.exists() and not self.root.is_dir():
            raise AnrError(f"{self.root} is a file, not a workspace folder.", hint="Choose another --workspace.")
        marker = self.root / "workspace.json"
        schema = _schema_in(marker) if marker.exists() else SCHEMA
        if schema > SCHEMA:
            raise AnrError(f"The workspace {self.root} was written by a newer version of anr "
                           f"(format {schema}; this one reads up to {SCHEMA}).",
                           hint="Upgrade anr, or choose another --workspace.")

    def person_place(self, person: str, stage_folder: str) -> Path:
        return self.root / "people" / checked_name(person, "person") / stage_folder

    def avatar_place(self, avatar: str, stage_folder: str) -> Path:
        return self.root / "avatars" / checked_name(avatar, "avatar") / stage_folder

    def object_place(self, name: str, stage_folder: str) -> Path:
        return self.root / "objects" / checked_name(name, "object") / stage_folder

    def benchmark_place(self, which: str) -> Path:
        return self.root / "benchmarks" / checked_name(which, "benchmark")

    def people(self) -> list[str]:
        """Everybody with a complete capture, by name."""
        return [name for name in _subfolders(self.root / "people")
                if newest_version(self.root / "people" / name / "capture")]

    def avatars(self) -> list[str]:
        return _subfolders(self.root / "avatars")

    def objects(self) -> list[str]:
        """Rigid objects with posed pictures."""
        return _subfolders(self.root / "objects")

    def benchmarks(self) -> list[str]:
        """Tables that were measured here."""
        return _subfolders(self.root / "benchmarks")

    def create(self) -> None:
        """Makes the folder and its marker; harmless when they are there."""
        with explained_os_errors(self.root):
            self.root.mkdir(parents=True, exist_ok=True)
            marker = self.root / "workspace.json"
            if not marker.exists():
                write_json(marker, {"schema": SCHEMA})


def _schema_in(marker: Path) -> int:
    """The format's number; AnrError where the file says none."""
    try:
        schema = json.loads(marker.read_text(encoding="utf-8"))["schema"]
    except (ValueError, KeyError, TypeError):
        schema = None
    if not isinstance(schema, int):
        raise AnrError(f"{marker} is damaged: it does not say of which format the workspace is.",
                       hint=f'Nothing else is in it: write {{"schema": {SCHEMA}}} into that file.')
    return schema


def checked_name(name: str, of_what: str) -> str:
    if not NAME.match(name):
        raise AnrError(f"{name!r} is not a usable {of_what} name.",
                       hint="Use small letters, digits, - and _, beginning with a letter or digit.")
    return name


def versions(place: Path) -> list[Version]:
    """The complete versions, oldest first."""
    numbered = sorted((int(match[1]), folder) for folder in (place.iterdir() if place.is_dir() else ())
                      if (match := VERSION.match(folder.name)) and (folder / "manifest.json").exists())
    return [Version(folder, read_json(folder / "manifest.json")) for _, folder in numbered]


def newest_version(place: Path) -> Version | None:
    complete = versions(place)
    return complete[-1] if complete else None


def partial_folder(place: Path, made_from: dict[str, Any]) -> Path:
    """Where an attempt at a result is written."""
    return place / f".partial-{digest_of(made_from)[:12]}"


def partial_folders(place: Path) -> list[Path]:
    return sorted(place.glob(".partial-*"))


@contextmanager
def writing(place: Path, made_from: dict[str, Any], *, resumable: bool, fresh: bool = False) -> Iterator[Path]:
    """A folder to write the next version into; removed when the block fails, unless it can be resumed.

    A resumable stage gets the folder of an interrupted run with the same `made_from` back, except when `fresh`.
    """
    partial = partial_folder(place, made_from)
    with explained_os_errors(place):
        place.mkdir(parents=True, exist_ok=True)
        with _locked(place):
            if partial.exists() and (fresh or not resumable):
                shutil.rmtree(partial)
            partial.mkdir(exist_ok=True)
            try:
                yield partial
            except BaseException as problem:
                if isinstance(problem, OSError) and problem.errno == errno.ENOSPC:
                    for half_written in partial.rglob("*.partial"):
                        half_written.unlink()
                if not resumable or not any(partial.iterdir()):
                    shutil.rmtree(partial, ignore_errors=True)
                raise


def commit(partial: Path, manifest: dict[str, Any]) -> Version:
    """Moves a finished folder into place as the next version, in one rename."""
    place = partial.parent
    stored = {**manifest, "files": file_digests(partial), "made_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())}
    write_json(partial / "manifest.json", stored)
    taken = [int(match[1]) for folder in place.iterdir() if (match := VERSION.match(folder.name))]
    target = place / f"v{max(taken, default=0) + 1:03d}"
    partial.rename(target)
    return Version(target, stored)


def record(version: Version, options: dict[str, Any]) -> Version:
    """Writes down options that decide nothing with a complete version; its files and what made it stay."""
    if all(version.manifest["recorded"].get(name) == value for name, value in options.items()):
        return version
    manifest = {**version.manifest, "recorded": {**version.manifest["recorded"], **options}}
    beside = version.folder / "manifest.json.partial"
    write_json(beside, manifest)
    beside.replace(version.folder / "manifest.json")
    return Version(version.folder, manifest)


def damaged_files(version: Version) -> list[str]:
    """Files of a version that are missing or differ from their digest."""
    expected, found = version.manifest["files"], file_digests(version.folder)
    return sorted(name for name in expected if found.get(name) != expected[name])


def file_digests(folder: Path) -> dict[str, str]:
    """{path within the folder: sha256} of every file but the manifest."""
    files = sorted(p for p in folder.rglob("*") if p.is_file() and p != folder / "manifest.json")
    return {p.relative_to(folder).as_posix(): file_digest(p) for p in files}


def file_digest(path: Path) -> str:
    sha = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(1 << 20):
            sha.update(block)
    return sha.hexdigest()


def content_digest(path: Path) -> str:
    """Of a file's bytes, or of everything in a folder."""
    return file_digest(path) if path.is_file() else digest_of(file_digests(path))


def digest_of(value: Any) -> str:
    """sha256 of a JSON value, independent of key order."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


@contextmanager
def _locked(place: Path) -> Iterator[None]:
    with (place / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise AnrError(f"Another anr is writing to {place}.", hint="Wait for it to finish, or stop it.") from None
        yield


def _subfolders(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir() if p.is_dir() and NAME.match(p.name)) if folder.is_dir() else []
