"""How long the capture coach takes for a minute of 1280x720 at 30 frames a second, and what it says.

    python tests/benchmarks/coach_speed.py CLIP.mp4            a real clip, its frames repeated there and back
    python tests/benchmarks/coach_speed.py synthetic:ada

Loading MediaPipe is part of it. The bound is 10 s with two processors.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("NUMBA_NUM_THREADS", "2")

import numpy as np

from pipelines.coaching.coach import judge
from pipelines.core.records import Footage
from pipelines.media.recording import Recording, RecordingWriter
from pipelines.sources import Request, open_source

FRAMES, FPS, SIZE = 1800, 30.0, (1280, 720)


def minute_of(footage: Footage, folder: Path) -> Recording:
    """1800 frames of 1280x720: the clip's, there and back again, letterboxed where they have another shape."""
    import cv2

    pictures = []
    for frame in footage.frames:
        h, w = frame.image.shape[:2]
        scale = min(SIZE[0] / w, SIZE[1] / h)
        small = cv2.resize(frame.image, (round(w * scale), round(h * scale)), interpolation=cv2.INTER_AREA)
        picture = np.zeros((SIZE[1], SIZE[0], 3), np.uint8)
        y, x = (SIZE[1] - small.shape[0]) // 2, (SIZE[0] - small.shape[1]) // 2
        picture[y:y + small.shape[0], x:x + small.shape[1]] = small
        done, encoded = cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 95])
        assert done
        pictures.append(encoded.tobytes())
    writer = RecordingWriter(folder, footage.camera)
    order = [*range(len(pictures)), *range(len(pictures) - 2, 0, -1)]
    for k in range(FRAMES):
        (folder / "color" / f"{k:05d}.jpg").write_bytes(pictures[order[k % len(order)]])
        writer.times_s.append(k / FPS)
    writer.close(fps=FPS, height_m=None, intrinsics_from="assumed", intrinsics_known=False, track=None)
    return Recording(folder)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        recording = minute_of(open_source(Request(spec=sys.argv[1])), Path(folder))
        wall, processor = time.perf_counter(), time.process_time()
        judged = judge(recording)
        wall, processor = time.perf_counter() - wall, time.process_time() - processor
    print(f"{judged.verdict.word}; {judged.verdict.looked_at} of {judged.verdict.frames} frames looked at")
    print(f"{wall:.2f} s, {processor:.2f} s of processor time (first calls of a fresh install compile: run it twice)")


if __name__ == "__main__":
    main()
