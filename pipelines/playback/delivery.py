"""Hands a finished result out: copies where they were asked for, each whole or not at all."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines.core.errors import AnrError, explained_os_errors

if TYPE_CHECKING:
    from pipelines.playback.request import PlaybackOptions


def deliver(folder: Path, options: PlaybackOptions) -> None:
    """Copies a complete result to where it was asked for; each file appears there whole or not at all."""
    from pipelines.playback.request import video_name

    if options.frames_dir:
        for frame in sorted((folder / "frames").glob("*.png")):
            copied(frame, Path(options.frames_dir) / frame.name)
    if options.out:
        video = folder / video_name(options)
        if not video.exists():
            raise AnrError(f"There is no video to copy to {options.out}: it was rendered without ffmpeg.",
                           hint=f"Its frames are in {folder / 'frames'}. For a video: pip install imageio-ffmpeg "
                                f"ffmpeg-python, delete {folder} and run the command again.")
        copied(video, Path(options.out))


def check_target(out: str, suffix: str, what: str) -> None:
    """AnrError where `--out` names no file of this kind, or one that nothing can be written to; "" is no target."""
    if not out:
        return
    target = Path(out)
    if target.suffix.lower() != suffix:
        raise AnrError(f"{what} is a {suffix} file, so --out {out} cannot hold it.",
                       hint=f"Name it {target.with_suffix(suffix).name}.")
    if target.is_dir() or not can_write(target.parent):
        raise AnrError(f"Nothing can be written to {out}.", hint="Choose a file in a folder of your own.")


def can_write(folder: Path) -> bool:
    """Whether a folder is there, or can be made, and takes files: a nameless one is written, as rights do not tell."""
    folder = folder.absolute()
    while not folder.exists():
        folder = folder.parent
    try:
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


def copied(source: Path, target: Path) -> None:
    """A file copied to where it was asked for; it appears there whole or not at all."""
    partial = target.with_name(f"{target.name}.partial")
    with explained_os_errors(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            shutil.copyfile(source, partial)
            os.replace(partial, target)
        except BaseException:
            partial.unlink(missing_ok=True)
            raise
