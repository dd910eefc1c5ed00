"""Records and arrays to files and back. Image codecs live in `pipelines.media`."""

from __future__ import annotations

import io
import json
import zipfile
import zlib
from collections.abc import Iterable
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import numpy as np

from pipelines.core.errors import AnrError
from pipelines.core.records import BodyFit, Camera

MISSING = "Delete that version folder and run again; `anr status --verify` finds damage."
DAMAGED = "Delete that version folder and run again."


def write_json(path: Path, value: Any) -> None:
    """Writes plain values as lines people can read, keys in the order given; TypeError for an array."""
    path.write_text(json.dumps(value, indent=1, sort_keys=False) + "\n", encoding="utf-8")


def read_json(path: Path) -> Any:
    """The value; AnrError where the file is missing or damaged."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise AnrError(f"{path} is missing.", hint=MISSING) from None
    except ValueError as error:
        raise AnrError(f"{path} is damaged: {error}.", hint=DAMAGED) from None


def read_npz(path: Path, names: Iterable[str] = ()) -> dict[str, np.ndarray]:
    """All arrays of an .npz file; AnrError where it is missing, damaged or lacks one of `names`."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise AnrError(f"{path} is missing.", hint=MISSING) from None
    try:
        with zipfile.ZipFile(io.BytesIO(content)):       # anything else numpy would take for a single array
            pass
        with np.load(io.BytesIO(content), allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
    # The wrong byte may be in the archive's table, an entry's flags (RuntimeError), its content or an array's header.
    except (zipfile.BadZipFile, zlib.error, ValueError, KeyError, EOFError, RuntimeError) as error:
        raise AnrError(f"{path} is damaged: {error}.", hint=DAMAGED) from None
    absent = [name for name in names if name not in arrays]
    if absent:
        raise AnrError(f"{path} is damaged: it has no {', '.join(absent)}.", hint=DAMAGED)
    return arrays


def write_npz(path: Path, **arrays: np.ndarray) -> None:
    """Packed in memory first: on a full disk an archive that numpy writes into a file complains a second time."""
    packed = io.BytesIO()
    np.savez_compressed(packed, **arrays)
    path.write_bytes(packed.getvalue())


def camera_to_json(camera: Camera) -> dict[str, Any]:
    """The fields by name, arrays as nested lists."""
    plain = {**asdict(camera)}
    return {k: v.tolist() if isinstance(v, np.ndarray) else v for k, v in plain.items()}


def camera_from_json(value: dict[str, Any]) -> Camera:
    """What `camera_to_json` told; recordings from before there was a weak depth have none."""
    return Camera(K=np.array(value["K"], float), width=int(value["width"]), height=int(value["height"]),
                  world_to_camera=np.array(value["world_to_camera"], float),
                  distortion=np.array(value["distortion"], float), weak_depth_m=value.get("weak_depth_m"))


def write_fit(path: Path, fit: BodyFit, vertices_m: np.ndarray | None = None) -> None:
    """Writes `fit.npz`; with `vertices_m` (F, V, 3), metres in the camera's frame, for programs without our body."""
    more = {} if vertices_m is None else {"vertices_m": vertices_m.astype(np.float32)}
    write_npz(path, **{f.name: getattr(fit, f.name) for f in fields(fit)}, **more)


def read_fit(path: Path) -> BodyFit:
    """Reads `fit.npz` (one row per captured frame, always finite)."""
    names = [f.name for f in fields(BodyFit)]
    stored = read_npz(path, names)
    return BodyFit(**{name: stored[name] for name in names})
