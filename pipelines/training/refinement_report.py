"""What pose refinement learned, as files beside the avatar; rendering reads none of them.

    refinement.json         of each person, how many pixels each region of the body was moved by: median and p95
    refined/PERSON.npz      the fit with its corrections put in, laid out as `fit.npz`: hints for fitting again
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from pipelines.body.model import load_body
from pipelines.core.storage import write_fit, write_json
from pipelines.training.refinement import Corrections, Refinement
from pipelines.training.refinement_body import corrected, leverage


def write_refinement(folder: Path, refinement: Refinement) -> dict[str, float]:
    """Writes both files; figures: the median and p95 over frames of what the whole body was moved by, in pixels."""
    (folder / "refined").mkdir(exist_ok=True)
    moved = {person: regions_moved(own) for person, own in refinement.people.items()}
    for person, own in refinement.people.items():
        write_fit(folder / "refined" / f"{person}.npz", corrected(own.body, own.frames, own.values.numpy()))
    write_json(folder / "refinement.json", {person: _told(regions, refinement.people[person])
                                            for person, regions in moved.items()})
    whole = np.concatenate([regions["body"] for regions in moved.values()])
    return {"refined_px_median": round(float(np.median(whole)), 3),
            "refined_px_p95": round(float(np.percentile(whole, 95)), 3)}


def regions_moved(own: Corrections) -> dict[str, np.ndarray]:
    """{region: (F,)} pixels of the capture that a region's vertices were moved by in each frame, on average."""
    body = load_body()
    verts_of = {name: np.unique(body.faces[body.face_region == number])
                for number, name in enumerate(body.region_names)}
    moved: dict[str, list[float]] = {name: [] for name in ("body", *verts_of)}
    for frame, value in zip(own.frames, own.values.numpy()):
        size = np.linalg.norm(leverage(own.body, int(frame)) @ value, axis=1)
        moved["body"].append(float(size.mean()))
        for name, verts in verts_of.items():
            moved[name].append(float(size[verts].mean()))
    return {name: np.array(sizes) for name, sizes in moved.items()}


def _told(regions: dict[str, np.ndarray], own: Corrections) -> dict[str, Any]:
    return {"frames": len(own.frames), "steps": own.steps,
            "moved_px": {name: {"median": round(float(np.median(sizes)), 3),
                                "p95": round(float(np.percentile(sizes, 95)), 3)} for name, sizes in regions.items()}}
