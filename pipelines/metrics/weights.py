"""Pretrained weights: where they are looked for, and the check that they are the right ones."""

from __future__ import annotations

import hashlib
import http.client
import os
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from pipelines.core.errors import AnrError

CONNECT_S = 10                          # a download that does not begin within this is given up


@dataclass(frozen=True)
class PretrainedWeights:
    """One file of pretrained weights, under the names it goes by."""

    files: dict[str, str]               # file name -> sha256, or its first digits as torchvision puts them in the name
    url: str
    licence: str
    size_mb: float


PRETRAINED = {
    "squeezenet1_1": PretrainedWeights(
        {"squeezenet1_1-b8a52dc0.pth": "b8a52dc0",
         "squeeze.backbone.pth": "435cedb387e95bc8291893f61a3a64f0345b8c23a05139aceef43947efb3d52d"},
        "https://download.pytorch.org/models/squeezenet1_1-b8a52dc0.pth", "BSD-3-Clause (torchvision)", 4.7),
    "vgg19": PretrainedWeights(
        {"vgg19-dcbb9e9d.pth": "dcbb9e9d"},
        "https://download.pytorch.org/models/vgg19-dcbb9e9d.pth", "BSD-3-Clause (torchvision)", 548.0),
    # The network the Frechet distance is defined by; torchvision's own weights give numbers for comparisons here alone.
    "inception_fid": PretrainedWeights(
        {"pt_inception-2015-12-05-6726825d.pth": "6726825d"},
        "https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/pt_inception-2015-12-05-6726825d.pth",
        "Apache-2.0", 91.2),
    "inception_v3": PretrainedWeights(
        {"inception_v3_google-0cc3c7bd.pth": "0cc3c7bd"},
        "https://download.pytorch.org/models/inception_v3_google-0cc3c7bd.pth", "BSD-3-Clause (torchvision)", 104.0),
}
CHUNK = 1 << 22                         # bytes read at once: some of these files are large


def find_weights(name: str, weights_dir: str | Path | None = None) -> Path | None:
    """The file of a pretrained extractor; None where there is none.

    Looked for in `weights_dir` (which must then exist), $ANR_WEIGHTS, the user's cache and torchvision's cache, each
    with its subfolders one deep. A file of the right name and the wrong content raises AnrError.
    """
    wanted = PRETRAINED[name]
    for folder in search_folders(weights_dir):
        for place in (folder, *sorted(p for p in folder.glob("*") if p.is_dir())):
            for file, digest in wanted.files.items():
                if (place / file).is_file():
                    _check(place / file, digest)
                    return place / file
    return None


def search_folders(weights_dir: str | Path | None) -> list[Path]:
    """Where weights are looked for, in this order; only folders that exist."""
    if weights_dir and not Path(weights_dir).is_dir():
        raise AnrError(f"The weights folder {weights_dir} does not exist.", hint="Check --weights.")
    named = [weights_dir, os.environ.get("ANR_WEIGHTS")]
    folders = [*(Path(f) for f in named if f), user_cache(), torchvision_cache()]
    return [f for f in folders if f.is_dir()]


def fetch_weights(name: str) -> Path | None:
    """Downloads an extractor to torchvision's cache; None without a network or with ANR_OFFLINE set."""
    wanted = PRETRAINED[name]
    if os.environ.get("ANR_OFFLINE"):
        return None
    file, digest = next(iter(wanted.files.items()))
    target = torchvision_cache() / file
    partial = target.with_suffix(f".{os.getpid()}.partial")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with urllib.request.urlopen(wanted.url, timeout=CONNECT_S) as answer, partial.open("wb") as stream:
            while chunk := answer.read(CHUNK):
                stream.write(chunk)
        _check(partial, digest)
        partial.replace(target)
    except (OSError, http.client.HTTPException, AnrError):
        # No network, a download cut off, a proxy's page instead of the file, a cache that cannot be written.
        partial.unlink(missing_ok=True)
        return None
    return target


def remedy(name: str) -> str:
    """What to do about missing weights, in one sentence."""
    wanted = PRETRAINED[name]
    return (f"Download {wanted.url} ({wanted.size_mb} MB, {wanted.licence}) into {user_cache()}, "
            "or name the folder that has it with --weights DIR.")


def user_cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "anr" / "weights"


def torchvision_cache() -> Path:
    home = os.environ.get("TORCH_HOME") or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "torch"
    return Path(home) / "hub" / "checkpoints"


def _check(path: Path, digest: str) -> None:
    whole = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(CHUNK):
            whole.update(chunk)
    found = whole.hexdigest()
    if not found.startswith(digest):
        raise AnrError(f"{path} is not the file it should be: its sha256 begins {found[:12]}, expected {digest[:12]}.",
                       hint="Delete it and download it again.")
