"""Does a person detector see the avatar where the driven body is?

    python tests/benchmarks/rendered_person.py workspace/avatars/main/renders/v001

Prints the share of frames in which MediaPipe finds a person, and how far its shoulders, elbows, hips, knees and
ankles lie from the driven body's joints, as a share of the body's height in the picture (the vertical extent of its
joints, a little less than the person's height, so the share errs on the high side).
"""

from __future__ import annotations

import sys
from pathlib import Path

import av
import numpy as np

from pipelines.detectors.following import Follower

# MediaPipe's landmark index and our joint's name
LIMBS = {11: "upperarm01.L", 12: "upperarm01.R", 13: "lowerarm01.L", 14: "lowerarm01.R", 23: "upperleg01.L",
         24: "upperleg01.R", 25: "lowerleg01.L", 26: "lowerleg01.R", 27: "foot.L", 28: "foot.R"}


def measure(folder: Path) -> dict[str, float]:
    """found_share, and median_error and p95_error as shares of the body's height."""
    with np.load(folder / "motion.npz") as stored:
        joints_px, names = stored["joints_px"], [str(name) for name in stored["joint_names"]]
    columns = [names.index(name) for name in LIMBS.values()]
    height_px = float(np.median(np.ptp(joints_px[..., 1], axis=1)))
    errors, found = [], 0
    with av.open(str(folder / "video.mp4")) as video:
        follower = Follower(float(video.streams.video[0].average_rate or 30))
        count = 0
        for count, frame in enumerate(video.decode(video=0), start=1):
            seen = follower.see(frame.to_ndarray(format="rgb24"))
            if seen is not None:
                found += 1
                away = seen.landmarks.pixels[list(LIMBS)] - joints_px[count - 1, columns]
                errors.append(np.linalg.norm(away, axis=1))
        follower.close()
    shares = np.concatenate(errors) / height_px
    return {"frames": count, "found_share": found / count, "median_error": float(np.median(shares)),
            "p95_error": float(np.percentile(shares, 95)), "height_px": height_px}


if __name__ == "__main__":
    for name, value in measure(Path(sys.argv[1])).items():
        sys.stdout.write(f"{name:14s} {value:.4g}\n")
