"""Laws over every option of every stage, every command, and every error a person may see."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path
from typing import get_type_hints

import pytest

from anrcli.app import GLOBAL_SWITCHES, GLOBAL_WITH_VALUE
from anrcli.commands import COMMANDS
from anrcli.commands.command import Command
from pipelines.chain import STAGES
from pipelines.core.errors import AnrError
from pipelines.core.options import identity_of, recorded_of

ROOT = Path(__file__).resolve().parents[1]
FILES = sorted(path for top in ("anrcli", "pipelines") for path in (ROOT / top).rglob("*.py"))
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
HEAVY = ("torch", "cv2", "mediapipe", "scipy", "numba", "av", "trimesh", "lpips", "PIL", "tensorboard", "pyk4a")
TYPED = re.compile(r"(?<![\w/-])anr ([a-z]+)((?:[^`\n]|\n(?!\n))*)")           # to the end of the code, or of the line
QUOTED = re.compile(r"(?:`|: )anr ([a-z]+)")                                    # and not "another anr is writing"
FLAG = re.compile(r"(?<![\w-])--[a-z][a-z-]*")


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def test_the_help_of_no_command_imports_anything_heavy() -> None:
    code = (f"import sys\nfrom anrcli.app import main\nfor name in {list(COMMANDS)!r}:\n"
            "    assert main([name, '--help']) == 0, name\n"
            f"    loaded = [each for each in {HEAVY!r} if each in sys.modules]\n"
            "    assert not loaded, f'anr {name} --help imports {loaded}'\n")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-500:]


@pytest.mark.parametrize("name", STAGES)
def test_the_options_of_a_stage_are_told_and_can_be_written_down(name: str) -> None:
    stage = STAGES[name]
    assert is_dataclass(stage.Options) and stage.Options.__dataclass_params__.frozen     # type: ignore[attr-defined]
    hints, usual = get_type_hints(stage.Options), stage.Options()
    for each in fields(stage.Options):
        assert each.default is not MISSING, f"{each.name} has no default"
        told = re.sub(r" \(default: [^)]*\)$", "", each.metadata["help"])
        assert told.endswith("."), f"{each.name}: {told!r} is no sentence"
        kinds = getattr(hints[each.name], "__args__", (hints[each.name],))
        held = kinds[:1] if each.metadata["repeat"] else kinds
        assert set(held) - {type(None)} <= {str, int, float, bool}, f"{each.name}: nobody can type a {hints[each.name]}"
        assert each.metadata["repeat"] == isinstance(each.default, tuple), each.name
        if each.metadata["file"]:
            assert not Path(each.default).suffix, f"{each.name}: {each.default} may be a file"
    plain = (str, int, float, bool, list, type(None))
    for kept in (identity_of(usual), recorded_of(usual)):
        assert all(isinstance(value, plain) for value in kept.values()), kept


ENOUGH: dict[str, dict[str, object]] = {
    "render": {"orbit": True}, "tryon": {"orbit": True, "face": "ada", "shirt": "ben"},
    "finetune": {"person": "ada"}, "enroll": {"person": "ada"}, "edit": {"person": "ada"}}


COMPUTING = [name for name, stage in STAGES.items() if "device" in {each.name for each in fields(stage.Options)}]


@pytest.mark.parametrize("name", COMPUTING)
def test_a_device_that_is_not_there_is_refused_before_any_work(name: str) -> None:
    check = STAGES[name].check
    assert check is not None, f"{name} would find out after everything before it"
    with pytest.raises(AnrError, match="--device quantum is not known"):
        check(STAGES[name].Options(**ENOUGH.get(name, {}), device="quantum"))


@pytest.mark.parametrize("name", COMMANDS)
def test_no_option_hides_another(name: str) -> None:
    parameters = COMMANDS[name].parameters
    flags = [flag for parameter in parameters for flag in parameter.flags.split("/")]
    assert len(flags) == len(set(flags)), f"anr {name} has an option twice"
    assert not set(flags) & {*GLOBAL_SWITCHES, *GLOBAL_WITH_VALUE, "--help", "-h", "--version"}
    names = [parameter.name for parameter in parameters]
    assert len(names) == len(set(names)) and not {"workspace", "progress"} & set(names)


def errors_in(path: Path) -> Iterator[ast.Call]:
    """Every `AnrError(...)` and `UsageError(...)` that a file makes."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        made = node.func if isinstance(node, ast.Call) else None
        if isinstance(node, ast.Call) and isinstance(made, ast.Name) and made.id in ("AnrError", "UsageError"):
            yield node


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_every_error_says_what_to_do(path: Path) -> None:
    for call in errors_in(path):
        hints = [*call.args[1:2], *(keyword.value for keyword in call.keywords if keyword.arg == "hint")]
        where = f"{name_of(path)}:{call.lineno}"
        assert len(hints) == 1, f"{where}: an error without a hint"
        assert not isinstance(hints[0], ast.Constant) or str(hints[0].value).strip(), f"{where}: an empty hint"


def text_of(node: ast.expr) -> str:
    """A string as far as it is written in the code; what is worked out counts as VALUE."""
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(text_of(part) for part in node.values)
    if isinstance(node, ast.BinOp):
        return text_of(node.left) + text_of(node.right)
    return "VALUE"


def typed_in(text: str) -> Iterator[tuple[str, list[str]]]:
    """(command, flags) of everything a text would have somebody type."""
    for match in TYPED.finditer(text):
        rest = re.split(r"(?<![\w/-])anr [a-z]", match[2])[0]
        yield match[1], FLAG.findall(rest.split(";")[0].split(". ")[0])


def known_flags(command: Command) -> set[str]:
    own = {flag for parameter in command.parameters for flag in parameter.flags.split("/")}
    return {*own, *GLOBAL_SWITCHES, *GLOBAL_WITH_VALUE, "--help"}


def test_commands_are_found_in_texts() -> None:
    said = "Train it: anr train --avatar VALUE, or `anr fit --accept`; --no-plate is for anr matte. See --strict."
    assert list(typed_in(said)) == [("train", ["--avatar"]), ("fit", ["--accept"]), ("matte", [])]
    assert sum(len(list(errors_in(path))) for path in FILES) > len(COMMANDS)


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_what_the_program_asks_for_can_be_typed(path: Path) -> None:
    """Messages, hints, help and docstrings."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if not isinstance(node, ast.JoinedStr | ast.Constant | ast.BinOp):
            continue
        where, said = f"{name_of(path)}:{node.lineno}", text_of(node)
        assert set(QUOTED.findall(said)) <= set(COMMANDS), f"{where}: no such command: {said}"
        for name, flags in typed_in(said):
            unknown = set(flags) - known_flags(COMMANDS[name]) if name in COMMANDS else ()
            assert not unknown, f"{where}: anr {name} has no {', '.join(sorted(unknown))}"


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_what_a_page_asks_for_can_be_typed(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    blocks = re.findall(r"```(?:bash|sh|console)?\n(.*?)```", text, re.S)
    lines = [line.split("#")[0] for block in blocks for line in block.replace("\\\n", " ").splitlines()
             if re.match(r"(\$ )?anr ", line)]
    for said in (*lines, *re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", text, flags=re.S))):
        for name, flags in typed_in(said):
            assert name in COMMANDS, f"there is no anr {name}: {said}"
            unknown = set(flags) - known_flags(COMMANDS[name])
            assert not unknown, f"anr {name} has no {', '.join(sorted(unknown))}: {said}"


def test_the_page_of_commands_tells_every_command_once() -> None:
    page = (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")
    assert re.findall(r"^## anr (\S+)$", page, re.M) == list(COMMANDS)
