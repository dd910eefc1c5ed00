"""The loop that films: pose and surface maps in one thread, network in another, compositing and encoding in a third."""

from __future__ import annotations

import time
from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipelines.core.stage import Progress
from pipelines.media.video import available, write_gif
from pipelines.playback.backdrop import Backdrop
from pipelines.playback.conveyor import Behind, ahead
from pipelines.playback.drawing import Actor, Drawn, composed, drawn_body, person_of
from pipelines.playback.reel import Reel
from pipelines.playback.shots import Shot
from pipelines.renderers.past import Recall
from pipelines.renderers.picture import Box

AHEAD = 2                               # frames of maps drawn while the network works, and pictures waiting after it


@dataclass(frozen=True, eq=False)
class Setting:
    """Before what, and what is written."""

    backdrop: Backdrop
    video: str                          # file name
    frames: bool = False                # whether PNG frames are written
    strip: int = 8                      # frames of the strip
    gif: bool = False


def film(folder: Path, shot: Shot, actor: Actor, setting: Setting,
         progress: Progress) -> tuple[dict[str, float], dict[str, str]]:
    """Writes the video, a strip, the driven joints and, if asked, PNG frames and a GIF; returns figures and outputs.

    Memory does not grow with the length of the shot, but for its poses and joints.
    """
    camera = shot.cameras[0]
    joints_px = np.empty((len(shot), len(actor.body.joint_names), 2))
    backgrounds = setting.backdrop.pictures(shot.time_s.tolist())
    reel = Reel(folder, setting.video, (camera.width, camera.height), shot.fps, len(shot),
                setting.backdrop.transparent, setting.frames, setting.strip)

    def finish(k: int, person: tuple[np.ndarray, np.ndarray], box: Box) -> None:
        picture = composed(next(backgrounds), setting.backdrop, person, box, (camera.height, camera.width))
        reel.add(picture, int(shot.frame_index[k]))

    recall = Recall()
    started = time.monotonic()
    with reel, closing(bodies_of(shot, actor)) as bodies, Behind(finish, AHEAD) as finishing:
        for k in progress.track(range(len(shot)), "Rendering frames", total=len(shot)):
            drawn = next(bodies)
            joints_px[k] = drawn.joints_px
            finishing.put(k, person_of(drawn, actor, recall), drawn.box)
    seconds = time.monotonic() - started
    np.savez_compressed(folder / "motion.npz", joint_names=np.array(actor.body.joint_names), joints_px=joints_px,
                        time_s=shot.time_s, frame_index=shot.frame_index)
    outputs = {"strip": reel.strip_name, "motion": "motion.npz"}
    if available():
        outputs = {"video": setting.video, **outputs}
        if setting.gif:
            write_gif(folder / setting.video, folder / "video.gif")
            outputs["gif"] = "video.gif"
    return {"frames": float(len(shot)), "frames_per_s": round(len(shot) / max(seconds, 1e-6), 2)}, outputs


def bodies_of(shot: Shot, actor: Actor) -> Generator[Drawn, None, None]:
    """Each frame's body in order, drawn in a thread while the network works."""
    return ahead(lambda k: drawn_body(shot, k, actor), range(len(shot)), AHEAD)
