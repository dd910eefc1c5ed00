"""Writes the page: one HTML file, one script, one style sheet, the clips; nothing else, and nothing from elsewhere."""

from __future__ import annotations

import json
import os
from importlib.resources import files
from pathlib import Path

from pipelines.studying.clips import SAME_TIME
from pipelines.studying.study import Study

COPIED = ("index.html", "study.css")
SCRIPT = ("logic.js", "page.js")
CLIPS = "clips"


def write_page(folder: Path, study: Study) -> None:
    """The files beside the clips; it opens from a disk and from any web server that can hand out files."""
    parts = files("pipelines.studying") / "page"
    for name in COPIED:
        (folder / name).write_text((parts / name).read_text(encoding="utf-8"), encoding="utf-8")
    scripts = "\n".join((parts / name).read_text(encoding="utf-8") for name in SCRIPT)
    told = json.dumps(study.page, indent=1)             # ASCII, so that no character ends a line or a script early
    (folder / "study.js").write_text(f'"use strict";\n(() => {{\nconst STUDY = {told};\n\n{scripts}}})();\n',
                                     encoding="utf-8")
    for name in (*COPIED, "study.js"):
        os.utime(folder / name, (SAME_TIME, SAME_TIME))
