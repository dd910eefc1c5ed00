"""The mattes' figures on synthetic people, whose true mattes are known.

    python tests/benchmarks/matte_figures.py WORKSPACE ada-capture-30-sensor ben-capture-30-sensor
    python tests/benchmarks/matte_figures.py WORKSPACE ada ben --without depth plate

Brings each person's matte up to date (with the options given, as a new version) and holds it against the truth of
the capture. Without people: everybody in the workspace whose capture knows the truth.

IoU       sum of min(alpha, truth) over sum of max(alpha, truth), mean over frames
SAD       sum of |alpha - truth|, in pixels of a 512x512 picture (larger ones count less), mean over frames
MSE       mean square error over the pixels within 8 px (of 512) of the true outline, times 1000
grad      sum of the squared difference of the gradients of both, smoothed with sigma 1.4
          (Rhemann et al., A perceptually motivated online benchmark for image matting, CVPR 2009)
flicker   what changes from frame to frame and is no motion: sum of |alpha_t - moved(alpha_s)| less that of the truth,
          over the sum of the truth; s is the frame before t, moved along by the optical flow of the pictures (whose
          faults the truth shares); mean over frames, in percent
drift     stricter: sum of |error_t - moved(error_s)| over the sum of the truth, error = alpha - truth
worst     the lowest IoU of a frame, and which
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import astuple, dataclass
from pathlib import Path

import numpy as np

from pipelines.chain import Request, bring_up_to_date
from pipelines.core.workspace import Workspace, newest_version
from pipelines.media.images import read_alpha
from pipelines.media.recording import Recording

NEAR_PX = 8                             # of the outline, in a picture of 512
HEADER = f"{'':28}{'IoU':>7} {'SAD':>6} {'MSE':>6} {'grad':>6} {'flicker':>8} {'drift':>7}  worst"


@dataclass(frozen=True)
class Figures:
    """One line of the table."""

    iou: float
    sad: float
    mse: float
    gradient: float
    flicker: float
    drift: float

    def __str__(self) -> str:
        return (f"{self.iou:7.4f} {self.sad:6.0f} {self.mse:6.1f} {self.gradient:6.2f} {100 * self.flicker:6.2f} % "
                f"{100 * self.drift:5.2f} %")


def figures_of(folder: Path, recording: Recording) -> tuple[Figures, str]:
    """Figures of the mattes in `folder`, and the worst frame in words."""
    per_512 = (512 / recording.camera.height) ** 2
    rows, ious = [], []
    before: tuple[np.ndarray, np.ndarray, np.ndarray] | None = None
    for k in range(len(recording)):
        alpha, truth = read_alpha(folder / f"{k:05d}.png"), recording.truth_alpha(k)
        assert truth is not None
        area = max(float(truth.sum()), 1.0)
        ious.append(float(np.minimum(alpha, truth).sum()) / max(float(np.maximum(alpha, truth).sum()), 1.0))
        error, image = alpha - truth, recording.image(k)
        unsteady = (np.nan, np.nan) if before is None else changes((image, alpha, truth), before)
        rows.append((ious[-1], per_512 * float(np.abs(error).sum()),
                     1000 * float((error[near_outline(truth)] ** 2).mean()),
                     float(((gradient(alpha) - gradient(truth)) ** 2).sum()), *(each / area for each in unsteady)))
        before = image, alpha, truth
    worst = int(np.argmin(ious))
    return Figures(*np.nanmean(rows, axis=0).tolist()), f"{ious[worst]:.3f} (frame {worst})"


def changes(now: tuple[np.ndarray, ...], before: tuple[np.ndarray, ...]) -> tuple[float, float]:
    """Flicker and drift in pixels, of image, alpha and truth in two frames."""
    import cv2

    from pipelines.matting.steady import flow_between

    flow = flow_between(now[0], before[0])
    rows, columns = np.mgrid[:flow.shape[0], :flow.shape[1]].astype(np.float32)
    alpha, truth = (cv2.remap(each, columns + flow[..., 0], rows + flow[..., 1], cv2.INTER_LINEAR,
                              borderMode=cv2.BORDER_REPLICATE) for each in before[1:])
    own, true = np.abs(now[1] - alpha).sum(), np.abs(now[2] - truth).sum()
    return float(own - true), float(np.abs((now[1] - now[2]) - (alpha - truth)).sum())


def near_outline(truth: np.ndarray) -> np.ndarray:
    """(H, W) bool: within NEAR_PX of the true outline."""
    import cv2

    kernel = np.ones((2 * round(NEAR_PX * truth.shape[0] / 512) + 1,) * 2, np.uint8)
    solid = (truth > 0.5).astype(np.uint8)
    return cv2.dilate(solid, kernel) != cv2.erode(solid, kernel)


def gradient(alpha: np.ndarray) -> np.ndarray:
    """(H, W) length of the gradient."""
    import cv2

    smooth = cv2.GaussianBlur(alpha, (0, 0), 1.4)
    down, across = np.gradient(smooth)
    return np.hypot(down, across)


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("workspace", type=Path)
    parser.add_argument("people", nargs="*")
    parser.add_argument("--without", nargs="*", choices=("depth", "plate"), default=[])
    parser.add_argument("--fast", action="store_true")
    asked = parser.parse_args(arguments)
    workspace = Workspace(asked.workspace)
    typed = {**{name: False for name in asked.without}, **({"fast": True} if asked.fast else {})}
    sys.stdout.write(f"{HEADER}\n")
    lines = []
    for person in asked.people or workspace.people():
        bring_up_to_date(workspace, "matte", Request(person=person, typed={"matte": typed} if typed else {}))
        capture, matte = (newest_version(workspace.person_place(person, stage)) for stage in ("capture", "matte"))
        assert capture is not None and matte is not None
        recording = Recording(capture.folder)
        if not recording.has_truth_alpha:
            sys.stdout.write(f"{person:28}has no truth\n")
            continue
        figures, worst = figures_of(matte.folder / "alpha", recording)
        lines.append(astuple(figures))
        sys.stdout.write(f"{person:28}{figures}  {worst}\n")
        sys.stdout.flush()
    if lines:
        sys.stdout.write(f"{'all':28}{Figures(*np.mean(lines, axis=0).tolist())}\n")


if __name__ == "__main__":
    main(sys.argv[1:])
