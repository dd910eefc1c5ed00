"""Writes a walk as BVH, reads it back, and puts it on a body of another shape.

Run it: python 03_drive_with_bvh.py    (writes walk.bvh)
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from anrcli.commands.demo import rest_offsets
from pipelines.body.model import body_height_m, load_body, pose_sequence
from pipelines.motion.bvh import read_bvh, write_bvh
from pipelines.motion.retarget import retarget
from pipelines.studio.motions import walk

body = load_body()
write_bvh(Path("walk.bvh"), body.joint_names, body.parents, rest_offsets(body), walk(body, seconds=2.0, fps=24.0))

tall = np.zeros(len(body.shape_dirs))
tall[0] = 1.5
motion = retarget(read_bvh(Path("walk.bvh")), body, tall)      # any BVH file does: CMU, Mixamo, Rokoko, Blender
joints = pose_sequence(body, tall, motion.joint_rotations, motion.root_translation)
root = joints[:, 0]
walked_m = np.linalg.norm((root[-1] - root[0])[[0, 2]])
print(f"in {len(joints) / motion.fps:.1f} s a body of {body_height_m(body, tall):.2f} m walks {walked_m:.2f} m")
