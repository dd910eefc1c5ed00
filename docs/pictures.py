"""Makes the pictures of people that the README and docs/render.md show, from the demo's workspace.

    python docs/pictures.py WORKSPACE FOLDER
"""

from __future__ import annotations

import sys
from pathlib import Path

import cv2
import numpy as np

import anrcli
from pipelines.media.images import read_image, write_image
from pipelines.media.recording import Recording
from pipelines.media.sheets import fit_height, tile

WIDTH = 1200
MOTIONS = Path(__file__).resolve().parents[2] / "shared" / "data" / "bvh"
MIDDLE = 0.6                            # of a frame's width is shown of a motion: nobody's arms are longer
STRIP, QUALITY = 8, 80


def main(workspace: Path, folder: Path) -> None:
    """`demo_people.jpg` from the captures, one strip per video of the demo (which is up to date, so nothing runs)."""
    folder.mkdir(parents=True, exist_ok=True)
    outputs = anrcli.demo(workspace=workspace).outputs
    pictures = {f"demo_{name}": read_image(outputs[f"{name}_strip"]) for name in ("walk", "orbit", "tryon")}
    people = []
    for person in ("ada", "ben"):
        recording = Recording(max((workspace / "people" / person / "capture").glob("v*")))
        people += [fit_height(recording.image(len(recording) * part // 8), 384) for part in (0, 1, 3)]
    pictures["demo_people"] = tile(people, columns=len(people))
    for name, image in pictures.items():
        write_image(folder / f"{name}.jpg", narrowed(image, WIDTH))
    write_performances(workspace, folder)


def write_performances(workspace: Path, folder: Path) -> None:
    """`ada_motions.jpg`: every shared motion as a row; `tryons.jpg`: ada and ben in each other's clothes."""
    rows = [read_image(anrcli.render(workspace=workspace, person="ada", motion=str(motion), fps=4.0, strip=STRIP,
                                     background="white").outputs["strip"]) for motion in sorted(MOTIONS.glob("*.bvh"))]
    if rows:
        write_image(folder / "ada_motions.jpg", narrowed(np.concatenate([middles(row) for row in rows]), 720), QUALITY)
    asked = ({"face": "ada", "shirt": "ben"}, {"face": "ada", "shirt": "ben", "trousers": "ben", "shoes": "ben"},
             {"face": "ben", "shirt": "ada", "trousers": "ada", "shoes": "ada"})
    rows = [read_image(anrcli.tryon(workspace=workspace, fps=4.0, strip=STRIP, **each).outputs["strip"])
            for each in asked]
    write_image(folder / "tryons.jpg", narrowed(np.concatenate([middles(row) for row in rows]), 900), QUALITY)


def middles(strip: np.ndarray) -> np.ndarray:
    """The frames of a strip without their sides."""
    frames = np.split(strip[:, :strip.shape[1] // STRIP * STRIP], STRIP, axis=1)
    aside = round(frames[0].shape[1] * (1 - MIDDLE) / 2)
    return np.concatenate([frame[:, aside:frame.shape[1] - aside] for frame in frames], axis=1)


def narrowed(image: np.ndarray, width: int) -> np.ndarray:
    """At most so wide."""
    height = round(image.shape[0] * width / image.shape[1])
    return cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA) if image.shape[1] > width else image


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
