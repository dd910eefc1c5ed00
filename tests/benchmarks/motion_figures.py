"""The figures of retargeting on motion files: limb directions, planted feet, the floor.

    python tests/benchmarks/motion_figures.py [FILE.bvh ...] [--height-m 1.7]

Without files: all of ../shared/data/bvh and the human ones of bvh_odd.

joints    parts of the body that were found, of 19, and how (n = names, s = the shape of the skeleton)
before    angle between our limbs (upper arms, forearms, thighs, shins) and the file's before feet are locked, degrees:
          mean and largest over all frames; hands: the largest, "-" where the file has none
after     the same limbs after feet are locked
contacts  of heels and toes; skate: how far apart the point lies on the floor in any two frames of a contact, in
          millimetres, mean and largest
free      the same contacts where feet are not locked
low       the lowest vertex of all frames against the floor, in millimetres
pop       the largest acceleration of feet and knees after locking, as a multiple of that before
ms        processor time of a frame for all of it
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import numpy as np

from pipelines.body.model import Body, betas_for_height, load_body, pose_sequence
from pipelines.core.errors import AnrError
from pipelines.core.records import Motion
from pipelines.motion.bvh import read_bvh
from pipelines.motion.contacts import Contact, contacts_of
from pipelines.motion.grounding import lowest_points
from pipelines.motion.retarget import Retargeted, limb_errors_deg, retarget_fully
from pipelines.motion.soles import POINTS, feet_of

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"
ON_LEGS = ("foot.L", "foot.R", "lowerleg01.L", "lowerleg01.R")
HEADER = (f"{'clip':28} {'joints':>7} {'before':>11} {'hands':>6} {'after':>11} {'contacts':>8} {'skate':>10} "
          f"{'free':>11} {'low':>7} {'pop':>5} {'ms':>6}")


def line_of(path: Path, body: Body, betas: np.ndarray) -> str:
    """One row of the table; a file that cannot be taken over says why."""
    started = time.process_time()
    try:
        result = retarget_fully(read_bvh(path), body, betas)
    except AnrError as refusal:
        return f"{path.stem[:28]:28} refused: {refusal.message}"
    ms = 1000 * (time.process_time() - started) / len(result.motion.joint_rotations)
    before, after = (joints_of(motion, body, betas) for motion in (result.free, result.motion))
    limbs_before, hands = split(limb_errors_deg(result, body, before))
    limbs_after, _ = split(limb_errors_deg(result, body, after))
    skate = np.array([contact.skate_mm for contact in result.contacts] or [0.0])
    free = np.array([contact.skate_mm for contact in unlocked_contacts(result, body, betas)] or [0.0])
    how = "n" if result.joint_map.found_by == "names" else "s"
    low_mm = 1000 * lowest_points(result.motion, body, betas).min()
    pop = acceleration(after, body) / max(1e-9, acceleration(before, body))
    hand = f"{hands.max():6.2f}" if hands.size else f"{'-':>6}"
    return (f"{path.stem[:28]:28} {len(result.joint_map.joints):5} {how} {limbs_before.mean():5.2f} "
            f"{limbs_before.max():5.2f} {hand} {limbs_after.mean():5.2f} {limbs_after.max():5.2f} "
            f"{len(result.contacts):8} {skate.mean():5.2f} {skate.max():4.2f} {free.mean():5.1f} {free.max():5.1f} "
            f"{low_mm:7.3f} {pop:5.2f} {ms:6.2f}")


def joints_of(motion: Motion, body: Body, betas: np.ndarray) -> np.ndarray:
    return pose_sequence(body, betas, motion.joint_rotations, motion.root_translation)


def split(errors: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Errors of limbs and of hands."""
    hands = [each for limb, each in errors.items() if limb.startswith("hand")]
    limbs = [each for limb, each in errors.items() if not limb.startswith("hand")]
    return np.concatenate(limbs), np.concatenate(hands) if hands else np.zeros(0)


def unlocked_contacts(result: Retargeted, body: Body, betas: np.ndarray) -> list[Contact]:
    """The contacts of a result, with how they would skate had nothing been locked."""
    from pipelines.body.model import sequence_frames

    frames, places = sequence_frames(body, betas, result.free.joint_rotations, result.free.root_translation)
    found: list[Contact] = []
    for foot in feet_of(body, betas):
        stands = np.zeros((len(places), 2), bool)
        for contact in result.contacts:
            if contact.side == foot.side:
                stands[contact.start:contact.stop, POINTS.index(contact.point)] = True
        found += contacts_of(stands, foot.places(frames[:, foot.joint], places[:, foot.joint]), foot.side)
    return found


def acceleration(joints: np.ndarray, body: Body) -> float:
    """The largest of feet and knees, per frame squared."""
    legs = joints[:, [body.joint(name) for name in ON_LEGS]]
    return float(np.linalg.norm(np.diff(legs, 2, axis=0), axis=-1).max()) if len(legs) > 2 else 0.0


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*", type=Path)
    parser.add_argument("--height-m", type=float, default=0.0, help="of the body; 0 = the mean body")
    typed = parser.parse_args(arguments)
    body = load_body()
    betas = betas_for_height(body, typed.height_m) if typed.height_m else np.zeros(len(body.shape_dirs))
    print(HEADER)
    for path in typed.files or sorted([*SHARED.glob("bvh/*.bvh"), *SHARED.glob("bvh_odd/*.bvh")]):
        print(line_of(path, body, betas), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
