"""Records and arrays to files and back. Image codecs live in `pipelines.media`."""

from __future__ import annotations

import json
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import numpy as np

from pipelines.core.errors import AnrError
from pipelines.core.records import BodyFit, Camera


def write_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=1, sort_keys=False) + "\n", encoding="utf-8")


def read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        hint = "Run the command again; `anr status --verify` finds damage."
        raise AnrError(f"{path} is missing.", hint) from None
    except ValueError as error:
        raise AnrError(f"{path} is damaged: {error}.", hint="Delete that version folder and run again.") from None


def camera_to_json(camera: Camera) -> dict[str, Any]:
    plain = {**asdict(camera)}
    return {k: v.tolist() if isinstance(v, np.ndarray) else v for k, v in plain.items()}


def camera_from_json(value: dict[str, Any]) -> Camera:
    return Camera(K=np.array(value["K"], float), width=int(value["width"]), height=int(value["height"]),
                  world_to_camera=np.array(value["world_to_camera"], float),
                  distortion=np.array(value["distortion"], float), weak_depth_m=value.get("weak_depth_m"))


def write_fit(path: Path, fit: BodyFit) -> None:
    np.savez_compressed(path, **{f.name: getattr(fit, f.name) for f in fields(fit)})


def read_fit(path: Path) -> BodyFit:
    """Reads `fit.npz` (one row per captured frame, always finite)."""
    with np.load(path, allow_pickle=False) as stored:
        return BodyFit(**{f.name: stored[f.name] for f in fields(BodyFit)})
