"""Motion-capture files (Biovision Hierarchy): read, written, and posed.

Grammar as in the de-facto description by Meredith and Maddock, "Motion Capture File Formats Explained" (2001):
a tree of joints with offsets and channels, then one row of numbers per frame. Any channel order per joint,
positions on any joint, joints without End Site and any line ending are taken; what is malformed is refused
with its line.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipelines.core.errors import AnrError
from pipelines.core.records import Motion
from pipelines.motion.grammar import AXES, Malformed, Parser

MAX_BYTES = 512 * 2**20
CM_PER_M = 100.0                        # written files use centimetres, as most programs do


@dataclass(frozen=True, eq=False)
class BvhFile:
    """A motion as the file tells it: its own skeleton, units, axes and angles in degrees."""

    joint_names: tuple[str, ...]
    parents: np.ndarray                 # (J,) int; -1 for the root, parents come before children
    offsets: np.ndarray                 # (J, 3) from the parent, file units
    channels: tuple[tuple[str, ...], ...]   # per joint, "Xposition" or "Zrotation", in file order
    end_sites: tuple[tuple[int, tuple[float, float, float]], ...]  # (joint, offset of its tip)
    values: np.ndarray                  # (F, C) one row per frame, channels in file order
    frame_time_s: float

    @property
    def frame_count(self) -> int:
        return len(self.values)

    @property
    def fps(self) -> float:
        return 1.0 / self.frame_time_s


def read_bvh(path: Path) -> BvhFile:
    """Reads a BVH file; raises AnrError with line number and reason when it is not one."""
    path = Path(path)
    try:
        if path.stat().st_size > MAX_BYTES:
            raise AnrError(f"{path.name} is larger than {MAX_BYTES // 2**20} MB.", hint="Cut the motion into parts.")
        with path.open(encoding="utf-8-sig", errors="replace") as lines:
            return _parsed(lines, path.name)
    except FileNotFoundError:
        raise AnrError(f"There is no file {path}.", hint="Check the path of the BVH file.") from None
    except (OSError, ValueError) as error:               # ValueError: a path with a zero byte
        why = error.strerror if isinstance(error, OSError) else error
        raise AnrError(f"{path} cannot be read: {why}.", hint="Check the path of the BVH file.") from None


def parse_bvh(text: str, name: str = "motion.bvh") -> BvhFile:
    """The same from text; `name` is for the messages."""
    return _parsed(io.StringIO(text.replace("\r\n", "\n").replace("\r", "\n")), name)


def _parsed(lines: Iterable[str], name: str) -> BvhFile:
    try:
        tree, values, frame_time_s = Parser(lines).parse()
    except Malformed as fault:
        raise AnrError(f"{name} is malformed: line {fault.line}: {fault.reason}.",
                       hint="Export the motion again as BVH, or mend that line.") from None
    return BvhFile(tuple(tree.names), np.array(tree.parents), np.array(tree.offsets, float).reshape(-1, 3),
                   tuple(tree.channels), tuple(tree.end_sites), values, frame_time_s)


def write_bvh_file(path: Path, bvh: BvhFile) -> None:
    """Writes a file that reads back as the same numbers, digit for digit."""
    children: dict[int, list[int]] = {j: [] for j in range(-1, len(bvh.joint_names))}
    for j, parent in enumerate(bvh.parents):
        children[int(parent)].append(j)
    lines = ["HIERARCHY"]
    # File order must be depth-first, since the columns of the motion follow it.
    stack: list[tuple[int, int]] = [(j, 0) for j in reversed(children[-1])]
    order: list[int] = []
    closing: list[int] = []
    while stack:
        j, depth = stack.pop()
        while closing and closing[-1] >= depth:
            lines.append("  " * closing.pop() + "}")
        order.append(j)
        pad = "  " * depth
        lines += [f"{pad}{'ROOT' if depth == 0 else 'JOINT'} {bvh.joint_names[j]}", f"{pad}{{",
                  f"{pad}  OFFSET {_numbers(bvh.offsets[j])}",
                  f"{pad}  CHANNELS {len(bvh.channels[j])} {' '.join(bvh.channels[j])}".rstrip()]
        for owner, tip in bvh.end_sites:
            if owner == j:
                lines += [f"{pad}  End Site", f"{pad}  {{", f"{pad}    OFFSET {_numbers(tip)}", f"{pad}  }}"]
        closing.append(depth)
        stack += [(child, depth + 1) for child in reversed(children[j])]
    while closing:
        lines.append("  " * closing.pop() + "}")
    if order != list(range(len(order))):
        raise ValueError("joints must be in depth-first order, as a BVH file lists them")
    lines += ["MOTION", f"Frames: {bvh.frame_count}", f"Frame Time: {float(bvh.frame_time_s)!r}"]
    lines += [_numbers(row) for row in bvh.values]
    Path(path).write_text("\n".join(lines) + "\n", encoding="utf-8")


def write_bvh(path: Path, joint_names: tuple[str, ...], parents: np.ndarray, offsets_m: np.ndarray,
              motion: Motion) -> None:
    """Writes a motion on a skeleton whose rest pose has all rotations zero, as `bvh_of` gives it."""
    write_bvh_file(path, bvh_of(joint_names, parents, offsets_m, motion))


def bvh_of(joint_names: tuple[str, ...], parents: np.ndarray, offsets_m: np.ndarray, motion: Motion,
           tips_m: Mapping[int, np.ndarray] | None = None) -> BvhFile:
    """A motion on a skeleton whose rest pose has all rotations zero, as a file would hold it.

    parents    (J,) -1 for the root
    offsets_m  (J, 3) metres from the parent's rest position; the root's own is where it rests
    motion     J joints; rotations relative to the parent, root_translation where the root is, metres, y up
    tips_m     {joint without children: (3,) where its bone ends, metres from it}; those left out have no length

    In centimetres, degrees, Z X Y order, rounded to 1e-7. Joints are sorted depth-first, as the format asks.
    """
    order = _depth_first(parents)
    place = {j: k for k, j in enumerate(order)}
    sorted_parents = np.array([-1 if parents[j] < 0 else place[int(parents[j])] for j in order])
    has_child = set(sorted_parents.tolist())
    angles_deg = np.degrees(_zxy_angles(motion.joint_rotations[:, order]))          # (F, J, 3)
    frame_count = len(motion.joint_rotations)
    values = np.concatenate([motion.root_translation * CM_PER_M, angles_deg.reshape(frame_count, -1)], axis=1)
    rotation = ("Zrotation", "Xrotation", "Yrotation")
    position = ("Xposition", "Yposition", "Zposition")
    tips = {j: np.round(np.asarray(tip) * CM_PER_M, 7) for j, tip in (tips_m or {}).items()}
    ends = [(k, tips.get(order[k], np.zeros(3))) for k in range(len(order)) if k not in has_child]
    return BvhFile(
        joint_names=tuple(joint_names[j] for j in order), parents=sorted_parents,
        offsets=np.round(offsets_m[order] * CM_PER_M, 7),
        channels=tuple(position + rotation if k == 0 else rotation for k in range(len(order))),
        end_sites=tuple((k, (float(x), float(y), float(z))) for k, (x, y, z) in ends),
        values=np.round(values, 7), frame_time_s=1.0 / motion.fps)


def local_rotations(bvh: BvhFile) -> np.ndarray:
    """(F, J, 3, 3): each joint's rotation relative to its parent, channels applied in file order."""
    turns = np.broadcast_to(np.eye(3), (bvh.frame_count, len(bvh.joint_names), 3, 3)).copy()
    for joint, name, column in _columns(bvh):
        if name.endswith("rotation"):
            turns[:, joint] = turns[:, joint] @ _axis_rotation(AXES.index(name[0]), np.radians(bvh.values[:, column]))
    return turns


