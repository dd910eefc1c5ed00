"""A performance before the studio's camera, frame by frame: exactly as it is, or through a `sensor.Sensor`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipelines.core.records import BodyPose, Frame, Motion
from pipelines.geometry.rotations import slerp
from pipelines.studio import scene
from pipelines.studio.actors import Actor, pose_actor
from pipelines.studio.rooms import Room, to_srgb_table
from pipelines.studio.sensor import Sensor, exposure_gain, noisy_depth, noisy_light, row_times, sub_times


@dataclass(frozen=True, eq=False)
class Filming:
    """Who moves how, where, and what looks on."""

    actor: Actor
    moves: Motion
    room: Room
    sensor: Sensor | None = None
    seed: int = 0

    def frame(self, index: int) -> tuple[Frame, np.ndarray]:
        """One frame and the true joints (J, 3) in the camera's frame at its time; any order, any thread."""
        pose = BodyPose(self.moves.joint_rotations[index], self.moves.root_translation[index])
        if self.sensor is None:
            return scene.picture(self.actor, pose, self.room, index + 131 * self.seed, index / self.moves.fps, index)
        return self._through(self.sensor, pose, index)

    def _through(self, sensor: Sensor, pose: BodyPose, index: int) -> tuple[Frame, np.ndarray]:
        from pipelines.studio.film import develop

        room, time_s = self.room, index / self.moves.fps
        verts, normals, joints = pose_actor(self.actor, pose)
        speed = self._speed(verts, index)
        late = row_times(scene.rows_of(verts, room.camera), room.camera.height, sensor)
        shots = [scene.exposed(self.actor, verts + speed * (late + moment)[:, None].astype(np.float32), normals, joints,
                               room) for moment in sub_times(sensor)]
        linear, alpha = (np.mean([shot[k] for shot in shots], axis=0) for k in (0, 1))
        depth_m = scene.depth_of(self.actor, verts + speed * np.float32(sensor.depth_lag_s), room)
        random = np.random.default_rng([self.seed, index])
        read = noisy_light(linear, exposure_gain(time_s, sensor, self.seed), sensor, random)
        image = np.empty(linear.shape, np.uint8)
        develop(read, to_srgb_table(), np.zeros_like(alpha), 0, 0, image)
        depth_m = noisy_depth(depth_m, linear, room.camera.K[0, 0], sensor, random)
        return Frame(index, time_s, image, depth_m, alpha), scene.to_camera(joints, room.camera)

    def _speed(self, verts: np.ndarray, index: int) -> np.ndarray:
        """(V, 3) float32 metres a second at a frame's time, from a hundredth of a second later."""
        count, step_s = len(self.moves.root_translation), 0.01
        if count < 2:
            return np.zeros_like(verts)
        later = index + 1 < count
        other, share = index + (1 if later else -1), step_s * self.moves.fps
        rotations = slerp(self.moves.joint_rotations[index], self.moves.joint_rotations[other], share)
        here, there = self.moves.root_translation[index], self.moves.root_translation[other]
        moved, _, _ = pose_actor(self.actor, BodyPose(rotations, here + share * (there - here)))
        return (moved - verts) / np.float32(step_s if later else -step_s)
