"""Captured frames drawn again by an avatar: one, on its own, or several in a row."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from pipelines.core.errors import AnrError
from pipelines.core.records import BodyPose, SurfaceMaps
from pipelines.core.storage import read_npz
from pipelines.renderers import needs_of
from pipelines.renderers.avatar import AGAIN, Avatar, AvatarPerson, render_person
from pipelines.renderers.past import Recall
from pipelines.renderers.places import posed_joints

ROLL_IN = 4                             # frames drawn before an isolated one, for a renderer that looks back


class Replay:
    """One person's captured frames.

    A renderer that looks back sees its own pictures, never captured ones. A frame that follows on the one drawn last
    has that as its past; any other is drawn after the `ROLL_IN` frames before it, the first of which has none.
    """

    def __init__(self, avatar: Avatar, name: str, maps_of: Callable[[int], SurfaceMaps]) -> None:
        """maps_of: the surface maps of a capture frame, in their box of the captured picture."""
        self._avatar, self._person, self._maps_of = avatar, avatar.person(name), maps_of
        self._needs = needs_of(avatar.renderer)
        self._joints_of = joints_of(self._person) if "joints" in self._needs else None
        self._recall = Recall() if "past" in self._needs else None
        self._last = -1

    def frame(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """rgb (h, w, 3) and alpha (h, w), float32 in 0..1, of the frame's maps' box."""
        if self._recall and index != self._last + 1:
            self._recall.forget()
            for earlier in range(max(0, index - ROLL_IN), index):
                self._draw(earlier)
        self._last = index
        return self._draw(index)

    def _draw(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        maps = self._maps_of(index)
        texture = self._avatar.textures[self._person.name]
        corner = np.array([maps.box[0], maps.box[1], 0], np.float32)
        joints = self._joints_of(index) - corner if self._joints_of else None
        return render_person(self._avatar, texture, maps, joints, self._recall)


def joints_of(person: AvatarPerson) -> Callable[[int], np.ndarray]:
    """What gives a captured frame's joints (J, 3) in the captured picture, from the motion kept with the avatar."""
    if not person.motion.exists():
        raise AnrError(f"The avatar has no captured motion {person.motion.name}.", hint=AGAIN)
    stored = read_npz(person.motion, ("joint_rotations", "root_translation", "frame_index"))
    row_of = {int(index): row for row, index in enumerate(stored["frame_index"])}

    def joints(index: int) -> np.ndarray:
        row = row_of[index]
        pose = BodyPose(stored["joint_rotations"][row].astype(float), stored["root_translation"][row].astype(float))
        return posed_joints(person.betas, pose, person.camera, person.projection)

    return joints