def local_translations(bvh: BvhFile) -> np.ndarray:
    """(F, J, 3) file units: where each joint lies in its parent's frame.

    Position channels replace the offset, as most programs write them; where they hover around zero although
    the offset is long, they are taken as added to it.
    """
    moves = np.repeat(bvh.offsets[None], bvh.frame_count, axis=0)
    placed: dict[int, np.ndarray] = {}
    for joint, name, column in _columns(bvh):
        if name.endswith("position"):
            placed.setdefault(joint, np.zeros((bvh.frame_count, 3)))[:, AXES.index(name[0])] = bvh.values[:, column]
    for joint, position in placed.items():
        reach = np.linalg.norm(bvh.offsets[joint])
        added = bvh.parents[joint] >= 0 and np.median(np.linalg.norm(position, axis=1)) < 0.5 * reach
        moves[:, joint] = moves[:, joint] + position if added else position
    return moves


def pose_skeleton(bvh: BvhFile) -> tuple[np.ndarray, np.ndarray]:
    """Forward kinematics: positions (F, J, 3) in file units and global rotations (F, J, 3, 3)."""
    turns, moves = local_rotations(bvh), local_translations(bvh)
    positions, rotations = np.empty_like(moves), np.empty_like(turns)
    for j, parent in enumerate(bvh.parents):
        if parent < 0:
            positions[:, j], rotations[:, j] = moves[:, j], turns[:, j]
        else:
            positions[:, j] = positions[:, parent] + np.einsum("fab,fb->fa", rotations[:, parent], moves[:, j])
            rotations[:, j] = rotations[:, parent] @ turns[:, j]
    return positions, rotations


