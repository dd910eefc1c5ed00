"""A motion set on the floor: what stands touches it and stays where it is, nothing goes through it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipelines.body.model import Body, pose_body, pose_sequence, sequence_frames
from pipelines.core.records import BodyPose, Motion
from pipelines.motion.contacts import Contact, contacts_of, standing
from pipelines.motion.curves import covering
from pipelines.motion.footlock import Skeleton, locked
from pipelines.motion.rig import UP, Rig, relative
from pipelines.motion.soles import feet_of, levelled, toe_vertices

PLANTED_SPEED = 0.35                    # m/s: a foot slower than this may be standing
PLANTED_HEIGHT_M = 0.06                 # and so near the lowest it gets
LONGEST_JUMP_S = 0.8                    # airborne for 0.8 s is 80 cm high
SMOOTHING_S = 0.12
CLEARING_S = 0.05                       # how smoothly a body is kept out of the floor


@dataclass(frozen=True, eq=False)
class Grounded:
    """A motion that stands, and how well."""

    motion: Motion
    contacts: tuple[Contact, ...]       # of heels and toes, as they lie in `motion`
    lowered_m: np.ndarray               # (F,) how far the hips came down so that no leg overstretches

    @property
    def skate_mm(self) -> np.ndarray:
        """(C,) of every contact."""
        return np.array([contact.skate_mm for contact in self.contacts])

    @property
    def figures(self) -> dict[str, float]:
        return contact_figures(self.contacts)


def grounded(motion: Motion, body: Body, betas: np.ndarray) -> Grounded:
    """The motion lifted onto the floor, its planted feet locked; no vertex ends up below the floor.

    motion  y up; a constant or slowly drifting error of height is taken off
    """
    return planted(stand_on_floor(motion, body, betas), body, betas)


def planted(motion: Motion, body: Body, betas: np.ndarray, pace: float = 1.0) -> Grounded:
    """The motion with its planted feet locked; no vertex ends up below the floor.

    motion  at its height above the floor, as `stand_on_floor` leaves it
    pace    how many times as fast as the actor it plays: what stands is decided in the actor's own time, or in slow
            motion every swinging foot would be slow enough to stand
    """
    rig, feet, fps = Rig.of(body, betas), feet_of(body, betas), motion.fps / pace
    skeleton = _skeleton(motion, body, betas)
    turned = skeleton.rotations.copy()
    stands = np.empty((len(turned), len(feet), 2), bool)
    for k, foot in enumerate(feet):
        own, ankle = turned[:, foot.joint], skeleton.places[:, foot.joint]
        stands[:, k] = standing(foot.places(own, ankle), fps)
        turned[:, foot.joint] = levelled(own, ankle, foot, stands[:, k], fps)
    rotations, down = locked(Skeleton(turned, skeleton.places), feet, stands, rig, fps)
    root = motion.root_translation - down[:, None] * UP
    motion = Motion(relative(rotations, body.parents), root, motion.fps)
    lift = covering(np.maximum(0.0, -lowest_points(motion, body, betas)), CLEARING_S * fps)
    motion = Motion(motion.joint_rotations, root + lift[:, None] * UP, motion.fps)
    return Grounded(motion, contacts_in(motion, body, betas, stands), down)


def contact_figures(contacts: tuple[Contact, ...]) -> dict[str, float]:
    """How many there are, and how far they skate in millimetres, on the mean and at most."""
    skates = [contact.skate_mm for contact in contacts] or [0.0]
    return {"contacts": float(len(contacts)), "skate_mean_mm": float(np.mean(skates)),
            "skate_max_mm": float(np.max(skates))}


def contacts_in(motion: Motion, body: Body, betas: np.ndarray, stands: np.ndarray) -> tuple[Contact, ...]:
    """The contacts of `stands` (F, 2 feet, 2 points) with how far each skates in this motion."""
    skeleton = _skeleton(motion, body, betas)
    found: list[Contact] = []
    for k, foot in enumerate(feet_of(body, betas)):
        places = foot.places(skeleton.rotations[:, foot.joint], skeleton.places[:, foot.joint])
        found += contacts_of(stands[:, k], places, foot.side)
    return tuple(found)


def _skeleton(motion: Motion, body: Body, betas: np.ndarray) -> Skeleton:
    return Skeleton(*sequence_frames(body, betas, motion.joint_rotations, motion.root_translation))


def stand_on_floor(motion: Motion, body: Body, betas: np.ndarray) -> Motion:
    """The motion lifted or lowered, smoothly in time, so that what stands meets the floor at y = 0.

    Where nothing stands (a jump) the correction runs on between the contacts around it, so that the jump keeps its
    height. Nobody stays in the air for a second: an actor whose recording drifts upwards comes back to the floor.
    No vertex ends up below it but those of the toes, which are stiff: an actor's would have bent.
    """
    lowest = lowest_points(motion, body, betas, ~toe_vertices(body))
    touching = np.flatnonzero(_touching(motion, body, betas, lowest))
    lift = np.interp(np.arange(len(lowest)), touching, -lowest[touching])
    lift = _smoothed(lift, SMOOTHING_S * motion.fps)
    lift = lift + covering(np.maximum(0.0, -(lowest + lift)), CLEARING_S * motion.fps)
    root = motion.root_translation.copy()
    root[:, 1] += lift
    return Motion(motion.joint_rotations, root, motion.fps)


def lowest_points(motion: Motion, body: Body, betas: np.ndarray, counted: np.ndarray | None = None) -> np.ndarray:
    """(F,) height of the body's lowest vertex in each frame; counted (V,) bool, None = all."""
    heights = [pose_body(body, betas, BodyPose(turns, root))[0][slice(None) if counted is None else counted, 1].min()
               for turns, root in zip(motion.joint_rotations, motion.root_translation)]
    return np.array(heights)


def _touching(motion: Motion, body: Body, betas: np.ndarray, lowest: np.ndarray) -> np.ndarray:
    """(F,) bool: frames in which the body must be on the floor: all but what stands out as a jump. Never empty.

    The floor is the lowest point's track with every rise shorter than `LONGEST_JUMP_S` taken off (a morphological
    opening), so that slow drift counts as floor and a jump does not.
    """
    if len(lowest) < 2:
        return np.ones(len(lowest), bool)
    reach = min(max(1, round(LONGEST_JUMP_S / 2 * motion.fps)), len(lowest) - 1)
    eroded = _windows(lowest, reach).min(axis=1)
    floor = _windows(eroded, reach).max(axis=1)
    joints = pose_sequence(body, betas, motion.joint_rotations, motion.root_translation)
    feet = joints[:, [body.joint_names.index("foot.L"), body.joint_names.index("foot.R")]]      # (F, 2, 3)
    speed = np.linalg.norm(np.gradient(feet, axis=0), axis=-1).min(axis=1) * motion.fps
    stands = (speed < PLANTED_SPEED) & (lowest < floor + PLANTED_HEIGHT_M)
    return stands | (lowest <= floor + 1e-6)


def _windows(track: np.ndarray, reach: int) -> np.ndarray:
    """(F, 2 reach + 1): each frame with its neighbours, the ends repeated."""
    return np.lib.stride_tricks.sliding_window_view(np.pad(track, reach, mode="edge"), 2 * reach + 1)


def _smoothed(track: np.ndarray, sigma: float) -> np.ndarray:
    """Gaussian smoothing over time with the ends held."""
    reach = max(1, round(3 * sigma))
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / max(sigma, 1e-6)) ** 2)
    return np.convolve(np.pad(track, reach, mode="edge"), kernel / kernel.sum(), mode="valid")
