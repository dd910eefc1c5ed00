"""How far the fitted limb joints lie from a synthetic person's true ones.

    python tests/benchmarks/fit_error.py workspace ada

Prints mean and 95th percentile over frames and the 12 limb joints (shoulders, elbows, wrists, hips, knees, ankles),
in millimetres.
"""

from __future__ import annotations

import sys

import numpy as np

from pipelines.core.workspace import Workspace, newest_version

LIMBS = [f"{joint}.{side}" for joint in ("upperarm01", "lowerarm01", "wrist", "upperleg01", "lowerleg01", "foot")
         for side in "LR"]


def limb_errors_m(workspace: Workspace, person: str) -> np.ndarray:
    """(F, 12) metres, frames with a trusted fit."""
    capture, fit = (newest_version(workspace.person_place(person, stage)) for stage in ("capture", "fit"))
    if capture is None or fit is None:
        raise SystemExit(f"{person} has no fit in {workspace.root}: run anr fit --person {person} first.")
    with np.load(capture.folder / "truth.npz") as truth, np.load(fit.folder / "fit.npz") as found:
        columns = [[str(name) for name in found["joint_names"]].index(limb) for limb in LIMBS]
        away = np.linalg.norm(found["joints_m"][:, columns] - truth["joints_m"][:, columns], axis=-1)
        return away[found["ok"]]


if __name__ == "__main__":
    errors_mm = 1000 * limb_errors_m(Workspace(sys.argv[1]), sys.argv[2])
    sys.stdout.write(f"mean {errors_mm.mean():.1f} mm, p95 {np.percentile(errors_mm, 95):.1f} mm, "
                     f"{len(errors_mm)} frames\n")
