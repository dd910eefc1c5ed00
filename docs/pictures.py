"""Makes the README's pictures from the demo's workspace: python docs/pictures.py WORKSPACE FOLDER"""

from __future__ import annotations

import sys
from pathlib import Path

import anrcli
from pipelines.media.images import read_image, write_image
from pipelines.media.recording import Recording
from pipelines.media.sheets import fit_height, tile

WIDTH = 1200


def main(workspace: Path, folder: Path) -> None:
    """`demo_people.jpg` from the captures, one strip per video of the demo (which is up to date, so nothing runs)."""
    import cv2

    folder.mkdir(parents=True, exist_ok=True)
    outputs = anrcli.demo(workspace=workspace).outputs
    pictures = {f"demo_{name}": read_image(outputs[f"{name}_strip"]) for name in ("walk", "orbit", "tryon")}
    people = []
    for person in ("ada", "ben"):
        recording = Recording(max((workspace / "people" / person / "capture").glob("v*")))
        people += [fit_height(recording.image(len(recording) * part // 8), 384) for part in (0, 1, 3)]
    pictures["demo_people"] = tile(people, columns=len(people))
    for name, image in pictures.items():
        height = round(image.shape[0] * WIDTH / image.shape[1])
        small = cv2.resize(image, (WIDTH, height), interpolation=cv2.INTER_AREA) if image.shape[1] > WIDTH else image
        write_image(folder / f"{name}.jpg", small)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
