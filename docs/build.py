"""Writes docs/commands.md from the program itself, and checks that every relative link in the docs leads somewhere.

python docs/build.py            write
python docs/build.py --check    fail when commands.md is not what the program says, or a link is dead
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from anrcli.commands import COMMANDS
from anrcli.commands.command import Command, Parameter

DOCS = Path(__file__).resolve().parent
ROOT = DOCS.parent
INTRO = DOCS / "commands_intro.md"
TARGET = DOCS / "commands.md"
LINK = re.compile(r"!?\[[^\]]*\]\(([^)#\s]+)(?:#[^)]*)?\)")
VALUE = {str: "TEXT", int: "N", float: "X"}


def commands_page() -> str:
    """The page: the introduction, then a section per command with a table of its options."""
    parts = [INTRO.read_text(encoding="utf-8").rstrip(), ""]
    for command in COMMANDS.values():
        parts += [f"## anr {command.name}", "", command.help, "", *_table(command)]
    return "\n".join(parts).rstrip() + "\n"


def _table(command: Command) -> list[str]:
    if not command.parameters:
        return ["No options.", ""]
    rows = [f"| `{_flag(parameter)}` | {parameter.help_with_default} |" for parameter in command.parameters]
    return ["| option | meaning |", "|---|---|", *rows, ""]


def _flag(parameter: Parameter) -> str:
    no_value = parameter.type is bool or parameter.positional
    return parameter.flags if no_value else f"{parameter.flags} {VALUE[parameter.type]}"


def dead_links() -> list[str]:
    """Relative links of all Markdown files that lead nowhere, as `file: link`."""
    pages = [*ROOT.glob("*.md"), *DOCS.rglob("*.md")]
    links = [(page, link) for page in pages for link in LINK.findall(page.read_text(encoding="utf-8"))]
    return [f"{page.relative_to(ROOT)}: {link}" for page, link in links
            if "://" not in link and not link.startswith("mailto:") and not (page.parent / link).exists()]


def main(check: bool) -> int:
    page = commands_page()
    problems: list[str] = []
    if not check:
        TARGET.write_text(page, encoding="utf-8")
    elif not TARGET.exists() or TARGET.read_text(encoding="utf-8") != page:
        problems.append("docs/commands.md is not what the program says: run `make docs`")
    problems += [f"dead link in {each}" for each in dead_links()]
    for problem in problems:
        print(problem, file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main("--check" in sys.argv[1:]))
