"""Keeps the starred rules of the house: which way imports point, who prints, where heavy packages live."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FILES = sorted(path for top in ("anrcli", "pipelines") for path in (ROOT / top).rglob("*.py"))
CHAINS = {"chain", "benchmark", "study"}  # files beside the stages: they know all of them, or none
STAGES = {path.stem for path in (ROOT / "pipelines").glob("*.py")} - CHAINS - {"__init__"}

# Who may import whom, all ways written out; a part may always import itself.
BASE = {"core", "geometry", "media", "body"}
SIBLINGS = {"sources", "studio", "rasterizers", "detectors", "matting", "fitting", "renderers", "metrics", "motion",
            "keyframing"}
TRADES = {"training", "playback", "coaching", "rigid", "benchmarking", "studying"}     # what one stage or two rest on
MAY_IMPORT: dict[str, set[str]] = {
    "core": set(),
    "geometry": {"core"},
    "media": {"core"},
    "body": {"core", "geometry", "media"},
    **{part: set(BASE) for part in SIBLINGS},
    "sources": BASE | {"studio"},
    "studio": BASE | {"rasterizers"},
    **{part: BASE | SIBLINGS for part in TRADES},
    "rigid": BASE | SIBLINGS | {"training", "playback"},       # an object is learned and looked at as an avatar is
    "stage": BASE | SIBLINGS | TRADES,
    "chaining": {"core", "stage"},
    "chain": {"core", "stage", "chaining"},
    "benchmark": BASE | SIBLINGS | TRADES | {"stage", "chain"},          # many chains, one table
    "study": {"core", "media", "studying"},                              # from clips and answers, whoever made them
    "anrcli": BASE | SIBLINGS | TRADES | CHAINS,
}
ONE_HOME = {
    "mediapipe": "pipelines/detectors/mediapipe.py",
    "pymatting": "pipelines/matting/solvers.py",
    "lpips": "pipelines/metrics/lpips.py",
    "nvdiffrast": "pipelines/rasterizers/nvdiffrast.py",
    "pyk4a": "pipelines/sources/kinect.py",
}
KNOW_FOLDERS = ("core", "stage", "chaining", *CHAINS, "anrcli")     # of the workspace; and are read for --help
LIGHT = {"numpy", "typer", "rich", *sys.stdlib_module_names}


def imports(path: Path, everywhere: bool = True) -> Iterator[tuple[str, int]]:
    """(module, line) of every import, those inside functions as well; without `everywhere` only those run on import."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    skipped = (
        set()
        if everywhere
        else {
            inner
            for node in ast.walk(tree)
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) or _type_checking(node)
            for inner in ast.walk(node)
        }
    )
    for node in ast.walk(tree):
        if node in skipped:
            continue
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno} imports relatively"
            yield from ((f"{node.module}.{alias.name}", node.lineno) for alias in node.names)


def _type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def part_of(module: str) -> str | None:
    """`pipelines.core.stage.Job` -> core; `pipelines.fit` -> stage; other packages -> None."""
    names = module.split(".")
    if names[0] == "anrcli":
        return "anrcli"
    if names[0] != "pipelines" or len(names) == 1:
        return None
    return "stage" if names[1] in STAGES else names[1]


def part_of_file(path: Path) -> str | None:
    return part_of(".".join(path.relative_to(ROOT).with_suffix("").parts))


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_imports_point_down_only(path: Path) -> None:
    own = part_of_file(path)
    for module, line in imports(path):
        other = part_of(module)
        if own and other and other not in ("__init__", own):
            assert other in MAY_IMPORT[own], f"{name_of(path)}:{line}: {own} must not import {module}"


def test_every_part_has_its_place_in_the_order() -> None:
    parts = {part_of_file(path) for path in FILES} - {None, "__init__"}
    assert parts <= set(MAY_IMPORT), f"say in MAY_IMPORT what {parts - set(MAY_IMPORT)} may import"


@pytest.mark.parametrize("path", [p for p in FILES if part_of_file(p) == "stage"], ids=name_of)
def test_stages_never_import_one_another(path: Path) -> None:
    others = [f"{name_of(path)}:{line} {module}" for module, line in imports(path) if part_of(module) == "stage"]
    assert not others


@pytest.mark.parametrize(
    "path", [p for p in FILES if part_of_file(p) in KNOW_FOLDERS], ids=name_of
)
def test_what_is_imported_for_help_is_light(path: Path) -> None:
    for module, line in imports(path, everywhere=False):
        top = module.split(".")[0]
        assert top in LIGHT or top in ("pipelines", "anrcli"), f"{name_of(path)}:{line} imports {top} at the top"
        if part_of_file(path) == "core":
            assert top in {"numpy", "pipelines", *sys.stdlib_module_names}, (
                f"{name_of(path)}:{line}: core imports {top}"
            )


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_a_heavy_package_is_imported_in_one_file_only(path: Path) -> None:
    for module, line in imports(path):
        home = ONE_HOME.get(module.split(".")[0])
        assert home in (None, name_of(path)), f"{name_of(path)}:{line}: {module} belongs in {home}"


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_only_the_console_prints(path: Path) -> None:
    if name_of(path) == "anrcli/console.py":
        return
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        called = node.func if isinstance(node, ast.Call) else None
        if isinstance(called, ast.Name):
            assert called.id != "print", f"{name_of(path)}:{node.lineno} prints"
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "sys":
            assert node.attr != "stdout" or name_of(path) == "anrcli/app.py", (
                f"{name_of(path)}:{node.lineno} uses sys.stdout"
            )


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_only_stages_and_core_touch_stage_folders(path: Path) -> None:
    """A part gets records or arrays; only stages, core and the command line know a Job or a Workspace."""
    if part_of_file(path) in KNOW_FOLDERS:
        return
    for module, line in imports(path):
        assert not module.startswith(("pipelines.core.workspace", "pipelines.core.stage.Job")), \
            f"{name_of(path)}:{line} knows about stage folders ({module})"


def test_help_imports_nothing_heavy() -> None:
    heavy = ("torch", "cv2", "numba", "scipy", "mediapipe", "av", "trimesh", "lpips", "tensorboard")
    code = ("import sys\nfrom anrcli.app import main\nassert main(['--help']) == 0\n"
            f"sys.exit(' '.join(name for name in {heavy!r} if name in sys.modules) or 0)")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"anr --help imports {done.stderr}"
