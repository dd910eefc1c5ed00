"""Films a synthetic person, fits the body, and says how far its joints are from the truth.

Run it in an empty folder: python 01_capture_and_fit.py
"""

from __future__ import annotations

import numpy as np

import anrcli


def main() -> None:
    # The same as: anr capture --source synthetic:ada --person ada --seconds 2 --studio-size 256
    captured = anrcli.capture(workspace="workspace", source="synthetic:ada", person="ada", seconds=2.0, studio_size=256)

    # Brings keypoints up to date as well; run the file again and nothing is left to do.
    fitted = anrcli.fit(workspace="workspace", person="ada")
    print("overlay video:", fitted.outputs["overlay"])

    known = captured.outputs["folder"] / "truth.npz"
    with np.load(fitted.outputs["folder"] / "fit.npz") as fit, np.load(known) as truth:
        ok = fit["ok"]
        away_m = np.linalg.norm(fit["joints_m"] - truth["joints_m"], axis=-1)[ok]
    print(f"{ok.sum()} of {len(ok)} frames fitted; joints {1000 * np.median(away_m):.0f} mm from the truth (median)")


if __name__ == "__main__":              # stages start worker processes, which import this file once more
    main()
