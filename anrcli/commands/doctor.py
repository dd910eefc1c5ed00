"""`anr doctor`: what works on this machine, and how to get the rest."""

from __future__ import annotations

import importlib
import os
import platform
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from anrcli.commands.command import Command, Report
from anrcli.commands.stages import duration
from pipelines.core.errors import AnrError
from pipelines.core.stage import Progress
from pipelines.core.workspace import Workspace

FREE_GB_WANTED = 5.0
OPENCV_NEEDS = "libGL.so"


@dataclass(frozen=True)
class Part:
    """A package and what `anr` does with it."""

    module: str
    package: str                        # its name for pip
    use: str
    needed: bool = True
    remedy: str = ""                    # "" = pip install


@dataclass(frozen=True)
class Finding:
    """One row of the doctor's table."""

    part: str
    works: bool
    needed: bool
    told: str
    remedy: str = ""


PARTS = (
    Part("torch", "torch", "training, rendering"),
    Part("torchvision", "torchvision", "feature loss"),
    Part("lpips", "lpips", "the LPIPS figure"),
    Part("flip_evaluator", "flip-evaluator", "the FLIP figure"),
    Part("mediapipe", "mediapipe==0.10.21", "landmarks, person mask"),
    Part("cv2", "opencv-contrib-python", "pictures to files and back"),
    Part("numba", "numba", "rasterizer, fit"),
    Part("scipy", "scipy", "smoothing, filters"),
    Part("trimesh", "trimesh", "mesh checks, the body as a file"),
    Part("av", "av", "reading videos"),
    Part("PIL", "pillow", "reading folders of pictures"),
    Part("ffmpeg", "ffmpeg-python", "writing videos"),
    Part("pymatting", "pymatting", "mattes"),
    Part("safetensors", "safetensors", "weights to files and back"),
    Part("tensorboard", "tensorboard", "training curves", needed=False),
    Part("nvdiffrast", "nvdiffrast", "rasterizer on a GPU (licence: not for commercial use)", needed=False,
         remedy="needs CUDA: pip install git+https://github.com/NVlabs/nvdiffrast --no-build-isolation"),
    Part("openvino", "openvino", "faster rendering on a processor (--engine openvino)", needed=False,
         remedy='pip install "anr[openvino]"'),
    Part("pyk4a", "pyk4a-bundle", "recording from an Azure Kinect (--source kinect)", needed=False,
         remedy='pip install "anr[kinect]"'),
)
WEIGHTS = {
    "squeezenet1_1": "feature loss and the LPIPS figure",
    "vgg19": "feature loss; SqueezeNet's is taken without",
    "inception_fid": "the mFID figure",
    "inception_v3": "the mFID figure in torchvision's terms",
}


def doctor(workspace: Workspace, progress: Progress) -> Report:
    """Tries every part; AnrError when one that is needed does not work."""
    progress.note(f"Trying every part; this takes about {duration(15)}.")
    checks: list[Callable[[], Finding]] = [_python, *(lambda part=part: _package(part) for part in PARTS), _ffmpeg,
                                           _body, _gpu,
                                           *(lambda name=name: _weights(name) for name in WEIGHTS),
                                           lambda: _disk(workspace.root)]
    findings = [check() for check in progress.track(checks, "Trying", len(checks))]
    broken = [each for each in findings if each.needed and not each.works]
    if broken:
        raise AnrError(
            "These parts do not work here: " + "; ".join(f"{each.part} ({each.told})" for each in broken) + ".",
            hint="; ".join(dict.fromkeys(each.remedy for each in broken if each.remedy)),
        )
    state = {(True, True): "works", (True, False): "works", (False, False): "optional"}
    table = [
        ("part", "state", "", "how to get it"),
        *(
            (each.part, state[each.works, each.needed], each.told, "" if each.works else each.remedy)
            for each in findings
        ),
    ]
    return Report(figures={"working": sum(each.works for each in findings), "parts": len(findings)},
                  table=tuple(table), lines=("Everything that is needed works.",))


def is_missing_part(error: BaseException) -> bool:
    """Whether a package or a system library is not there, and not a module of ours."""
    if isinstance(error, ImportError):
        return (error.name or "").split(".")[0] not in ("anrcli", "pipelines")
    return isinstance(error, OSError) and "cannot open shared object" in str(error)


def remedy_for(error: BaseException) -> str:
    """The command that does without the system library an error names; "" for any other error.

    OpenCV's usual build draws windows and needs libGL.so.1, which a machine without a screen may lack.
    """
    if OPENCV_NEEDS not in str(error):
        return ""
    try:
        exactly = f"=={version('opencv-contrib-python')}"
    except PackageNotFoundError:
        exactly = ""
    return f"pip install --no-deps --force-reinstall opencv-contrib-python-headless{exactly}"


def _python() -> Finding:
    return Finding(
        "Python",
        sys.version_info >= (3, 10),
        True,
        f"{platform.python_version()}, {os.cpu_count()} processors",
        "install Python 3.10, 3.11 or 3.12",
    )


def _package(part: Part) -> Finding:
    remedy = part.remedy or f'pip install "{part.package}"'
    try:
        importlib.import_module(part.module)
        number = version(part.package.split("=")[0])
    except PackageNotFoundError:
        number = ""
    except (ImportError, OSError) as error:         # also what a missing system library raises
        reason = "not installed" if isinstance(error, ModuleNotFoundError) and error.name == part.module else str(error)
        return Finding(part.module, False, part.needed, f"{part.use}: {reason}", remedy_for(error) or remedy)
    return Finding(part.module, True, part.needed, f"{number:<10} {part.use}", remedy)


def _ffmpeg() -> Finding:
    from pipelines.media.video import available

    works = available()
    return Finding(
        "ffmpeg program", works, True, "H.264 videos" if works else "not found", "pip install imageio-ffmpeg"
    )


def _body() -> Finding:
    from pipelines.body.model import load_body

    try:
        body = load_body()
    except (AnrError, OSError) as error:
        return Finding("body model", False, True, str(error), "pip install --force-reinstall anr")
    return Finding("body model", True, True, f"version {body.version}, {len(body.verts)} vertices")


def _gpu() -> Finding:
    try:
        import torch
    except ImportError:
        return Finding("GPU", False, False, "torch is missing", "pip install torch")
    works = torch.cuda.is_available()
    return Finding(
        "GPU",
        works,
        False,
        torch.cuda.get_device_name() if works else "none; everything also runs without one",
        "an NVIDIA GPU with a CUDA build of torch",
    )


def _weights(name: str) -> Finding:
    from pipelines.metrics.weights import find_weights, remedy

    row = f"weights {name}"
    try:
        found = find_weights(name)
    except AnrError as error:                           # a file of that name which is another
        return Finding(row, False, False, f"{WEIGHTS[name]}: {error.message}", error.hint)
    return Finding(row, found is not None, False, WEIGHTS[name] + ("" if found else ": not there"), remedy(name))


def _disk(root: Path) -> Finding:
    place = next(each for each in (root, *root.absolute().parents) if each.exists())
    free_gb = shutil.disk_usage(place).free / 1e9
    return Finding("disk", free_gb >= FREE_GB_WANTED, False, f"{free_gb:.1f} GB free in {place}",
                   f"a minute of 720p video needs about {FREE_GB_WANTED:g} GB")


DOCTOR = Command(
    "doctor", "Shows what works on this machine and how to mend what does not.", (), doctor)