def has_rotations(bvh: BvhFile) -> bool:
    return any(name.endswith("rotation") for channels in bvh.channels for name in channels)


def _numbers(row: np.ndarray | tuple[float, ...]) -> str:
    return " ".join(repr(float(value)) for value in row)


def _columns(bvh: BvhFile) -> Iterator[tuple[int, str, int]]:
    """(joint, channel name, column of values) in file order."""
    column = 0
    for joint, names in enumerate(bvh.channels):
        for name in names:
            yield joint, name, column
            column += 1


def _axis_rotation(axis: int, angles: np.ndarray) -> np.ndarray:
    """(F, 3, 3) right-handed turns about x, y or z."""
    cos, sin = np.cos(angles), np.sin(angles)
    turns = np.zeros((len(angles), 3, 3))
    i, j = (axis + 1) % 3, (axis + 2) % 3
    turns[:, axis, axis] = 1.0
    turns[:, i, i], turns[:, j, j] = cos, cos
    turns[:, i, j], turns[:, j, i] = -sin, sin
    return turns


def _zxy_angles(rotations: np.ndarray) -> np.ndarray:
    """Angles (..., 3) with R = Rz(a) Rx(b) Ry(c); at b = +-90 degrees c is set to 0."""
    b = np.arcsin(np.clip(rotations[..., 2, 1], -1.0, 1.0))
    a = np.arctan2(-rotations[..., 0, 1], rotations[..., 1, 1])
    c = np.arctan2(-rotations[..., 2, 0], rotations[..., 2, 2])
    locked = np.abs(rotations[..., 2, 1]) > 1.0 - 1e-10
    a = np.where(locked, np.arctan2(rotations[..., 1, 0], rotations[..., 0, 0]), a)
    return np.stack([a, b, np.where(locked, 0.0, c)], axis=-1)


def _depth_first(parents: np.ndarray) -> list[int]:
    children: dict[int, list[int]] = {}
    for j, parent in enumerate(parents):
        children.setdefault(int(parent), []).append(j)
    order, stack = [], list(reversed(children.get(-1, [])))
    while stack:
        j = stack.pop()
        order.append(j)
        stack += reversed(children.get(j, []))
    return order
